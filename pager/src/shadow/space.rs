//! Room for pages: reserving it, giving it back, and when a freed number may be
//! handed out again.

use cs_base::{PageId, Version};
use cs_io::is_no_space;

use super::{Freed, Shadow};
use crate::format::PageRef;
use crate::frames::ReadGuard;
use crate::pool::Pager;
use crate::{PagerError, Result};

/// Pages kept back for deletes, checkpoints and close on a full disk.
pub const RESERVE_PAGES: u64 = 64;
/// The file grows by an eighth of itself, within these bounds in bytes.
const GROWTH: std::ops::RangeInclusive<u64> = 64 * 1024..=64 * 1024 * 1024;

/// Where the pages of a data file stand, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpaceStats {
    /// Reached by the open version.
    pub used: u64,
    /// Free now.
    pub free: u64,
    /// Freed, but a snapshot, a meta or a write in flight still needs them.
    pub pending: u64,
    /// Numbers given out so far: `used + free + pending` and the metas.
    pub page_count: u64,
    /// Pages for which the file has room.
    pub capacity: u64,
}

impl Shadow {
    /// Makes sure that `pages` numbers, `run` of them adjacent, can be given
    /// out and written. Only with `use_reserve` may the reserve be touched.
    ///
    /// # Errors
    /// [`PagerError::NoSpace`], with nothing changed; or the file could not be grown.
    pub fn reserve(
        &mut self,
        pager: &Pager,
        pages: u64,
        run: u64,
        use_reserve: bool,
    ) -> Result<()> {
        let keep = if use_reserve { 0 } else { RESERVE_PAGES };
        // Runs come from extents or from the end, and single pages may be taken
        // from that same extent before.
        if run > 1 && !self.extents.has_run(pages) {
            for page in self.recent.drain(..) {
                self.extents.add(page);
            }
        }
        let run_at_end = if run <= 1 || self.extents.has_run(pages) {
            0
        } else {
            run
        };
        let scattered = self.extents.pages() + self.recent.len() as u64;
        // Numbers beyond the capacity, given out against an estimate that was
        // too small, are made up for here.
        let missing = (self.page_count + pages + keep)
            .saturating_sub(self.capacity + scattered)
            .max((self.page_count + run_at_end).saturating_sub(self.capacity));
        if missing == 0 {
            return Ok(());
        }
        self.grow(pager, missing, pages)
    }

    /// Makes sure that the file has room for every number given out: what a
    /// meta names must be inside the file, also pages that were never written.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    pub fn cover(&mut self, pager: &Pager) -> Result<()> {
        match self.page_count.saturating_sub(self.capacity) {
            0 => Ok(()),
            missing => self.grow(pager, missing, missing),
        }
    }

    fn grow(&mut self, pager: &Pager, missing: u64, pages: u64) -> Result<()> {
        let page_size = pager.page_size() as u64;
        let step =
            (self.capacity / 8 * page_size).clamp(*GROWTH.start(), *GROWTH.end()) / page_size;
        // On a nearly full disk the generous step may fail where the needed one fits.
        for growth in [missing.max(step), missing] {
            let (at, len) = (self.capacity * page_size, growth * page_size);
            match pager.file.allocate(at, len) {
                Ok(()) => {
                    self.capacity += growth;
                    return Ok(());
                }
                Err(error) if is_no_space(&error) => {}
                Err(error) => return Err(PagerError::io("growing the file")(error)),
            }
        }
        Err(PagerError::NoSpace { pages })
    }

    /// Keeps pages that only `version`, which is pinned, reaches: nobody else knew
    /// of them when the file was opened, so they count as free until now.
    pub fn keep_for(&mut self, version: Version, pages: impl IntoIterator<Item = PageRef>) {
        for page in self.recent.drain(..) {
            self.extents.add(page);
        }
        let freed = self.version;
        for at in pages {
            // Else a meta keeps it, or a newer version.
            if self.extents.take(at.page) {
                let (page, born) = (at.page, at.version);
                let blocked = self.blocked.entry(version).or_default();
                blocked.push(Freed { page, born, freed });
            }
        }
    }

    /// Drops from memory what was read of pages that are free, or not there yet
    /// (below `end`), before any of them is handed out: somebody followed pointers
    /// that lead nowhere any more.
    pub fn forget_free(&mut self, pager: &Pager, end: u64) {
        for page in self.recent.drain(..) {
            self.extents.add(page);
        }
        let guard = ReadGuard::enter();
        let free = self
            .extents
            .runs()
            .flat_map(|(first, len)| first..first + len);
        for page in free.chain(self.page_count..end) {
            pager.forget(PageId(page), &guard);
        }
    }

    /// Frees what no version needs any more.
    pub fn reclaim(&mut self, pager: &Pager) {
        self.begin_reclaim(pager);
        while !self.reclaim_some(pager, usize::MAX) {}
    }

    /// The same bit by bit, so that a writer is never held up by the sum of it:
    /// finds what no version needs any more …
    pub fn begin_reclaim(&mut self, pager: &Pager) {
        let mut register = pager.register();
        let visible = register.visible();
        self.ready.append(&mut self.in_flight);
        for version in register.take_unpinned() {
            self.ready
                .extend(self.blocked.remove(&version).unwrap_or_default());
        }
        while self
            .queue
            .front()
            .is_some_and(|list| list[0].freed <= visible)
        {
            self.ready
                .extend(self.queue.pop_front().unwrap_or_default());
        }
        // What came and went since a version was named was never to be seen.
        let named = self.named;
        for list in &mut self.queue {
            let unseen = |item: &mut Freed| item.born > named;
            self.ready.extend(list.extract_if(.., unseen));
        }
        self.queue.retain(|list| !list.is_empty());
    }

    /// … and frees so many pages of it at most; true when there are none left.
    pub fn reclaim_some(&mut self, pager: &Pager, pages: usize) -> bool {
        let guard = ReadGuard::enter();
        let register = pager.register();
        for _ in 0..pages {
            let Some(item) = self.ready.pop() else {
                return true;
            };
            match register.keeper(item.born, item.freed) {
                Some(version) => self.blocked.entry(version).or_default().push(item),
                None if pager.forget(item.page, &guard) => self.give_back(item.page),
                None => self.in_flight.push(item),
            }
        }
        self.ready.is_empty()
    }

    /// Where all pages stand.
    #[must_use]
    pub fn space(&self) -> SpaceStats {
        let blocked: usize = self.blocked.values().map(Vec::len).sum();
        let queued: usize = self.queue.iter().map(Vec::len).sum();
        SpaceStats {
            used: self.map.used_pages(),
            free: self.extents.pages() + self.recent.len() as u64,
            pending: (blocked + queued + self.freed.len() + self.in_flight.len() + self.ready.len())
                as u64,
            page_count: self.page_count,
            capacity: self.capacity,
        }
    }
}
