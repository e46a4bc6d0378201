//! When what is committed is told to the driver: at once, on a delayed member
//! later, on a witness without anything to apply.
//!
//! Invariants:
//! - a node is a witness once that is committed, and for ever: until then
//!   another leader may make it a learner, which has to apply everything;
//! - what is told never goes back, and never beyond the commit index;
//! - a delayed member is told of a commit no earlier than its delay after it
//!   heard of it; after a restart it waits anew;
//! - what waits is bounded: commits that come close together are told together,
//!   with the later of them.

use std::collections::VecDeque;
use std::time::Duration;

use crate::node::Node;
use crate::{Action, Index, Kind, Time};

/// Into how many parts a delay is divided: so many commits wait at most, and
/// so much of the delay may be added to it.
const PARTS: u32 = 64;

#[derive(Clone, Debug, Hash)]
struct Held {
    began: Time,
    due: Time,
    index: Index,
}

/// What a delayed member holds back.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Delayed {
    held: VecDeque<Held>,
    released: Index,
}

impl Delayed {
    pub(crate) fn new(released: Index) -> Self {
        let held = VecDeque::new();
        Self { held, released }
    }

    /// Up to where the driver was told to apply.
    pub(crate) fn released(&self) -> Index {
        self.released
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.held.front().map(|held| held.due)
    }

    fn hold(&mut self, now: Time, delay: Duration, index: Index) {
        let due = now + delay;
        if let Some(held) = self
            .held
            .back_mut()
            .filter(|held| now - held.began < delay / PARTS)
        {
            (held.due, held.index) = (due, index);
            return;
        }
        let began = now;
        self.held.push_back(Held { began, due, index });
    }

    /// What is due now.
    fn due(&mut self, now: Time) -> Option<Index> {
        let mut index = None;
        while self.held.front().is_some_and(|held| held.due <= now) {
            index = self.held.pop_front().map(|held| held.index);
        }
        index
    }
}

impl Node {
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.membership()
            .member(self.config.id)
            .map(|member| member.kind)
    }

    /// Whether there is no state to read. Also not any more: whoever was a
    /// witness when that was committed has none after it was removed, either.
    pub(crate) fn has_no_state(&self) -> bool {
        self.is_witness || self.kind() == Some(Kind::Witness)
    }

    pub(crate) fn delay(&self) -> Duration {
        match self.kind() {
            Some(Kind::Learner { delay, .. }) => delay,
            _ => Duration::ZERO,
        }
    }

    /// The commit index has grown.
    pub(crate) fn release(&mut self) {
        let (now, delay, commit) = (self.now, self.delay(), self.commit);
        if delay.is_zero() {
            self.delayed.held.clear();
            self.release_upto(commit);
        } else {
            self.delayed.hold(now, delay, commit);
        }
    }

    /// Time has passed.
    pub(crate) fn release_delayed(&mut self) {
        if let Some(index) = self.delayed.due(self.now) {
            self.release_upto(index);
            self.serve_applied();
        }
    }

    fn release_upto(&mut self, index: Index) {
        if index <= self.delayed.released {
            return;
        }
        self.delayed.released = index;
        let id = self.config.id;
        let committed = self.log.membership_at(index).member(id);
        if committed.is_some_and(|member| member.kind == Kind::Witness) {
            self.is_witness = true;
        }
        if self.is_witness {
            // It has no state that could lag.
            self.applied = index;
        }
        self.actions.push_back(Action::Commit { index });
    }

    /// A snapshot took the place of everything up to `index`.
    pub(crate) fn released_by_snapshot(&mut self, index: Index) {
        self.delayed.released = self.delayed.released.max(index);
        self.delayed.held.retain(|held| held.index > index);
    }
}

#[cfg(test)]
mod tests;
