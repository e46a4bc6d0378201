//! Frames, and the table that finds the frame of a page: the pager's island of
//! unsafe code.
//!
//! The table is an array of pointers indexed by page number, in buckets that
//! double (so that it grows without moving). A reader enters an epoch and
//! loads one pointer: no lock, no counter shared with other readers. A frame
//! that leaves the table is freed when all epochs that could have seen it are
//! over (crossbeam-epoch).
//!
//! ## Invariants
//! * I1: a non-null pointer in the table came from `Arc::into_raw` and owns one
//!   strong count of that frame.
//! * I2: that count is given up only by `defer`, after the pointer has left the
//!   table; so whoever loaded it under a guard may use it until the guard ends.
//! * I3: the bytes of a frame never change after it was made, for as long as
//!   somebody may look at them. A frame that owns its memory gives it to nobody.
//!   A frame of the map shows the file: the page is written anew only when its
//!   number was handed out again, which waits until no pinned version reaches
//!   the page and nobody but the table holds its frame (`forget`).
//! * I4: `start` and `len` are the bytes that `memory` keeps alive and in place.
#![allow(unsafe_code, reason = "the pager's frames: see I1 to I4")]

use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_epoch::{self as epoch, Guard};
use cs_base::{PageId, Version};
use cs_io::{MapChunk, PageBuf};

use crate::format::PageRef;
use crate::pressure;

/// Sealed, and not on disk yet.
const DIRTY: u8 = 0;
/// A write of it is in flight.
const WRITING: u8 = 1;
/// The same as on disk.
const CLEAN: u8 = 2;
/// Freed before it was ever written.
const DEAD: u8 = 3;

/// What a frame counts for in the budget beside its bytes: itself, and its place
/// in queue and list. The bytes of a frame of the map are the kernel's.
pub(crate) const FRAME_WEIGHT: u64 = 128;
/// What a page number takes in the table, whether or not there is a frame.
pub(crate) const SLOT_BYTES: u64 = size_of::<AtomicPtr<Frame>>() as u64;

/// Where the bytes of a frame are.
enum Memory {
    /// Its own.
    Own(#[expect(dead_code, reason = "kept for as long as the frame lives")] PageBuf),
    /// A piece of the mapped file.
    Map(#[expect(dead_code, reason = "kept for as long as the frame lives")] Arc<MapChunk>),
}

/// A page in memory. Its bytes never change.
// In this order a reader touches the first bytes only.
#[repr(C)]
pub struct Frame {
    at: PageRef,
    start: NonNull<u8>,
    len: usize,
    state: AtomicU8,
    referenced: AtomicBool,
    /// Freed by some version: a checkpoint of that or a later one need not write it.
    freed: AtomicU64,
    memory: Memory,
}

// SAFETY: the bytes are only read (I3), and what keeps them is `Send` and `Sync`.
unsafe impl Send for Frame {}
// SAFETY: as above.
unsafe impl Sync for Frame {}

impl Frame {
    /// A page with memory of its own.
    pub(crate) fn own(at: PageRef, bytes: PageBuf, clean: bool) -> Arc<Self> {
        let (start, len) = (NonNull::from(&*bytes).cast(), bytes.len());
        let state = if clean { CLEAN } else { DIRTY };
        Self::new(at, start, len, Memory::Own(bytes), state)
    }

    /// The page that lies at `offset` of the mapped file; clean. `None` if it
    /// does not lie in this chunk.
    pub(crate) fn mapped(
        at: PageRef,
        chunk: &Arc<MapChunk>,
        offset: u64,
        len: usize,
    ) -> Option<Arc<Self>> {
        let start = NonNull::from(chunk.bytes(offset, len)?).cast();
        let memory = Memory::Map(Arc::clone(chunk));
        Some(Self::new(at, start, len, memory, CLEAN))
    }

    fn new(at: PageRef, start: NonNull<u8>, len: usize, memory: Memory, state: u8) -> Arc<Self> {
        Arc::new(Self {
            at,
            start,
            len,
            state: AtomicU8::new(state),
            referenced: AtomicBool::new(true),
            freed: AtomicU64::new(u64::MAX),
            memory,
        })
    }

    /// All bytes of the page, header first.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: I3 and I4.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// Whether the bytes are the file's.
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.memory, Memory::Map(_))
    }

