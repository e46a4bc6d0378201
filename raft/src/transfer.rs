//! Handing leadership over.
//!
//! The leader takes no more proposals, waits until the other has everything
//! durably, and tells it to stand at once.
//!
//! Invariants:
//! - nobody is told to stand who lacks an entry;
//! - a handover ends, one way or another, by its deadline, and the leader that
//!   still leads then goes on;
//! - from the moment in which somebody was told to stand no lease holds in this
//!   term: the word may arrive late.

use crate::mutants::{Mutant, planted};
use crate::node::{Node, State};
use crate::{Message, NodeId, Outcome, Refusal, RequestId, Time};

/// A handover under way.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Handover {
    pub(crate) id: RequestId,
    to: NodeId,
    pub(crate) until: Time,
    /// The other was told to stand.
    is_sent: bool,
}

impl Node {
    pub(crate) fn transfer(&mut self, id: RequestId, to: Option<NodeId>) {
        let State::Leader(leader) = &self.state else {
            let leader = self.leader;
            return self.answer(id, Outcome::NotLeader { leader });
        };
        if self.handover.is_some() {
            return self.refuse(id, Refusal::Transferring);
        }
        if to == Some(self.config.id) {
            let to = self.config.id;
            return self.answer(id, Outcome::Transferred { to });
        }
        let can = |to: &NodeId| self.membership().may_lead(*to) && leader.peers.contains_key(to);
        let Some(to) = to.or_else(|| self.best_successor()).filter(can) else {
            return self.refuse(id, Refusal::BadTarget);
        };
        let until = self.now + self.config.transfer_timeout;
        self.handover = Some(Handover {
            id,
            to,
            until,
            is_sent: false,
        });
        self.try_handover();
    }

    /// Tells the other to stand, if it has everything.
    pub(crate) fn try_handover(&mut self) {
        let term = self.vote.term;
        let Self {
            state: State::Leader(leader),
            handover: Some(handover),
            log,
            ..
        } = self
        else {
            return;
        };
        let matched = leader.peers.get(&handover.to).map(|peer| peer.matched);
        if matched == Some(log.last()) || planted(Mutant::TransferToLagging) {
            handover.is_sent = true;
            leader.is_lease_off = true;
            let to = handover.to;
            self.send(to, Message::TimeoutNow { term });
        }
    }

    /// The one who could lead best: it has most, and of those it is the likeliest.
    pub(crate) fn best_successor(&self) -> Option<NodeId> {
        let State::Leader(leader) = &self.state else {
            return None;
        };
        let membership = self.membership();
        let able = leader
            .peers
            .iter()
            .filter(|(id, _)| membership.may_lead(**id));
        let best = able.max_by_key(|(id, peer)| {
            let kind = membership.member(**id).map(|member| member.kind);
            let priority = match kind {
                Some(crate::Kind::Voter { priority }) => priority,
                _ => 0,
            };
            // Of equals the least id.
            (peer.matched, priority, std::cmp::Reverse(**id))
        });
        best.map(|(id, _)| *id)
    }

    /// The leader wants this node to lead.
    pub(crate) fn on_timeout_now(&mut self, from: NodeId) {
        let is_leader = matches!(self.state, State::Leader(_));
        let is_other = self.leader.is_some_and(|leader| leader != from);
        if !is_leader && !is_other && self.may_stand() {
            self.campaign(true);
        }
    }

    /// Somebody leads.
    pub(crate) fn handover_ended(&mut self, leader: NodeId) {
        if let Some(handover) = self.handover.take() {
            let outcome = if leader == handover.to {
                Outcome::Transferred { to: leader }
            } else {
                Outcome::NotLeader {
                    leader: Some(leader),
                }
            };
            self.answer(handover.id, outcome);
        }
    }

    pub(crate) fn expire_handover(&mut self) {
        let now = self.now;
        if let Some(handover) = self.handover.take_if(|handover| handover.until <= now) {
            if handover.is_sent {
                self.answer(handover.id, Outcome::Unknown);
            } else {
                self.refuse(handover.id, Refusal::TimedOut);
            }
        }
    }
}

#[cfg(test)]
mod tests;
