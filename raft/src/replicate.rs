//! Replication: what a leader sends to a peer, and what its answers mean.
//!
//! Invariants:
//! - what was sent and not acknowledged is bounded, by bytes and by messages;
//! - going back to where the logs agree takes one message for each term in
//!   which they differ, not one for each entry;
//! - a peer that the log cannot help is offered a snapshot, also by a leader
//!   that has nothing else to say.

use crate::mutants::{Mutant, planted};
use crate::node::{Node, State};
use crate::progress::Flow;
use crate::{Action, AppendOutcome, Entry, Index, LogId, Message, NodeId, Refused, Session};

impl Node {
    /// Sends everybody what may be sent.
    pub(crate) fn replicate_all(&mut self) {
        let mut at = None;
        while let Some(to) = self.peer_after(at) {
            self.replicate(to);
            at = Some(to);
        }
    }

    /// Sends a peer what may be sent.
    pub(crate) fn replicate(&mut self, to: NodeId) {
        while self.replicate_once(to) {}
    }

    /// Sends one message, if any may leave. Whether there may be another one.
    fn replicate_once(&mut self, to: NodeId) -> bool {
        let Self {
            state: State::Leader(leader),
            log,
            config,
            commit,
            actions,
            ..
        } = self
        else {
            return false;
        };
        let Some(peer) = leader.peers.get_mut(&to) else {
            return false;
        };
        if peer.is_held(config.window_messages, config.window_bytes) {
            return false;
        }
        let after = peer.next.previous();
        if log.term_at(after).is_none() {
            if !(planted(Mutant::NoSnapshotAtCompactedTip) && log.base().index == log.last()) {
                self.offer_snapshot(to);
            }
            return false;
        }
        let is_probe = matches!(peer.flow, Flow::Probe { .. });
        if peer.next > log.last() {
            if is_probe || peer.sent_commit < *commit {
                self.send_append(to, after, Vec::new());
            }
            return false;
        }
        if let Some(entries) = log.cached(after, config.max_append_bytes) {
            self.send_append(to, after, entries);
            return true;
        }
        peer.fetching = Some(after);
        let (session, max_bytes) = (peer.session, config.max_append_bytes);
        actions.push_back(Action::Fetch {
            to,
            session,
            after,
            max_bytes,
        });
        false
    }

    fn send_append(&mut self, to: NodeId, after: Index, entries: Vec<Entry>) {
        let (term, commit) = (self.vote.term, self.commit);
        let Some(previous) = self.log.term_at(after).map(|term| LogId::new(term, after)) else {
            return;
        };
        let Some(peer) = self
            .leader_mut()
            .and_then(|leader| leader.peers.get_mut(&to))
        else {
            return;
        };
        peer.sent_commit = commit;
        let is_probe = matches!(peer.flow, Flow::Probe { .. });
        if !entries.is_empty() || is_probe {
            let bytes = entries.iter().map(Entry::bytes).sum();
            peer.sent(Index(after.0 + entries.len() as u64), bytes);
        }
        let session = peer.session;
        self.send(
            to,
            Message::Append {
                term,
                session,
                previous,
                entries,
                commit,
            },
        );
    }

    /// Old entries have been read for a peer.
    pub(crate) fn fetched(
        &mut self,
        to: NodeId,
        session: Session,
        after: Index,
        entries: Vec<Entry>,
    ) -> Result<(), Refused> {
        let Self {
            state: State::Leader(leader),
            log,
            ..
        } = self
        else {
            return Ok(());
        };
        let of_session = leader
            .peers
            .get_mut(&to)
            .filter(|peer| peer.session == session);
        let Some(peer) = of_session.filter(|peer| peer.fetching == Some(after)) else {
            return Ok(());
        };
        for (entry, index) in entries.iter().zip(after.0 + 1..) {
            // What was compacted meanwhile cannot be compared, and is not sent.
            let is_known = index <= log.base().index.0 || log.contains(entry.id);
            if entry.id.index.0 != index || !is_known {
                return Err(Refused::WrongEntries { at: entry.id.index });
            }
        }
        peer.fetching = None;
        if peer.next != after.next() {
            // A late acknowledgement: it has them.
            self.replicate(to);
        } else if entries.is_empty() || log.term_at(after).is_none() {
            self.offer_snapshot(to);
        } else {
            self.send_append(to, after, entries);
            self.replicate(to);
        }
        Ok(())
    }

