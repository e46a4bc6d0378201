//! What all clients of an epoch write down, and the moment of a crash in it.
//!
//! ## Invariants
//! * An answer counts if it was written down before the crash: both happen under
//!   one lock. So whatever counts was there before the disk was taken away, though
//!   the threads of the crashed store go on for a moment.
//! * A transaction that may have committed is written down, heard of or not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cs_io::sim::SimImage;
use cs_kv::Decision;

use super::history::{Level, Number, Outcome, Step, Txn};
use crate::Failure;

/// A transaction that is still under way.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) level: Level,
    pub(super) begin: u64,
    pub(super) steps: Vec<Step>,
    /// A crash may take it back although it was acknowledged.
    pub(super) is_async: bool,
}

/// How far a prepared transaction is, as far as its clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Preparing,
    Prepared,
    Deciding(Decision),
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The disk as the crash left it.
    pub(super) crashed: Option<SimImage>,
    pub(super) txns: Vec<Txn>,
    /// Of each transaction, whether a crash may take it back.
    pub(super) is_async: Vec<bool>,
    pub(super) in_doubt: BTreeMap<String, (Draft, Stage)>,
    /// The round could not go on.
    pub(super) failure: Option<Failure>,
    /// Something that was promised and is not part of the history.
    pub(super) broken: Option<Failure>,
}

#[derive(Debug, Default)]
pub(super) struct Record {
    clock: AtomicU64,
    number: AtomicU32,
    state: Mutex<State>,
}

impl Record {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A client that panicked has left its failure; the rest is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn into_inner(self) -> State {
        self.state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that was never appended.
    pub(super) fn new_number(&self) -> Number {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// How many numbers there are so far.
    pub(super) fn numbers(&self) -> Number {
        self.number.load(Ordering::Relaxed)
    }

    /// A transaction begins.
    pub(super) fn begin(&self, name: String, level: Level) -> Draft {
        Draft {
            name,
            level,
            begin: self.tick(),
            steps: Vec::new(),
            is_async: false,
        }
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// The answer is there.
    pub(super) fn end(&self, draft: Draft, outcome: Outcome) {
        let mut state = self.lock();
        self.end_locked(&mut state, draft, outcome);
    }

    pub(super) fn end_locked(&self, state: &mut State, draft: Draft, outcome: Outcome) {
        let appends = |step: &Step| matches!(step, Step::Append(..));
        let is_heard = matches!(outcome, Outcome::Committed | Outcome::Aborted);
        let (outcome, end) = if state.crashed.is_none() && is_heard {
            (outcome, self.tick())
        } else if outcome == Outcome::Committed && draft.steps.iter().any(appends) {
            (Outcome::Unknown, u64::MAX)
        } else if draft
            .steps
            .iter()
            .any(|step| !matches!(step, Step::Read(..) | Step::Range(..)))
        {
            // Nobody may see what it appended; what it read itself is not known
            // to have been before the crash.
            (Outcome::Lost, u64::MAX)
        } else {
            return;
        };
        state.is_async.push(draft.is_async);
        state.txns.push(Txn {
            name: draft.name,
            level: draft.level,
            outcome,
            begin: draft.begin,
            end,
            steps: draft.steps,
        });
    }

    /// A promise was broken that the history does not show; the round goes on, and
    /// the history may show more.
    pub(super) fn note(&self, failure: Failure) {
        self.lock().broken.get_or_insert(failure);
    }

    /// Something is wrong, and the round ends.
    pub(super) fn fail(&self, failure: Failure) {
        self.lock().failure.get_or_insert(failure);
    }
}
