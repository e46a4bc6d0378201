//! Checkpoints: when they are due, and driving them step by step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cs_base::Lsn;
use cs_base::mutants::{Mutant, planted};
use cs_io::Signal;
use cs_pager::{CheckpointRun, Meta, PageRef};
use parking_lot::MutexGuard;

use crate::core::{Core, Maintenance};
use crate::error::{Error, Result};
use crate::recorder::Event;
use crate::root::LogPosition;
use crate::tree::{SealedSource, Walker};

/// Pages by which the allocation map and the directory may grow in one checkpoint.
const MAP_GROWTH: u64 = 8;
/// Dirty pages that one early write takes, at most.
const WRITE_BACK_PAGES: usize = 256;
/// What a commit waits at most because the log is near its limit: less than
/// anybody's deadline, more than the checkpoint needs to win the race.
const MAX_DELAY: Duration = Duration::from_millis(20);
/// A pause of a checkpoint that is ahead of its time: a few groups long.
const PACE: Duration = Duration::from_millis(1);
/// Pages that are given back under the writer's lock at once: some tens of microseconds.
const RECLAIM_PAGES: usize = 128;
/// A pause between two pieces of work under the writer's lock, for those who
/// wait for it: longer than such a piece.
const GIVE_WAY: Duration = Duration::from_micros(20);

/// Somebody waits for a checkpoint.
struct Hurry<'a>(&'a AtomicU32);

