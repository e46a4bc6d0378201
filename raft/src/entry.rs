//! Entries of the log and what a node remembers of its vote.

use std::fmt;
use std::sync::Arc;

use crate::{Index, LogId, Membership, NodeId, Term};

/// What an entry costs beside its payload, in every count of bytes.
pub const ENTRY_OVERHEAD_BYTES: usize = 64;

/// Opaque bytes of a proposal, shared and never copied.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Payload(pub Arc<[u8]>);

impl Payload {
    /// A payload of these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// Nothing: the first entry of each leader. Only the very first of the log
    /// is a [`Membership`](Self::Membership) instead.
    NoOp,
    /// What somebody proposed.
    Data(Payload),
    /// The membership from this entry on, committed or not.
    Membership(Arc<Membership>),
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its place and the term of its leader.
    pub id: LogId,
    /// What it holds.
    pub body: Body,
}

impl Entry {
    /// What it counts for wherever bytes are bounded.
    #[must_use]
    pub fn bytes(&self) -> usize {
        ENTRY_OVERHEAD_BYTES
            + match &self.body {
                Body::NoOp => 0,
                Body::Data(payload) => payload.0.len(),
                Body::Membership(membership) => membership.bytes(),
            }
    }
}

/// What a node must never forget: its term, and whom it voted for in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vote {
    /// The newest term that the node knows.
    pub term: Term,
    /// Whom it voted for in that term.
    pub voted_for: Option<NodeId>,
}

/// Entries of one term, one after another in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The first of them.
    pub first: Index,
    /// The term of all of them, up to the next run or the end of the log.
    pub term: Term,
}

/// What the driver read from its disk, handed to [`Node::new`](crate::Node::new).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Restored {
    /// The vote saved last.
    pub vote: Vote,
    /// The entry before the first one that the log still has: what was
    /// compacted away, or the snapshot with which the log begins.
    pub base: LogId,
    /// The membership as of `base`.
    pub base_membership: Membership,
    /// The terms of the log after `base`, without gaps, ascending.
    pub runs: Vec<Run>,
    /// The last index of the log; that of `base` if the log is empty.
    pub last: Index,
    /// The newest entries, as many as the driver likes: contiguous, up to `last`.
    pub recent: Vec<Entry>,
    /// Every membership in the log after `base`, ascending; committed or not.
    pub memberships: Vec<(LogId, Membership)>,
    /// Up to where the state has the effects of the log.
    pub applied: Index,
    /// How often this node was started before; the driver counts it durably.
    pub incarnation: u64,
}

impl Restored {
    /// A node of a new cluster: every founding member starts with the same
    /// membership and an empty log.
    #[must_use]
    pub fn founding(membership: Membership) -> Self {
        Self {
            vote: Vote::default(),
            base: LogId::default(),
            base_membership: membership,
            runs: Vec::new(),
            last: Index(0),
            recent: Vec::new(),
            memberships: Vec::new(),
            applied: Index(0),
            incarnation: 0,
        }
    }

    /// A node without anything, which waits to be added by a leader.
    #[must_use]
    pub fn joining() -> Self {
        Self::founding(Membership::default())
    }
}
