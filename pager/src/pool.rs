//! The buffer pool: pages by reference, within a budget of memory.
//!
//! | part | what |
//! |---|---|
//! | `memory` | the budget: what counts, taking memory, evicting |
//! | `source` | bringing a page into memory, verified: read, or shown by the map |
//! | `mapping` | the file as memory, in chunks |
//! | `ahead` | reads started before anybody needs them |
//! | `writing` | dirty pages on their way to disk |
//!
//! ## Invariants
//! * Nothing leaves [`Pager::get`] that was not verified: checksum, file, page
//!   number, version, kind, and by the layer above its inner order; once, when
//!   the page enters memory. A frame in the table is the mark of it.
//! * A frame in the table is of the newest version of its page number: the
//!   table forgets a page before its number is handed out again.
//! * Only clean frames are evicted; dirty ones are written first. They are
//!   shadows, so they may be written at any time and in any order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cs_base::mutants::{Mutant, planted};
use cs_base::{FileId, PageId, Version};
use cs_io::{File, PageArena};
use parking_lot::{Mutex, MutexGuard};

use crate::format::{PageKind, PageRef};
use crate::frames::{Frame, PageTable, ReadGuard};
use crate::hash::PageMap;
use crate::open::{PagerOptions, ReadPath};
use crate::register::Register;
use crate::{PagerError, Result};

mod ahead;
mod loan;
mod mapping;
mod memory;
mod source;
mod writing;

pub use loan::Loan;

pub(crate) use memory::OpenPage;
pub(crate) use writing::WriteBatch;

use ahead::Ahead;
use mapping::Mapping;

/// Looks at a page once, when it enters memory: whether its inside is in order.
/// Gets the kind and all bytes of the page; the error names what is wrong.
pub type VerifyPage = fn(PageKind, &[u8]) -> Result<(), String>;

/// Figures of the pool since it was opened; sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// What counts for the budget: frames, open pages, copies being written,
    /// pages read ahead.
    pub resident_bytes: u64,
    /// Part of it not yet on disk.
    pub dirty_bytes: u64,
    /// Part of it in the open version.
    pub open_bytes: u64,
    /// Part of it copied for writes that are in flight.
    pub copy_bytes: u64,
    /// What `resident_bytes` is to stay below.
    pub budget_bytes: u64,
    /// Taken from the system for pages: never more than the budget and a tenth
    /// (or 64 pages), unless `exceeded` says so.
    pub arena_bytes: u64,
    /// Part of it that holds a page, those included that are out of the table
    /// and that some reader may still look at.
    pub arena_used_bytes: u64,
    /// The most that pages and copies for writes ever took together.
    pub peak_bytes: u64,
    /// How often a page got memory beyond `arena_bytes`' limit.
    pub exceeded: u64,
    /// How pages are read: what was asked for, or the pool where the disk has no map.
    pub read_path: ReadPath,
    /// Bytes of the file that are mapped; no part of the budget.
    pub mapped_bytes: u64,
    /// Pages read from disk, or looked at for the first time in the map.
    pub pages_read: u64,
    /// Pages of these that were asked for ahead.
    pub pages_read_ahead: u64,
    /// Pages written to disk.
    pub pages_written: u64,
    /// Pages taken out of memory to make room.
    pub pages_evicted: u64,
}

#[derive(Debug, Default)]
struct Counters {
    read: AtomicU64,
    written: AtomicU64,
    evicted: AtomicU64,
    ahead: AtomicU64,
}

/// The pages of one data file.
#[derive(Debug)]
pub struct Pager {
    pub(crate) file: Arc<dyn File>,
    pub(crate) file_id: FileId,
    pub(crate) page_size: usize,
    table: PageTable,
    verify: VerifyPage,
    budget: u64,
    /// What of it is lent.
    lent: Arc<AtomicU64>,
    arena: PageArena,
    mapping: Option<Mapping>,
    /// Why there is no map though one was asked for.
    map_refused: Option<String>,
    ahead: Ahead,
    /// Bytes of open pages.
    open: Arc<AtomicU64>,
    /// Bytes copied for writes in flight.
    copies: AtomicU64,
    /// The most that was ever in use.
    peak: AtomicU64,
    /// Clean frames in order of arrival, for eviction.
    queue: Mutex<VecDeque<PageId>>,
    dirty: Mutex<PageMap<Arc<Frame>>>,
    early: Mutex<Vec<WriteBatch>>,
    register: Mutex<Register>,
    /// Pages that the open version, or one before it, has given up, with the
    /// version that did: mostly nobody wants them in memory any more.
    given_up: Mutex<VecDeque<(PageRef, Version)>>,
    /// A write or sync of the data file failed. Never goes down: what the
    /// failed write had claimed will not be written by anybody else.
    failed: AtomicBool,
    counters: Counters,
}

