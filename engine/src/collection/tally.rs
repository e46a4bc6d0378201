//! What a run of commits came to, counted so that the count can be relied on.
//!
//! ## Invariants
//! * What is counted as acknowledged was waited for: it is visible, and as
//!   durable as was asked for.
//! * Waiting for the last commit waits for all before it.

use cs_kv::Ticket;

use crate::error::{Error, Result};

/// Commits of one operation, and how many writes they carry.
#[derive(Debug, Default)]
pub(super) struct Tally {
    committed: u64,
    acknowledged: u64,
    last: Option<Ticket>,
}

impl Tally {
    /// A commit of so many writes is on its way.
    pub(super) fn add(&mut self, ticket: Ticket, writes: u64) {
        if self.last.as_ref().is_none_or(Ticket::is_complete) {
            self.acknowledged = self.committed;
        }
        self.committed += writes;
        self.last = Some(ticket);
    }

    /// So many writes were made in a transaction, which is committed later.
    pub(super) fn add_within(&mut self, writes: u64) {
        self.committed += writes;
    }

    /// Writes committed so far, acknowledged or not.
    pub(super) fn committed(&self) -> u64 {
        self.committed
    }

    /// Waits for what is on its way, and returns how many writes were
    /// acknowledged in all.
    ///
    /// # Errors
    /// The database failed meanwhile; the error counts what was acknowledged.
    pub(super) fn settle(&mut self) -> Result<u64> {
        if let Some(last) = self.last.take() {
            last.wait()
                .map_err(|error| Error::from(error).with_written(self.acknowledged))?;
        }
        self.acknowledged = self.committed;
        Ok(self.acknowledged)
    }

    /// The error with which the operation ends: `error`, unless what was
    /// committed before it failed too, which is the graver news.
    pub(super) fn end(&mut self, error: Error) -> Error {
        match self.settle() {
            Ok(written) => error.with_written(written),
            Err(graver) => graver,
        }
    }

    /// How many writes are known to be acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }
}
