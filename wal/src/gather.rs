//! Where records wait for their group to leave.
//!
//! A group is one or more *chunks*: each lies in one segment, starts on a
//! block boundary and is one write. Usually there is one; a full buffer or a
//! full segment begins another.
//!
//! Invariants
//! * A chunk starts on a block boundary and is written as whole blocks, the
//!   rest of the last one zero: two groups never share a block.
//! * A buffer is in the pool, in the gather, or in one flight; it is not
//!   touched while in flight.

use std::fmt;
use std::sync::Arc;

use cs_base::mutants::{Mutant, planted};
use cs_base::{BLOCK_SIZE, Lsn, round_up};
use cs_io::{AlignedBuf, StableBytes};
use parking_lot::Mutex;

use crate::segment::Segment;

/// The bytes of one write: the used front of a buffer.
#[derive(Debug)]
pub(crate) struct GroupBytes {
    buf: AlignedBuf,
    len: usize,
}

impl StableBytes for GroupBytes {
    fn stable_bytes(&self) -> &[u8] {
        &self.buf[..self.len]
    }
}

/// One write of a group, being filled.
pub(crate) struct Chunk {
    pub(crate) segment: Segment,
    /// Position of its first byte.
    pub(crate) start: Lsn,
    buf: AlignedBuf,
    used: usize,
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} + {} bytes)", self.start, self.used)
    }
}

impl Chunk {
    /// Position at which the next record would start.
    pub(crate) fn end(&self) -> Lsn {
        self.start.advance(self.used as u64)
    }

    pub(crate) fn has_room(&self, len: u64) -> bool {
        (self.buf.len() - self.used) as u64 >= len
    }

    /// The next `len` bytes, to be filled wholly by the caller.
    pub(crate) fn take(&mut self, len: u64) -> &mut [u8] {
        let from = self.used;
        self.used += len as usize;
        &mut self.buf[from..self.used]
    }

    /// Ready to be written: whole blocks, the rest zero.
    pub(crate) fn close(mut self) -> (Segment, Lsn, Arc<GroupBytes>) {
        let len = round_up(self.used as u64, BLOCK_SIZE as u64) as usize;
        self.buf[self.used..len].fill(0);
        (
            self.segment,
            self.start,
            Arc::new(GroupBytes { buf: self.buf, len }),
        )
    }
}

/// The chunks of the group that has not left yet.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) records: usize,
    /// Only for [`Mutant::GroupsShareBlock`]: the last block of the last group.
    carry: Option<Vec<u8>>,
}

impl Gather {
    /// A chunk with room for a record of `len` bytes: the present one, or one
    /// that starts at the next block boundary from `end` in `segment`.
    pub(crate) fn room(
        &mut self,
        pool: &BufferPool,
        segment: &Segment,
        end: Lsn,
        len: u64,
    ) -> &mut Chunk {
        let fits = self.chunks.last().is_some_and(|chunk| {
            chunk.segment.header.sequence == segment.header.sequence && chunk.has_room(len)
        });
        if !fits {
            let start = Lsn(round_up(end.0, BLOCK_SIZE as u64)).max(segment.header.base);
            let mut chunk = Chunk {
                segment: segment.clone(),
                start,
                buf: pool.take(len),
                used: 0,
            };
            if planted(Mutant::GroupsShareBlock) {
                self.share_block(&mut chunk, end);
            }
            self.chunks.push(chunk);
        }
        let last = self.chunks.len() - 1;
        &mut self.chunks[last]
    }

    /// Takes the group out.
    pub(crate) fn cut(&mut self) -> (Vec<Chunk>, usize) {
        if planted(Mutant::GroupsShareBlock) {
            self.carry = self.chunks.last().map(|chunk| {
                let block = chunk.used / BLOCK_SIZE * BLOCK_SIZE;
                chunk.buf[block..chunk.used].to_vec()
            });
        }
        (
            std::mem::take(&mut self.chunks),
            std::mem::take(&mut self.records),
        )
    }

    /// The planted bug: begins in the block in which the last group ended,
    /// and writes that block again.
    fn share_block(&mut self, chunk: &mut Chunk, end: Lsn) {
        let block = Lsn(end.0 / BLOCK_SIZE as u64 * BLOCK_SIZE as u64);
        let Some(carry) = self.carry.take().filter(|carry| !carry.is_empty()) else {
            return;
        };
        if block.advance(carry.len() as u64) == end
            && block >= chunk.segment.header.base
            && chunk.has_room(chunk.buf.len() as u64)
        {
            let larger = AlignedBuf::zeroed(chunk.buf.len() + BLOCK_SIZE);
            chunk.buf = larger;
            chunk.buf[..carry.len()].copy_from_slice(&carry);
            chunk.start = block;
            chunk.used = carry.len();
        }
    }
}

/// Buffers of one size, used again and again.
#[derive(Debug)]
pub(crate) struct BufferPool {
    size: usize,
    keep: usize,
    free: Mutex<Vec<AlignedBuf>>,
}

impl BufferPool {
    pub(crate) fn new(size: usize, keep: usize) -> Self {
        Self {
            size,
            keep,
            free: Mutex::new(Vec::new()),
        }
    }

    /// At least `len` bytes of any content. Memory not yet touched costs
    /// nothing, so a buffer is always of full size.
    fn take(&self, len: u64) -> AlignedBuf {
        if len > self.size as u64 {
            return AlignedBuf::zeroed(len as usize);
        }
        self.free
            .lock()
            .pop()
            .unwrap_or_else(|| AlignedBuf::zeroed(self.size))
    }

    /// Takes a buffer back after its write, if the disk has let go of it.
    pub(crate) fn give_back(&self, bytes: Arc<GroupBytes>) {
        if let Some(bytes) = Arc::into_inner(bytes) {
            let mut free = self.free.lock();
            if bytes.buf.len() == self.size && free.len() < self.keep {
                free.push(bytes.buf);
            }
        }
    }
}

#[cfg(test)]
mod tests;
