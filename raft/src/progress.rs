//! A peer as its leader sees it.
//!
//! Invariants:
//! - `matched < next`; `matched` is what the peer said in this session to have
//!   durably, and nothing else;
//! - an answer of another session changes nothing: between the sessions the
//!   peer may have been removed and added, or started anew;
//! - every state is left by what the peer answers to heartbeats, or by time:
//!   none rests on a message that may get lost.

use std::collections::VecDeque;

use crate::{Index, PeerState, Session, Time, Token};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flow {
    /// One message at a time; `waiting`: it is under way.
    Probe { waiting: bool },
    /// One message behind another.
    Replicate,
    /// Offered, or after `started` sent, a snapshot; nothing heard of it since `since`.
    Snapshot { since: Time, started: bool },
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Progress {
    pub(crate) session: Session,
    pub(crate) matched: Index,
    pub(crate) next: Index,
    pub(crate) flow: Flow,
    /// Last index and bytes of each message of entries under way.
    inflight: VecDeque<(Index, usize)>,
    inflight_bytes: usize,
    /// Old entries after this one are being read for it.
    pub(crate) fetching: Option<Index>,
    /// The commit index that it was sent last.
    pub(crate) sent_commit: Index,
    /// The last round that it answered.
    pub(crate) confirmed: Token,
    pub(crate) heard: Option<Time>,
    pub(crate) incarnation: Option<u64>,
    /// What had matched when it last answered a heartbeat: no progress since
    /// then, with entries under way, means that some were lost.
    pub(crate) matched_at_heartbeat: Index,
}

impl Progress {
    /// A peer of which nothing is known: its log is looked for from `next` down.
    pub(crate) fn new(session: Session, next: Index) -> Self {
        Self {
            session,
            matched: Index(0),
            next,
            flow: Flow::Probe { waiting: false },
            inflight: VecDeque::new(),
            inflight_bytes: 0,
            fetching: None,
            sent_commit: Index(0),
            confirmed: Token(0),
            heard: None,
            incarnation: None,
            matched_at_heartbeat: Index(0),
        }
    }

    /// Looks for where the log agrees, from `next` down.
    pub(crate) fn probe(&mut self, next: Index, waiting: bool) {
        self.flow = Flow::Probe { waiting };
        self.next = next.max(self.matched.next());
        self.inflight.clear();
        self.inflight_bytes = 0;
        self.fetching = None;
    }

    /// Lets entries flow behind what has matched.
    pub(crate) fn replicate(&mut self) {
        self.probe(self.matched.next(), false);
        self.flow = Flow::Replicate;
    }

    /// Whether no message may leave now.
    pub(crate) fn is_held(&self, window_messages: usize, window_bytes: usize) -> bool {
        let is_full = self.inflight.len() >= window_messages || self.inflight_bytes >= window_bytes;
        match self.flow {
            Flow::Probe { waiting } => waiting || self.fetching.is_some(),
            Flow::Replicate => self.fetching.is_some() || is_full,
            Flow::Snapshot { .. } => true,
        }
    }

    /// Entries up to `last` left.
    pub(crate) fn sent(&mut self, last: Index, bytes: usize) {
        match &mut self.flow {
            Flow::Probe { waiting } => *waiting = true,
            Flow::Replicate => {
                self.next = last.next();
                self.inflight.push_back((last, bytes));
                self.inflight_bytes += bytes;
            }
            Flow::Snapshot { .. } => {}
        }
    }

    /// The peer has everything up to `upto`. Whether that is news.
    pub(crate) fn acknowledge(&mut self, upto: Index) -> bool {
        let is_news = upto > self.matched;
        self.matched = self.matched.max(upto);
        self.next = self.next.max(self.matched.next());
        while self.inflight.front().is_some_and(|(last, _)| *last <= upto) {
            if let Some((_, bytes)) = self.inflight.pop_front() {
                self.inflight_bytes -= bytes;
            }
        }
        is_news
    }

    pub(crate) fn inflight_bytes(&self) -> usize {
        self.inflight_bytes
    }

    pub(crate) fn state(&self) -> PeerState {
        match self.flow {
            Flow::Probe { .. } => PeerState::Probe,
            Flow::Replicate => PeerState::Replicate,
            Flow::Snapshot { .. } => PeerState::Snapshot,
        }
    }
}

#[cfg(test)]
mod tests;
