//! Snapshots: for a peer that the log cannot help any more.
//!
//! The leader offers, the peer accepts, the drivers carry the bytes, the peer
//! says what it has. A witness needs no bytes.
//!
//! Invariants:
//! - what is installed is ahead of the commit index, and nothing of the old log
//!   stays: had the log contained the snapshot's last entry, it would not have
//!   been needed;
//! - the membership comes with the snapshot, never from an entry it covers;
//! - a leader does not wait for ever for the fate of a snapshot: when it fails,
//!   when the peer is started anew, or after a timeout, it begins anew.

use std::sync::Arc;

use crate::mutants::{Mutant, planted};
use crate::node::{Node, State};
use crate::progress::Flow;
use crate::{
    Action, Health, Kind, LogId, Member, Membership, MembershipError, Message, NodeId, Refused,
    Session, SnapshotOutcome, Ticket,
};

impl Node {
    /// The log cannot help that peer.
    pub(crate) fn offer_snapshot(&mut self, to: NodeId) {
        let (term, since) = (self.vote.term, self.now);
        // The base if nothing is applied behind it; never before it.
        let index = self.applied.max(self.log.base().index);
        let Some(id) = self.log.term_at(index).map(|term| LogId::new(term, index)) else {
            return;
        };
        let membership = self.log.membership_at(index).clone();
        let Some(peer) = self
            .leader_mut()
            .and_then(|leader| leader.peers.get_mut(&to))
        else {
            return;
        };
        let next = peer.matched.next();
        peer.probe(next, true);
        peer.flow = Flow::Snapshot {
            since,
            started: false,
        };
        // What it will need of the log afterwards.
        peer.next = peer.next.max(id.index.next());
        let session = peer.session;
        self.send(
            to,
            Message::SnapshotOffer {
                term,
                session,
                id,
                membership,
            },
        );
    }

    /// The peer answers heartbeats, but not the offer: that may have got lost.
    pub(crate) fn offer_again(&mut self, to: NodeId) {
        let Some(peer) = self
            .leader_mut()
            .and_then(|leader| leader.peers.get_mut(&to))
        else {
            return;
        };
        if matches!(peer.flow, Flow::Snapshot { started: false, .. }) {
            self.offer_snapshot(to);
        }
    }

    pub(crate) fn on_snapshot_offer(
        &mut self,
        from: NodeId,
        session: Session,
        id: LogId,
        membership: Arc<Membership>,
    ) {
        if !self.hears(from, session) {
            return;
        }
        if id.index <= self.commit || self.log.contains(id) {
            let following = &mut self.following;
            following.agreed = following.agreed.max(id.index).max(self.commit);
            let upto = self.disk.durable().min(following.agreed);
            let outcome = if upto >= id.index {
                SnapshotOutcome::Stored { upto }
            } else {
                // It will be, as soon as the disk has written it.
                SnapshotOutcome::Refused
            };
            return self.answer_snapshot(from, session, outcome);
        }
        if self.disk.health != Health::Good {
            return self.answer_snapshot(from, session, SnapshotOutcome::Refused);
        }
        let kind = membership.member(self.config.id).map(|member| member.kind);
        if kind == Some(Kind::Witness) {
            return self.install_snapshot(id, membership);
        }
        self.answer_snapshot(from, session, SnapshotOutcome::Accepted);
    }

    fn answer_snapshot(&mut self, to: NodeId, session: Session, outcome: SnapshotOutcome) {
        let term = self.vote.term;
        self.send(
            to,
            Message::SnapshotAnswer {
                term,
                session,
                outcome,
            },
        );
    }

    /// The bytes of a snapshot are here.
    pub(crate) fn snapshot_stored(
        &mut self,
        from: NodeId,
        session: Session,
        id: LogId,
        membership: Membership,
    ) -> Result<(), Refused> {
        if !membership.members.values().any(Member::may_lead) {
            let error = MembershipError::NobodyCanLead;
            return Err(Refused::BadSnapshot { error });
        }
        if id.index <= self.commit || self.log.contains(id) {
            self.actions.push_back(Action::DropSnapshot { id });
            if self.is_stream(from, session) {
                self.acknowledge();
            }
            return Ok(());
        }
        self.install_snapshot(id, Arc::new(membership));
        Ok(())
    }

    fn is_stream(&self, from: NodeId, session: Session) -> bool {
        self.leader == Some(from) && self.following.session == session
    }

