//! Writing a version to disk so that a meta can name it.
//!
//! The steps, each of which may take many calls of [`CheckpointRun::step`]:
//! 1. write the dirty pages of the version, in file order, several writes in flight;
//! 2. sync;
//! 3. wait until the log is durable up to the root's LSN (the caller's gate);
//! 4. write the older meta slot, durably;
//! 5. tell the register: the overwritten meta needs its pages no more.
//!
//! It runs beside writers: the pages are sealed, and what writers free
//! meanwhile is kept by the pin on the version.

use std::collections::VecDeque;
use std::sync::Arc;

use cs_base::mutants::{Mutant, planted};
use cs_io::{AlignedBuf, Pending, WriteMode};

use crate::format::{META_OFFSETS, Meta, PageRef};
use crate::frames::Frame;
use crate::pool::{Pager, WriteBatch};
use crate::shadow::Shadow;
use crate::{PagerError, Result};

/// Writes of dirty pages in flight at once.
const DEPTH: usize = 4;
/// Pages that a gentle checkpoint writes at once: a log write that comes behind
/// them waits for a fraction of what it takes itself.
const GENTLE_PAGES: usize = 16;

/// The two metas on disk.
#[derive(Clone, Copy, Debug)]
pub struct Metas {
    slots: [Option<Meta>; 2],
}

impl Metas {
    pub(crate) fn new(slots: [Option<Meta>; 2]) -> Self {
        Self { slots }
    }

    /// The meta with the higher sequence number.
    ///
    /// # Panics
    /// Never: there is always at least one.
    #[must_use]
    pub fn newest(&self) -> &Meta {
        self.slots[self.newest_slot()]
            .as_ref()
            .expect("an open database has a meta")
    }

    /// The other one, if it is valid.
    #[must_use]
    pub fn older(&self) -> Option<&Meta> {
        self.slots[1 - self.newest_slot()].as_ref()
    }

    /// Which slot (0 or 1) holds the newest.
    #[must_use]
    pub fn newest_slot(&self) -> usize {
        let sequence = |slot: &Option<Meta>| slot.as_ref().map(|meta| meta.sequence);
        usize::from(sequence(&self.slots[1]) > sequence(&self.slots[0]))
    }
}

#[derive(Debug)]
enum Phase {
    Collect,
    Pages,
    Sync(Pending),
    Gate,
    Meta(Pending),
    Done,
}

/// A checkpoint that is being written.
#[derive(Debug)]
pub struct CheckpointRun {
    meta: Meta,
    slot: usize,
    /// Dirty pages of the version, by number. The frames themselves are held
    /// only while they are written, so that they can be evicted behind us.
    pages: Vec<PageRef>,
    next: usize,
    in_flight: VecDeque<WriteBatch>,
    gentle: bool,
    phase: Phase,
}

impl CheckpointRun {
    /// Begins a checkpoint of the version that was just sealed, whose root
    /// stands in `meta`; the caller holds the writer's lock. All its pages are
    /// frames before the first [`step`](Self::step).
    #[must_use]
    pub fn begin(pager: &Pager, metas: &Metas, mut meta: Meta) -> Self {
        meta.sequence = metas.newest().sequence + 1;
        pager.pin_on_disk(meta.root.version);
        Self {
            meta,
            slot: 1 - metas.newest_slot(),
            pages: Vec::new(),
            next: 0,
            in_flight: VecDeque::new(),
            gentle: false,
            phase: Phase::Collect,
        }
    }

    /// The meta that is being made durable.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Whether only the log is missing before the meta can be written.
    #[must_use]
    pub fn waits_for_log(&self) -> bool {
        matches!(self.phase, Phase::Gate)
    }

