//! Reading ahead: pages that a scan is about to want.
//!
//! With the pool, reads are started on disks that can have several in flight,
//! and whoever misses such a page waits for its read instead of making one. With
//! the map, the system is asked to fetch the bytes.
//!
//! ## Invariants
//! * What was read ahead is verified like anything else when it is taken; if it
//!   is not what was asked for (the page was written meanwhile), it is read again.
//! * Pages read ahead count for the budget and are at most an eighth of it: the
//!   oldest make way.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use cs_io::{PageBuf, PendingRead};
use parking_lot::Mutex;

use super::Pager;
use super::mapping::Mapping;
use crate::format::PageRef;
use crate::frames::ReadGuard;

/// Most pages that are read ahead at once: one ring's worth.
const PAGES: usize = 64;
/// The share of the budget that they may take.
const BUDGET_SHARE: u64 = 8;

/// Pages on their way into memory, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    pub(super) pending: Mutex<VecDeque<(PageRef, PendingRead)>>,
    /// How many there are, for those who need not look.
    count: AtomicUsize,
}

impl Ahead {
    pub(super) fn bytes(&self, page_size: usize) -> u64 {
        (self.count.load(Ordering::Relaxed) * page_size) as u64
    }
}

impl Pager {
    /// Whether [`prefetch`](Self::prefetch) does anything here.
    #[must_use]
    pub fn reads_ahead(&self) -> bool {
        self.mapping.is_some() || self.file.reads_overlap()
    }

    /// Says that these pages will be asked for soon, in this order. Costs
    /// little where it gains nothing, and never fails: an error shows when the
    /// page is asked for.
    pub fn prefetch(&self, pages: &[PageRef]) {
        if let Some(mapping) = &self.mapping {
            self.will_need(mapping, pages);
        } else if self.file.reads_overlap() {
            self.start_reads(pages);
        }
    }

    /// The map: pages that lie side by side are one wish.
    fn will_need(&self, mapping: &Mapping, pages: &[PageRef]) {
        let adjacent = |one: &PageRef, two: &PageRef| one.page.next() == two.page;
        for run in pages.chunk_by(adjacent) {
            let Ok((chunk, offset)) = self.chunk_of(mapping, run[0]) else {
                continue;
            };
            let len = (run.len() * self.page_size) as u64;
            let len = len.min(chunk.end().saturating_sub(offset));
            chunk.will_need(offset, len as usize);
            let ahead = run.len() as u64;
            self.counters.ahead.fetch_add(ahead, Ordering::Relaxed);
        }
    }

    fn start_reads(&self, pages: &[PageRef]) {
        let share = self.budget / BUDGET_SHARE / self.page_size as u64;
        let room = usize::try_from(share).unwrap_or(PAGES).clamp(1, PAGES);
        let guard = ReadGuard::enter();
        let mut outdated = Vec::new();
        for &at in pages.iter().take(room) {
            let Some(offset) = at.page.0.checked_mul(self.page_size as u64) else {
                continue;
            };
            if self.table.get_untouched(at.page, &guard).is_some() {
                continue;
            }
            // Memory first: making room asks how many are pending.
            let bytes = self.take_page(&guard);
            let mut pending = self.ahead.pending.lock();
            if pending.iter().any(|(other, _)| *other == at) {
                continue;
            }
            if pending.len() >= room {
                outdated.extend(pending.pop_front());
            }
            pending.push_back((at, self.file.start_read(bytes, offset)));
            self.ahead.count.store(pending.len(), Ordering::Relaxed);
            drop(pending);
            self.counters.ahead.fetch_add(1, Ordering::Relaxed);
        }
        // They end before their memory goes; nobody shall wait for that.
        drop(guard);
        drop(outdated);
    }

    /// The bytes of a page that was read ahead, not verified yet.
    pub(super) fn take_ahead(&self, at: PageRef) -> Option<PageBuf> {
        if self.ahead.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut pending = self.ahead.pending.lock();
        let position = pending.iter().position(|(other, _)| *other == at)?;
        let (_, read) = pending.remove(position)?;
        self.ahead.count.store(pending.len(), Ordering::Relaxed);
        drop(pending);
        let (bytes, count) = read.wait().ok()?;
        self.counters.read.fetch_add(1, Ordering::Relaxed);
        (count == self.page_size).then_some(bytes)
    }
}
