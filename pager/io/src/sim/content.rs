//! The bytes of one file, in blocks that images share until one writes.
//!
//! ## Invariants
//! * There are exactly as many blocks as `len` needs.
//! * Bytes of a data block beyond `len` are zero, so that a file cut and
//!   extended again reads as zero.
//! * A hole takes no space; a reserved block does, and reads as zero.

use std::sync::Arc;

use cs_base::BLOCK_SIZE;

#[derive(Clone, Debug)]
enum Block {
    Hole,
    Reserved,
    Data(Arc<[u8; BLOCK_SIZE]>),
}

/// A file's bytes. Cloning costs one reference per block.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    blocks: Vec<Block>,
    len: u64,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of space that the file takes.
    pub(super) fn space(&self) -> u64 {
        let taken = self
            .blocks
            .iter()
            .filter(|block| !matches!(block, Block::Hole))
            .count();
        (taken * BLOCK_SIZE) as u64
    }

    /// Bytes of space that writing or reserving the range would take in addition.
    pub(super) fn space_for(&self, offset: u64, end: u64) -> u64 {
        let wanted = block_range(offset, end);
        let present = wanted.start.min(self.blocks.len())..wanted.end.min(self.blocks.len());
        let taken = self.blocks[present]
            .iter()
            .filter(|block| !matches!(block, Block::Hole))
            .count();
        ((wanted.len() - taken) * BLOCK_SIZE) as u64
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let available = self.len.saturating_sub(offset);
        let count = usize::try_from(available)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let mut done = 0;
        while done < count {
            let (index, inside) = position(offset + done as u64);
            let part = (BLOCK_SIZE - inside).min(count - done);
            let target = &mut buffer[done..done + part];
            match &self.blocks[index] {
                Block::Data(bytes) => target.copy_from_slice(&bytes[inside..inside + part]),
                Block::Hole | Block::Reserved => target.fill(0),
            }
            done += part;
        }
        count
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        self.extend(offset + bytes.len() as u64);
        let mut done = 0;
        while done < bytes.len() {
            let (index, inside) = position(offset + done as u64);
            let part = (BLOCK_SIZE - inside).min(bytes.len() - done);
            let new = &bytes[done..done + part];
            match (&mut self.blocks[index], <&[u8; BLOCK_SIZE]>::try_from(new)) {
                (Block::Data(old), Err(_)) => {
                    Arc::make_mut(old)[inside..inside + part].copy_from_slice(new);
                }
                (slot, Ok(whole)) => *slot = Block::Data(Arc::new(*whole)),
                (slot, Err(_)) => {
                    let mut block = [0; BLOCK_SIZE];
                    block[inside..inside + part].copy_from_slice(new);
                    *slot = Block::Data(Arc::new(block));
                }
            }
            done += part;
        }
    }

    /// Makes the file at least `len` bytes long; the new part is a hole.
    pub(super) fn extend(&mut self, len: u64) {
        if len > self.len {
            self.len = len;
            self.blocks.resize(block_range(0, len).end, Block::Hole);
        }
    }

    /// Cuts the file to at most `len` bytes.
    pub(super) fn shrink(&mut self, len: u64) {
        if len >= self.len {
            return;
        }
        self.len = len;
        self.blocks.truncate(block_range(0, len).end);
        let (_, inside) = position(len);
        if inside > 0
            && let Some(Block::Data(last)) = self.blocks.last_mut()
        {
            Arc::make_mut(last)[inside..].fill(0);
        }
    }

    /// Extends over the range and takes its space.
    pub(super) fn reserve(&mut self, offset: u64, end: u64) {
        self.extend(end);
        for block in &mut self.blocks[block_range(offset, end)] {
            if matches!(block, Block::Hole) {
                *block = Block::Reserved;
            }
        }
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len as usize];
        self.read(&mut bytes, 0);
        bytes
    }
}

fn position(offset: u64) -> (usize, usize) {
    let unit = BLOCK_SIZE as u64;
    ((offset / unit) as usize, (offset % unit) as usize)
}

/// The blocks that the bytes from `offset` to `end` touch.
fn block_range(offset: u64, end: u64) -> std::ops::Range<usize> {
    let unit = BLOCK_SIZE as u64;
    if end <= offset {
        let at = (end / unit) as usize;
        return at..at;
    }
    (offset / unit) as usize..end.div_ceil(unit) as usize
}
