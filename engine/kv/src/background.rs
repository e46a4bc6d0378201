//! Work that nobody waits for: flushing, sealing an idle log, checkpoints,
//! early writes, freeing dropped trees.
//!
//! In production one thread, started by the first write, sleeps until it is
//! told that there is something to do; an idle store makes no system call.
//! In simulation a scheduler calls [`Core::step`].

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Weak};
use std::time::Duration;

use cs_base::Lsn;
use cs_wal::{Drive, Piece};

use crate::core::Core;
use crate::error::{Error, Result};

/// After so long without a commit the log gets its sealing record. Long
/// enough never to come between two commits of one burst.
const IDLE: Duration = Duration::from_millis(50);

/// Between two pieces of a segment that is made while commits come.
const PIECE_PAUSE: Duration = Duration::from_millis(2);

/// Work of the layer above that nobody waits for, done with our own.
pub trait Housekeeping: Send + Sync {
    /// Does a small piece; says whether there was something to do.
    fn step(&self) -> bool;
}

/// Whether anybody commits, as the thread sees it between its rounds.
struct Watch {
    commits: u64,
}

impl Watch {
    fn new(commits: u64) -> Self {
        Self { commits }
    }

    /// Whether the store was idle for a whole wait: no commit came since the
    /// last look, so not while a round was at work either, and nobody cut the
    /// wait short, which would say nothing.
    fn is_idle(&mut self, commits: u64, is_told: bool) -> bool {
        let before = std::mem::replace(&mut self.commits, commits);
        before == commits && !is_told
    }
}

impl Core {
    /// Starts the thread, once.
    pub(crate) fn start_background(self: &Arc<Self>) -> Result<()> {
        let started = &self.background.started;
        // Asked by every commit: mostly it only reads.
        if started.load(Ordering::Acquire) || started.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.checkpointed_now();
        let core = Arc::clone(self);
        let work = Box::new(move || core.run_background());
        match self.runtime.spawn("cs-background", work) {
            Ok(task) => {
                *self.background.task.lock() = task;
                Ok(())
            }
            Err(error) => {
                // The next commit tries again.
                self.background.started.store(false, Ordering::Release);
                Err(Error::Directory(error))
            }
        }
    }

    /// Tells the thread of a commit, if that is news to it.
    pub(crate) fn after_append(&self) {
        let armed = &self.background.armed;
        // Either we see that the thread has gone to rest, or it sees our commit.
        fence(Ordering::SeqCst);
        let is_news = !armed.load(Ordering::Relaxed) && !armed.swap(true, Ordering::AcqRel);
        if is_news || self.log_wants_step() || self.wants_checkpoint() {
            self.background.signal.raise();
        }
    }