    /// Pages written so far, and all.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.next, self.pages.len())
    }

    /// Whether the disk is shared with somebody who is in more of a hurry: then
    /// writes are small, and one at a time.
    pub fn set_gentle(&mut self, gentle: bool) {
        self.gentle = gentle;
    }

    /// Goes on for a bounded piece; true when the checkpoint is durable and
    /// `metas` names it. With `wait` it waits for what is in flight, else it
    /// returns instead. `log_is_durable` says whether the log has reached the root's LSN.
    ///
    /// # Errors
    /// A write or sync failed, now or earlier: the database must be poisoned.
    /// The metas on disk are intact, and no step will succeed any more.
    pub fn step(
        &mut self,
        pager: &Pager,
        metas: &mut Metas,
        wait: bool,
        log_is_durable: &mut dyn FnMut() -> bool,
    ) -> Result<bool> {
        // Also what somebody else wrote: a failed early write may have been ours.
        pager.check_sound()?;
        let stepped = self.try_step(pager, metas, wait, log_is_durable);
        pager.note(stepped)?;
        Ok(matches!(self.phase, Phase::Done))
    }

    fn try_step(
        &mut self,
        pager: &Pager,
        metas: &mut Metas,
        wait: bool,
        log_is_durable: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        match &mut self.phase {
            Phase::Collect => {
                // What later versions free meanwhile still counts: the pin keeps it.
                self.pages = pager.dirty_of(self.meta.root.version);
                self.phase = Phase::Pages;
            }
            Phase::Pages => {
                self.write_pages(pager, wait)?;
                let written = self.next == self.pages.len() && self.in_flight.is_empty();
                if written && !pager.has_early_writes() {
                    self.phase = if planted(Mutant::MetaBeforeData) {
                        Phase::Gate
                    } else {
                        Phase::Sync(pager.file.start_sync())
                    };
                }
            }
            Phase::Sync(pending) => {
                if wait || pending.is_finished() {
                    let pending = std::mem::replace(pending, Pending::Ready(Ok(())));
                    pending
                        .wait()
                        .map_err(PagerError::io("syncing the data file"))?;
                    self.phase = Phase::Gate;
                }
            }
            Phase::Gate => {
                if log_is_durable() || planted(Mutant::MetaNamesUnsyncedLsn) {
                    let block = Arc::new(AlignedBuf::copy_of(&self.meta.encode()));
                    let at = META_OFFSETS[self.slot];
                    let pending = pager.file.start_write(block, at, WriteMode::Durable);
                    self.phase = Phase::Meta(pending);
                }
            }
            Phase::Meta(pending) => {
                if wait || pending.is_finished() {
                    let pending = std::mem::replace(pending, Pending::Ready(Ok(())));
                    pending.wait().map_err(PagerError::io("writing the meta"))?;
                    self.install(pager, metas);
                    self.phase = Phase::Done;
                }
            }
            Phase::Done => {}
        }
        Ok(())
    }

    fn write_pages(&mut self, pager: &Pager, wait: bool) -> Result<()> {
        // An early write may hold a page of ours; it counts for us when it ends.
        pager.finish_early_writes(wait)?;
        let depth = if self.gentle { 1 } else { DEPTH };
        while self.in_flight.len() < depth && self.next < self.pages.len() {
            let batch = self.claim_adjacent(pager);
            if !batch.is_empty() {
                self.in_flight.push_back(write(pager, batch));
            }
        }
        let mut unfinished = VecDeque::new();
        let mut first = wait;
        for mut batch in std::mem::take(&mut self.in_flight) {
            if std::mem::take(&mut first) || batch.is_finished() {
                pager.finish_batch(batch)?;
            } else {
                unfinished.push_back(batch);
            }
        }
        self.in_flight = unfinished;
        Ok(())
    }

    /// The next pages that lie side by side, for us to write. Those that were
    /// written early meanwhile, or are being written, are passed over.
    fn claim_adjacent(&mut self, pager: &Pager) -> Vec<Arc<Frame>> {
        let mut batch: Vec<Arc<Frame>> = Vec::new();
        let most = pager.pages_per_write();
        let most = if self.gentle {
            most.min(GENTLE_PAGES)
        } else {
            most
        };
        while let Some(&at) = self.pages.get(self.next) {
            let joins = batch
                .last()
                .is_none_or(|last| last.at().page.next() == at.page);
            if !joins || batch.len() == most {
                break;
            }
            self.next += 1;
            match pager.claim(at) {
                Some(frame) => batch.push(frame),
                None if batch.is_empty() => {}
                None => break,
            }
        }
        batch
    }

    fn install(&self, pager: &Pager, metas: &mut Metas) {
        let overwritten = metas.slots[self.slot].replace(self.meta);
        if let Some(old) = overwritten {
            pager.unpin_on_disk(old.root.version);
        }
        // The pin taken in `begin` is now the meta's.
        Shadow::planted_early_reuse(pager, self.meta.root.version);
    }
}

/// Starts to write frames that lie side by side.
fn write(pager: &Pager, mut frames: Vec<Arc<Frame>>) -> WriteBatch {
    if planted(Mutant::LoseCheckpointWrite) && frames.len() > 1 {
        let rest = frames.split_off(1);
        pager.now_clean(frames);
        frames = rest;
    }
    pager.start_batch(frames)
}
