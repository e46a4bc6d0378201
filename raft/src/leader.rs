//! A leader: rounds of heartbeats, proposals, what is committed.
//!
//! Invariants:
//! - an entry is committed once a quorum has it durably *and* it is of the
//!   leader's own term; older ones are committed by it. The leader's own disk
//!   counts like any other;
//! - a round of heartbeats is counted from when it was sent, never from when
//!   it was answered;
//! - a leader whom no quorum has answered for an election timeout steps down;
//! - a leader that is removed leads until its removal is committed, without
//!   counting itself.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use crate::mutants::{Mutant, planted};
use crate::node::{Node, State};
use crate::progress::{Flow, Progress};
use crate::quorum::reached;
use crate::{
    Action, Body, Config, Entry, Index, LogId, Message, NodeId, Outcome, Payload, Refusal,
    RequestId, Session, Time, Token,
};

/// A round of heartbeats.
#[derive(Clone, Copy, Debug, Hash)]
struct Round {
    token: Token,
    sent: Time,
    /// When the last round was sent that a quorum had answered by then: what
    /// the followers take as the beginning of their promise.
    basis: Time,
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Leader {
    /// The first entry of its term.
    pub(crate) first: Index,
    pub(crate) peers: BTreeMap<NodeId, Progress>,
    /// The newest round.
    pub(crate) round: Token,
    rounds: VecDeque<Round>,
    quorum_at: Time,
    heartbeat_at: Time,
    /// Somebody may have been told to stand: no read is served by the lease
    /// any more in this term, since the word may arrive at any time.
    pub(crate) is_lease_off: bool,
    /// For the bug of that name.
    pub(crate) answered_at: Time,
}

impl Leader {
    /// When the newest round was sent that a quorum has answered.
    pub(crate) fn quorum_at(&self) -> Time {
        self.quorum_at
    }

    pub(crate) fn deadline(&self, config: &Config) -> Time {
        // With these bugs what is due stays due, and time would stand still.
        let never = [
            Mutant::NoCheckQuorum,
            Mutant::LoyalToLeaderWithoutQuorum,
            Mutant::SnapshotNeverGivenUp,
        ];
        if never.into_iter().any(planted) {
            return self.heartbeat_at;
        }
        let snapshots = self.peers.values().filter_map(|peer| match peer.flow {
            Flow::Snapshot { since, .. } => Some(since + config.snapshot_timeout),
            _ => None,
        });
        let quorum = self.quorum_at + config.election_timeout;
        snapshots.fold(self.heartbeat_at.min(quorum), Time::min)
    }

    /// The beginning of the promise that the round gave.
    pub(crate) fn basis_of(&self, token: Token) -> Option<Time> {
        let mut rounds = self.rounds.iter();
        rounds
            .find(|round| round.token == token)
            .map(|round| round.basis)
    }
}

impl Node {
    /// Elected.
    pub(crate) fn lead(&mut self) {
        self.become_follower();
        self.leader = Some(self.config.id);
        self.state = State::Leader(Box::new(Leader {
            first: self.log.last().next(),
            peers: BTreeMap::new(),
            round: Token(0),
            rounds: VecDeque::new(),
            quorum_at: self.now,
            heartbeat_at: self.now,
            is_lease_off: false,
            answered_at: self.now,
        }));
        self.handover_ended(self.config.id);
        self.meet_peers();
        // The founding membership is in no entry. The first entry of all makes
        // it one, so that whoever has the log knows the membership at any index.
        let is_founding = self.log.membership_id().index == Index(0);
        self.append(vec![if is_founding {
            Body::Membership(self.log.membership().clone())
        } else {
            Body::NoOp
        }]);
        self.start_round();
    }

    pub(crate) fn leader_mut(&mut self) -> Option<&mut Leader> {
        match &mut self.state {
            State::Leader(leader) => Some(leader),
            _ => None,
        }
    }

    /// The peer after that one, or the first: a way through all of them while
    /// the node changes.
    pub(crate) fn peer_after(&self, at: Option<NodeId>) -> Option<NodeId> {
        let State::Leader(leader) = &self.state else {
            return None;
        };
        let from = at.map_or(Bound::Unbounded, Bound::Excluded);
        let mut later = leader.peers.range((from, Bound::Unbounded));
        later.next().map(|(id, _)| *id)
    }

