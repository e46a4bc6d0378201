//! The open version: pages that a writer changes, and where their numbers
//! come from.
//!
//! A page of an older version is never changed: it is copied under a new
//! number (its shadow), and the old number is freed. A page that was born in
//! the open version changes in place. [`seal`](Shadow::seal) ends the version:
//! its pages become frames that everybody may read and nobody changes. That may
//! be done bit by bit ([`begin_seal`](Shadow::begin_seal)), so that a writer is
//! never held up by the sum of them.
//!
//! ## Invariants
//! * `open` holds exactly the pages whose version is the open one.
//! * A page of `sealing` is of the version before; it is in no frame yet, and
//!   does not change.
//! * The allocation map has a bit for each page that the open version reaches.
//! * A freed number is in exactly one place: free, in the queue of freed ones,
//!   blocked by a pinned version, waiting for a write to end, or about to be free.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use cs_base::mutants::{Mutant, planted};
use cs_base::{PageId, Version};

use crate::Result;
use crate::extents::Extents;
use crate::format::{PageIdentity, PageRef, RootRecord, first_page, write_header};
use crate::frames::{Frame, ReadGuard};
use crate::hash::PageMap;
use crate::map::AllocationMap;
use crate::pool::{OpenPage, Pager};

mod low;
mod map_pages;
mod space;

pub use low::{Retained, RetainedPages};
pub use space::{RESERVE_PAGES, SpaceStats};

/// Single freed pages kept at hand, most recent first: their memory and cache
/// lines are warm. The rest is joined into extents.
const RECENT: usize = 1024;
/// A number given up by a version, with the version it was born in.
#[derive(Clone, Copy, Debug)]
struct Freed {
    page: PageId,
    born: Version,
    freed: Version,
}

/// See the module's text.
#[derive(Debug)]
pub struct Shadow {
    version: Version,
    /// The newest version that a root record names: others nobody ever sees.
    named: Version,
    open: PageMap<OpenPage>,
    /// Pages of the version that was sealed last, not frames yet, …
    sealing: PageMap<OpenPage>,
    /// … and which of them are still to become some.
    to_adopt: Vec<PageId>,
    /// Frames that the plan of the present commit has read: they are found
    /// here even if the pool evicts them meanwhile.
    planned: PageMap<Arc<Frame>>,
    /// How many more it has read than memory has room for.
    unheld: u64,
    /// The same, of pages that sealing the version will change.
    kept: PageMap<Arc<Frame>>,
    freed: Vec<Freed>,
    map: AllocationMap,
    page_count: u64,
    capacity: u64,
    extents: Extents,
    recent: Vec<PageId>,
    /// The lowest free number comes first, and none is kept at hand.
    low_first: bool,
    queue: VecDeque<Vec<Freed>>,
    blocked: BTreeMap<Version, Vec<Freed>>,
    in_flight: Vec<Freed>,
    /// What no version needed any more when it was looked, to be given back bit by bit.
    ready: Vec<Freed>,
}