    /// What it takes of the budget.
    pub(crate) fn weight(&self) -> u64 {
        let own = if self.is_mapped() { 0 } else { self.len };
        own as u64 + FRAME_WEIGHT
    }

    /// Which page, in which version.
    #[inline]
    #[must_use]
    pub fn at(&self) -> PageRef {
        self.at
    }

    /// The version in which the page was born.
    #[inline]
    #[must_use]
    pub fn version(&self) -> Version {
        self.at.version
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    pub(crate) fn begin_write(&self) -> bool {
        self.change(DIRTY, WRITING)
    }

    pub(crate) fn end_write(&self) {
        let was_writing = self.change(WRITING, CLEAN);
        debug_assert!(
            was_writing,
            "only a frame that is being written becomes clean"
        );
    }

    /// The page is free before it was written; false if a write of it goes on.
    pub(crate) fn discard(&self) -> bool {
        self.change(DIRTY, DEAD) || self.state.load(Ordering::Acquire) != WRITING
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.state.load(Ordering::Acquire) == CLEAN
    }

    pub(crate) fn set_freed(&self, version: Version) {
        self.freed.store(version.0, Ordering::Release);
    }

    pub(crate) fn is_freed(&self) -> bool {
        self.freed.load(Ordering::Acquire) != u64::MAX
    }

    /// Whether `version` no longer reaches this page.
    pub(crate) fn freed_before_end_of(&self, version: Version) -> bool {
        self.freed.load(Ordering::Acquire) <= version.0
    }

    /// Remembers a use; writes only when it changes something, so that readers
    /// do not fight over the cache line.
    #[inline]
    fn touch(&self) {
        if !self.referenced.load(Ordering::Relaxed) {
            self.referenced.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was used since the last call.
    pub(crate) fn take_referenced(&self) -> bool {
        self.referenced.swap(false, Ordering::Relaxed)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} v{})", self.at.page, self.at.version)
    }
}

/// As long as it lives, frames found under it stay in memory. Cheap; not to be
/// kept across waits.
///
/// Where memory has run out, leaving gives way to others for a moment.
pub struct ReadGuard {
    guard: Guard,
    // After the guard: fields go in this order.
    _debt: Debt,
}

/// Paid when dropped.
struct Debt;

impl Drop for Debt {
    #[inline]
    fn drop(&mut self) {
        pressure::pay();
    }
}

impl ReadGuard {
    /// Enters an epoch.
    #[inline]
    #[must_use]
    pub fn enter() -> Self {
        Self {
            guard: epoch::pin(),
            _debt: Debt,
        }
    }

    /// Frees what earlier epochs no longer need, instead of some time later.
    pub(crate) fn flush(&self) {
        self.guard.flush();
    }
}

impl fmt::Debug for ReadGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadGuard")
    }
}

/// Pages in the first bucket; each further bucket doubles.
const FIRST_BUCKET: u64 = 1024;
/// Enough for 2^42 pages.
const BUCKETS: usize = 32;

type Bucket = Box<[AtomicPtr<Frame>]>;

/// Page number to frame.
pub(crate) struct PageTable {
    buckets: [OnceLock<Bucket>; BUCKETS],
    /// Weight of all frames in it. What epochs have yet to free does not count:
    /// they end when other threads say so, and one seed must make one life.
    resident: AtomicU64,
    /// Page numbers below this one have been in use: the table behind it is
    /// address space.
    reached: AtomicU64,
}

