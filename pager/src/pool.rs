//! The buffer pool: pages by reference, within a budget of memory.
//!
//! ## Invariants
//! * Nothing leaves [`Pager::get`] that was not verified: checksum, file, page
//!   number, version, kind, and by the layer above its inner order; once, when
//!   the page enters memory.
//! * A frame in the table is of the newest version of its page number: the
//!   table forgets a page before its number is handed out again.
//! * Only clean frames are evicted; dirty ones are written first. They are
//!   shadows, so they may be written at any time and in any order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cs_base::mutants::{Mutant, planted};
use cs_base::{FileId, PageId, Version};
use cs_io::{AlignedBuf, File, Pending, WriteMode};
use parking_lot::{Mutex, MutexGuard};

use crate::format::{PageHeader, PageKind, PageRef, seal_checksum, verify_page};
use crate::frames::{Frame, PageTable, ReadGuard};
use crate::hash::PageMap;
use crate::register::Register;
use crate::{PagerError, Result};

/// Looks at a page once, when it enters memory: whether its inside is in order.
/// Gets the kind and all bytes of the page; the error names what is wrong.
pub type VerifyPage = fn(PageKind, &[u8]) -> Result<(), String>;

/// The largest single write of dirty pages, in bytes: beyond it the device
/// gains nothing, and the copy made for it stays small.
const MAX_WRITE: usize = 256 * 1024;
/// Entries of the eviction queue that are not worth tidying up.
const QUEUE_SLACK: u64 = 4096;
/// How many frames one call looks at before it gives up evicting.
const EVICTION_ATTEMPTS: usize = 512;

/// Figures of the pool since it was opened; sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Memory taken by pages.
    pub resident_bytes: u64,
    /// Part of it not yet on disk.
    pub dirty_bytes: u64,
    /// What `resident_bytes` is to stay below.
    pub budget_bytes: u64,
    /// Pages read from disk.
    pub pages_read: u64,
    /// Pages written to disk.
    pub pages_written: u64,
    /// Pages taken out of memory to make room.
    pub pages_evicted: u64,
}

/// Pages on their way to disk in one write.
#[derive(Debug)]
pub(crate) struct WriteBatch {
    frames: Vec<Arc<Frame>>,
    pending: Pending,
}

#[derive(Debug, Default)]
struct Counters {
    read: AtomicU64,
    written: AtomicU64,
    evicted: AtomicU64,
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
    resident: Arc<AtomicU64>,
    /// Clean frames in order of arrival, for eviction.
    queue: Mutex<VecDeque<PageId>>,
    dirty: Mutex<PageMap<Arc<Frame>>>,
    early: Mutex<Vec<WriteBatch>>,
    register: Mutex<Register>,
    /// A write or sync of the data file failed. Never goes down: what the
    /// failed write had claimed will not be written by anybody else.
    failed: AtomicBool,
    counters: Counters,
}

impl WriteBatch {
    pub(crate) fn is_finished(&mut self) -> bool {
        self.pending.is_finished()
    }
}

impl Pager {
    pub(crate) fn new(
        file: Arc<dyn File>,
        file_id: FileId,
        page_size: u32,
        budget: u64,
        verify: VerifyPage,
    ) -> Self {
        Self {
            file,
            file_id,
            page_size: page_size as usize,
            table: PageTable::new(),
            verify,
            budget,
            resident: Arc::default(),
            queue: Mutex::default(),
            dirty: Mutex::new(HashMap::default()),
            early: Mutex::default(),
            register: Mutex::default(),
            failed: AtomicBool::new(false),
            counters: Counters::default(),
        }
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
        let bytes = self.read_page(at)?;
        self.make_room(guard);
        let frame = Frame::new(at, bytes, true, &self.resident);
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

    /// Reads and verifies a page, past the pool.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn read_page(&self, at: PageRef) -> Result<AlignedBuf> {
        let mut bytes = AlignedBuf::zeroed(self.page_size);
        let Some(offset) = at.page.0.checked_mul(self.page_size as u64) else {
            return Err(PagerError::corrupt(
                at.page,
                "page number",
                "one inside the file",
                at.page,
            ));
        };
        let read = self
            .file
            .read_at(&mut bytes, offset)
            .map_err(PagerError::io(format!("reading page {}", at.page)))?;
        self.counters.read.fetch_add(1, Ordering::Relaxed);
        if read < self.page_size {
            return Err(PagerError::corrupt(
                at.page,
                "bytes in the file",
                self.page_size,
                read,
            ));
        }
        verify_page(&bytes, self.file_id, at)?;
        let kind = PageKind::from_u8(PageHeader::of(&bytes).kind);
        let kind = kind.ok_or_else(|| PagerError::corrupt(at.page, "kind", "1 to 5", 0))?;
        (self.verify)(kind, &bytes)
            .map_err(|wrong| PagerError::corrupt(at.page, "inner order", "a sound page", wrong))?;
        Ok(bytes)
    }

