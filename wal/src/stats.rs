//! What a log has done and how hard it is pressed: for metrics, and for
//! whoever slows writers down.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Result;
use crate::group::LogOwner;
use crate::log::Log;

/// Figures since the log was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) groups: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) made_in_commit: AtomicU64,
    pub(crate) made_ahead: AtomicU64,
    pub(crate) recycled: AtomicU64,
}

/// Figures of a log since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Groups that became durable.
    pub groups: u64,
    /// Records in them.
    pub records: u64,
    /// Segments that an append had to make, and wait for: none where the
    /// background work keeps up.
    pub segments_made_in_commit: u64,
    /// Segments made ahead of need.
    pub segments_made_ahead: u64,
    /// Segments that were kept for reuse.
    pub segments_recycled: u64,
}

impl Log {
    /// Figures since the log was opened.
    #[must_use]
    pub fn stats(&self) -> LogStats {
        let counters = &self.counters;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LogStats {
            groups: get(&counters.groups),
            records: get(&counters.records),
            segments_made_in_commit: get(&counters.made_in_commit),
            segments_made_ahead: get(&counters.made_ahead),
            segments_recycled: get(&counters.recycled),
        }
    }

    /// Whether so little is appended and not durable that more may come. Takes
    /// no lock; asked before each append that nobody waits for.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let undurable = self.appended_lsn().0.saturating_sub(self.durable_lsn().0);
        undurable <= self.options.undurable_bytes_max
    }

    /// Waits, asleep or by writing itself, until [`has_room`](Self::has_room).
    /// For writers that do not wait for their own records: without it they
    /// outrun the disk and fill the memory. Before the lock is taken under
    /// which the caller appends, so each may exceed the bound by one record.
    ///
    /// # Errors
    /// As for [`wait`](Self::wait).
    pub fn wait_for_room(&self, owner: &dyn LogOwner) -> Result<()> {
        if self.has_room() {
            return Ok(());
        }
        self.wait(owner, &|| self.has_room())
    }
}

#[cfg(test)]
mod tests;