fn place(page: PageId) -> Option<(usize, usize)> {
    let shifted = page.0.checked_add(FIRST_BUCKET)?;
    let bucket = (shifted.ilog2() - FIRST_BUCKET.ilog2()) as usize;
    let offset = shifted - (FIRST_BUCKET << bucket);
    (bucket < BUCKETS).then_some((bucket, offset as usize))
}

impl PageTable {
    pub(crate) fn new() -> Self {
        Self {
            buckets: [const { OnceLock::new() }; BUCKETS],
            resident: AtomicU64::new(0),
            reached: AtomicU64::new(0),
        }
    }

    /// Bytes of the table itself.
    pub(crate) fn bytes(&self) -> u64 {
        self.reached.load(Ordering::Relaxed) * SLOT_BYTES
    }

    /// Weight of all frames in the table.
    pub(crate) fn resident(&self) -> u64 {
        self.resident.load(Ordering::Relaxed)
    }

    fn enter(&self, frame: &Frame) {
        self.resident.fetch_add(frame.weight(), Ordering::Relaxed);
    }

    fn leave(&self, frame: &Frame) {
        self.resident.fetch_sub(frame.weight(), Ordering::Relaxed);
    }

    #[inline]
    fn slot(&self, page: PageId) -> Option<&AtomicPtr<Frame>> {
        let (bucket, offset) = place(page)?;
        self.buckets[bucket].get()?.get(offset)
    }

    fn slot_or_grow(&self, page: PageId) -> &AtomicPtr<Frame> {
        let (bucket, offset) = place(page).expect("page numbers are checked against the file size");
        if page.0 >= self.reached.load(Ordering::Relaxed) {
            self.reached.fetch_max(page.0 + 1, Ordering::Relaxed);
        }
        let slots = self.buckets[bucket].get_or_init(|| {
            let slots = Box::new_zeroed_slice((FIRST_BUCKET << bucket) as usize);
            // SAFETY: zeroes are null pointers. They come as they are from the
            // system, so that what is not reached takes no memory.
            unsafe { slots.assume_init() }
        });
        &slots[offset]
    }

