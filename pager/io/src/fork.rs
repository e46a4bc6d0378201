//! Knowing that one is a forked child.
#![allow(
    unsafe_code,
    reason = "a page that the kernel wipes in a child has no safe form in std"
)]

use std::ptr::NonNull;

use cs_base::BLOCK_SIZE;

/// Made in one process, it tells a child of that process apart: locks, threads
/// and buffers of the parent mean nothing there.
///
/// The kernel wipes the page behind it in a child (`MADV_WIPEONFORK`), so
/// asking is one load and no system call. Where the kernel cannot, process ids
/// are compared.
#[derive(Debug)]
pub struct ForkMark {
    /// One page of our own that reads 1 here and 0 in a child.
    page: Option<NonNull<u8>>,
    process: u32,
}

impl ForkMark {
    /// A mark of this process.
    ///
    /// ```
    /// assert!(!cs_io::ForkMark::new().is_forked());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            page: wiped_page(),
            process: std::process::id(),
        }
    }

    /// Whether this is not the process that made the mark.
    #[inline]
    #[must_use]
    pub fn is_forked(&self) -> bool {
        match self.page {
            // SAFETY: the page is mapped and readable until drop; volatile,
            // since it changes without the compiler's knowledge.
            Some(page) => unsafe { page.as_ptr().read_volatile() == 0 },
            None => std::process::id() != self.process,
        }
    }
}

impl Default for ForkMark {
    fn default() -> Self {
        Self::new()
    }
}

fn wiped_page() -> Option<NonNull<u8>> {
    // SAFETY: a new anonymous mapping of one page, at an address of the kernel's
    // choice, touches nothing that exists.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            BLOCK_SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the range is the mapping made above.
    let wipes = unsafe { libc::madvise(address, BLOCK_SIZE, libc::MADV_WIPEONFORK) } == 0;
    let page = NonNull::new(address.cast::<u8>())?;
    if !wipes {
        unmap(page);
        return None;
    }
    // SAFETY: mapped and writable, and nobody else knows the address.
    unsafe { page.as_ptr().write(1) };
    Some(page)
}

fn unmap(page: NonNull<u8>) {
    // SAFETY: the page was mapped in `wiped_page` with this length, and is
    // given up once.
    unsafe { libc::munmap(page.as_ptr().cast(), BLOCK_SIZE) };
}

impl Drop for ForkMark {
    fn drop(&mut self) {
        if let Some(page) = self.page.take() {
            unmap(page);
        }
    }
}

// SAFETY: the mapping belongs to the whole process and is only read.
unsafe impl Send for ForkMark {}
// SAFETY: as above.
unsafe impl Sync for ForkMark {}

#[cfg(test)]
mod tests;
