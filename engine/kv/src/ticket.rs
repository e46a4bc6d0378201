//! What a commit returns.

use std::sync::Arc;

use cs_base::{Index, Lsn};

use crate::core::Core;
use crate::error::{Error, Result};

/// A commit on its way to being visible. Dropping it changes nothing.
#[derive(Debug, Clone)]
#[must_use = "a commit is acknowledged only when its ticket was waited for"]
pub struct Ticket {
    core: Arc<Core>,
    index: Index,
    /// The log must be durable up to here; zero if it need not be.
    needs: Lsn,
}

impl Ticket {
    pub(crate) fn new(core: Arc<Core>, index: Index, needs: Lsn) -> Self {
        Self { core, index, needs }
    }

    /// The commit's place in the order of all commits.
    #[must_use]
    pub fn index(&self) -> Index {
        self.index
    }

    /// Up to where the log must be durable; zero if it need not be.
    pub(crate) fn needs(&self) -> Lsn {
        self.needs
    }

    /// Whether the commit is visible and as durable as was asked for.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.core.visible_index() >= self.index
    }

    /// Waits until it is. A lone waiter writes and syncs the log itself.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`]: a write or sync failed meanwhile.
    pub fn wait(&self) -> Result<()> {
        if self.is_complete() {
            return Ok(());
        }
        self.core.wait_durable(self.needs)
    }

    /// Calls back when it is, or never will be; at once where that is so already.
    ///
    /// The closure runs on whichever thread drives the log, with no lock held.
    /// It must not wait for a commit: that is refused. If it panics, the panic
    /// goes no further.
    pub fn on_complete(&self, call: impl FnOnce(Result<()>) + Send + 'static) {
        match &self.core.log {
            Some(log) if self.needs > Lsn::ZERO => {
                log.on_durable(
                    self.needs,
                    Box::new(move |outcome| {
                        call(outcome.map_err(|error| Error::OutcomeUnknown(error.to_string())));
                    }),
                );
                // Nobody may be waiting, so somebody must see to the log.
                self.core.background.signal.raise();
            }
            _ => call(Ok(())),
        }
    }
}
