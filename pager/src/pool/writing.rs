//! Dirty pages on their way to disk.
//!
//! A page gets its checksum in the copy that is made for its write, which also
//! joins neighbours into one large write: frames never change, and pages that
//! are freed before they are written never pay. The copies count for the budget
//! and are bounded: a single write by a sixty-fourth part of the budget (256
//! KiB at most), all early writes together by a thirty-second (4 MiB at most);
//! a checkpoint has four in flight.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cs_base::Version;
use cs_io::{AlignedBuf, Pending, WriteMode};
use parking_lot::MutexGuard;

use super::Pager;
use crate::format::{PageRef, seal_checksum};
use crate::frames::{Frame, ReadGuard};
use crate::{PagerError, Result};

/// The largest single write of dirty pages, in bytes: beyond it the device
/// gains nothing.
const MAX_WRITE: u64 = 256 * 1024;
/// Part of the budget that the copy for a single write may take.
const WRITE_SHARE: u64 = 64;
/// Most bytes of early writes in flight.
const MAX_EARLY: u64 = 4 * 1024 * 1024;
/// Part of the budget that they may take.
const EARLY_SHARE: u64 = 32;

/// Pages on their way to disk in one write.
#[derive(Debug)]
pub(crate) struct WriteBatch {
    frames: Vec<Arc<Frame>>,
    pending: Pending,
    /// Bytes that were copied for it.
    bytes: u64,
}

impl WriteBatch {
    pub(crate) fn is_finished(&mut self) -> bool {
        self.pending.is_finished()
    }
}

impl Pager {
    /// Most pages that one write takes; two at least, or neighbours would never be joined.
    pub(crate) fn pages_per_write(&self) -> usize {
        let page_size = self.page_size as u64;
        let bytes = (self.budget / WRITE_SHARE).min(MAX_WRITE);
        (bytes / page_size).max(2) as usize
    }

    /// Writes some dirty pages early and forgets about them; `wait` says
    /// whether to stay until they are written. Returns how many were started:
    /// without waiting, no more than the copies of early writes have room for.
    ///
    /// # Errors
    /// A write failed: the caller must poison the database.
    pub fn write_back(&self, pages: usize, wait: bool) -> Result<usize> {
        let mut started = 0;
        loop {
            let now = self.write_some(pages - started, wait)?;
            started += now;
            if !wait || now == 0 || started >= pages {
                return Ok(started);
            }
        }
    }

    fn write_some(&self, pages: usize, wait: bool) -> Result<usize> {
        // First the list, then the frames: a checkpoint passes over a page that
        // is being written, and must find that write in the list.
        let mut early = self.early.lock();
        let page_size = self.page_size as u64;
        let limit = (self.budget / EARLY_SHARE).clamp(page_size, MAX_EARLY.max(page_size));
        let in_flight: u64 = early.iter().map(|batch| batch.bytes).sum();
        let room = limit.saturating_sub(in_flight) / page_size;
        let pages = pages.min(usize::try_from(room).unwrap_or(pages));
        if pages == 0 {
            self.poll_early(early, wait)?;
            // With all of it written there is room again.
            return if wait {
                self.write_some(1, true)
            } else {
                Ok(0)
            };
        }
        let mut chosen = self.choose_dirty(pages);
        chosen.sort_unstable_by_key(|frame| frame.at().page);
        let started = chosen.len();
        let joins = |one: &Arc<Frame>, two: &Arc<Frame>| one.at().page.next() == two.at().page;
        for run in chosen.chunk_by(joins) {
            for batch in run.chunks(self.pages_per_write()) {
                early.push(self.start_batch(batch.to_vec()));
            }
        }
        drop(chosen);
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

    /// Starts one write of adjacent frames, all in the state "being written".
    pub(crate) fn start_batch(&self, frames: Vec<Arc<Frame>>) -> WriteBatch {
        let len = frames.len() * self.page_size;
        self.make_room_for_copy(len as u64);
        self.copies.fetch_add(len as u64, Ordering::Relaxed);
        self.note_peak();
        let pages = frames.iter().map(|frame| frame.bytes());
        let mut bytes = AlignedBuf::joined(len, pages);
        for page in bytes.chunks_exact_mut(self.page_size) {
            seal_checksum(page);
        }
        let offset = frames[0].at().page.0 * self.page_size as u64;
        let pending = self
            .file
            .start_write(Arc::new(bytes), offset, WriteMode::Plain);
        WriteBatch {
            frames,
            pending,
            bytes: len as u64,
        }
    }

    /// Waits for a write; its frames are clean then.
    pub(crate) fn finish_batch(&self, batch: WriteBatch) -> Result<()> {
        let first = batch.frames[0].at().page;
        let written = batch.pending.wait();
        self.copies.fetch_sub(batch.bytes, Ordering::Relaxed);
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
        let guard = ReadGuard::enter();
        if self.mapping.is_some() {
            for frame in &frames {
                self.show_in_map(frame, &guard);
            }
        }
        // What was dirty and held could not be evicted; now it can.
        drop(frames);
        self.make_room(&guard, 0);
    }

    /// What was written is in the file: its own memory is needed no more. Whoever
    /// holds the old frame keeps that. If the map cannot be had, it stays too.
    fn show_in_map(&self, frame: &Arc<Frame>, guard: &ReadGuard) {
        let at = frame.at();
        let chunk = self.mapping.as_ref().map(|map| self.chunk_of(map, at));
        if let Some(Ok((chunk, offset))) = chunk
            && let Some(shown) = Frame::mapped(at, &chunk, offset, self.page_size)
        {
            self.table.replace(frame, shown, guard);
        }
    }

    // ---- for checkpoints ----

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
}
