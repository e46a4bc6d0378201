//! Making the file shorter: pages move to low numbers, the free tail is cut.
//!
//! ## Invariants
//! * Only numbers that are free are cut off: what a pinned version reaches, a
//!   snapshot's or either meta's, is used or pending, never free.
//! * The file keeps as many pages as either meta on disk tells of, so that
//!   opening finds what it expects at whichever it chooses.

use cs_base::mutants::{Mutant, planted};
use cs_base::{PageId, Version};

use super::Shadow;
use crate::format::{PageRef, readdress};
use crate::frames::ReadGuard;
use crate::pool::Pager;
use crate::{PagerError, Result};

/// Pages that were freed and are still needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedPages {
    /// By whom.
    pub by: Retained,
    /// How many.
    pub pages: u64,
}

/// Who needs pages that were freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retained {
    /// This pinned version: a snapshot's, a checkpoint's or a meta's.
    Version(Version),
    /// A version that may still be asked for, or a write that is in flight.
    Passing,
}

impl Shadow {
    /// From now on the lowest free number is handed out first (or, with
    /// `false`, no longer).
    pub fn prefer_low(&mut self, low_first: bool) {
        self.low_first = low_first;
        if low_first {
            for page in self.recent.drain(..) {
                self.extents.add(page);
            }
        }
    }

    /// The lowest free number; exact after [`prefer_low`](Self::prefer_low).
    #[must_use]
    pub fn lowest_free(&self) -> Option<PageId> {
        self.extents.lowest()
    }

    /// How many numbers are free.
    #[must_use]
    pub fn free_pages(&self) -> u64 {
        self.extents.pages() + self.recent.len() as u64
    }

    /// Copies adjacent pages of one version to lower numbers, if there are as
    /// many adjacent ones below `limit`, and frees the old ones.
    ///
    /// # Errors
    /// As [`Pager::get`], with nothing changed.
    pub fn move_run(
        &mut self,
        pager: &Pager,
        first: PageRef,
        pages: u32,
        limit: PageId,
    ) -> Result<Option<PageRef>> {
        let mut copies = Vec::with_capacity(pages as usize);
        for offset in 0..u64::from(pages) {
            let at = PageRef {
                page: PageId(first.page.0 + offset),
                ..first
            };
            let guard = ReadGuard::enter();
            copies.push(pager.copied_page(self.view(pager, &guard, at)?));
        }
        let Some(start) = self.extents.take_low_run(u64::from(pages), limit) else {
            return Ok(None);
        };
        let new = PageRef {
            page: start,
            version: self.version,
        };
        for (page, mut copy) in (start.0..).map(PageId).zip(copies) {
            readdress(&mut copy, PageRef { page, ..new });
            self.map.set(page, true);
            self.open.insert(page, copy);
        }
        self.free_run(pager, first, pages);
        Ok(Some(new))
    }

    /// Has the allocation map's pages from `limit` on moved when it is written
    /// next; returns how many.
    pub fn move_map_pages(&mut self, limit: PageId) -> usize {
        self.map.touch_from(limit)
    }

    /// Takes back the free numbers at the end: they are given out no more.
    /// Returns how many. The file is cut by [`trim`](Self::trim), once both
    /// metas tell of fewer pages.
    pub fn cut(&mut self) -> u64 {
        for page in self.recent.drain(..) {
            self.extents.add(page);
        }
        if planted(Mutant::CutBelowPinned) {
            self.planted_cut_below_pinned();
        }
        let cut = self.extents.take_tail(self.page_count);
        self.page_count -= cut;
        cut
    }

    /// For the planted bug: what only a pinned version reaches counts as free.
    fn planted_cut_below_pinned(&mut self) {
        let blocked = std::mem::take(&mut self.blocked);
        for item in blocked.into_values().flatten() {
            self.extents.add(item.page);
        }
    }

    /// Gives room at the end of the file back to the file system, down to its
    /// last page and to `keep` pages at least: as many as a meta tells of.
    ///
    /// # Errors
    /// The file could not be cut; nothing is lost.
    pub fn trim(&mut self, pager: &Pager, keep: u64) -> Result<()> {
        let pages = if planted(Mutant::CutBelowPinned) {
            self.page_count
        } else {
            self.page_count.max(keep)
        };
        if self.capacity > pages {
            let bytes = pages * pager.page_size() as u64;
            pager
                .cut_file(bytes)
                .map_err(PagerError::io("cutting the file"))?;
            self.capacity = pages;
        }
        Ok(())
    }

    /// Who needs the pages that were freed.
    #[must_use]
    pub fn retained(&self) -> Vec<RetainedPages> {
        let queued: usize = self.queue.iter().map(Vec::len).sum();
        let passing = queued + self.freed.len() + self.in_flight.len();
        let blocked = self.blocked.iter().map(|(&version, list)| RetainedPages {
            by: Retained::Version(version),
            pages: list.len() as u64,
        });
        let passing = RetainedPages {
            by: Retained::Passing,
            pages: passing as u64,
        };
        blocked
            .chain([passing])
            .filter(|one| one.pages > 0)
            .collect()
    }
}
