//! Reads that see all that was acknowledged before they were asked for.
//!
//! A leader takes its commit index, makes sure with a round of heartbeats sent
//! afterwards that it still leads, and lets the read be served once that index
//! is applied. A follower asks its leader for the index. With a lease the
//! leader knows without a round that nobody else can lead yet.
//!
//! Invariants:
//! - a read is confirmed by a round sent after it came, known by a token that
//!   the leader made, never by one of the asker;
//! - no read before the leader committed in its own term: until then it may
//!   not know what is committed;
//! - a follower's asking is named by its incarnation, too: an answer to an
//!   asking before a restart confirms nothing after it;
//! - one round serves all who came before it; those who come meanwhile wait
//!   for the next;
//! - the lease ends before any promise on which it rests, for clocks whose
//!   rates differ by no more than assumed, and is off from the moment in which
//!   somebody may have been told to stand.

use std::collections::VecDeque;

use crate::mutants::{Mutant, planted};
use crate::node::{Node, State};
use crate::{
    Action, Consistency, Index, Message, NodeId, Outcome, ReadRound, Refusal, RequestId, Time,
    Token,
};

#[derive(Clone, Copy, Debug, Hash)]
enum Reader {
    Local(RequestId),
    Remote(NodeId, ReadRound),
}

/// A read that waits for a round.
#[derive(Clone, Debug, Hash)]
struct Pending {
    reader: Reader,
    index: Index,
    token: Token,
}

/// What a follower has asked its leader for.
#[derive(Clone, Debug, Hash)]
struct Asking {
    round: ReadRound,
    lease: bool,
    ids: Vec<RequestId>,
    /// When it was asked last.
    asked: Time,
    until: Time,
}

#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Reads {
    /// At a leader that has not committed in its term.
    early: Vec<Reader>,
    /// At a leader, by token.
    pending: VecDeque<Pending>,
    asking: Option<Asking>,
    /// At a follower, behind what it is asking for; with whether a lease will do.
    queued: Vec<(RequestId, bool)>,
    last_asking: u64,
    /// Confirmed, until enough is applied; by index.
    applying: VecDeque<(Index, RequestId)>,
    /// When those give up, unless something is applied before: the node may
    /// be a member no more, and never hear of what they wait for.
    applying_until: Option<Time>,
}

impl Reads {
    pub(crate) fn len(&self) -> usize {
        let asking = self.asking.as_ref().map_or(0, |asking| asking.ids.len());
        self.early.len() + self.pending.len() + asking + self.queued.len() + self.applying.len()
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let asking = self.asking.as_ref().map(|asking| asking.until);
        asking.into_iter().chain(self.applying_until).min()
    }
}

impl Node {
    pub(crate) fn read(&mut self, id: RequestId, consistency: Consistency) {
        let is_fresh = consistency != Consistency::Local;
        if self.has_no_state() || (is_fresh && !self.delay().is_zero()) {
            return self.refuse(id, Refusal::NoState);
        }
        if is_fresh && self.kind().is_none() {
            // No member, or not yet: its leader sends it nothing.
            let leader = self.leader;
            return self.answer(id, Outcome::NotLeader { leader });
        }
        if !is_fresh {
            let index = self.applied;
            self.actions.push_back(Action::ReadReady { id, index });
            return;
        }
        let (waiting, limit) = (self.reads.len(), self.config.max_pending_reads);
        if waiting >= limit {
            return self.refuse(id, Refusal::TooBusy { waiting, limit });
        }
        let lease = consistency == Consistency::Lease;
        if matches!(self.state, State::Leader(_)) {
            self.read_at_leader(Reader::Local(id), lease);
        } else if self.leader.is_none() {
            self.answer(id, Outcome::NotLeader { leader: None });
        } else {
            self.reads.queued.push((id, lease));
            self.ask();
        }
    }