    /// The frame of a page, if it is in memory.
    #[inline]
    pub(crate) fn get<'g>(&self, page: PageId, guard: &'g ReadGuard) -> Option<&'g Frame> {
        let frame = self.get_untouched(page, guard)?;
        frame.touch();
        Some(frame)
    }

    /// The same, without counting as a use.
    #[inline]
    pub(crate) fn get_untouched<'g>(
        &self,
        page: PageId,
        _guard: &'g ReadGuard,
    ) -> Option<&'g Frame> {
        let frame = self.slot(page)?.load(Ordering::Acquire);
        // SAFETY: I1 makes a non-null pointer valid, I2 keeps it so under the guard.
        unsafe { frame.as_ref() }
    }

    /// The same, with a reference count of its own.
    pub(crate) fn pin(&self, page: PageId, guard: &ReadGuard) -> Option<Arc<Frame>> {
        let frame: *const Frame = self.get(page, guard)?;
        // SAFETY: the pointer came from `Arc::into_raw` (I1) and the table's
        // count cannot end before the guard does (I2), so there is at least one.
        unsafe {
            Arc::increment_strong_count(frame);
            Some(Arc::from_raw(frame))
        }
    }

    /// Puts a frame in if there is none; else gives back the one that is there.
    pub(crate) fn insert(&self, frame: Arc<Frame>, guard: &ReadGuard) -> Result<(), Arc<Frame>> {
        let page = frame.at.page;
        self.enter(&frame);
        let raw = Arc::into_raw(frame).cast_mut();
        let slot = self.slot_or_grow(page);
        let done = slot.compare_exchange(
            std::ptr::null_mut(),
            raw,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if done.is_ok() {
            return Ok(());
        }
        // SAFETY: `raw` came from `into_raw` just above and was not stored.
        let mine = unsafe { Arc::from_raw(raw) };
        self.leave(&mine);
        Err(self.pin(page, guard).unwrap_or(mine))
    }

    /// Takes the frame of a page out.
    pub(crate) fn remove(&self, page: PageId, guard: &ReadGuard) {
        if let Some(slot) = self.slot(page) {
            let old = slot.swap(std::ptr::null_mut(), Ordering::AcqRel);
            self.defer(old, guard);
        }
    }

    /// Puts `new` in the place of `old`; nothing happens if `old` has left it.
    pub(crate) fn replace(&self, old: &Arc<Frame>, new: Arc<Frame>, guard: &ReadGuard) {
        debug_assert_eq!(old.at, new.at, "a frame gives way to one of the same page");
        let Some(slot) = self.slot(new.at.page) else {
            return;
        };
        self.enter(&new);
        let (seen, raw) = (Arc::as_ptr(old).cast_mut(), Arc::into_raw(new).cast_mut());
        let done = slot.compare_exchange(seen, raw, Ordering::AcqRel, Ordering::Acquire);
        match done {
            Ok(old) => self.defer(old, guard),
            Err(_) => {
                // SAFETY: `raw` came from `into_raw` just above and was not stored.
                let mine = unsafe { Arc::from_raw(raw) };
                self.leave(&mine);
            }
        }
    }

    /// Whether somebody but the table holds the frame of a page.
    pub(crate) fn is_held(&self, page: PageId, guard: &ReadGuard) -> bool {
        let Some(frame) = self.get_untouched(page, guard) else {
            return false;
        };
        // SAFETY: the pointer is an `Arc`'s (I1) and valid (I2); `ManuallyDrop`
        // leaves the count alone.
        let arc = std::mem::ManuallyDrop::new(unsafe { Arc::from_raw(frame) });
        Arc::strong_count(&arc) > 1
    }

    /// Takes the frame out if nobody but the table holds it. False if somebody does.
    pub(crate) fn evict(&self, page: PageId, guard: &ReadGuard) -> bool {
        let Some(slot) = self.slot(page) else {
            return true;
        };
        let old = slot.load(Ordering::Acquire);
        // SAFETY: I1 and I2, as in `get`.
        let Some(frame) = (unsafe { old.as_ref() }) else {
            return true;
        };
        // SAFETY: the pointer is an `Arc`'s (I1); `ManuallyDrop` leaves the count alone.
        let arc = std::mem::ManuallyDrop::new(unsafe { Arc::from_raw(old.cast_const()) });
        let holders = Arc::strong_count(&arc);
        if holders > 1 || !frame.is_clean() {
            return false;
        }
        let taken = slot.compare_exchange(
            old,
            std::ptr::null_mut(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if taken.is_ok() {
            self.defer(old, guard);
        }
        true
    }

    fn defer(&self, old: *mut Frame, guard: &ReadGuard) {
        // SAFETY: I1 and I2, as in `get`.
        let Some(frame) = (unsafe { old.as_ref() }) else {
            return;
        };
        self.leave(frame);
        // SAFETY: the pointer has left the table, so this is the one place that
        // gives up its count (I2); a frame may be dropped on any thread.
        unsafe {
            guard
                .guard
                .defer_unchecked(move || drop(Arc::from_raw(old.cast_const())));
        }
    }
}

/// So often epochs are helped to their end: garbage is free after two, and each
/// time frees some hundred frames.
const EPOCHS_TO_END: usize = 8;

impl Drop for PageTable {
    fn drop(&mut self) {
        for bucket in &mut self.buckets {
            for slot in bucket.get_mut().into_iter().flatten() {
                let frame = *slot.get_mut();
                if !frame.is_null() {
                    // SAFETY: I1; nobody can load it any more, as `self` is going.
                    drop(unsafe { Arc::from_raw(frame.cast_const()) });
                }
            }
        }
        // What left the table before goes too, as far as nobody reads elsewhere:
        // a frame of the map would keep the file mapped, and its disk busy.
        for _ in 0..EPOCHS_TO_END {
            epoch::pin().flush();
        }
    }
}

impl fmt::Debug for PageTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageTable")
    }
}

#[cfg(test)]
mod tests;
