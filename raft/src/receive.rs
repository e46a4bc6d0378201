//! What a message means, whoever gets it: the rules about terms.
//!
//! Invariants:
//! - a newer term is entered before its message is looked at, an older one is
//!   told that it is;
//! - whoever owes a leader loyalty is neither moved to a newer term by a vote
//!   nor votes, whatever its own term: the promise is one of time;
//! - only the leader itself may call for an election against its own followers.

use crate::node::Node;
use crate::{Message, NodeId, Token, Vote};

impl Node {
    pub(crate) fn receive(&mut self, from: NodeId, message: Message) {
        if from == self.config.id {
            // Nobody talks to itself; a driver that mixes up its peers does.
            return;
        }
        let term = message.term();
        match message {
            // Asks without changing anything, here or there.
            Message::PreVote { last, .. } => return self.on_pre_vote(from, term, last),
            // The answer may well come from a node of an older term.
            Message::PreVoteAnswer { asked, granted, .. } if term <= self.vote.term => {
                return self.on_pre_vote_answer(from, asked, granted);
            }
            // Whoever still hears a leader helps nobody to take its place, and
            // is not moved to another term by the attempt. Not even in a term
            // that it has entered otherwise: the promise is one of time.
            Message::Vote { forced: false, .. } if self.is_loyal() => return,
            _ => {}
        }
        if term > self.vote.term {
            let voted_for = None;
            self.enter_term(Vote { term, voted_for });
        }
        if term < self.vote.term {
            return self.on_older_term(from, &message);
        }
        match message {
            // Dealt with above; the answer of a newer term was a refusal.
            Message::PreVote { .. } | Message::PreVoteAnswer { .. } => {}
            Message::Vote { last, .. } => self.on_vote(from, last),
            Message::VoteAnswer { granted, .. } => self.on_vote_answer(from, granted),
            Message::Append {
                session,
                previous,
                entries,
                commit,
                ..
            } => {
                self.on_append(from, session, previous, entries, commit);
            }
            Message::AppendAnswer {
                session, outcome, ..
            } => {
                self.on_append_answer(from, session, outcome);
            }
            Message::Heartbeat {
                session,
                commit,
                token,
                quorum_age,
                ..
            } => {
                self.on_heartbeat(from, session, commit, token, quorum_age);
            }
            Message::HeartbeatAnswer {
                session,
                token,
                incarnation,
                ..
            } => {
                self.on_heartbeat_answer(from, session, token, incarnation);
            }
            Message::SnapshotOffer {
                session,
                id,
                membership,
                ..
            } => {
                self.on_snapshot_offer(from, session, id, membership);
            }
            Message::SnapshotAnswer {
                session, outcome, ..
            } => {
                self.on_snapshot_answer(from, session, outcome);
            }
            Message::TimeoutNow { .. } => self.on_timeout_now(from),
            Message::ReadIndex { round, lease, .. } => self.on_read_index(from, round, lease),
            Message::ReadIndexAnswer { round, index, .. } => {
                self.on_read_index_answer(from, round, index);
            }
        }
    }

    /// Somebody is behind. Whoever believes to lead must learn that it does not.
    fn on_older_term(&mut self, from: NodeId, message: &Message) {
        let term = self.vote.term;
        let answer = match message {
            Message::Append { session, .. }
            | Message::Heartbeat { session, .. }
            | Message::SnapshotOffer { session, .. } => Message::HeartbeatAnswer {
                term,
                session: *session,
                token: Token(0),
                incarnation: self.incarnation,
            },
            Message::Vote { .. } => Message::VoteAnswer {
                term,
                granted: false,
            },
            Message::ReadIndex { round, .. } => {
                let (round, index) = (*round, None);
                Message::ReadIndexAnswer { term, round, index }
            }
            // What answers an older term of this node says nothing any more.
            _ => return,
        };
        self.send(from, answer);
    }
}

#[cfg(test)]
mod tests;
