//! Compaction by itself: when it begins, and when it lets be.
//!
//! It begins when the database is idle and much of what its files take is not
//! needed, and stops while anybody commits. What it could not give back, because
//! a snapshot keeps it, it does not try again before as much more has come. What
//! comes without a commit the store took itself, as room for the next ones: it
//! counts as left. So compaction never undoes, nor repeats, its own work.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{CompactOptions, Compactor};
use crate::core::Core;
use crate::error::Result;

/// Rounds of the background thread without a commit before compaction begins:
/// about a second.
const IDLE_ROUNDS: u32 = 20;

/// When a store compacts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoCompact {
    /// Share of the files that is not needed, in percent …
    pub waste_percent: u8,
    /// … and its bytes: both must be exceeded.
    pub waste_bytes: u64,
}

impl Default for AutoCompact {
    fn default() -> Self {
        Self {
            waste_percent: 30,
            waste_bytes: 8 << 20,
        }
    }
}

/// What is remembered between compactions.
#[derive(Debug, Default)]
pub(crate) struct Compaction {
    running: Option<Compactor>,
    /// Bytes that the last one left as waste.
    left: u64,
    /// Commits there were when it ended, if there was one.
    commits: Option<u64>,
    idle_rounds: u32,
}

impl Compaction {
    /// A compaction has ended: what is left could not be given back.
    pub(crate) fn ended(&mut self, core: &Core) {
        self.running = None;
        self.idle_rounds = 0;
        self.left = core.waste().0;
        self.commits = Some(core.counters.commits.load(Ordering::Relaxed));
    }
}

impl Core {
    /// Bytes that the files have without need, and those that they have.
    fn waste(&self) -> (u64, u64) {
        let space = self.lock_writer().shadow.space();
        let page_size = self.pager.page_size() as u64;
        let data = space.capacity.saturating_sub(space.used) * page_size;
        let Some(log) = &self.log else {
            return (data, space.capacity * page_size);
        };
        let files = log.files();
        // The smallest segment in use, and one to follow, are as they should be.
        let usual = 2 * self.options.log.segment_bytes_min;
        let waste = data + files.total().saturating_sub(usual);
        (waste, space.capacity * page_size + files.total())
    }

    /// For closing: where the log's files are most of what could be given back,
    /// gives them back. One checkpoint, and nothing of the data file is read.
    pub(crate) fn settle_log(&self) -> Result<()> {
        let (Some(limits), Some(log)) = (&self.options.auto_compact, &self.log) else {
            return Ok(());
        };
        let (_, all) = self.waste();
        let bytes = log.files().total();
        let share = u128::from(bytes) * 100 > u128::from(all) * u128::from(limits.waste_percent);
        if share && bytes > limits.waste_bytes {
            // Until the older meta has gone, the log reaches back to it.
            self.lock_writer().touch();
            self.checkpoint_now()?;
            self.must(log.trim_spares().map_err(Into::into))?;
        }
        Ok(())
    }

    /// Whether compaction is due.
    fn wants_compaction(&self, compaction: &mut Compaction) -> bool {
        let Some(limits) = &self.options.auto_compact else {
            return false;
        };
        if compaction.running.is_some() {
            return true;
        }
        let (waste, all) = self.waste();
        let commits = self.counters.commits.load(Ordering::Relaxed);
        if compaction.commits == Some(commits) {
            compaction.left = compaction.left.max(waste);
        }
        let share = u128::from(waste) * 100 > u128::from(all) * u128::from(limits.waste_percent);
        share && waste > limits.waste_bytes && waste > compaction.left + limits.waste_bytes
    }

    /// One step of compaction, if one is due; says whether.
    pub(crate) fn tidy(self: &Arc<Self>) -> Result<bool> {
        let Some(mut compaction) = self.compaction.try_lock() else {
            return Ok(false);
        };
        if !self.wants_compaction(&mut compaction) {
            return Ok(false);
        }
        let mut compactor = match compaction.running.take() {
            Some(running) => running,
            None => Compactor::new(CompactOptions::default())?,
        };
        match compactor.step(self) {
            Ok(true) => compaction.ended(self),
            Ok(false) => compaction.running = Some(compactor),
            Err(error) => {
                // Not again at once: want of space, or damage, does not pass so soon.
                compaction.ended(self);
                return Err(error);
            }
        }
        Ok(true)
    }

    /// For the background thread, after each of its rounds: compacts once the
    /// database has been idle for a while, until somebody commits. Says whether
    /// there is a reason to stay awake.
    pub(crate) fn tidy_when_idle(self: &Arc<Self>, is_idle: bool) -> bool {
        {
            let Some(mut compaction) = self.compaction.try_lock() else {
                return false;
            };
            if !is_idle {
                compaction.idle_rounds = 0;
                return false;
            }
            if !self.wants_compaction(&mut compaction) {
                return false;
            }
            compaction.idle_rounds += 1;
            if compaction.idle_rounds < IDLE_ROUNDS {
                return true;
            }
        }
        let commits = || self.counters.commits.load(Ordering::Relaxed);
        let before = commits();
        while before == commits() && !self.background.stop.load(Ordering::Acquire) {
            match self.tidy() {
                Ok(true) => {}
                // An error has poisoned the store where it must.
                Ok(false) | Err(_) => return false,
            }
            if self.flush_if_due().is_err() {
                return false;
            }
        }
        true
    }
}
