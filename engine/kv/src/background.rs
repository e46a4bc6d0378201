//! Work that nobody waits for: flushing, sealing an idle log, checkpoints,
//! early writes, freeing dropped trees.
//!
//! In production one thread, started by the first write, sleeps until it is
//! told that there is something to do; an idle store makes no system call.
//! In simulation a scheduler calls [`Core::step`].

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cs_base::Lsn;
use cs_wal::{Drive, Log};

use crate::core::Core;
use crate::error::{Error, Result};

/// After so long without a commit the log gets its sealing record. Long
/// enough never to come between two commits of one burst.
const IDLE: Duration = Duration::from_millis(50);

impl Core {
    /// Starts the thread, once.
    pub(crate) fn start_background(self: &Arc<Self>) -> Result<()> {
        if self.background.started.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let core = Arc::clone(self);
        let work = Box::new(move || core.run_background());
        let task = self.runtime.spawn("cs-background", work);
        *self.background.task.lock() = task.map_err(crate::Error::Directory)?;
        Ok(())
    }

    /// Tells the thread of a commit, if that is news to it.
    pub(crate) fn after_append(&self) {
        let armed = &self.background.armed;
        let is_news = !armed.load(Ordering::Relaxed) && !armed.swap(true, Ordering::AcqRel);
        if is_news || self.checkpoint_is_due() {
            self.background.signal.raise();
        }
    }

    fn run_background(&self) {
        let background = &self.background;
        while !background.stop.load(Ordering::Acquire) {
            background.signal.wait();
            let mut last_flush = self.runtime.monotonic();
            // Awake until a while has passed without a commit.
            loop {
                let commits = self.counters.commits.load(Ordering::Relaxed);
                background.signal.wait_for(IDLE);
                if background.stop.load(Ordering::Acquire) || self.poison_reason().is_some() {
                    break;
                }
                let due = self.runtime.monotonic() - last_flush >= self.options.flush_interval;
                let is_idle = commits == self.counters.commits.load(Ordering::Relaxed);
                // An error poisons the store where it must; the next commit will say so.
                let _ = self.background_round(due || is_idle);
                if due {
                    last_flush = self.runtime.monotonic();
                }
                if is_idle && self.rest() {
                    break;
                }
            }
        }
    }

    /// One round of everything that is due.
    fn background_round(&self, flush: bool) -> Result<()> {
        if let Some(log) = &self.log {
            while self.prepare_log(log)? {}
            if flush {
                self.flush()?;
            }
        }
        self.pager.finish_early_writes(false)?;
        if self.checkpoint_is_due() {
            self.checkpoint_now()?;
        }
        while self.reclaim_dropped_tree()? {}
        Ok(())
    }

    /// Makes the next segment ready. Want of space harms nobody yet: the commit
    /// that needs the segment will say so, and a checkpoint may free one before.
    fn prepare_log(&self, log: &Log) -> Result<bool> {
        match log.step().map_err(Error::from) {
            Err(error) if error.is_no_space() => Ok(false),
            other => self.must(other),
        }
    }

    /// The store is idle: seals the log. False if a commit came between.
    fn rest(&self) -> bool {
        self.background.armed.store(false, Ordering::Release);
        let sealed = self.seal_log();
        let before = self.counters.commits.load(Ordering::Acquire);
        let _ = sealed;
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
            self.must(log.seal_if_idle().map_err(Into::into))?
        };
        if sealed { self.flush() } else { Ok(()) }
    }

    /// One small step of background work, without waiting; false if there was
    /// nothing to do. For schedulers that own the only thread.
    pub(crate) fn step(&self) -> Result<bool> {
        if self.poison_reason().is_some() {
            return Ok(false);
        }
        let mut busy = false;
        if let Some(log) = &self.log {
            busy |= log.drive(self) != Drive::Idle;
            busy |= self.prepare_log(log)?;
        }
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
        Ok(busy)
    }
}