    pub(crate) fn on_append_answer(
        &mut self,
        from: NodeId,
        session: Session,
        outcome: AppendOutcome,
    ) {
        let now = self.now;
        let Self {
            state: State::Leader(leader),
            log,
            ..
        } = self
        else {
            return;
        };
        let is_stale_taken = planted(Mutant::StaleSessionCounts);
        let of_session = leader.peers.get_mut(&from);
        let Some(peer) = of_session.filter(|peer| peer.session == session || is_stale_taken) else {
            return;
        };
        peer.heard = Some(now);
        match outcome {
            AppendOutcome::Matched { upto } if upto <= log.last() => self.matched(from, upto),
            // It cannot have what this leader never had.
            AppendOutcome::Matched { .. } => {}
            AppendOutcome::Rejected { previous, hint } => {
                let is_current = match peer.flow {
                    Flow::Probe { .. } => previous.next() == peer.next,
                    // Below it is answered already; at it, what came after got lost.
                    Flow::Replicate => previous >= peer.matched,
                    Flow::Snapshot { .. } => false,
                };
                if is_current {
                    // Nothing above the hint agrees; and nothing of an own
                    // newer term than the hint's does at or below it.
                    let agreed = if hint.index < log.base().index {
                        hint.index
                    } else {
                        log.last_at_most(hint.index, hint.term).index
                    };
                    peer.probe(agreed.next().min(previous), false);
                    self.replicate(from);
                }
            }
            AppendOutcome::Busy => {
                let next = peer.matched.next();
                peer.probe(next, true);
            }
        }
    }

    /// A peer has everything up to `upto`.
    pub(crate) fn matched(&mut self, from: NodeId, upto: Index) {
        let Self {
            state: State::Leader(leader),
            log,
            ..
        } = self
        else {
            return;
        };
        let Some(peer) = leader.peers.get_mut(&from) else {
            return;
        };
        let is_news = peer.acknowledge(upto);
        match peer.flow {
            Flow::Probe { .. } => peer.replicate(),
            Flow::Snapshot { .. } if log.term_at(peer.matched).is_some() => peer.replicate(),
            _ => {}
        }
        if is_news {
            self.advance_commit();
            self.try_handover();
        }
        self.replicate(from);
    }

    /// The peer answers heartbeats: whatever waits for an answer that may have
    /// got lost goes on.
    pub(crate) fn resume(&mut self, from: NodeId) {
        let Some(peer) = self
            .leader_mut()
            .and_then(|leader| leader.peers.get_mut(&from))
        else {
            return;
        };
        if planted(Mutant::NoAppendAfterLoss) {
            return self.replicate(from);
        }
        match peer.flow {
            Flow::Probe { .. } => {
                peer.flow = Flow::Probe { waiting: false };
                self.replicate(from);
            }
            Flow::Replicate => {
                let is_stuck =
                    peer.matched.next() < peer.next && peer.matched == peer.matched_at_heartbeat;
                peer.matched_at_heartbeat = peer.matched;
                let after = peer.next.previous();
                if !is_stuck {
                    self.replicate(from);
                } else if self.log.term_at(after).is_some() {
                    // Rejected if anything before it got lost.
                    self.send_append(from, after, Vec::new());
                } else {
                    self.offer_snapshot(from);
                }
            }
            Flow::Snapshot { .. } => self.offer_again(from),
        }
    }
}

#[cfg(test)]
mod tests;
