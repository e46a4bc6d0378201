//! The system's allocator, with a count of what it has handed out.
#![allow(unsafe_code, reason = "an allocator cannot be had without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module's text.
pub(crate) struct Counting {
    live: AtomicU64,
    peak: AtomicU64,
}

impl Counting {
    /// With nothing handed out.
    pub(crate) const fn new() -> Self {
        Self {
            live: AtomicU64::new(0),
            peak: AtomicU64::new(0),
        }
    }

    /// Bytes handed out and not given back.
    pub(crate) fn live(&self) -> u64 {
        self.live.load(Ordering::SeqCst)
    }

    /// The most of them since the last reset.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::SeqCst)
    }

    /// Begins anew with the present figure.
    pub(crate) fn reset_peak(&self) {
        self.peak.store(self.live(), Ordering::SeqCst);
    }

    fn add(&self, bytes: usize) {
        let live = self.live.fetch_add(bytes as u64, Ordering::SeqCst) + bytes as u64;
        self.peak.fetch_max(live, Ordering::SeqCst);
    }

    fn sub(&self, bytes: usize) {
        self.live.fetch_sub(bytes as u64, Ordering::SeqCst);
    }
}

// SAFETY: everything is the system's allocator's; the counts touch no memory
// that is handed out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.add(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.add(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        self.sub(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there for a moment.
        self.add(size);
        self.sub(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(start, layout, size) }
    }
}