impl Shadow {
    /// The version after `root`; `capacity` in pages. What only the older meta
    /// reaches stays blocked until that meta is overwritten.
    pub(crate) fn new(
        root: &RootRecord,
        map: AllocationMap,
        older: Option<(Version, AllocationMap)>,
        page_size: u32,
        capacity: u64,
    ) -> Self {
        let first = first_page(page_size);
        let version = root.version.next();
        let mut extents = Extents::default();
        let mut blocked = BTreeMap::new();
        let mut needed = map.clone();
        if let Some((meta, older)) = older {
            let only_there = older.used_only_here(&map).into_iter();
            let keep = only_there
                .filter(|page| page.0 < root.page_count)
                .map(|page| Freed {
                    page,
                    born: Version(0),
                    freed: version,
                });
            blocked.insert(meta, keep.collect());
            needed.unite(&older);
        }
        for (start, count) in needed.free_runs(first, root.page_count) {
            extents.add_run(start, count);
        }
        Self {
            version,
            named: root.version,
            open: HashMap::default(),
            sealing: HashMap::default(),
            to_adopt: Vec::new(),
            planned: HashMap::default(),
            unheld: 0,
            kept: HashMap::default(),
            freed: Vec::new(),
            map,
            page_count: root.page_count.max(first.0),
            capacity,
            extents,
            recent: Vec::new(),
            low_first: false,
            queue: VecDeque::new(),
            blocked,
            in_flight: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// The version that is being written.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Bytes of the pages that are not sealed yet.
    #[must_use]
    pub fn open_bytes(&self, pager: &Pager) -> u64 {
        (self.open.len() * pager.page_size()) as u64
    }

    /// The page, if it was sealed and is no frame yet.
    fn in_sealing(&self, at: PageRef) -> Option<&OpenPage> {
        if self.sealing.is_empty() || at.version.next() != self.version {
            return None;
        }
        self.sealing.get(&at.page)
    }

    // ---- reading ----

    /// The bytes of a page as the open version sees it.
    ///
    /// # Errors
    /// As [`Pager::get`].
    #[inline]
    pub fn view<'a>(
        &'a self,
        pager: &Pager,
        guard: &'a ReadGuard,
        at: PageRef,
    ) -> Result<&'a [u8]> {
        if at.version == self.version
            && let Some(bytes) = self.open.get(&at.page)
        {
            return Ok(bytes);
        }
        if let Some(bytes) = self.in_sealing(at) {
            return Ok(bytes);
        }
        if let Some(frame) = pager.resident(guard, at) {
            return Ok(frame.bytes());
        }
        if let Some(frame) = self.planned.get(&at.page).filter(|frame| frame.at() == at) {
            return Ok(frame.bytes());
        }
        Ok(pager.get(guard, at)?.bytes())
    }

    /// Reads a page and keeps it at hand until [`end_plan`](Self::end_plan), so
    /// that changing it cannot fail. Of a plan that is too large for memory the
    /// rest is read and let go: it is read once more when it is changed.
    ///
    /// # Errors
    /// As [`Pager::get`].
    pub fn plan(&mut self, pager: &Pager, at: PageRef) -> Result<()> {
        let in_memory = at.version == self.version || self.in_sealing(at).is_some();
        if !in_memory && !self.planned.contains_key(&at.page) {
            let frame = pager.pin(at)?;
            if self.planned.len() < pager.most_planned() {
                self.planned.insert(at.page, frame);
            } else {
                self.unheld += 1;
            }
        }
        Ok(())
    }

    /// Like [`plan`](Self::plan), until the version is sealed.
    ///
    /// # Errors
    /// As [`Pager::get`].
    pub fn keep(&mut self, pager: &Pager, at: PageRef) -> Result<()> {
        let in_memory = at.version == self.version || self.in_sealing(at).is_some();
        if !in_memory && !self.kept.contains_key(&at.page) {
            let frame = pager.pin(at)?;
            self.kept.insert(at.page, frame);
        }
        Ok(())
    }

    /// Whether [`plan`](Self::plan) would read the page from disk.
    #[must_use]
    pub fn is_cold(&self, pager: &Pager, guard: &ReadGuard, at: PageRef) -> bool {
        at.version != self.version
            && self.in_sealing(at).is_none()
            && !self.planned.contains_key(&at.page)
            && pager.resident(guard, at).is_none()
    }

    /// How many pages [`plan`](Self::plan) has read, at most.
    #[must_use]
    pub fn planned_pages(&self) -> u64 {
        self.planned.len() as u64 + self.unheld
    }

    /// Lets go of what [`plan`](Self::plan) kept.
    pub fn end_plan(&mut self) {
        self.unheld = 0;
        if !self.planned.is_empty() {
            self.planned.clear();
        }
    }

    // ---- changing ----

