//! Elections: who stands, who is voted for.
//!
//! Before a node stands it asks whether it would be elected (pre-vote), so that
//! one that was cut off does not raise the term when it comes back.
//!
//! Invariants:
//! - one vote in a term, and only for a log that is at least as new;
//! - a refused pre-vote brings the higher term along: else two nodes, one with
//!   the newer log and one with the newer term, could refuse each other for ever;
//! - a voter never asks its own membership whether it is one: the candidate may
//!   know a newer one;
//! - a node whose newest membership is not known to be committed may stand if
//!   any membership that may count makes it a voter: else the only log that can
//!   win might belong to a node that may not try.

use std::collections::BTreeMap;

use crate::mutants::{Mutant, planted};
use crate::node::{Node, State};
use crate::quorum::{Tally, tally};
use crate::{Health, Kind, LogId, Message, NodeId, Term, Vote};

/// What the others said so far.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Poll {
    answers: BTreeMap<NodeId, bool>,
}

impl Node {
    /// The time has come to ask for votes.
    pub(crate) fn stand(&mut self) {
        self.wait_for_leader();
        // Every timeout ends after the promise; this is the rule itself.
        if !self.may_stand() || self.is_loyal() {
            return;
        }
        self.become_follower();
        self.state = State::PreCandidate(Poll::default());
        let (term, last) = (self.vote.term, self.last_id());
        self.ask_voters(&Message::PreVote { term, last });
        self.on_pre_vote_answer(self.config.id, term.next(), true);
    }

    /// Stands for election in the next term; `forced` by the leader itself.
    pub(crate) fn campaign(&mut self, forced: bool) {
        self.wait_for_leader();
        let (term, voted_for) = (self.vote.term.next(), Some(self.config.id));
        // Counted for itself only once it is durable.
        self.enter_term(Vote { term, voted_for });
        self.state = State::Candidate(Poll::default());
        let last = self.last_id();
        self.ask_voters(&Message::Vote { term, last, forced });
    }

    fn ask_voters(&mut self, message: &Message) {
        let membership = self.membership().clone();
        for id in membership.everybody() {
            if id != self.config.id && membership.counts(id) {
                self.send(id, message.clone());
            }
        }
    }

    pub(crate) fn may_stand(&self) -> bool {
        let id = self.config.id;
        let mut memberships = self.log.memberships_from(self.commit);
        let is_voter = memberships.any(|membership| membership.may_lead(id));
        let is_planted = planted(Mutant::WitnessLeads) && self.membership().counts(id);
        // After a snapshot the state is not there before it is installed.
        let has_state = self.applied >= self.log.base().index;
        // A broken peer may have brought the last term there is: nobody stands after it.
        let has_term = self.vote.term.next() > self.vote.term;
        let is_healthy = self.disk.health == Health::Good;
        let leads = (is_voter && !self.is_witness) || is_planted;
        leads && has_state && has_term && is_healthy
    }

    /// How much less likely this node should lead than the likeliest, 0 to 255.
    pub(crate) fn priority_behind(&self) -> u8 {
        let priority = |member: &crate::Member| match member.kind {
            Kind::Voter { priority } => priority,
            _ => 0,
        };
        let membership = self.membership();
        let highest = membership.members.values().map(priority).max().unwrap_or(0);
        let own = membership.member(self.config.id).map_or(0, priority);
        highest.saturating_sub(own)
    }

    /// Whether there is a leader with a quorum, as far as this node can know.
    pub(crate) fn is_loyal(&self) -> bool {
        match &self.state {
            State::Leader(leader) => self.now - leader.quorum_at() < self.config.election_timeout,
            _ => self.now < self.loyal_until,
        }
    }

    pub(crate) fn on_pre_vote(&mut self, from: NodeId, term: Term, last: LogId) {
        let is_newer = term >= self.vote.term && last >= self.last_id();
        let granted = is_newer && !self.is_loyal() && self.disk.health == Health::Good;
        let asked = term.next();
        let mut own = self.vote.term;
        if planted(Mutant::PreVoteRefusalWithoutTerm) {
            own = own.min(term);
        }
        self.send(
            from,
            Message::PreVoteAnswer {
                term: own,
                asked,
                granted,
            },
        );
    }

    pub(crate) fn on_pre_vote_answer(&mut self, from: NodeId, asked: Term, granted: bool) {
        let membership = self.membership().clone();
        let State::PreCandidate(poll) = &mut self.state else {
            return;
        };
        if asked != self.vote.term.next() {
            return;
        }
        poll.answers.insert(from, granted);
        // One that is refused waits and asks again: an answer may change.
        if tally(&membership, |id| poll.answers.get(&id).copied()) == Tally::Won {
            self.campaign(false);
        }
    }

    pub(crate) fn on_vote(&mut self, from: NodeId, last: LogId) {
        let is_free = match self.vote.voted_for {
            None => self.leader.is_none(),
            Some(other) => other == from || planted(Mutant::DoubleVote),
        };
        let is_newer = last >= self.last_id() || planted(Mutant::VoteWithoutLogCheck);
        let is_healthy = self.disk.health == Health::Good || planted(Mutant::VoteWhilePoisoned);
        let is_member =
            self.membership().counts(self.config.id) || !planted(Mutant::VoterAsksOwnMembership);
        let granted = is_free && is_newer && is_healthy && is_member;
        let term = self.vote.term;
        if granted {
            if self.vote.voted_for != Some(from) {
                self.vote.voted_for = Some(from);
                self.save_vote();
            }
            self.wait_for_leader();
        }
        self.send(from, Message::VoteAnswer { term, granted });
    }

    pub(crate) fn on_vote_answer(&mut self, from: NodeId, granted: bool) {
        self.count_vote(from, granted);
    }

    pub(crate) fn count_vote(&mut self, from: NodeId, granted: bool) {
        let membership = self.membership().clone();
        let State::Candidate(poll) = &mut self.state else {
            return;
        };
        poll.answers.insert(from, granted);
        match tally(&membership, |id| poll.answers.get(&id).copied()) {
            Tally::Won => self.lead(),
            Tally::Lost => self.become_follower(),
            Tally::Open => {}
        }
    }
}

#[cfg(test)]
mod tests;
