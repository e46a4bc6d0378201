//! What was committed lately, in memory, for feeds that keep up.
//!
//! Invariants
//! * Entries are in order, each begins where the one before it ends, and what is
//!   taken out is the oldest.
//! * At most [`RING_BYTES`] of payloads, but for the newest entry alone.

use std::collections::VecDeque;
use std::sync::Arc;

use cs_base::{HybridTime, Index, Lsn, Term};

/// Bytes of payloads in memory.
pub(super) const RING_BYTES: usize = 4 << 20;

/// One commit.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    /// Index of the record before it.
    pub(crate) before: Index,
    /// Its own.
    pub(crate) index: Index,
    pub(crate) term: Term,
    pub(crate) time: HybridTime,
    /// It is durable when the log is, up to there.
    pub(crate) end: Lsn,
    pub(crate) payload: Arc<[u8]>,
}

/// What there is behind an index.
pub(super) enum Look {
    Found(Recent),
    /// Nothing was committed since.
    Nothing,
    /// What comes next is not in memory.
    Behind,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Ring {
    entries: VecDeque<Recent>,
    bytes: usize,
}

impl Ring {
    pub(super) fn push(&mut self, recent: Recent) {
        // Something else took an index between: what is here leads nowhere.
        if self
            .entries
            .back()
            .is_some_and(|last| last.index != recent.before)
        {
            self.clear();
        }
        self.bytes += recent.payload.len();
        self.entries.push_back(recent);
        while self.bytes > RING_BYTES && self.entries.len() > 1 {
            if let Some(oldest) = self.entries.pop_front() {
                self.bytes -= oldest.payload.len();
            }
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn look(&self, after: Index) -> Look {
        let place = self.entries.partition_point(|entry| entry.index <= after);
        match self.entries.get(place) {
            Some(entry) if entry.before <= after => Look::Found(entry.clone()),
            Some(_) => Look::Behind,
            None if self.entries.back().is_some_and(|last| last.index >= after) => Look::Nothing,
            None => Look::Behind,
        }
    }
}