impl<'a> Hurry<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Core {
    /// Bytes of log that a recovery would read.
    pub(crate) fn log_bytes(&self) -> u64 {
        let checkpoint = self.checkpoint_lsn.load(Ordering::Acquire);
        self.log
            .as_ref()
            .map_or(0, |log| log.appended_lsn().0.saturating_sub(checkpoint))
    }

    /// Bytes of log after which a checkpoint begins: a larger database has
    /// dearer checkpoints, and may have fewer.
    pub(crate) fn checkpoint_threshold(&self) -> u64 {
        let least = self.options.checkpoint_log_bytes;
        let most = self.options.checkpoint_log_bytes_max.max(least);
        self.data_bytes.load(Ordering::Relaxed).clamp(least, most)
    }

    /// Whether the log has grown enough since the last checkpoint.
    pub(crate) fn checkpoint_is_due(&self) -> bool {
        self.log_bytes() > self.checkpoint_threshold()
    }

    /// Whether so much time has passed that even a short log is worth one.
    pub(crate) fn checkpoint_is_overdue(&self) -> bool {
        let last = Duration::from_millis(self.background.checkpointed_ms.load(Ordering::Relaxed));
        let age = self.runtime.monotonic().saturating_sub(last);
        age >= self.options.checkpoint_interval && self.log_bytes() > 0
    }

    /// Makes everything appended so far part of a durable meta, and waits for it.
    pub(crate) fn checkpoint_now(&self) -> Result<()> {
        // Whoever holds the lock does not dawdle while we wait for it.
        let _hurry = Hurry::new(&self.background.hurry);
        let mut maintenance = self.maintenance.lock();
        // One that is under way began too early for us: finish it first.
        if maintenance.run.is_some() {
            while !self.checkpoint_step(&mut maintenance, true)? {}
        }
        if self.begin_checkpoint(&mut maintenance)? {
            while !self.checkpoint_step(&mut maintenance, true)? {}
        }
        Ok(())
    }

    /// Seals the state that the checkpoint will name. False if the newest meta
    /// names it already.
    pub(crate) fn begin_checkpoint(
        &self,
        maintenance: &mut MutexGuard<'_, Maintenance>,
    ) -> Result<bool> {
        let newest = *maintenance.metas.newest();
        let mut writer = self.lock_writer();
        self.check_sound()?;
        if let Some(log) = &self.log {
            let end = log.last_appended();
            writer.position.lsn = end.lsn;
            writer.position.chain = end.chain;
            writer.position.incarnation = end.incarnation;
        }
        let space = writer.shadow.space();
        let data_bytes = space.used * self.pager.page_size() as u64;
        self.data_bytes.store(data_bytes, Ordering::Relaxed);
        let unchanged = !writer.is_dirty()
            && writer.position == LogPosition::of(&newest.root)
            && space.pending == 0;
        if unchanged {
            return Ok(false);
        }
        // Room for the map, and for every number that was given out: without it
        // the checkpoint is refused, and nothing has happened.
        let map = 2 * writer.shadow.map_size() + MAP_GROWTH;
        writer.shadow.reserve(&self.pager, map, 0, true)?;
        writer.shadow.cover(&self.pager)?;
        let sealed = writer.seal_for_checkpoint(&self.pager);
        writer.broken = sealed.is_err();
        let root = self.must(sealed)?;
        writer.shadow.cover(&self.pager)?;
        let run = CheckpointRun::begin(
            &self.pager,
            &maintenance.metas,
            Meta {
                root: root.record,
                ..newest
            },
        );
        writer.shadow.begin_reclaim(&self.pager);
        drop(writer);
        let (version, lsn) = (root.record.version, root.record.lsn);
        self.note(Event::CheckpointBegan { version, lsn });
        // Bit by bit, so that no commit waits for the whole of it.
        loop {
            {
                let mut writer = self.lock_writer();
                if writer.adopt_some(&self.pager) {
                    if writer.is_newest(&root) {
                        self.visibility.lock().sealed(Arc::clone(&root));
                    }
                    break;
                }
            }
            self.give_way();
        }
        while !self
            .lock_writer()
            .shadow
            .reclaim_some(&self.pager, RECLAIM_PAGES)
        {
            self.give_way();
        }
        // Where nothing waits, the state is visible now.
        self.advance(self.log.as_ref().map_or(Lsn::ZERO, |log| log.durable_lsn()));
        if planted(Mutant::RecycleBeforeMeta) {
            self.recycle_log(root.record.lsn)?;
        }
        maintenance.run = Some(run);
        Ok(true)
    }

    /// Between two pieces of work under the writer's lock: whoever was woken for
    /// it would else find it taken again.
    fn give_way(&self) {
        if !self.queue.is_empty() && self.runtime.may_block() {
            Signal::new().wait_for(GIVE_WAY);
        }
    }

    /// One step of the checkpoint under way; true when none is (any more).
    pub(crate) fn checkpoint_step(
        &self,
        maintenance: &mut MutexGuard<'_, Maintenance>,
        wait: bool,
    ) -> Result<bool> {
        let Maintenance {
            metas,
            run,
            checkpoints,
        } = &mut **maintenance;
        let Some(running) = run else { return Ok(true) };
        // The failure may have come from anywhere, while we waited for the lock.
        self.check_sound()?;
        let lsn = running.meta().root.lsn;
        let log = self.log.as_ref();
        if wait && log.is_some_and(|log| log.durable_lsn() < lsn) && running.waits_for_log() {
            self.wait_durable(lsn)?;
        }
        let mut is_durable = || log.is_none_or(|log| log.durable_lsn() >= lsn);
        let stepped = running.step(&self.pager, metas, wait, &mut is_durable);
        let done = self.must(stepped.map_err(Into::into))?;
        if done {
            *run = None;
            *checkpoints += 1;
            self.checkpointed_now();
            self.note(Event::CheckpointEnded);
            // The log is kept from the older meta on: open may have to go back to it.
            let keep_from = metas.older().map_or(Lsn::ZERO, |meta| meta.root.lsn);
            self.checkpoint_lsn
                .store(metas.newest().root.lsn.0, Ordering::Release);
            self.recycle_log(keep_from)?;
        }
        Ok(done)
    }

    /// Lets the log go on in a small segment: the next open reads that alone.
    pub(crate) fn shorten_log(&self) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let _writer = self.lock_writer();
        match log.roll_over().map_err(Error::from) {
            // A slower open is all that a full disk costs here.
            Err(error) if error.is_no_space() => Ok(()),
            other => self.must(other),
        }
    }

    /// Gives back what the data file has beyond its last page.
    pub(crate) fn trim(&self) -> Result<()> {
        let keep = {
            let maintenance = self.maintenance.lock();
            let metas = [Some(maintenance.metas.newest()), maintenance.metas.older()];
            let pages = metas.into_iter().flatten().map(|meta| meta.root.page_count);
            pages.max().unwrap_or_default()
        };
        Ok(self.lock_writer().shadow.trim(&self.pager, keep)?)
    }

    fn recycle_log(&self, below: Lsn) -> Result<()> {
        match &self.log {
            Some(log) => {
                self.pin_kept_changes(log);
                // A busy store keeps what it will want until the next checkpoint.
                let is_busy = self.background.checkpoints.load(Ordering::Relaxed);
                log.keep_spares(if is_busy {
                    self.checkpoint_threshold()
                } else {
                    0
                });
                self.must(log.recycle_below(below).map_err(Into::into))
            }
            None => Ok(()),
        }
    }

    /// Keeps dirty pages within the budget, and the log within its limit:
    /// gently at first, by making the writer help, so that there is no cliff.
    pub(crate) fn relieve(&self) -> Result<()> {
        // Until there is room again: one commit may have dirtied any number.
        while self.pager.is_crowded() {
            let full = self.pager.is_full();
            if !full && self.background.checkpoints.load(Ordering::Relaxed) {
                // It is writing them, and hurries.
                break;
            }
            let written = self.pager.write_back(WRITE_BACK_PAGES, full);
            let written = self.must(written.map_err(Into::into))?;
            if !full || written == 0 {
                break;
            }
        }
        let limit = self.checkpoint_threshold();
        let log_bytes = self.log_bytes();
        if log_bytes <= limit + limit / 2 {
            return Ok(());
        }
        if log_bytes > 4 * limit {
            // Far beyond: the writer does the whole of it.
            return self.checkpoint_now();
        }
        if let Some(mut maintenance) = self.maintenance.try_lock() {
            if maintenance.run.is_none() {
                self.begin_checkpoint(&mut maintenance)?;
            }
            self.checkpoint_step(&mut maintenance, log_bytes > 2 * limit)?;
        } else if log_bytes > 2 * limit && self.runtime.may_block() {
            // Somebody is at it: give way, the more the nearer the limit is.
            let excess = (log_bytes - 2 * limit) as f64 / (2 * limit) as f64;
            Signal::new().wait_for(MAX_DELAY.mul_f64(excess * excess));
        }
        Ok(())
    }

    /// Goes on with the checkpoint under way to its end, no faster than is
    /// needed: what it writes is spread over the time in which the log grows
    /// by half of what begins the next one, in small writes, so that commits
    /// never meet a disk that is busy with it for long. Where nobody commits,
    /// somebody waits for it, or memory fills, it does not dawdle.
    pub(crate) fn pace_checkpoint(
        &self,
        maintenance: &mut MutexGuard<'_, Maintenance>,
    ) -> Result<()> {
        let began = self.log_bytes();
        let span = (self.checkpoint_threshold() / 2).max(1);
        let mut commits = self.counters.commits.load(Ordering::Relaxed);
        while !self.checkpoint_step(maintenance, true)? {
            loop {
                self.flush_if_due()?;
                // It takes as long as several segments of the log.
                self.prepare_log_ahead(true)?;
                let Some(run) = maintenance.run.as_mut() else {
                    break;
                };
                let (written, pages) = run.progress();
                let grown = self.log_bytes().saturating_sub(began).min(span);
                let is_ahead =
                    written as u128 * u128::from(span) > u128::from(grown) * pages as u128;
                let so_far = self.counters.commits.load(Ordering::Relaxed);
                let is_busy = std::mem::replace(&mut commits, so_far) != so_far;
                let is_hurried = self.background.hurry.load(Ordering::Relaxed) > 0;
                let has_room = !self.pager.is_filling();
                let dawdles = is_ahead && is_busy && has_room && !is_hurried && written < pages;
                run.set_gentle(is_busy && !is_hurried);
                if !dawdles {
                    break;
                }
                // Figures and the like need the lock for a moment.
                MutexGuard::unlocked(maintenance, || self.background.signal.wait_for(PACE));
                if self.background.stop.load(Ordering::Acquire) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Frees the pages of one dropped tree; false if there is none.
    pub(crate) fn reclaim_dropped_tree(&self) -> Result<bool> {
        // Whoever holds this is the only one to free dropped trees.
        let _maintenance = self.maintenance.lock();
        let found = {
            let mut writer = self.lock_writer();
            writer.in_flight.settle(self.visible_index());
            if writer.in_flight.is_structural() {
                // The drop may yet be taken back.
                return Ok(false);
            }
            let found = writer.dropped(&self.pager)?;
            if found.is_some() {
                self.seal(&mut writer)?;
            }
            found
        };
        let Some((tree, root)) = found else {
            return Ok(false);
        };
        let mut pages = Vec::new();
        let source = SealedSource(&self.pager);
        let mut walker = Walker::new(&source, tree, &root);
        while walker.step(&mut pages, &mut |_, _, _| Ok(()))? {
            self.flush_if_due()?;
        }
        let pages: Vec<PageRef> = pages.into_iter().map(|visited| visited.at).collect();
        let mut writer = self.lock_writer();
        let space = writer.shadow.reserve(&self.pager, 16, 0, true);
        space?;
        let freed = writer.reclaim_dropped(&self.pager, tree, &pages);
        writer.broken |= freed.is_err();
        self.must(freed)?;
        Ok(true)
    }
}