    /// Every member has a stream. Whoever is a member no more keeps it until
    /// that is committed, so as to learn of it.
    pub(crate) fn meet_peers(&mut self) {
        let membership = self.membership().clone();
        let (own, next) = (self.config.id, self.log.last().next());
        let is_settled = self.log.membership_id().index <= self.commit;
        let Self {
            state: State::Leader(leader),
            last_session,
            ..
        } = self
        else {
            return;
        };
        for id in membership.everybody() {
            if id != own && !leader.peers.contains_key(&id) {
                *last_session = last_session.next();
                leader.peers.insert(id, Progress::new(*last_session, next));
            }
        }
        if is_settled {
            leader
                .peers
                .retain(|id, _| membership.member(*id).is_some());
        }
    }

    pub(crate) fn tick_leader(&mut self) {
        let (now, timeout) = (self.now, self.config.election_timeout);
        let Some(leader) = self.leader_mut() else {
            return;
        };
        let goes_on = planted(Mutant::NoCheckQuorum) || planted(Mutant::LoyalToLeaderWithoutQuorum);
        if now - leader.quorum_at >= timeout && !goes_on {
            return self.step_down();
        }
        self.expire_snapshots();
        if self
            .leader_mut()
            .is_some_and(|leader| now >= leader.heartbeat_at)
        {
            self.start_round();
            // The word may have got lost.
            self.try_handover();
        }
    }

    /// Sends a heartbeat to everybody.
    pub(crate) fn start_round(&mut self) {
        let (now, interval) = (self.now, self.config.heartbeat_interval);
        let Some(leader) = self.leader_mut() else {
            return;
        };
        leader.round = leader.round.next();
        leader.heartbeat_at = now + interval;
        let (token, sent, basis) = (leader.round, now, leader.quorum_at);
        leader.rounds.push_back(Round { token, sent, basis });
        let mut at = None;
        while let Some(to) = self.peer_after(at) {
            self.send_heartbeat(to);
            at = Some(to);
        }
        self.confirm_rounds();
    }

    fn send_heartbeat(&mut self, to: NodeId) {
        let (term, now, commit) = (self.vote.term, self.now, self.commit);
        let Some(leader) = self.leader_mut() else {
            return;
        };
        let (token, quorum_at) = (leader.round, leader.quorum_at);
        let Some(peer) = leader.peers.get_mut(&to) else {
            return;
        };
        let commit = if planted(Mutant::CommitFromHeartbeatUnmatched) {
            commit
        } else {
            commit.min(peer.matched)
        };
        let session = peer.session;
        let quorum_age = if planted(Mutant::LoyalToLeaderWithoutQuorum) {
            std::time::Duration::ZERO
        } else {
            now - quorum_at
        };
        self.send(
            to,
            Message::Heartbeat {
                term,
                session,
                commit,
                token,
                quorum_age,
            },
        );
    }

    pub(crate) fn on_heartbeat_answer(
        &mut self,
        from: NodeId,
        session: Session,
        token: Token,
        incarnation: u64,
    ) {
        let (now, next) = (self.now, self.log.last().next());
        let Self {
            state: State::Leader(leader),
            last_session,
            ..
        } = self
        else {
            return;
        };
        let round = leader.round;
        let of_session = leader
            .peers
            .get_mut(&from)
            .filter(|peer| peer.session == session);
        let Some(peer) = of_session.filter(|_| token <= round) else {
            return;
        };
        peer.heard = Some(now);
        peer.confirmed = peer.confirmed.max(token);
        let known = *peer.incarnation.get_or_insert(incarnation);
        if incarnation > known && !planted(Mutant::AckAfterRestartCounts) {
            // It has forgotten what was under way, and has to show what it has.
            let (confirmed, incarnation) = (peer.confirmed, Some(incarnation));
            *last_session = last_session.next();
            let mut fresh = Progress::new(*last_session, next);
            (fresh.confirmed, fresh.heard, fresh.incarnation) = (confirmed, Some(now), incarnation);
            leader.peers.insert(from, fresh);
        }
        self.resume(from);
        self.confirm_rounds();
    }

    /// Whom a quorum has answered by now.
    pub(crate) fn confirmed_token(&self) -> Token {
        let State::Leader(leader) = &self.state else {
            return Token(0);
        };
        reached(self.membership(), |id| {
            let own = (id == self.config.id).then_some(leader.round);
            own.or_else(|| leader.peers.get(&id).map(|peer| peer.confirmed))
                .unwrap_or_default()
        })
    }

