//! What a node wants done.

use std::sync::Arc;

use crate::{
    Entry, Index, LogId, Membership, MembershipError, Message, NodeId, RequestId, Session, Term,
    Ticket, Vote,
};

/// Something to do, taken with [`Node::take`](crate::Node::take). The driver
/// does them in this order; what it may put off is said at each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send a message; it may get lost.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
        /// Not before this write is durable, whatever else is; never if it
        /// fails. What rests on several writes the node sends when they are.
        after: Option<Ticket>,
    },
    /// Write entries at the end of the log, and say [`Persisted`](crate::Event::Persisted).
    Append {
        /// Names the write.
        ticket: Ticket,
        /// One after another, the first right after the end of the log.
        entries: Vec<Entry>,
    },
    /// Write the vote in place of the one before, and say `Persisted`. A later
    /// vote is never overwritten by an earlier one.
    SaveVote {
        /// Names the write.
        ticket: Ticket,
        /// What to remember.
        vote: Vote,
    },
    /// The log from here on is no more; an [`Append`](Self::Append) follows,
    /// and is durable only together with this.
    SupersedeTail {
        /// The first index that is gone. Never one that was committed.
        from: Index,
    },
    /// Apply the log up to here, and say [`Applied`](crate::Event::Applied).
    /// It may be ahead of what is durable here: state made durable must not be.
    Commit {
        /// Never less than before.
        index: Index,
    },
    /// A request has its answer; each gets exactly one, a read that may be
    /// served [`ReadReady`](Self::ReadReady) instead.
    Answer {
        /// The request.
        id: RequestId,
        /// What became of it.
        outcome: Outcome,
    },
    /// A read may be served now from the state of this node.
    ReadReady {
        /// The request.
        id: RequestId,
        /// What the state must have, and has: applied is at or above it.
        index: Index,
    },
    /// Send the state to a peer that the log cannot help any more, and say
    /// `SnapshotSent` or `SnapshotSendFailed`.
    StartSnapshot {
        /// To whom.
        to: NodeId,
        /// In which stream; the receiver says it in `SnapshotStored`.
        session: Session,
        /// The state must have at least this.
        at_least: Index,
    },
    /// Let a stored snapshot take the place of the state, and of the whole log,
    /// at once; say `Persisted`. A witness has no state, and only its log begins anew.
    InstallSnapshot {
        /// Names the write.
        ticket: Ticket,
        /// The last entry that it contains. The log begins after it.
        id: LogId,
        /// The membership as of `id`.
        membership: Arc<Membership>,
    },
    /// A stored snapshot is not needed.
    DropSnapshot {
        /// The last entry that it contains.
        id: LogId,
    },
    /// Read old entries for a peer, and say [`Fetched`](crate::Event::Fetched).
    /// Whatever was handed out by `Append` can be asked for, durable or not.
    Fetch {
        /// For whom.
        to: NodeId,
        /// In which stream.
        session: Session,
        /// The first one wanted is after this.
        after: Index,
        /// About as much, but at least one entry.
        max_bytes: usize,
    },
    /// What the node is has changed.
    Role {
        /// What it is.
        role: Role,
        /// In which term.
        term: Term,
        /// Who leads, as far as is known.
        leader: Option<NodeId>,
        /// Whether it can evaluate.
        readiness: Readiness,
    },
}

/// What a node is in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Follows, or waits for a leader to follow.
    Follower,
    /// Asks whether it would be elected.
    PreCandidate,
    /// Stands.
    Candidate,
    /// Leads.
    Leader,
}

/// Whether a leader can evaluate operations on its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// It is no leader.
    NotLeading,
    /// Its own first entry is not committed: what is before it may be unknown.
    AwaitingCommit,
    /// Committed, but not everything up to its first entry is applied.
    AwaitingApply,
    /// It can.
    Ready,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The proposal, or the new membership, is committed.
    Committed {
        /// Its last entry.
        last: LogId,
    },
    /// The other node leads.
    Transferred {
        /// It.
        to: NodeId,
    },
    /// Nothing was done: another leads, this one if known.
    NotLeader {
        /// Whom to ask.
        leader: Option<NodeId>,
    },
    /// Another entry is committed in its place: it will never be applied, on
    /// no node.
    Superseded,
    /// It may or may not have been done, or may still be.
    Unknown,
    /// Nothing was done.
    Refused(Refusal),
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Too much waits to be committed, or to be read.
    TooBusy {
        /// What waits: bytes of proposals, or reads.
        waiting: usize,
        /// What may.
        limit: usize,
    },
    /// The proposal is empty, or longer than is ever taken.
    BadLen {
        /// Its bytes.
        found: usize,
        /// What is taken.
        limit: usize,
    },
    /// The leader has not yet committed in its term.
    NotReady,
    /// A change of the membership is under way.
    ChangeInProgress,
    /// The leader is handing over.
    Transferring,
    /// These members make no cluster.
    BadMembership(MembershipError),
    /// That node cannot lead.
    BadTarget,
    /// It took too long.
    TimedOut,
    /// The node's disk is stalled or poisoned.
    DiskUnhealthy,
    /// A witness has no state to read, a delayed member only an old one.
    NoState,
}