impl Pager {
    pub(crate) fn new(
        file: Arc<dyn File>,
        file_id: FileId,
        page_size: u32,
        options: &PagerOptions,
    ) -> Self {
        let page_bytes = u64::from(page_size);
        let budget = options
            .cache_bytes
            .max(PagerOptions::MIN_FRAMES * page_bytes);
        let (mapping, map_refused) = match options.read_path {
            ReadPath::Pool => (None, None),
            ReadPath::Map => match Mapping::open(&*file) {
                Ok(Some(mapping)) => (Some(mapping), None),
                Ok(None) => (None, Some("this disk has none".to_owned())),
                Err(error) => (None, Some(error.to_string())),
            },
        };
        Self {
            file,
            file_id,
            page_size: page_size as usize,
            table: PageTable::new(),
            verify: options.verify,
            budget,
            lent: Arc::default(),
            arena: PageArena::new(page_size as usize, memory::arena_limit(budget, page_bytes)),
            mapping,
            map_refused,
            ahead: Ahead::default(),
            open: Arc::default(),
            copies: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            queue: Mutex::default(),
            dirty: Mutex::new(HashMap::default()),
            early: Mutex::default(),
            register: Mutex::default(),
            given_up: Mutex::default(),
            failed: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    /// Pages that somebody had to read, so far.
    #[must_use]
    pub fn pages_read(&self) -> u64 {
        self.counters.read.load(Ordering::Relaxed)
    }

    /// Bytes of the data file.
    ///
    /// # Errors
    /// What the system said.
    pub fn file_bytes(&self) -> Result<u64> {
        self.file
            .len()
            .map_err(PagerError::io("asking for its size"))
    }

    /// Which database the file belongs to.
    #[must_use]
    pub fn file_id(&self) -> FileId {
        self.file_id
    }

    /// Bytes a page.
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.page_size
    }

    /// The page that `at` points to, from memory or disk.
    ///
    /// # Errors
    /// The page could not be read, or is not what the pointer says.
    #[inline]
    pub fn get<'g>(&self, guard: &'g ReadGuard, at: PageRef) -> Result<&'g Frame> {
        match self.table.get(at.page, guard) {
            Some(frame) if frame.version() == at.version => Ok(frame),
            Some(frame) => Err(mismatch(at, frame.version())),
            None => self.load(guard, at),
        }
    }

    /// The same, kept in memory for as long as the caller holds it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn pin(&self, at: PageRef) -> Result<Arc<Frame>> {
        let guard = ReadGuard::enter();
        loop {
            if let Some(frame) = self.table.pin(at.page, &guard)
                && frame.version() == at.version
            {
                return Ok(frame);
            }
            self.get(&guard, at)?;
        }
    }

    /// The page, if it is in memory.
    pub(crate) fn resident<'g>(&self, guard: &'g ReadGuard, at: PageRef) -> Option<&'g Frame> {
        self.table
            .get(at.page, guard)
            .filter(|frame| frame.version() == at.version)
    }

    #[cold]
    fn load<'g>(&self, guard: &'g ReadGuard, at: PageRef) -> Result<&'g Frame> {
        let frame = self.fetch(guard, at)?;
        match self.table.insert(frame, guard) {
            Ok(()) => self.queue.lock().push_back(at.page),
            Err(other) if other.version() != at.version => {
                return Err(mismatch(at, other.version()));
            }
            Err(_) => {}
        }
        match self.table.get(at.page, guard) {
            Some(frame) if frame.version() == at.version => Ok(frame),
            // Evicted again between two lines: read once more.
            _ => self.load(guard, at),
        }
    }

    /// Passes a result on, and remembers an error: see `failed`.
    pub(crate) fn note<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|_| self.failed.store(true, Ordering::Release))
    }

    /// Whether everything written so far was written.
    pub(crate) fn check_sound(&self) -> Result<()> {
        if self.failed.load(Ordering::Acquire) {
            return Err(PagerError::Failed);
        }
        Ok(())
    }

    // ---- for the open version ----

    /// Takes over a page that will not change any more.
    pub(crate) fn adopt(&self, at: PageRef, page: OpenPage, guard: &ReadGuard) {
        let frame = Frame::own(at, page.into_bytes(), false);
        self.dirty.lock().insert(at.page, Arc::clone(&frame));
        if self.table.insert(frame, guard).is_err() {
            unreachable!(
                "page {} was forgotten before its number was handed out",
                at.page
            );
        }
    }

    /// Tells a resident frame that `version` no longer reaches it.
    pub(crate) fn mark_freed(&self, page: PageId, version: Version, guard: &ReadGuard) {
        if let Some(frame) = self.table.get_untouched(page, guard) {
            frame.set_freed(version);
            self.let_go(frame.at(), version, guard);
        }
    }

    /// A page is not needed from `version` on. Evicts some that were given up a
    /// while ago, so that copies of pages take their place in memory and not
    /// that of others.
    fn let_go(&self, at: PageRef, version: Version, guard: &ReadGuard) {
        /// Readers of the visible version are done with a page by then.
        const LAG: usize = 256;
        /// Evicted for each one that comes.
        const EACH: usize = 2;
        let mut given_up = self.given_up.lock();
        given_up.push_back((at, version));
        for _ in 0..EACH.min(given_up.len().saturating_sub(LAG)) {
            let Some((old, freed)) = given_up.pop_front() else {
                return;
            };
            let is_there = self.resident_untouched(guard, old);
            if is_there && !self.register.lock().is_wanted(old.version, freed) {
                self.table.evict(old.page, guard);
            }
        }
    }

    fn resident_untouched(&self, guard: &ReadGuard, at: PageRef) -> bool {
        let frame = self.table.get_untouched(at.page, guard);
        frame.is_some_and(|frame| frame.at() == at)
    }

    /// Forgets a page whose number is about to be handed out again. False if
    /// a write of it is in flight, or somebody holds a frame that shows the
    /// file itself: the number must wait.
    pub(crate) fn forget(&self, page: PageId, guard: &ReadGuard) -> bool {
        let mut dirty = self.dirty.lock();
        if let Some(frame) = self.table.get_untouched(page, guard) {
            if frame.is_mapped() && self.table.is_held(page, guard) {
                return false;
            }
            if !frame.discard() && !planted(Mutant::ReuseDuringWrite) {
                return false;
            }
            dirty.remove(&page);
            self.table.remove(page, guard);
        }
        true
    }

    // ---- pinned versions ----

    pub(crate) fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock()
    }

    /// Keeps all pages of `version` from being reused until [`unpin`](Self::unpin).
    pub fn pin_version(&self, version: Version) {
        self.register.lock().pin(version);
    }

    /// The same for a meta.
    pub(crate) fn pin_on_disk(&self, version: Version) {
        self.register.lock().pin_on_disk(version);
    }

    /// Takes back one [`pin_on_disk`](Self::pin_on_disk).
    pub(crate) fn unpin_on_disk(&self, version: Version) {
        self.register.lock().unpin_on_disk(version);
    }

    /// Takes back one [`pin_version`](Self::pin_version).
    pub fn unpin(&self, version: Version) {
        self.register.lock().unpin(version);
    }

    /// From now on nobody asks for a version older than this one, unless pinned.
    pub fn set_visible(&self, version: Version) {
        self.register.lock().set_visible(version);
    }

    /// The oldest pinned version and how many pins there are (the metas' too).
    #[must_use]
    pub fn pinned(&self) -> (Option<Version>, usize) {
        let register = self.register.lock();
        (register.oldest(), register.len())
    }

    /// Figures since the file was opened.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let arena = self.arena.stats();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PoolStats {
            resident_bytes: self.counted_bytes(),
            dirty_bytes: self.dirty_bytes(),
            open_bytes: load(&self.open),
            copy_bytes: load(&self.copies),
            budget_bytes: self.budget,
            arena_bytes: arena.arena_bytes,
            arena_used_bytes: arena.used_bytes,
            peak_bytes: load(&self.peak),
            exceeded: arena.exceeded,
            read_path: self.read_path(),
            mapped_bytes: self.mapping.as_ref().map_or(0, Mapping::bytes),
            pages_read: load(&self.counters.read),
            pages_read_ahead: load(&self.counters.ahead),
            pages_written: load(&self.counters.written),
            pages_evicted: load(&self.counters.evicted),
        }
    }
}

#[cold]
fn mismatch(at: PageRef, found: Version) -> PagerError {
    if found > at.version {
        PagerError::Overtaken {
            page: at.page,
            expected: at.version,
            found,
        }
    } else {
        PagerError::corrupt(at.page, "version", at.version, found)
    }
}

#[cfg(test)]
mod tests;