    pub(crate) fn on_read_index(&mut self, from: NodeId, round: ReadRound, lease: bool) {
        let is_full = self.reads.len() >= self.config.max_pending_reads;
        // Whoever is a member no more would never get what it waits for.
        let is_peer = match &self.state {
            State::Leader(leader) => leader.peers.contains_key(&from),
            _ => false,
        };
        if is_peer && !is_full {
            self.read_at_leader(Reader::Remote(from, round), lease);
        } else {
            let (term, index) = (self.vote.term, None);
            self.send(from, Message::ReadIndexAnswer { term, round, index });
        }
    }

    fn read_at_leader(&mut self, reader: Reader, lease: bool) {
        let (now, index) = (self.now, self.commit);
        let lease_until = self.lease_until();
        let Self {
            state: State::Leader(leader),
            reads,
            ..
        } = self
        else {
            return;
        };
        if index < leader.first && !planted(Mutant::ReadBeforeFirstCommit) {
            reads.early.push(reader);
            return;
        }
        let is_leased = lease && lease_until.is_some_and(|until| now < until);
        if is_leased || planted(Mutant::ReadWithoutQuorum) {
            return self.confirmed(reader, index);
        }
        let token = if planted(Mutant::TokenReuse) {
            leader.round
        } else {
            leader.round.next()
        };
        // One round under way for reads is enough; the next serves this one.
        let is_asking = reads
            .pending
            .front()
            .is_some_and(|first| first.token <= leader.round);
        reads.pending.push_back(Pending {
            reader,
            index,
            token,
        });
        if !is_asking {
            self.start_round();
        }
    }

    /// The leader has committed in its term.
    pub(crate) fn begin_reads(&mut self) {
        for reader in std::mem::take(&mut self.reads.early) {
            self.read_at_leader(reader, false);
        }
    }

    /// A quorum has answered a round.
    pub(crate) fn confirm_reads(&mut self, token: Token) {
        while self
            .reads
            .pending
            .front()
            .is_some_and(|first| first.token <= token)
        {
            if let Some(Pending { reader, index, .. }) = self.reads.pending.pop_front() {
                self.confirmed(reader, index);
            }
        }
        let Self {
            state: State::Leader(leader),
            reads,
            ..
        } = self
        else {
            return;
        };
        if reads
            .pending
            .front()
            .is_some_and(|first| first.token > leader.round)
        {
            self.start_round();
        }
    }

    fn confirmed(&mut self, reader: Reader, index: Index) {
        match reader {
            Reader::Remote(to, round) => {
                let (term, index) = (self.vote.term, Some(index));
                self.send(to, Message::ReadIndexAnswer { term, round, index });
            }
            Reader::Local(id) => self.serve(id, index),
        }
    }

    /// Lets a read be served as soon as enough is applied.
    fn serve(&mut self, id: RequestId, index: Index) {
        let applying = &mut self.reads.applying;
        let place = applying.partition_point(|(other, _)| *other <= index);
        applying.insert(place, (index, id));
        let until = self.now + self.config.unknown_after;
        self.reads.applying_until.get_or_insert(until);
        self.serve_applied();
    }

    /// Something was applied: those who wait for more may wait on.
    pub(crate) fn reads_go_on(&mut self) {
        self.reads.applying_until = Some(self.now + self.config.unknown_after);
    }

    /// More is applied.
    pub(crate) fn serve_applied(&mut self) {
        if self.has_no_state() {
            // It may have learned just now that it is one.
            return self.give_up_applying(&Refusal::NoState);
        }
        let all = planted(Mutant::ReadBeforeApplied);
        let Self {
            reads,
            applied,
            actions,
            ..
        } = self;
        while reads
            .applying
            .front()
            .is_some_and(|(index, _)| index <= applied || all)
        {
            if let Some((index, id)) = reads.applying.pop_front() {
                actions.push_back(Action::ReadReady { id, index });
            }
        }
        if reads.applying.is_empty() {
            reads.applying_until = None;
        }
    }

    /// Asks the leader for a read index, unless it is being asked.
    fn ask(&mut self) {
        if self.reads.asking.is_some() || self.reads.queued.is_empty() {
            return;
        }
        let queued = std::mem::take(&mut self.reads.queued);
        let lease = queued.iter().all(|(_, lease)| *lease);
        let ids = queued.into_iter().map(|(id, _)| id).collect();
        self.reads.last_asking += 1;
        let (incarnation, number) = (self.incarnation, self.reads.last_asking);
        let round = ReadRound {
            incarnation,
            number,
        };
        let (asked, until) = (self.now, self.now + 2 * self.config.election_timeout);
        self.reads.asking = Some(Asking {
            round,
            lease,
            ids,
            asked,
            until,
        });
        self.send_asking();
    }

