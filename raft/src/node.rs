//! A node: events in, actions out.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::{
    Action, Config, Error, Event, Health, Index, LogId, Membership, Outcome, Readiness, Refused,
    Restored, Role, Status, Time, Vote,
};

/// One node of a cluster.
#[derive(Debug)]
pub struct Node {
    config: Config,
    vote: Vote,
    applied: Index,
    base: LogId,
    membership: Arc<Membership>,
    deadline: Time,
    actions: VecDeque<Action>,
}

impl Node {
    /// The node as its disk has it.
    ///
    /// # Errors
    ///
    /// If the options do not fit, or what was restored contradicts itself.
    pub fn new(config: Config, restored: Restored, now: Time) -> Result<Self, Error> {
        config.check()?;
        Ok(Self {
            deadline: now + config.election_timeout,
            config,
            vote: restored.vote,
            applied: restored.applied,
            base: restored.base,
            membership: Arc::new(restored.base_membership),
            actions: VecDeque::new(),
        })
    }

    /// Tells the node what happened at `now`; then [`take`](Self::take) until
    /// there is nothing more.
    ///
    /// # Errors
    ///
    /// If it cannot have happened: the node is as it was. A request that is
    /// refused is none of them, but has an [`Action::Answer`].
    pub fn on(&mut self, now: Time, event: Event) -> Result<(), Refused> {
        self.deadline = now + self.config.election_timeout;
        match event {
            Event::Propose { id, .. }
            | Event::Read { id, .. }
            | Event::ChangeMembership { id, .. }
            | Event::Transfer { id, .. } => {
                let outcome = Outcome::NotLeader { leader: None };
                self.actions.push_back(Action::Answer { id, outcome });
                Ok(())
            }
            Event::Persisted { ticket } | Event::PersistFailed { ticket, .. } => {
                Err(Refused::UnknownTicket { ticket })
            }
            _ => Ok(()),
        }
    }

    /// The next thing to do.
    pub fn take(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When the node wants to hear [`Event::Tick`] at the latest.
    #[must_use]
    pub fn deadline(&self) -> Time {
        self.deadline
    }

    /// The node as it is now.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            id: self.config.id,
            role: Role::Follower,
            term: self.vote.term,
            voted_for: self.vote.voted_for,
            leader: None,
            readiness: Readiness::NotLeading,
            health: Health::Good,
            commit: self.applied,
            applied: self.applied,
            durable: self.base.index,
            last: self.base,
            base: self.base,
            membership: self.membership.clone(),
            membership_id: self.base,
            uncommitted_bytes: 0,
            unpersisted_bytes: 0,
            waiting_proposals: 0,
            waiting_reads: 0,
            lease_until: None,
            peers: Vec::new(),
        }
    }
}