    pub(crate) fn log_wants_step(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.wants_step())
    }

    /// Whether the thread must be told of a checkpoint: not while it writes one,
    /// or each commit would wake it from the pauses that it makes for them.
    fn wants_checkpoint(&self) -> bool {
        !self.background.checkpoints.load(Ordering::Relaxed) && self.checkpoint_is_due()
    }

    fn run_background(self: &Arc<Self>) {
        let background = &self.background;
        while !background.stop.load(Ordering::Acquire) {
            background.signal.wait();
            self.flushed_now();
            let mut watch = Watch::new(self.counters.commits.load(Ordering::Relaxed));
            // Awake until a while has passed without a commit.
            loop {
                let is_making = self.log_is_making();
                let pause = if is_making { PIECE_PAUSE } else { IDLE };
                let pause = pause.min(self.options.flush_interval);
                let is_told = background.signal.wait_for(pause);
                if background.stop.load(Ordering::Acquire) || self.check_sound().is_err() {
                    break;
                }
                let commits = self.counters.commits.load(Ordering::Relaxed);
                let is_busy = watch.commits != commits;
                // A pause of the making of a segment is too short to say anything.
                let is_idle = watch.is_idle(commits, is_told || is_making);
                // An error poisons the store where it must; the next commit will say so.
                let _ = self.background_round(is_idle, is_busy);
                self.fail_waiters();
                let is_untidy = self.tidy_when_idle(is_idle);
                if is_idle && self.rest() && !is_untidy {
                    break;
                }
            }
        }
    }

    /// One round of everything that is due.
    fn background_round(&self, flush: bool, is_busy: bool) -> Result<()> {
        self.prepare_log_ahead(is_busy)?;
        if flush {
            self.flush()?;
        }
        self.flush_if_due()?;
        self.enforce_snapshot_limits();
        self.keep_house();
        self.must(self.pager.finish_early_writes(false).map_err(Into::into))?;
        if self.checkpoint_is_due() || self.checkpoint_is_overdue() {
            let mut maintenance = self.maintenance.lock();
            if maintenance.run.is_none() {
                self.begin_checkpoint(&mut maintenance)?;
            }
            self.background.checkpoints.store(true, Ordering::Relaxed);
            let paced = self.pace_checkpoint(&mut maintenance);
            self.background.checkpoints.store(false, Ordering::Relaxed);
            paced?;
        }
        while self.reclaim_dropped_tree()? {}
        Ok(())
    }

    /// A piece of what the layer above has to do.
    fn keep_house(&self) -> bool {
        let keeper = self.housekeeping.get().and_then(Weak::upgrade);
        keeper.is_some_and(|keeper| keeper.step())
    }

    fn flushed_now(&self) {
        let now = self.monotonic_ms();
        self.background.flushed_ms.store(now, Ordering::Relaxed);
    }

    /// From now on the next checkpoint is so long away.
    pub(crate) fn checkpointed_now(&self) {
        let now = self.monotonic_ms();
        self.background
            .checkpointed_ms
            .store(now, Ordering::Relaxed);
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.runtime.monotonic().as_millis()).unwrap_or(u64::MAX)
    }

    /// Keeps the promise of `Async`, also in the middle of long work.
    pub(crate) fn flush_if_due(&self) -> Result<()> {
        let last = Duration::from_millis(self.background.flushed_ms.load(Ordering::Relaxed));
        if self.runtime.monotonic().saturating_sub(last) >= self.options.flush_interval {
            self.flushed_now();
            self.flush()?;
        }
        Ok(())
    }

    /// Makes ready whatever segments the log wants, so that no commit has to; while
    /// there are some, no faster than the log grows, for the disk has them to write.
    pub(crate) fn prepare_log_ahead(&self, is_busy: bool) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let is_ahead = || is_busy && log.making_is_ahead() == Some(true);
        while !is_ahead() && self.prepared(log.piece())? {
            self.flush_if_due()?;
        }
        Ok(())
    }

    fn log_is_making(&self) -> bool {
        self.log
            .as_ref()
            .is_some_and(|log| log.making_is_ahead().is_some())
    }

    /// Whether there was something to make ready. Want of space harms nobody yet: the
    /// commit that needs the segment will say so, and a checkpoint may free one before.
    fn prepared(&self, piece: cs_wal::Result<Piece>) -> Result<bool> {
        match piece.map_err(Error::from) {
            Err(error) if error.is_no_space() => Ok(false),
            other => Ok(self.must(other)? != Piece::Nothing),
        }
    }

    /// The store is idle: seals the log. False if a commit came between.
    fn rest(&self) -> bool {
        let before = self.counters.commits.load(Ordering::Acquire);
        self.background.armed.store(false, Ordering::Release);
        fence(Ordering::SeqCst);
        // Also flushes whatever was appended before we said that we rest.
        let _ = self.seal_log();
        before == self.counters.commits.load(Ordering::Acquire)
    }

    /// Makes everything appended durable.
    pub(crate) fn flush(&self) -> Result<()> {
        let lsn = self
            .log
            .as_ref()
            .map_or(Lsn::ZERO, |log| log.appended_lsn());
        self.wait_durable(lsn)
    }

    /// Lets the log say that its end is durable, so that damage there is told
    /// from a torn tail.
    pub(crate) fn seal_log(&self) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        self.flush()?;
        let sealed = {
            let _writer = self.lock_writer();
            match log.seal_if_idle().map_err(Error::from) {
                // Nobody waits for the record, and nothing depends on it.
                Err(error) if error.is_no_space() => false,
                other => self.must(other)?,
            }
        };
        if sealed { self.flush() } else { Ok(()) }
    }

    /// One small step of background work, without waiting; false if there was
    /// nothing to do. For schedulers that own the only thread.
    pub(crate) fn step(self: &Arc<Self>) -> Result<bool> {
        if self.check_sound().is_err() {
            self.fail_waiters();
            return Ok(false);
        }
        let mut busy = false;
        if let Some(log) = &self.log {
            busy |= log.drive(&**self) != Drive::Idle;
            busy |= self.prepared(log.piece())?;
        }
        self.enforce_snapshot_limits();
        busy |= self.keep_house();
        self.must(self.pager.finish_early_writes(false).map_err(Into::into))?;
        {
            let mut maintenance = self.maintenance.lock();
            if maintenance.run.is_some() {
                self.checkpoint_step(&mut maintenance, false)?;
                busy = true;
            } else if self.checkpoint_is_due() {
                busy |= self.begin_checkpoint(&mut maintenance)?;
            }
        }
        if self.pager.is_crowded() {
            busy |= self.must(self.pager.write_back(8, false).map_err(Into::into))? > 0;
        }
        busy |= self.reclaim_dropped_tree()?;
        Ok(busy || self.tidy()?)
    }
}

#[cfg(test)]
mod tests;