    fn confirm_rounds(&mut self) {
        let (token, now) = (self.confirmed_token(), self.now);
        let Some(leader) = self.leader_mut() else {
            return;
        };
        while leader
            .rounds
            .front()
            .is_some_and(|round| round.token < token)
        {
            leader.rounds.pop_front();
        }
        if let Some(round) = leader.rounds.front().filter(|round| round.token == token) {
            if round.sent > leader.quorum_at {
                leader.answered_at = now;
            }
            leader.quorum_at = leader.quorum_at.max(round.sent);
        }
        self.confirm_reads(token);
    }

    pub(crate) fn propose(&mut self, id: RequestId, payloads: Vec<Payload>) {
        let State::Leader(_) = self.state else {
            let leader = self.leader;
            return self.answer(id, Outcome::NotLeader { leader });
        };
        if self.handover.is_some() && !planted(Mutant::ProposalDuringTransfer) {
            return self.refuse(id, Refusal::Transferring);
        }
        let limit = self.config.max_payload_bytes;
        let longest = payloads.iter().map(|payload| payload.0.len()).max();
        let found = longest.unwrap_or(0);
        if longest.is_none() || found > limit {
            return self.refuse(id, Refusal::BadLen { found, limit });
        }
        let cost = |payload: &Payload| crate::ENTRY_OVERHEAD_BYTES + payload.0.len();
        let bytes = payloads.iter().map(cost).sum::<usize>();
        let (waiting, limit) = (self.waiters.bytes(), self.config.max_uncommitted_bytes);
        if waiting > 0 && waiting.saturating_add(bytes) > limit {
            return self.refuse(id, Refusal::TooBusy { waiting, limit });
        }
        // A quorum without this node may commit faster than its disk writes.
        let (waiting, limit) = (
            self.disk.unpersisted_bytes(),
            self.config.max_unpersisted_bytes,
        );
        if waiting > 0 && waiting.saturating_add(bytes) > limit {
            return self.refuse(id, Refusal::TooBusy { waiting, limit });
        }
        let first = self.log.last().next();
        let last = LogId::new(self.vote.term, Index(first.0 + payloads.len() as u64 - 1));
        self.waiters.add(id, last, bytes);
        self.append(payloads.into_iter().map(Body::Data).collect());
    }

    /// Puts entries of this term at the end of the log, and on their way.
    pub(crate) fn append(&mut self, bodies: Vec<Body>) {
        let (term, mut index) = (self.vote.term, self.log.last());
        let mut entries = Vec::with_capacity(bodies.len());
        let mut bytes = 0;
        for body in bodies {
            index = index.next();
            let id = LogId::new(term, index);
            let entry = Entry { id, body };
            bytes += entry.bytes();
            self.log.append(entry.clone());
            entries.push(entry);
        }
        let ticket = self.disk.begin_log(index, bytes);
        self.actions.push_back(Action::Append { ticket, entries });
        self.replicate_all();
    }

    /// Commits what a quorum has.
    pub(crate) fn advance_commit(&mut self) {
        let State::Leader(leader) = &self.state else {
            return;
        };
        let durable = self.disk.durable();
        let commit = reached(self.membership(), |id| {
            let own = (id == self.config.id).then_some(durable);
            own.or_else(|| leader.peers.get(&id).map(|peer| peer.matched))
                .unwrap_or_default()
        });
        let is_own = self.log.term_at(commit) == Some(self.vote.term);
        if commit <= self.commit || !(is_own || planted(Mutant::CommitOldTermByCount)) {
            return;
        }
        let first = leader.first;
        let was_early = self.commit < first;
        self.set_commit(commit);
        if was_early && commit >= first {
            self.begin_reads();
        }
        self.membership_committed();
        self.replicate_all();
    }

    /// Leads no more, for reasons of its own, and lets the best one know.
    pub(crate) fn hand_on(&mut self) {
        // One who lacks what is committed could not win.
        let has_all = |id: &NodeId| match &self.state {
            State::Leader(leader) => leader
                .peers
                .get(id)
                .is_some_and(|peer| peer.matched >= self.commit),
            _ => false,
        };
        let best = self.best_successor().filter(has_all);
        let term = self.vote.term;
        self.step_down();
        if let Some(to) = best {
            self.send(to, Message::TimeoutNow { term });
        }
    }
}

#[cfg(test)]
mod tests;
