//! How much memory one thread asks for: so that a test can say that no size
//! in a damaged file was believed.
//!
//! ## Invariants
//! * Counters belong to the thread: what others do at the same time does not
//!   show, and what one thread allocates and another frees counts as held.
#![allow(unsafe_code, reason = "a global allocator has no safe form")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // Constant and without a destructor: reading them never allocates.
    static HELD: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, counting. For `#[global_allocator]`.
#[derive(Debug)]
pub struct CountingAllocator;

/// Begins a new measurement on this thread.
pub fn begin() {
    HELD.with(|held| held.set(0));
    PEAK.with(|peak| peak.set(0));
}

/// The most bytes that this thread held since [`begin`], beyond what it held then.
#[must_use]
pub fn peak() -> u64 {
    PEAK.with(Cell::get).max(0).unsigned_abs()
}

fn note(bytes: i64) {
    // A thread that is ending may have lost its counters: nobody asks for them then.
    let _ = HELD.try_with(|held| {
        let now = held.get() + bytes;
        held.set(now);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now)));
    });
}

fn size(layout: &Layout) -> i64 {
    i64::try_from(layout.size()).unwrap_or(i64::MAX)
}

// SAFETY: every call goes to the system's allocator unchanged; counting
// neither allocates nor panics.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(size(&layout));
        // SAFETY: as promised to us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(size(&layout));
        // SAFETY: as promised to us.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-size(&layout));
        // SAFETY: as promised to us.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note(
            i64::try_from(new_size)
                .unwrap_or(i64::MAX)
                .saturating_sub(size(&layout)),
        );
        // SAFETY: as promised to us.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
