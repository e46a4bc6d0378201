//! What a session is at: the newest transaction, or retryable write, of it.
//!
//! ## Invariants
//! * Numbers of a session grow: one before the newest is refused (225).
//! * A number is a transaction's or a retryable write's, never both.
//! * A newer number ends the transaction of an older one.

use crate::error::{CommandError, Result, code};

/// How far the newest number has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is that of retryable writes.
    Writing,
    /// It is a transaction under way: the engine's id of it.
    Open(u64),
    /// It is a transaction that was committed.
    Committed,
    /// It is a transaction that was rolled back.
    Aborted,
}

/// The newest number of a session, and how far it has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    newest: Option<(i64, Phase)>,
}

impl State {
    /// The transaction that is under way: its number and the engine's id of it.
    pub(crate) fn open(&self) -> Option<(i64, u64)> {
        match self.newest {
            Some((number, Phase::Open(id))) => Some((number, id)),
            _ => None,
        }
    }

    /// How far a number has come.
    ///
    /// # Errors
    /// There was a later one (225).
    pub(crate) fn phase(&self, number: i64) -> Result<Option<Phase>> {
        match self.newest {
            Some((newest, _)) if newest > number => {
                let message = format!(
                    "Cannot use txnNumber {number}: the session has already begun {newest}"
                );
                Err(CommandError::new(code::TRANSACTION_TOO_OLD, message))
            }
            Some((newest, phase)) if newest == number => Ok(Some(phase)),
            _ => Ok(None),
        }
    }

    /// A retryable write is about to be carried out.
    ///
    /// # Errors
    /// The number is too old, or that of a transaction.
    pub(crate) fn write(&mut self, number: i64) -> Result<()> {
        match self.phase(number)? {
            None => self.newest = Some((number, Phase::Writing)),
            Some(Phase::Writing) => {}
            Some(_) => {
                let message = format!(
                    "Cannot retry a write as txnNumber {number}, which is that of a transaction"
                );
                return Err(CommandError::new(217, message));
            }
        }
        Ok(())
    }

    /// Whether a transaction of this number may begin.
    ///
    /// # Errors
    /// The number is too old, or was used.
    pub(crate) fn check_new(&self, number: i64) -> Result<()> {
        match self.phase(number)? {
            None => Ok(()),
            Some(phase) => {
                let state = match phase {
                    Phase::Writing => "a retryable write",
                    Phase::Open(_) => "in progress",
                    Phase::Committed => "committed",
                    Phase::Aborted => "aborted",
                };
                let message = format!(
                    "Cannot start transaction {number}: a transaction with the same number is in \
                     state: {state}"
                );
                Err(CommandError::new(50911, message))
            }
        }
    }

    /// The number has come so far.
    pub(crate) fn set(&mut self, number: i64, phase: Phase) {
        self.newest = Some((number, phase));
    }

    /// The transaction under way is gone: the engine's id of it.
    pub(crate) fn abort(&mut self) -> Option<(i64, u64)> {
        let open = self.open()?;
        self.newest = Some((open.0, Phase::Aborted));
        Some(open)
    }

    /// The engine's id of the transaction of this number, which is under way.
    ///
    /// # Errors
    /// It is not (251, 256), or is too old (225).
    pub(crate) fn transaction(&self, number: i64) -> Result<u64> {
        match self.phase(number)? {
            Some(Phase::Open(id)) => Ok(id),
            Some(Phase::Committed) => Err(committed(number)),
            Some(Phase::Aborted) => Err(no_such(format!(
                "Transaction with {{ txnNumber: {number} }} has been aborted."
            ))),
            None | Some(Phase::Writing) => Err(no_such(format!(
                "Given transaction number {number} does not match any in-progress transactions."
            ))),
        }
    }
}

/// The transaction is not there.
pub(crate) fn no_such(message: String) -> CommandError {
    CommandError::new(code::NO_SUCH_TRANSACTION, message)
}

/// The transaction was committed.
pub(crate) fn committed(number: i64) -> CommandError {
    let message = format!("Transaction with {{ txnNumber: {number} }} has been committed.");
    CommandError::new(256, message)
}

#[cfg(test)]
mod tests;
