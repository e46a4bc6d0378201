//! The open version: pages that a writer changes, and where their numbers
//! come from.
//!
//! A page of an older version is never changed: it is copied under a new
//! number (its shadow), and the old number is freed. A page that was born in
//! the open version changes in place. [`seal`](Shadow::seal) ends the version:
//! its pages become frames that everybody may read and nobody changes.
//!
//! ## Invariants
//! * `open` holds exactly the pages whose version is the open one.
//! * The allocation map has a bit for each page that the open version reaches.
//! * A freed number is in exactly one place: free, in the queue of freed ones,
//!   blocked by a pinned version, or waiting for a write to end.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use cs_base::mutants::{Mutant, planted};
use cs_base::{PageId, TreeId, Version};
use cs_io::{AlignedBuf, is_no_space};

use crate::extents::Extents;
use crate::format::{
    PAGE_HEADER, PageIdentity, PageKind, PageRef, RootRecord, first_page, write_header,
};
use crate::frames::{Frame, ReadGuard};
use crate::hash::PageMap;
use crate::map::AllocationMap;
use crate::pool::Pager;
use crate::{PagerError, Result};

/// Pages kept back for deletes, checkpoints and close on a full disk.
pub const RESERVE_PAGES: u64 = 64;
/// Single freed pages kept at hand, most recent first: their memory and cache
/// lines are warm. The rest is joined into extents.
const RECENT: usize = 1024;
/// The file grows by an eighth of itself, within these bounds in bytes.
const GROWTH: std::ops::RangeInclusive<u64> = 64 * 1024..=64 * 1024 * 1024;

/// A number given up by a version, with the version it was born in.
#[derive(Clone, Copy, Debug)]
struct Freed {
    page: PageId,
    born: Version,
    freed: Version,
}

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

