//! A part of a file in memory, moved along as it is read.
//!
//! Invariant: memory is 256 KiB, or what the longest single request needed; the
//! requests are bounded by those who make them.

use cs_base::BLOCK_SIZE;
use cs_io::{AlignedBuf, File};

use crate::error::{Context, Result};
use crate::segment::Segment;

const BLOCK: u64 = BLOCK_SIZE as u64;

/// Bytes read at once.
pub(crate) const WINDOW_BYTES: usize = 256 << 10;

/// A part of a file in memory.
#[derive(Debug, Default)]
pub(crate) struct Window {
    buf: Option<AlignedBuf>,
    start: u64,
    len: usize,
}

impl Window {
    /// Bytes `offset..offset + len` of the segment's file; fewer at its end.
    pub(crate) fn get(&mut self, segment: &Segment, offset: u64, len: usize) -> Result<&[u8]> {
        self.get_of(segment.file.as_ref(), &|| segment.name(), offset, len)
    }

    /// Forgets what it holds: another file comes, or this one has changed.
    pub(crate) fn forget(&mut self) {
        (self.start, self.len) = (0, 0);
    }

    /// [`get`](Self::get) of any file.
    pub(crate) fn get_of(
        &mut self,
        file: &dyn File,
        name: &dyn Fn() -> String,
        offset: u64,
        len: usize,
    ) -> Result<&[u8]> {
        let inside = offset >= self.start && offset + len as u64 <= self.start + self.len as u64;
        if !inside {
            let start = offset / BLOCK * BLOCK;
            let wanted = (len + (offset - start) as usize).max(WINDOW_BYTES);
            let buf = match &mut self.buf {
                Some(buf) if buf.len() >= wanted => buf,
                smaller => smaller.insert(AlignedBuf::zeroed(wanted)),
            };
            self.start = start;
            // Nothing, should the read fail.
            self.len = 0;
            self.len = file
                .read_at(buf, start)
                .context(|| format!("read {}", name()))?;
        }
        let from = ((offset - self.start) as usize).min(self.len);
        let to = (from + len).min(self.len);
        Ok(self.buf.as_ref().map_or(&[], |buf| &buf[from..to]))
    }
}

#[cfg(test)]
mod tests;