    /// Asks once more if question or answer seem to have got lost.
    pub(crate) fn ask_again(&mut self) {
        let (now, patience) = (self.now, self.config.heartbeat_interval);
        let Some(asking) = &mut self.reads.asking else {
            return;
        };
        if now - asking.asked >= patience {
            asking.asked = now;
            self.send_asking();
        }
    }

    fn send_asking(&mut self) {
        let (term, leader) = (self.vote.term, self.leader);
        if let (Some(asking), Some(leader)) = (&self.reads.asking, leader) {
            let (round, lease) = (asking.round, asking.lease);
            self.send(leader, Message::ReadIndex { term, round, lease });
        }
    }

    pub(crate) fn on_read_index_answer(
        &mut self,
        from: NodeId,
        round: ReadRound,
        index: Option<Index>,
    ) {
        let is_answer = self
            .reads
            .asking
            .as_ref()
            .is_some_and(|asking| asking.round == round);
        if !is_answer || self.leader != Some(from) {
            return;
        }
        let Some(asking) = self.reads.asking.take() else {
            return;
        };
        for id in asking.ids {
            match index {
                Some(index) => self.serve(id, index),
                None => self.answer(
                    id,
                    Outcome::NotLeader {
                        leader: self.leader,
                    },
                ),
            }
        }
        self.ask();
    }

    pub(crate) fn expire_reads(&mut self) {
        let now = self.now;
        if let Some(asking) = self.reads.asking.take_if(|asking| asking.until <= now) {
            for id in asking.ids {
                self.refuse(id, Refusal::TimedOut);
            }
            self.ask();
        }
        if self.reads.applying_until.is_some_and(|until| until <= now) {
            self.give_up_applying(&Refusal::TimedOut);
        }
    }

    /// The leader is another one, or none: whoever waited for it may ask
    /// again. What is confirmed stays so.
    pub(crate) fn forget_reads(&mut self) {
        let Reads {
            early,
            pending,
            asking,
            queued,
            ..
        } = &mut self.reads;
        let mut ids = Vec::new();
        let at_leader = early
            .drain(..)
            .chain(pending.drain(..).map(|read| read.reader));
        for reader in at_leader {
            match reader {
                Reader::Local(id) => ids.push(id),
                // It hears of the new leader by itself.
                Reader::Remote(..) => {}
            }
        }
        ids.extend(asking.take().map(|asking| asking.ids).unwrap_or_default());
        ids.extend(queued.drain(..).map(|(id, _)| id));
        if planted(Mutant::ReadsForgottenAtStepDown) {
            return;
        }
        for id in ids {
            self.answer(id, Outcome::NotLeader { leader: None });
        }
    }

    /// Those who wait until enough is applied wait in vain.
    pub(crate) fn give_up_applying(&mut self, refusal: &Refusal) {
        self.reads.applying_until = None;
        for (_, id) in std::mem::take(&mut self.reads.applying) {
            self.refuse(id, refusal.clone());
        }
    }

    /// Until when nobody else can lead, whatever happens; `None` if that
    /// cannot be told.
    pub(crate) fn lease_until(&self) -> Option<Time> {
        let State::Leader(leader) = &self.state else {
            return None;
        };
        let lease = self.config.lease?;
        let is_off = self.handover.is_some() || leader.is_lease_off;
        if is_off && !planted(Mutant::LeaseDuringTransfer) {
            return None;
        }
        let begin = if planted(Mutant::LeaseFromReceipt) {
            leader.answered_at
        } else {
            leader.basis_of(self.confirmed_token())?
        };
        let timeout = self.config.election_timeout;
        Some(begin + timeout * (1000 - lease.max_drift_per_mille) / 1000)
    }
}

#[cfg(test)]
mod tests;