    /// The bytes of a page of the open version, to be changed in place.
    ///
    /// # Panics
    /// If the page is not of the open version: [`shadow`](Self::shadow) comes first.
    #[must_use]
    pub fn page_mut(&mut self, at: PageRef) -> &mut [u8] {
        debug_assert_eq!(at.version, self.version);
        self.open
            .get_mut(&at.page)
            .expect("only pages of the open version are changed")
    }

    /// The same, or nothing if the page is not of the open version.
    #[must_use]
    pub fn open_page_mut(&mut self, at: PageRef) -> Option<&mut [u8]> {
        if at.version != self.version {
            return None;
        }
        self.open.get_mut(&at.page).map(|bytes| &mut bytes[..])
    }

    /// Two pages of the open version at once, for merging and splitting.
    ///
    /// # Panics
    /// As [`page_mut`](Self::page_mut), and if they are the same page.
    #[must_use]
    pub fn two_pages_mut(&mut self, left: PageRef, right: PageRef) -> (&mut [u8], &mut [u8]) {
        let [Some(left), Some(right)] = self.open.get_disjoint_mut([&left.page, &right.page])
        else {
            panic!("only pages of the open version are changed")
        };
        (left, right)
    }

    /// Makes a page changeable: itself, if it is of the open version, else its shadow.
    ///
    /// # Errors
    /// As [`Pager::get`]; never for a page that was planned.
    pub fn shadow(&mut self, pager: &Pager, at: PageRef) -> Result<PageRef> {
        if at.version == self.version {
            return Ok(at);
        }
        if let Some(again) = self.reopen(at) {
            return Ok(again);
        }
        let guard = ReadGuard::enter();
        let mut copy = pager.copied_page(self.view(pager, &guard, at)?);
        let page = self.take_number();
        let new = PageRef {
            page,
            version: self.version,
        };
        crate::format::readdress(&mut copy, new);
        self.open.insert(page, copy);
        self.free(pager, at);
        Ok(new)
    }

    /// Takes back a page that was sealed without a root and is no frame yet:
    /// nobody can reach it, so it goes on in the open version as it is.
    fn reopen(&mut self, at: PageRef) -> Option<PageRef> {
        if at.version <= self.named || self.in_sealing(at).is_none() {
            return None;
        }
        let mut bytes = self.sealing.remove(&at.page)?;
        let version = self.version;
        let again = PageRef { version, ..at };
        crate::format::readdress(&mut bytes, again);
        self.open.insert(at.page, bytes);
        Some(again)
    }

    /// A new page, empty but for its header.
    pub fn allocate(&mut self, pager: &Pager, identity: PageIdentity) -> PageRef {
        let page = self.take_number();
        let at = PageRef {
            page,
            version: self.version,
        };
        self.open_page(pager, at, identity);
        at
    }

    /// Adjacent new pages; the first is returned.
    pub fn allocate_run(&mut self, pager: &Pager, pages: u32, identity: PageIdentity) -> PageRef {
        if pages == 1 {
            return self.allocate(pager, identity);
        }
        let pages = u64::from(pages);
        let first = self.extents.take_run(pages).unwrap_or_else(|| {
            let first = PageId(self.page_count);
            self.page_count += pages;
            first
        });
        let at = PageRef {
            page: first,
            version: self.version,
        };
        for number in first.0..first.0 + pages {
            self.map.set(PageId(number), true);
            self.open_page(
                pager,
                PageRef {
                    page: PageId(number),
                    ..at
                },
                identity,
            );
        }
        at
    }

    fn open_page(&mut self, pager: &Pager, at: PageRef, identity: PageIdentity) {
        let mut bytes = pager.zeroed_page();
        write_header(&mut bytes, pager.file_id, at, identity);
        self.open.insert(at.page, bytes);
    }

