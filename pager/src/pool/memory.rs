//! The budget: what counts, taking memory, and making room.
//!
//! ## Invariants
//! * Whatever holds a page counts, from when it takes the memory until it gives
//!   it back: frames in the table, pages of the open version, pages read ahead;
//!   and the copies made for writes; what frames and the table take beside the
//!   bytes of pages too. Frames that show the map count for themselves, not for
//!   the file's bytes.
//! * Frames that have left the table and that some reader may still look at do
//!   not count, so that what is evicted depends on what was done and not on
//!   when other threads let go. They are what the arena's reserve is for; see
//!   `pressure` for what happens at its end.

use std::collections::{HashMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cs_base::PageId;
use cs_io::PageBuf;

use super::Pager;
use crate::frames::{FRAME_WEIGHT, ReadGuard, SLOT_BYTES};
use crate::hash::PageMap;
use crate::pressure;

/// The arena may take this share of the budget on top of it: for frames that
/// wait for the end of an epoch.
const RESERVE_SHARE: u64 = 10;
/// At least so many pages of reserve: a thread frees 64 frames at a time.
const RESERVE_PAGES: u64 = 64;
/// How often one call asks for frames to be freed whose epoch is over: an epoch
/// ends in two steps.
const FLUSHES: usize = 2;
/// So many pages that wait for the end of an epoch are not worth waiting for.
const GARBAGE_PAGES: u64 = 16;
/// Entries of the eviction queue that are not worth tidying up.
const QUEUE_SLACK: u64 = 4096;
/// Share of the budget that the pages of one plan may take.
const PLANNED_SHARE: u64 = 8;
/// How many frames one call looks at before it gives up evicting.
const EVICTION_ATTEMPTS: usize = 512;

/// Most bytes of pages for a budget, unless there is no other way.
pub(super) fn arena_limit(budget: u64, page_size: u64) -> u64 {
    budget.saturating_add((budget / RESERVE_SHARE).max(RESERVE_PAGES * page_size))
}

/// A page of the open version: memory that counts as such while it lives.
#[derive(Debug)]
pub(crate) struct OpenPage {
    /// Empty only while it is taken apart.
    bytes: Option<PageBuf>,
    open: Arc<AtomicU64>,
}

impl OpenPage {
    fn new(bytes: PageBuf, open: &Arc<AtomicU64>) -> Self {
        open.fetch_add(bytes.size() as u64, Ordering::Relaxed);
        Self {
            bytes: Some(bytes),
            open: Arc::clone(open),
        }
    }

    /// The bytes, which now count for whoever takes them.
    pub(crate) fn into_bytes(mut self) -> PageBuf {
        self.take()
            .expect("an open page has bytes until it is taken apart")
    }

    fn take(&mut self) -> Option<PageBuf> {
        let bytes = self.bytes.take()?;
        self.open.fetch_sub(bytes.size() as u64, Ordering::Relaxed);
        Some(bytes)
    }
}

impl Deref for OpenPage {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}

impl DerefMut for OpenPage {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.as_deref_mut().unwrap_or_default()
    }
}

impl Drop for OpenPage {
    fn drop(&mut self) {
        self.take();
    }
}

impl Pager {
    /// A page of zeroes for the open version.
    pub(crate) fn zeroed_page(&self) -> OpenPage {
        let mut bytes = self.take_page(&ReadGuard::enter());
        bytes.fill(0);
        OpenPage::new(bytes, &self.open)
    }

    /// A copy of a page for the open version.
    pub(crate) fn copied_page(&self, page: &[u8]) -> OpenPage {
        let mut bytes = self.take_page(&ReadGuard::enter());
        bytes.copy_from_slice(page);
        OpenPage::new(bytes, &self.open)
    }

    /// Memory for one page, whatever is in it; makes room for it first.
    pub(super) fn take_page(&self, guard: &ReadGuard) -> PageBuf {
        let frame = self.page_size as u64 + FRAME_WEIGHT + SLOT_BYTES;
        self.make_room(guard, frame);
        // Half of the reserve before there is need: an epoch ends in steps.
        let budget = self.own_budget();
        let reserve = arena_limit(budget, self.page_size as u64) - budget;
        if self.lacks(reserve / 2) {
            guard.flush();
        }
        for _ in 0..FLUSHES {
            if !self.is_out_of_memory() {
                break;
            }
            guard.flush();
        }
        if self.is_out_of_memory() {
            // What is held is no reason to wait: it does not come back by itself.
            let copies = self.copies.load(Ordering::Relaxed);
            let held = self.counted_bytes().saturating_sub(copies);
            let garbage = self.arena.used_bytes().saturating_sub(held);
            if garbage > GARBAGE_PAGES * self.page_size as u64 {
                pressure::owe(&self.arena, garbage);
            }
        }
        let bytes = self.arena.take();
        self.note_peak();
        bytes
    }

