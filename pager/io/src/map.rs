//! A piece of a file as memory.
#![allow(unsafe_code, reason = "a mapping of a file has no safe form")]

use std::fmt;
use std::fs;
use std::io;

/// Some bytes of a file, mapped for reading and shared with the cache of the
/// kernel; unmapped when dropped.
///
/// What is read through it is what the file holds at that moment. So:
/// * whoever writes the file through the page cache writes this memory: a range
///   that somebody reads must not be written meanwhile. The pager sees to it
///   with pinned versions; other processes are kept out by the lock of the
///   directory, which binds only those who ask for it;
/// * a file that is cut below what is mapped, or whose disk fails when a page is
///   fetched, is answered by the system with SIGBUS, which ends the process
///   unless it is caught. Nothing here can turn that into an error. The length
///   is checked before mapping; that is all that can be.
pub struct MapChunk {
    map: memmap2::Mmap,
    offset: u64,
}

impl MapChunk {
    /// Maps `len` bytes at `offset`, which the caller has found to be inside the file.
    pub(crate) fn new(file: &fs::File, offset: u64, len: usize) -> io::Result<Self> {
        // SAFETY: the memory is only handed out as long as `self` lives, and the
        // range was inside the file just now. That nobody cuts the file or
        // writes what is read is promised by the users of this crate and by the
        // lock of the directory (see the type's text).
        let map = unsafe {
            memmap2::MmapOptions::new()
                .offset(offset)
                .len(len)
                .map(file)?
        };
        // A page that is needed alone is fetched alone; who reads on says so.
        let _ = map.advise(memmap2::Advice::Random);
        Ok(Self { map, offset })
    }

    /// Where it begins in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where it ends in the file.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset + self.map.len() as u64
    }

    /// The bytes at `offset` of the file, if they are all in here.
    #[must_use]
    pub fn bytes(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        self.map.get(start..start.checked_add(len)?)
    }

    /// Asks the system to fetch these bytes of the file; a wish.
    pub fn will_need(&self, offset: u64, len: usize) {
        if let Some(start) = offset.checked_sub(self.offset)
            && self.bytes(offset, len).is_some()
        {
            let _ = self
                .map
                .advise_range(memmap2::Advice::WillNeed, start as usize, len);
        }
    }
}

impl fmt::Debug for MapChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapChunk({}..{})", self.offset, self.end())
    }
}
