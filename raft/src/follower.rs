//! A follower: takes entries, acknowledges what is durable.
//!
//! Invariants:
//! - what is acknowledged is durable here and the same as in the leader's log;
//! - the commit index never goes beyond what is known to be the leader's;
//! - only a leader that hears from a quorum is waited for: heartbeats say how
//!   long ago it did, and nothing else counts as a sign of life;
//! - a committed entry is never superseded.

use std::time::Duration;

use crate::mutants::{Mutant, planted};
use crate::node::{Node, State};
use crate::{Action, AppendOutcome, Entry, Index, LogId, Message, NodeId, Session, Term, Token};

impl Node {
    /// Follows the sender in this term. Not if this node leads in it itself,
    /// and not in a stream that has been replaced.
    pub(crate) fn hears(&mut self, from: NodeId, session: Session) -> bool {
        if matches!(self.state, State::Leader(_)) {
            return false;
        }
        self.follow(from);
        let is_current = session >= self.following.session;
        self.following.session = self.following.session.max(session);
        is_current
    }

    pub(crate) fn on_heartbeat(
        &mut self,
        from: NodeId,
        session: Session,
        commit: Index,
        token: Token,
        quorum_age: Duration,
    ) {
        if !self.hears(from, session) {
            return;
        }
        let timeout = self.config.election_timeout;
        self.loyal_until = self
            .loyal_until
            .max(self.now + timeout.saturating_sub(quorum_age));
        let wait = self.timeout.saturating_sub(quorum_age);
        self.campaign_at = self.campaign_at.max(self.now + wait);
        let known = if planted(Mutant::CommitFromHeartbeatUnmatched) {
            self.log.last()
        } else {
            self.following.agreed
        };
        self.set_commit(commit.min(known));
        let (term, incarnation) = (self.vote.term, self.incarnation);
        self.send(
            from,
            Message::HeartbeatAnswer {
                term,
                session,
                token,
                incarnation,
            },
        );
        self.ask_again();
    }

    pub(crate) fn on_append(
        &mut self,
        from: NodeId,
        session: Session,
        previous: LogId,
        entries: Vec<Entry>,
        commit: Index,
    ) {
        if !self.hears(from, session) {
            return;
        }
        let base = self.log.base().index;
        let has_previous = if planted(Mutant::AppendOverMismatch) {
            previous.index <= self.log.last()
        } else {
            // Everything up to the base is committed, so it is the leader's too.
            previous.index <= base || self.log.contains(previous)
        };
        if !has_previous {
            let hint = self.log.last_at_most(previous.index, previous.term);
            let previous = previous.index;
            return self.answer_append(AppendOutcome::Rejected { previous, hint });
        }
        if !is_contiguous(previous, self.vote.term, &entries) {
            return;
        }
        let last = entries
            .last()
            .map_or(previous.index, |entry| entry.id.index);
        let new = entries
            .into_iter()
            .skip_while(|entry| entry.id.index <= base || self.log.contains(entry.id));
        let new: Vec<Entry> = new.collect();
        let bytes = new.iter().map(Entry::bytes).sum::<usize>();
        let unpersisted = self.disk.unpersisted_bytes();
        if unpersisted > 0 && unpersisted.saturating_add(bytes) > self.config.max_unpersisted_bytes
        {
            return self.answer_append(AppendOutcome::Busy);
        }
        let has_new = !new.is_empty();
        if has_new {
            self.take_entries(new, bytes);
        }
        self.following.agreed = self.following.agreed.max(last).max(self.log.base().index);
        self.set_commit(commit.min(self.following.agreed));
        // New ones are acknowledged when they are durable.
        if !has_new || planted(Mutant::AnswerBeforeDurable) {
            self.acknowledge();
        }
    }

    /// Writes entries, of which the first differs from what is there.
    fn take_entries(&mut self, entries: Vec<Entry>, bytes: usize) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return;
        };
        let (from, upto) = (first.id.index, last.id.index);
        if from <= self.log.last() {
            assert!(
                from > self.commit,
                "entry {from} is committed and cannot be superseded"
            );
            self.log.truncate(from);
            self.disk.supersede(from);
            self.waiters.truncated(from);
            self.actions.push_back(Action::SupersedeTail { from });
        }
        for entry in &entries {
            self.log.append(entry.clone());
        }
        let ticket = self.disk.begin_log(upto, bytes);
        self.actions.push_back(Action::Append { ticket, entries });
    }

    /// Tells the leader what is durable.
    pub(crate) fn acknowledge(&mut self) {
        let durable = if planted(Mutant::AnswerBeforeDurable) {
            self.log.last()
        } else {
            self.disk.durable()
        };
        let upto = durable.min(self.following.agreed);
        self.answer_append(AppendOutcome::Matched { upto });
    }

    fn answer_append(&mut self, outcome: AppendOutcome) {
        let (term, session) = (self.vote.term, self.following.session);
        if let Some(leader) = self.leader.filter(|leader| *leader != self.config.id) {
            self.send(
                leader,
                Message::AppendAnswer {
                    term,
                    session,
                    outcome,
                },
            );
        }
    }
}

/// Whether the entries follow `previous` without gaps, in terms that a leader
/// of `term` can have.
fn is_contiguous(previous: LogId, term: Term, entries: &[Entry]) -> bool {
    let mut before = previous;
    entries.iter().all(|entry| {
        let follows = entry.id.index == before.index.next() && entry.id.term >= before.term;
        before = entry.id;
        follows && entry.id.term <= term
    })
}

#[cfg(test)]
mod tests;