    /// Whether another page would go beyond budget and reserve.
    fn is_out_of_memory(&self) -> bool {
        self.lacks(self.page_size as u64)
    }

    /// Whether so many bytes more would go beyond budget and reserve.
    fn lacks(&self, needed: u64) -> bool {
        let copies = self.copies.load(Ordering::Relaxed);
        let limit = arena_limit(self.own_budget(), self.page_size as u64);
        self.arena.used_bytes() + copies + needed > limit
    }

    /// Makes room for the copy that a write needs.
    pub(super) fn make_room_for_copy(&self, bytes: u64) {
        self.make_room(&ReadGuard::enter(), bytes);
        for _ in 0..=FLUSHES {
            if !self.lacks(bytes) {
                return;
            }
            ReadGuard::enter().flush();
        }
    }

    /// Remembers the most that was ever in use.
    pub(super) fn note_peak(&self) {
        let used = self.arena.used_bytes() + self.copies.load(Ordering::Relaxed);
        if used > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(used, Ordering::Relaxed);
        }
    }

    /// What counts for the budget.
    pub(super) fn counted_bytes(&self) -> u64 {
        self.table_bytes()
            + self.table.resident()
            + self.open.load(Ordering::Relaxed)
            + self.copies.load(Ordering::Relaxed)
            + self.ahead.bytes(self.page_size)
    }

    /// What finds the frames: it grows with the file. At most half of the budget
    /// counts, so that pages have the rest even of a budget that is too small.
    fn table_bytes(&self) -> u64 {
        self.table.bytes().min(self.budget / 2)
    }

    /// Evicts clean frames until `needed` more bytes are within the budget, or
    /// none are found that could go.
    pub(super) fn make_room(&self, guard: &ReadGuard, needed: u64) {
        if self.counted_bytes() + needed <= self.own_budget() {
            return;
        }
        // What was evicted before is freed when its epoch is over: help it along.
        guard.flush();
        for _ in 0..EVICTION_ATTEMPTS {
            if self.counted_bytes() + needed <= self.own_budget() {
                return;
            }
            let Some(page) = self.queue.lock().pop_front() else {
                return;
            };
            let Some(frame) = self.table.get_untouched(page, guard) else {
                continue;
            };
            if !frame.is_clean() {
                // Freed and used again: it comes back when it is written.
                continue;
            }
            if frame.take_referenced() || !self.table.evict(page, guard) {
                self.queue.lock().push_back(page);
            } else {
                self.counters.evicted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Drops what the queue has twice or no longer needs, once that is the
    /// larger part of it: pages come again with each write.
    pub(super) fn tidy(&self, queue: &mut VecDeque<PageId>) {
        let own = if self.mapping.is_some() {
            0
        } else {
            self.page_size as u64
        };
        let weight = own + FRAME_WEIGHT;
        let frames = self.table.resident() / weight;
        if (queue.len() as u64) < 2 * frames + QUEUE_SLACK {
            return;
        }
        let guard = ReadGuard::enter();
        let mut seen: PageMap<()> = HashMap::default();
        queue.retain(|&page| {
            let frame = self.table.get_untouched(page, &guard);
            frame.is_some_and(|frame| frame.is_clean()) && seen.insert(page, ()).is_none()
        });
    }

    /// Whether dirty pages take so much of the budget that some must be
    /// written before more are made.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.dirty_bytes() > self.own_budget() / 2
    }

    /// Whether what cannot be evicted takes more than three quarters of the
    /// budget: whoever is about to make more waits until some of it is written.
    /// The rest has room for what a single commit makes.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let open = self.open.load(Ordering::Relaxed);
        let copies = self.copies.load(Ordering::Relaxed);
        self.dirty_bytes() + open + copies > self.own_budget() / 4 * 3
    }

    /// Whether what cannot be evicted takes more than half of the budget: whoever
    /// writes dirty pages at leisure does better not to dawdle.
    #[must_use]
    pub fn is_filling(&self) -> bool {
        let open = self.open.load(Ordering::Relaxed);
        self.dirty_bytes() + open > self.own_budget() / 2
    }

    /// Most pages that one plan keeps at hand: an eighth of the budget, and what a
    /// commit of a few keys needs whatever the budget is.
    pub(crate) fn most_planned(&self) -> usize {
        const FEW: u64 = 64;
        (self.budget / PLANNED_SHARE / self.page_size as u64).max(FEW) as usize
    }

    /// Writes dirty pages, and waits for it, until half of the budget is free
    /// of them: for who cannot go on before.
    ///
    /// # Errors
    /// As [`write_back`](Self::write_back).
    pub fn make_room_for_changes(&self) -> crate::Result<()> {
        const PAGES: usize = 256;
        while self.is_crowded() && self.write_back(PAGES, true)? > 0 {}
        Ok(())
    }

    pub(super) fn dirty_bytes(&self) -> u64 {
        self.dirty.lock().len() as u64 * self.page_size as u64
    }
}
