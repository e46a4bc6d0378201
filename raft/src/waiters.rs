//! Who waits for an entry to be committed.
//!
//! Invariants:
//! - whoever waits is told exactly once;
//! - "committed" is said by term and index: another entry in the same place is
//!   another entry;
//! - "superseded" is said once another entry is *committed* in its place. That
//!   it left this node's log is not enough: another node may still have it,
//!   and be elected.

use std::collections::VecDeque;

use crate::mutants::{Mutant, planted};
use crate::{Index, LogId, Outcome, RequestId, Term, Time};

#[derive(Clone, Debug, Hash)]
struct Waiter {
    id: RequestId,
    at: LogId,
    bytes: usize,
    /// Of a leader no more: when it is told that nothing is known.
    until: Option<Time>,
}

/// Those who wait, by index.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Waiters {
    waiters: VecDeque<Waiter>,
    bytes: usize,
    /// The least `until` of all.
    soonest: Option<Time>,
}

pub(crate) type Answers = Vec<(RequestId, Outcome)>;

impl Waiters {
    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn add(&mut self, id: RequestId, at: LogId, bytes: usize) {
        let waiter = Waiter {
            id,
            at,
            bytes,
            until: None,
        };
        self.bytes += bytes;
        // Behind everybody, but for those whom an earlier term left there.
        let place = self
            .waiters
            .partition_point(|other| other.at.index <= at.index);
        self.waiters.insert(place, waiter);
    }

    /// Everything up to `commit` is decided; `term_at` tells by whom.
    pub(crate) fn committed(
        &mut self,
        commit: Index,
        term_at: impl Fn(Index) -> Option<Term>,
        mut tell: impl FnMut(RequestId, Outcome),
    ) {
        while self
            .waiters
            .front()
            .is_some_and(|waiter| waiter.at.index <= commit)
        {
            let Some(waiter) = self.waiters.pop_front() else {
                break;
            };
            self.bytes -= waiter.bytes;
            let is_there = term_at(waiter.at.index) == Some(waiter.at.term)
                || planted(Mutant::WaitersIgnoreTerm);
            let outcome = if is_there {
                Outcome::Committed { last: waiter.at }
            } else {
                Outcome::Superseded
            };
            tell(waiter.id, outcome);
        }
    }

    /// The log ends before `from` now. They wait on: see the invariants.
    pub(crate) fn truncated(&mut self, from: Index) {
        if planted(Mutant::WaitersStrandedAtTruncation) {
            self.waiters.retain(|waiter| waiter.at.index < from);
            self.bytes = self.waiters.iter().map(|waiter| waiter.bytes).sum();
        }
    }

    /// The node leads no more: they wait no longer than `until`.
    pub(crate) fn doubt(&mut self, until: Time) {
        for waiter in &mut self.waiters {
            waiter.until.get_or_insert(until);
        }
        self.reckon();
    }

    /// When the next one is to be told that nothing is known.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.soonest
    }

    fn reckon(&mut self) {
        self.soonest = self.waiters.iter().filter_map(|waiter| waiter.until).min();
    }

    /// Those whose time has come; all if `now` is `None`.
    pub(crate) fn expired(&mut self, now: Option<Time>) -> Answers {
        let is_over = |waiter: &Waiter| match now {
            Some(now) => waiter.until.is_some_and(|until| until <= now),
            None => true,
        };
        let mut answers = Answers::new();
        self.waiters.retain(|waiter| {
            if is_over(waiter) {
                self.bytes -= waiter.bytes;
                answers.push((waiter.id, Outcome::Unknown));
            }
            !is_over(waiter)
        });
        self.reckon();
        answers
    }
}

#[cfg(test)]
mod tests;
