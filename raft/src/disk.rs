//! What this node's own disk has, and how it is.
//!
//! Invariants:
//! - writes end in any order; what counts as durable is what the writes up to
//!   the first open one wrote;
//! - a write whose entries were superseded while it was under way adds nothing
//!   beyond what was left of them;
//! - nothing leaves the node in a term that is not durable;
//! - a node whose disk is stalled neither votes nor leads, one whose disk
//!   failed takes part in nothing.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::mutants::{Mutant, planted};
use crate::node::{Node, State};
use crate::{Event, Index, Outcome, Refusal, Refused, Ticket};

/// How a node's disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// It answers.
    Good,
    /// It has not answered for too long: the node neither votes nor leads.
    Stalled,
    /// A write failed: the node takes part in nothing any more.
    Poisoned,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Stalled => "stalled",
            Self::Poisoned => "poisoned",
        })
    }
}

#[derive(Clone, Debug, Hash)]
struct Write {
    ticket: Ticket,
    /// What the log has durably once this and all before it have ended. A
    /// write of the vote adds nothing.
    upto: Index,
    bytes: usize,
    has_ended: bool,
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Disk {
    pub(crate) health: Health,
    /// Why it is poisoned.
    pub(crate) failure: Option<Arc<str>>,
    writes: VecDeque<Write>,
    last_ticket: Ticket,
    durable: Index,
    unpersisted_bytes: usize,
    open_vote: Option<Ticket>,
}

impl Disk {
    pub(crate) fn new(durable: Index) -> Self {
        Self {
            health: Health::Good,
            failure: None,
            writes: VecDeque::new(),
            last_ticket: Ticket(0),
            durable,
            unpersisted_bytes: 0,
            open_vote: None,
        }
    }

    fn begin(&mut self, upto: Index, bytes: usize) -> Ticket {
        self.last_ticket = self.last_ticket.next();
        let (ticket, has_ended) = (self.last_ticket, false);
        self.unpersisted_bytes += bytes;
        self.writes.push_back(Write {
            ticket,
            upto,
            bytes,
            has_ended,
        });
        ticket
    }

    /// A write of entries, or of a snapshot, with which the log reaches `upto`.
    pub(crate) fn begin_log(&mut self, upto: Index, bytes: usize) -> Ticket {
        self.begin(upto, bytes)
    }

    /// A write of the vote.
    pub(crate) fn begin_vote(&mut self) -> Ticket {
        let ticket = self.begin(Index(0), 0);
        self.open_vote = Some(ticket);
        ticket
    }

    /// The write that term and vote wait for.
    pub(crate) fn open_vote(&self) -> Option<Ticket> {
        self.open_vote
    }

    /// Whether such a write is under way.
    pub(crate) fn knows(&self, ticket: Ticket) -> bool {
        self.at(ticket).is_some_and(|at| !self.writes[at].has_ended)
    }

    fn at(&self, ticket: Ticket) -> Option<usize> {
        let first = self.writes.front()?.ticket;
        let at = ticket.0.checked_sub(first.0)? as usize;
        (at < self.writes.len()).then_some(at)
    }

    /// A write ended.
    pub(crate) fn end(&mut self, ticket: Ticket) {
        let Some(at) = self.at(ticket) else {
            return;
        };
        self.writes[at].has_ended = true;
        if planted(Mutant::DurableByHighestWrite) {
            self.durable = self.durable.max(self.writes[at].upto);
        }
        if self.open_vote == Some(ticket) {
            self.open_vote = None;
        }
        while self.writes.front().is_some_and(|write| write.has_ended) {
            if let Some(write) = self.writes.pop_front() {
                self.unpersisted_bytes -= write.bytes;
                self.durable = self.durable.max(write.upto);
            }
        }
    }

    /// The log ends before `from` now: nothing from there on is durable,
    /// whatever the writes under way say when they end.
    pub(crate) fn supersede(&mut self, from: Index) {
        if planted(Mutant::SupersededWriteCounts) {
            return;
        }
        self.durable = self.durable.min(from.previous());
        for write in &mut self.writes {
            write.upto = write.upto.min(from.previous());
        }
    }

    /// The last index of the prefix of the log that is durable.
    pub(crate) fn durable(&self) -> Index {
        self.durable
    }

    pub(crate) fn unpersisted_bytes(&self) -> usize {
        self.unpersisted_bytes
    }
}

impl Node {
    pub(crate) fn check_ticket(&self, ticket: Ticket) -> Result<(), Refused> {
        if self.disk.knows(ticket) {
            Ok(())
        } else {
            Err(Refused::UnknownTicket { ticket })
        }
    }

    pub(crate) fn persisted(&mut self, ticket: Ticket) -> Result<(), Refused> {
        self.check_ticket(ticket)?;
        let durable = self.disk.durable();
        self.disk.end(ticket);
        self.snapshot_persisted(ticket);
        if matches!(self.state, State::Candidate(_)) && self.disk.open_vote().is_none() {
            self.count_vote(self.config.id, true);
        }
        if self.disk.durable() > durable {
            match self.state {
                State::Leader(_) => self.advance_commit(),
                _ => self.acknowledge(),
            }
        }
        Ok(())
    }

    pub(crate) fn poisoned(&mut self, reason: Arc<str>) {
        self.disk.health = Health::Poisoned;
        self.disk.failure = Some(reason);
        self.become_follower();
        for (id, outcome) in self.waiters.expired(None) {
            self.answer(id, outcome);
        }
        if let Some(handover) = self.handover.take() {
            self.answer(handover.id, Outcome::Unknown);
        }
        self.give_up_applying(&Refusal::DiskUnhealthy);
    }

    pub(crate) fn stalled(&mut self) {
        if self.disk.health != Health::Good || planted(Mutant::DiskStallIgnored) {
            return;
        }
        self.disk.health = Health::Stalled;
        match self.state {
            State::Leader(_) => self.hand_on(),
            State::Follower => {}
            _ => self.become_follower(),
        }
    }

    pub(crate) fn healthy(&mut self) {
        if self.disk.health == Health::Stalled {
            self.disk.health = Health::Good;
            self.wait_for_leader();
        }
    }

    pub(crate) fn refuse_poisoned(&mut self, event: &Event) {
        if let Event::Propose { id, .. }
        | Event::Read { id, .. }
        | Event::ChangeMembership { id, .. }
        | Event::Transfer { id, .. } = event
        {
            self.refuse(*id, Refusal::DiskUnhealthy);
        }
    }
}

#[cfg(test)]
mod tests;
