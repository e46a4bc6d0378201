//! Memory aligned for direct I/O.
#![allow(unsafe_code, reason = "aligned allocation has no safe form in std")]

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use cs_base::{BLOCK_SIZE, round_up};

use crate::StableBytes;

/// Zeroed bytes at an address that is a multiple of [`BLOCK_SIZE`]; the length
/// is rounded up to a multiple of it too.
pub struct AlignedBuf {
    start: NonNull<u8>,
    len: usize,
}

impl AlignedBuf {
    /// At least `len` zero bytes (rounded up; at least one block).
    ///
    /// # Panics
    /// If `len` is more than `isize::MAX`: callers bound sizes first.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let len = round_up(len.max(1) as u64, BLOCK_SIZE as u64) as usize;
        let layout = Self::layout(len);
        // SAFETY: the layout has a non-zero size, being at least one block.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else {
            handle_alloc_error(layout)
        };
        Self { start, len }
    }

    /// A copy of `bytes`, padded with zeroes to whole blocks.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self::joined(bytes.len(), std::iter::once(bytes))
    }

    /// A copy of `parts`, one behind the other, padded with zeroes to `len`
    /// bytes, rounded up to whole blocks. Nothing is wiped before.
    ///
    /// # Panics
    /// If the parts have more than `len` bytes, or `len` is too large as for
    /// [`zeroed`](Self::zeroed).
    #[must_use]
    pub fn joined<'p>(len: usize, parts: impl Iterator<Item = &'p [u8]>) -> Self {
        let len = round_up(len.max(1) as u64, BLOCK_SIZE as u64) as usize;
        let layout = Self::layout(len);
        // SAFETY: the layout has a non-zero size, being at least one block.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else {
            handle_alloc_error(layout)
        };
        let buffer = Self { start, len };
        let mut filled = 0;
        for part in parts {
            assert!(part.len() <= len - filled, "the parts are longer than told");
            // SAFETY: the range lies within the allocation, just checked, and
            // nobody else knows the allocation.
            unsafe {
                let to = buffer.start.as_ptr().add(filled);
                std::ptr::copy_nonoverlapping(part.as_ptr(), to, part.len());
            }
            filled += part.len();
        }
        // SAFETY: the rest of the allocation; with it all bytes are initialised.
        unsafe {
            let rest = buffer.start.as_ptr().add(filled);
            std::ptr::write_bytes(rest, 0, len - filled);
        }
        buffer
    }

    /// Where the bytes begin; they stay there.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len, BLOCK_SIZE).expect("buffer sizes are bounded by their users")
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` owns `len` initialised bytes until drop.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Clone for AlignedBuf {
    fn clone(&self) -> Self {
        Self::copy_of(self)
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout, freed once.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.len)) };
    }
}

// SAFETY: the buffer owns its bytes like a `Box<[u8]>`.
unsafe impl Send for AlignedBuf {}
// SAFETY: shared access only reads.
unsafe impl Sync for AlignedBuf {}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuf({} bytes)", self.len)
    }
}

impl StableBytes for AlignedBuf {
    fn stable_bytes(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests;