    /// The snapshot takes the place of the state and of the whole log.
    fn install_snapshot(&mut self, id: LogId, membership: Arc<Membership>) {
        if !matches!(self.state, State::Follower) {
            // It stood with a log that is no more.
            self.become_follower();
        }
        let old = self.commit;
        for (waiter, outcome) in self.waiters.expired(None) {
            self.answer(waiter, outcome);
        }
        self.disk.supersede(old.next());
        self.log.reset(id, membership.clone());
        let own = membership.member(self.config.id);
        self.is_witness |= own.is_some_and(|member| member.kind == Kind::Witness);
        self.commit = id.index;
        self.released_by_snapshot(id.index);
        self.following.agreed = id.index;
        let ticket = self.disk.begin_log(id.index, 0);
        self.installing = Some((ticket, id.index));
        self.actions.push_back(Action::InstallSnapshot {
            ticket,
            id,
            membership,
        });
    }

    /// A write ended: perhaps that of a snapshot.
    pub(crate) fn snapshot_persisted(&mut self, ticket: Ticket) {
        if let Some((_, index)) = self.installing.take_if(|(of, _)| *of == ticket) {
            self.applied = self.applied.max(index);
            self.serve_applied();
        }
    }

    pub(crate) fn snapshot_failed(&mut self, from: NodeId, session: Session) {
        if self.is_stream(from, session) {
            self.answer_snapshot(from, session, SnapshotOutcome::Refused);
        }
    }

    pub(crate) fn on_snapshot_answer(
        &mut self,
        from: NodeId,
        session: Session,
        outcome: SnapshotOutcome,
    ) {
        let (now, last, at_least) = (self.now, self.log.last(), self.applied);
        let base = self.log.base().index;
        let Some(leader) = self.leader_mut() else {
            return;
        };
        let of_session = leader
            .peers
            .get_mut(&from)
            .filter(|peer| peer.session == session);
        let Some(peer) = of_session else {
            return;
        };
        peer.heard = Some(now);
        match (outcome, peer.flow) {
            (SnapshotOutcome::Stored { upto }, _) if upto <= last => {
                if matches!(peer.flow, Flow::Snapshot { .. }) {
                    // The log helps from there on, or another one is offered.
                    peer.probe(upto.next(), false);
                }
                self.matched(from, upto);
            }
            (SnapshotOutcome::Accepted, Flow::Snapshot { started: false, .. }) => {
                peer.flow = Flow::Snapshot {
                    since: now,
                    started: true,
                };
                let (to, at_least) = (from, at_least.max(base));
                self.actions.push_back(Action::StartSnapshot {
                    to,
                    session,
                    at_least,
                });
            }
            (SnapshotOutcome::Refused, Flow::Snapshot { .. }) => {
                let next = peer.matched.next();
                peer.probe(next, true);
            }
            _ => {}
        }
    }

    /// The own driver has sent a snapshot, or could not.
    pub(crate) fn snapshot_sent(&mut self, to: NodeId, session: Session, is_sent: bool) {
        let since = self.now;
        let Some(leader) = self.leader_mut() else {
            return;
        };
        let of_session = leader
            .peers
            .get_mut(&to)
            .filter(|peer| peer.session == session);
        let Some(peer) = of_session else {
            return;
        };
        if let Flow::Snapshot { started: true, .. } = peer.flow {
            if is_sent {
                peer.flow = Flow::Snapshot {
                    since,
                    started: true,
                };
            } else if !planted(Mutant::SnapshotNeverGivenUp) {
                let next = peer.matched.next();
                peer.probe(next, true);
            }
        }
    }

    /// Those of which nothing was heard for too long.
    pub(crate) fn expire_snapshots(&mut self) {
        let (now, timeout) = (self.now, self.config.snapshot_timeout);
        let State::Leader(leader) = &self.state else {
            return;
        };
        if planted(Mutant::SnapshotNeverGivenUp) {
            return;
        }
        let is_over =
            |flow: Flow| matches!(flow, Flow::Snapshot { since, .. } if since + timeout <= now);
        let over = leader.peers.iter().filter(|(_, peer)| is_over(peer.flow));
        let over: Vec<NodeId> = over.map(|(id, _)| *id).collect();
        for id in over {
            self.offer_snapshot(id);
        }
    }
}

#[cfg(test)]
mod tests;