/// See the module's text.
#[derive(Debug)]
pub struct Shadow {
    version: Version,
    open: PageMap<AlignedBuf>,
    /// Frames that the plan of the present commit has read: they are found
    /// here even if the pool evicts them meanwhile.
    planned: PageMap<Arc<Frame>>,
    /// The same, of pages that sealing the version will change.
    kept: PageMap<Arc<Frame>>,
    freed: Vec<Freed>,
    map: AllocationMap,
    page_count: u64,
    capacity: u64,
    extents: Extents,
    recent: Vec<PageId>,
    queue: VecDeque<Vec<Freed>>,
    blocked: BTreeMap<Version, Vec<Freed>>,
    in_flight: Vec<Freed>,
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
            open: HashMap::default(),
            planned: HashMap::default(),
            kept: HashMap::default(),
            freed: Vec::new(),
            map,
            page_count: root.page_count.max(first.0),
            capacity,
            extents,
            recent: Vec::new(),
            queue: VecDeque::new(),
            blocked,
            in_flight: Vec::new(),
        }
    }

    /// The version that is being written.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether anything changed since the last seal.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.open.is_empty() || !self.freed.is_empty()
    }

    /// Bytes of the pages that are not sealed yet.
    #[must_use]
    pub fn open_bytes(&self, pager: &Pager) -> u64 {
        (self.open.len() * pager.page_size()) as u64
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
        if let Some(frame) = pager.resident(guard, at) {
            return Ok(frame.bytes());
        }
        if let Some(frame) = self.planned.get(&at.page).filter(|frame| frame.at() == at) {
            return Ok(frame.bytes());
        }
        Ok(pager.get(guard, at)?.bytes())
    }

    /// Reads a page and keeps it at hand until [`end_plan`](Self::end_plan), so
    /// that changing it cannot fail.
    ///
    /// # Errors
    /// As [`Pager::get`].
    pub fn plan(&mut self, pager: &Pager, at: PageRef) -> Result<()> {
        if at.version != self.version && !self.planned.contains_key(&at.page) {
            let frame = pager.pin(at)?;
            self.planned.insert(at.page, frame);
        }
        Ok(())
    }

    /// Like [`plan`](Self::plan), until the version is sealed.
    ///
    /// # Errors
    /// As [`Pager::get`].
    pub fn keep(&mut self, pager: &Pager, at: PageRef) -> Result<()> {
        if at.version != self.version && !self.kept.contains_key(&at.page) {
            let frame = pager.pin(at)?;
            self.kept.insert(at.page, frame);
        }
        Ok(())
    }

    /// Lets go of what [`plan`](Self::plan) kept.
    pub fn end_plan(&mut self) {
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
        let guard = ReadGuard::enter();
        let mut copy = AlignedBuf::copy_of(self.view(pager, &guard, at)?);
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
        let mut bytes = AlignedBuf::zeroed(pager.page_size());
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
        pager.mark_freed(at.page, self.version, &ReadGuard::enter());
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
        if self.recent.len() < RECENT {
            self.recent.push(page);
        } else {
            self.extents.add(page);
        }
    }

    // ---- space ----

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

    /// Gives room that no page was ever put into back to the file system.
    ///
    /// # Errors
    /// The file could not be cut; nothing is lost.
    pub fn trim(&mut self, pager: &Pager) -> Result<()> {
        if self.capacity > self.page_count {
            let bytes = self.page_count * pager.page_size() as u64;
            pager
                .file
                .set_len(bytes)
                .map_err(PagerError::io("cutting the file"))?;
            self.capacity = self.page_count;
        }
        Ok(())
    }

    /// Frees what no version needs any more.
    pub fn reclaim(&mut self, pager: &Pager) {
        let guard = ReadGuard::enter();
        let mut register = pager.register();
        let visible = register.visible();
        let mut ready: Vec<Freed> = std::mem::take(&mut self.in_flight);
        for version in register.take_unpinned() {
            ready.extend(self.blocked.remove(&version).unwrap_or_default());
        }
        while self
            .queue
            .front()
            .is_some_and(|list| list[0].freed <= visible)
        {
            ready.extend(self.queue.pop_front().unwrap_or_default());
        }
        for item in ready {
            match register.keeper(item.born, item.freed) {
                Some(version) => self.blocked.entry(version).or_default().push(item),
                None if pager.forget(item.page, &guard) => self.give_back(item.page),
                None => self.in_flight.push(item),
            }
        }
    }

    /// Ends the version: its pages are read-only from here on. Returns it.
    pub fn seal(&mut self, pager: &Pager) -> Version {
        let guard = ReadGuard::enter();
        let sealed = self.version;
        for (page, bytes) in self.open.drain() {
            pager.adopt(
                PageRef {
                    page,
                    version: sealed,
                },
                bytes,
                &guard,
            );
        }
        if !self.freed.is_empty() {
            self.queue.push_back(std::mem::take(&mut self.freed));
        }
        self.kept.clear();
        self.version = sealed.next();
        sealed
    }

    // ---- the allocation map ----

    /// Brings the map on disk up to the bits in memory, as part of the open version.
    ///
    /// Writing the map allocates and frees pages, which changes the map; the
    /// loop ends because a page of the map is shadowed once a version at most.
    ///
    /// # Errors
    /// None that a planned page could cause; see [`Pager::get`].
    pub fn write_map(&mut self, pager: &Pager) -> Result<()> {
        loop {
            let shape = self.map.shape(self.page_count);
            self.map.reshape(&shape);
            let touched = self.touched_map_pages();
            let mut settled = true;
            for &(level, position) in &touched {
                let at = self.map.at(level, position);
                if at.is_none() || at.version != self.version {
                    let new = self.allocate_map_page(pager, level);
                    self.map.set_at(level, position, new);
                    if !at.is_none() {
                        self.free(pager, at);
                    }
                    settled = false;
                }
            }
            if settled && self.map.shape(self.page_count) == shape {
                for (level, position) in touched {
                    let at = self.map.at(level, position);
                    let page = self.open.get_mut(&at.page);
                    let page = page.expect("each touched page of the map was shadowed above");
                    self.map
                        .write_body(level, position, &mut page[PAGE_HEADER..]);
                }
                self.map.forget_changes();
                return Ok(());
            }
        }
    }

    fn touched_map_pages(&self) -> Vec<(usize, usize)> {
        let mut touched = Vec::new();
        let mut below: Vec<usize> = self.map.changed();
        for level in 0..self.map.levels() {
            let mut here = below;
            here.extend(self.map.missing(level));
            here.sort_unstable();
            here.dedup();
            touched.extend(here.iter().map(|&position| (level, position)));
            below = here
                .iter()
                .map(|&position| self.map.parent(position))
                .collect();
        }
        touched
    }

    fn allocate_map_page(&mut self, pager: &Pager, level: usize) -> PageRef {
        let kind = if level == 0 {
            PageKind::AllocationMap
        } else {
            PageKind::AllocationIndex
        };
        self.allocate(
            pager,
            PageIdentity {
                kind,
                level: level as u8,
                tree: TreeId(0),
            },
        )
    }

    /// Puts the state of space into a root record.
    pub fn describe(&self, root: &mut RootRecord) {
        root.version = self.version;
        root.page_count = self.page_count;
        root.allocation = self.map.top();
        root.allocation_levels = self.map.levels() as u8;
    }

    /// How many pages the open version reaches.
    #[must_use]
    pub fn used_pages(&self) -> u64 {
        self.map.used_pages()
    }

    /// How many pages the allocation map has: as many may be shadowed at once.
    #[must_use]
    pub fn map_size(&self) -> u64 {
        self.map.shape(self.page_count).iter().sum::<usize>() as u64
    }

    /// Pages that the allocation map itself takes.
    pub fn map_pages(&self) -> impl Iterator<Item = PageRef> + '_ {
        self.map.own_pages()
    }

    /// Whether the open version reaches this page.
    #[must_use]
    pub fn is_used(&self, page: PageId) -> bool {
        self.map.get(page)
    }

    /// Where all pages stand.
    #[must_use]
    pub fn space(&self) -> SpaceStats {
        let blocked: usize = self.blocked.values().map(Vec::len).sum();
        let queued: usize = self.queue.iter().map(Vec::len).sum();
        SpaceStats {
            used: self.map.used_pages(),
            free: self.extents.pages() + self.recent.len() as u64,
            pending: (blocked + queued + self.freed.len() + self.in_flight.len()) as u64,
            page_count: self.page_count,
            capacity: self.capacity,
        }
    }

    /// For the planted bug: forgets that the newest meta needs its pages.
    pub(crate) fn planted_early_reuse(pager: &Pager, meta: Version) {
        if planted(Mutant::ReuseOneCheckpointEarly) {
            pager.unpin(meta);
        }
    }
}