    fn take_number(&mut self) -> PageId {
        let page = self.recent.pop().or_else(|| self.extents.take_first());
        let page = page.unwrap_or_else(|| {
            let page = PageId(self.page_count);
            self.page_count += 1;
            page
        });
        self.map.set(page, true);
        page
    }

    /// The open version no longer reaches this page.
    pub fn free(&mut self, pager: &Pager, at: PageRef) {
        self.map.set(at.page, false);
        if self.open.remove(&at.page).is_some() {
            // Never sealed, so nobody else has seen it and no write of it goes on.
            self.give_back(at.page);
            return;
        }
        let guard = ReadGuard::enter();
        let is_sealing = self.in_sealing(at).is_some();
        if at.version > self.named {
            // It came after the last version that has a root, so nobody can
            // reach it: number and memory are free at once.
            if is_sealing {
                self.sealing.remove(&at.page);
            }
            if is_sealing || pager.forget(at.page, &guard) {
                self.give_back(at.page);
                return;
            }
        } else if is_sealing {
            self.adopt(pager, at.page, &guard);
        }
        pager.mark_freed(at.page, self.version, &guard);
        self.freed.push(Freed {
            page: at.page,
            born: at.version,
            freed: self.version,
        });
    }

    /// Like [`free`](Self::free), for adjacent pages of one version.
    pub fn free_run(&mut self, pager: &Pager, first: PageRef, pages: u32) {
        for number in first.page.0..first.page.0 + u64::from(pages) {
            self.free(
                pager,
                PageRef {
                    page: PageId(number),
                    ..first
                },
            );
        }
    }

    fn give_back(&mut self, page: PageId) {
        if self.recent.len() < RECENT && !self.low_first {
            self.recent.push(page);
        } else {
            self.extents.add(page);
        }
    }

    /// Ends the version: its pages are read-only from here on. Returns it.
    pub fn seal(&mut self, pager: &Pager) -> Version {
        let sealed = self.begin_seal(pager);
        self.finish_seal(pager);
        sealed
    }

    /// Ends the version, but leaves it to [`adopt_some`](Self::adopt_some) or
    /// [`finish_seal`](Self::finish_seal) to make frames of its pages: until
    /// then nobody but the writer can read it.
    pub fn begin_seal(&mut self, pager: &Pager) -> Version {
        self.finish_seal(pager);
        let sealed = self.version;
        // Two maps change places, so that neither has to grow anew.
        std::mem::swap(&mut self.sealing, &mut self.open);
        self.to_adopt.extend(self.sealing.keys());
        if !self.freed.is_empty() {
            self.queue.push_back(std::mem::take(&mut self.freed));
        }
        self.kept.clear();
        self.version = sealed.next();
        sealed
    }

    /// Makes frames of all pages of the version sealed last.
    pub fn finish_seal(&mut self, pager: &Pager) {
        let _ = self.adopt_some(pager, usize::MAX);
    }

    /// Makes frames of at most so many pages of the version sealed last; true
    /// when there is none left.
    pub fn adopt_some(&mut self, pager: &Pager, pages: usize) -> bool {
        if self.to_adopt.is_empty() {
            return true;
        }
        let guard = ReadGuard::enter();
        for _ in 0..pages {
            let Some(page) = self.to_adopt.pop() else {
                break;
            };
            self.adopt(pager, page, &guard);
        }
        self.to_adopt.is_empty()
    }

    fn adopt(&mut self, pager: &Pager, page: PageId, guard: &ReadGuard) {
        let version = Version(self.version.0 - 1);
        if let Some(bytes) = self.sealing.remove(&page) {
            pager.adopt(PageRef { page, version }, bytes, guard);
        }
    }

    /// For the planted bug: forgets that the newest meta needs its pages.
    pub(crate) fn planted_early_reuse(pager: &Pager, meta: Version) {
        if planted(Mutant::ReuseOneCheckpointEarly) {
            pager.unpin_on_disk(meta);
        }
    }
}