    // ---- eviction ----

    fn make_room(&self, guard: &ReadGuard) {
        let needed = self.page_size as u64;
        if self.resident.load(Ordering::Relaxed) + needed <= self.budget {
            return;
        }
        // What was evicted before is freed when its epoch is over: help it along.
        guard.flush();
        for _ in 0..EVICTION_ATTEMPTS {
            if self.resident.load(Ordering::Relaxed) + needed <= self.budget {
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

    /// Whether dirty pages take so much of the budget that some must be
    /// written before more are made.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.dirty_bytes() > self.budget / 2
    }

    fn dirty_bytes(&self) -> u64 {
        self.dirty.lock().len() as u64 * self.page_size as u64
    }

    /// Writes some dirty pages early and forgets about them; `wait` says
    /// whether to stay until they are written. Returns how many were started.
    ///
    /// # Errors
    /// A write failed: the caller must poison the database.
    pub fn write_back(&self, pages: usize, wait: bool) -> Result<usize> {
        // First the list, then the frames: a checkpoint passes over a page that
        // is being written, and must find that write in the list.
        let mut early = self.early.lock();
        let mut chosen = self.choose_dirty(pages);
        chosen.sort_unstable_by_key(|frame| frame.at().page);
        let started = chosen.len();
        let joins = |one: &Arc<Frame>, two: &Arc<Frame>| one.at().page.next() == two.at().page;
        for run in chosen.chunk_by(joins) {
            for batch in run.chunks(self.pages_per_write()) {
                early.push(self.start_batch(batch.to_vec()));
            }
        }
        self.poll_early(early, wait)?;
        Ok(started)
    }

    /// Dirty frames, now in the state "being written"; freed ones, which only
    /// snapshots still see, when there are no others.
    fn choose_dirty(&self, pages: usize) -> Vec<Arc<Frame>> {
        let dirty = self.dirty.lock();
        let choose = |freed: bool| -> Vec<Arc<Frame>> {
            let frames = dirty.values().filter(|frame| frame.is_freed() == freed);
            frames
                .filter(|frame| frame.begin_write())
                .take(pages)
                .map(Arc::clone)
                .collect()
        };
        let live = choose(false);
        if live.is_empty() { choose(true) } else { live }
    }

    /// Looks after early writes that have ended; with `wait`, after all.
    ///
    /// # Errors
    /// As [`write_back`](Self::write_back).
    pub fn finish_early_writes(&self, wait: bool) -> Result<()> {
        self.poll_early(self.early.lock(), wait)
    }

    /// Whether early writes are in flight.
    #[must_use]
    pub fn has_early_writes(&self) -> bool {
        !self.early.lock().is_empty()
    }

    fn poll_early(&self, mut early: MutexGuard<'_, Vec<WriteBatch>>, wait: bool) -> Result<()> {
        self.check_sound()?;
        let mut position = 0;
        while position < early.len() {
            if wait || early[position].pending.is_finished() {
                let batch = early.swap_remove(position);
                self.finish_batch(batch)?;
            } else {
                position += 1;
            }
        }
        Ok(())
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

    /// Starts one write of adjacent frames, all in the state "being written".
    pub(crate) fn start_batch(&self, frames: Vec<Arc<Frame>>) -> WriteBatch {
        let mut bytes = AlignedBuf::zeroed(frames.len() * self.page_size);
        for (page, frame) in bytes.chunks_exact_mut(self.page_size).zip(&frames) {
            page.copy_from_slice(frame.bytes());
            seal_checksum(page);
        }
        let offset = frames[0].at().page.0 * self.page_size as u64;
        let pending = self
            .file
            .start_write(Arc::new(bytes), offset, WriteMode::Plain);
        WriteBatch { frames, pending }
    }

    /// Waits for a write; its frames are clean then.
    pub(crate) fn finish_batch(&self, batch: WriteBatch) -> Result<()> {
        let first = batch.frames[0].at().page;
        let written = batch.pending.wait();
        self.note(written.map_err(PagerError::io(format!("writing pages from {first}"))))?;
        self.counters
            .written
            .fetch_add(batch.frames.len() as u64, Ordering::Relaxed);
        self.now_clean(batch.frames);
        Ok(())
    }

    pub(crate) fn now_clean(&self, frames: Vec<Arc<Frame>>) {
        {
            let mut dirty = self.dirty.lock();
            let mut queue = self.queue.lock();
            for frame in &frames {
                frame.end_write();
                let page = frame.at().page;
                // Under the planted bug the number may belong to another frame by now.
                if dirty
                    .get(&page)
                    .is_some_and(|other| Arc::ptr_eq(other, frame))
                {
                    dirty.remove(&page);
                }
                queue.push_back(page);
            }
            self.tidy(&mut queue);
        }
        // What was dirty and held could not be evicted; now it can.
        drop(frames);
        self.make_room(&ReadGuard::enter());
    }

    /// Drops what the queue has twice or no longer needs, once that is the
    /// larger part of it: pages come again with each write.
    fn tidy(&self, queue: &mut VecDeque<PageId>) {
        let resident = self.resident.load(Ordering::Relaxed) / self.page_size as u64;
        if (queue.len() as u64) < 2 * resident + QUEUE_SLACK {
            return;
        }
        let guard = ReadGuard::enter();
        let mut seen: PageMap<()> = HashMap::default();
        queue.retain(|&page| {
            let frame = self.table.get_untouched(page, &guard);
            frame.is_some_and(|frame| frame.is_clean()) && seen.insert(page, ()).is_none()
        });
    }

    // ---- for the open version ----

    /// Takes over a page that will not change any more.
    pub(crate) fn adopt(&self, at: PageRef, bytes: AlignedBuf, guard: &ReadGuard) {
        let frame = Frame::new(at, bytes, false, &self.resident);
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
        }
    }

    /// Forgets a page whose number is about to be handed out again. False if
    /// a write of it is in flight: the number must wait.
    pub(crate) fn forget(&self, page: PageId, guard: &ReadGuard) -> bool {
        let mut dirty = self.dirty.lock();
        if let Some(frame) = self.table.get_untouched(page, guard) {
            if !frame.discard() && !planted(Mutant::ReuseDuringWrite) {
                return false;
            }
            dirty.remove(&page);
            self.table.remove(page, guard);
        }
        true
    }

    /// All pages that a checkpoint of `version` has to write, by number.
    pub(crate) fn dirty_of(&self, version: Version) -> Vec<PageRef> {
        let dirty = self.dirty.lock();
        let mine = dirty
            .values()
            .filter(|frame| frame.version() <= version && !frame.freed_before_end_of(version));
        let mut pages: Vec<_> = mine.map(|frame| frame.at()).collect();
        pages.sort_unstable_by_key(|at| at.page);
        pages
    }

    /// A dirty frame, now in the state "being written" by the caller; `None`
    /// if it is written already or somebody else is at it.
    pub(crate) fn claim(&self, at: PageRef) -> Option<Arc<Frame>> {
        let dirty = self.dirty.lock();
        let frame = dirty.get(&at.page).filter(|frame| frame.at() == at)?;
        frame.begin_write().then(|| Arc::clone(frame))
    }

    /// Most pages that one write takes.
    pub(crate) fn pages_per_write(&self) -> usize {
        (MAX_WRITE / self.page_size).max(1)
    }

    // ---- pinned versions ----

    pub(crate) fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock()
    }

    /// Keeps all pages of `version` from being reused until [`unpin`](Self::unpin).
    pub fn pin_version(&self, version: Version) {
        self.register.lock().pin(version);
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
        PoolStats {
            resident_bytes: self.resident.load(Ordering::Relaxed),
            dirty_bytes: self.dirty_bytes(),
            budget_bytes: self.budget,
            pages_read: self.counters.read.load(Ordering::Relaxed),
            pages_written: self.counters.written.load(Ordering::Relaxed),
            pages_evicted: self.counters.evicted.load(Ordering::Relaxed),
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
