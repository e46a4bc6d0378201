//! What nodes say to each other.
//!
//! Each message carries the term of its sender, and may be lost, doubled,
//! delayed and reordered at will.

use std::sync::Arc;
use std::time::Duration;

use crate::{Entry, Index, LogId, Membership, ReadRound, Session, Term, Token};

/// A message from one node to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// Would you vote for me in the term after mine?
    PreVote {
        /// Of the sender, not the one that it would stand in.
        term: Term,
        /// The sender's last entry.
        last: LogId,
    },
    /// The answer; a refusal brings the higher term along.
    PreVoteAnswer {
        /// Of the sender.
        term: Term,
        /// The term that the candidate would stand in.
        asked: Term,
        /// Whether the sender would.
        granted: bool,
    },
    /// Vote for me.
    Vote {
        /// The term in which the sender stands.
        term: Term,
        /// The sender's last entry.
        last: LogId,
        /// The leader itself told the sender to stand: it is no disturbance.
        forced: bool,
    },
    /// The vote, durable before it is sent.
    VoteAnswer {
        /// Of the sender.
        term: Term,
        /// Whether the candidate has its vote.
        granted: bool,
    },
    /// Entries of the leader; without any, a probe or news of a commit.
    Append {
        /// Of the leader.
        term: Term,
        /// The stream that it belongs to.
        session: Session,
        /// The entry before the first one of `entries`.
        previous: LogId,
        /// One after another.
        entries: Vec<Entry>,
        /// The leader's commit index.
        commit: Index,
    },
    /// How far a follower's log agrees.
    AppendAnswer {
        /// Of the sender.
        term: Term,
        /// That of the append.
        session: Session,
        /// How far.
        outcome: AppendOutcome,
    },
    /// I lead.
    Heartbeat {
        /// Of the leader.
        term: Term,
        /// The stream to this peer.
        session: Session,
        /// The leader's commit index, at most what this peer has acknowledged.
        commit: Index,
        /// The round that this belongs to.
        token: Token,
        /// How long ago the leader started the last round that a quorum has
        /// answered. A leader without quorum grows old, and keeps nobody.
        quorum_age: Duration,
    },
    /// I follow.
    HeartbeatAnswer {
        /// Of the sender.
        term: Term,
        /// That of the heartbeat.
        session: Session,
        /// That of the heartbeat.
        token: Token,
        /// How often the sender was started: one that came back begins anew.
        incarnation: u64,
    },
    /// You need a snapshot; shall I?
    SnapshotOffer {
        /// Of the leader.
        term: Term,
        /// The stream to this peer.
        session: Session,
        /// The least that the snapshot has.
        id: LogId,
        /// The membership as of `id`: all that a witness needs.
        membership: Arc<Membership>,
    },
    /// What became of an offer.
    SnapshotAnswer {
        /// Of the sender.
        term: Term,
        /// That of the offer.
        session: Session,
        /// What became of it.
        outcome: SnapshotOutcome,
    },
    /// Stand at once: the leader wants you to take its place.
    TimeoutNow {
        /// Of the leader.
        term: Term,
    },
    /// Where may I read? From a follower to its leader.
    ReadIndex {
        /// Of the sender.
        term: Term,
        /// The asking.
        round: ReadRound,
        /// The leader may answer by its lease.
        lease: bool,
    },
    /// There; or nowhere.
    ReadIndexAnswer {
        /// Of the leader.
        term: Term,
        /// The asking.
        round: ReadRound,
        /// Everything acknowledged before the asking is at or below it.
        index: Option<Index>,
    },
}

/// How far a follower's log agrees with the leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppendOutcome {
    /// It agrees, and is durable, up to here.
    Matched {
        /// The last such index.
        upto: Index,
    },
    /// It does not have the entry before those that came.
    Rejected {
        /// Of that entry.
        previous: Index,
        /// The follower's last entry that can agree: none above it does.
        hint: LogId,
    },
    /// The follower's disk has more to write than it may; try later.
    Busy,
}

/// What became of the offer of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SnapshotOutcome {
    /// Send it.
    Accepted,
    /// It is durable, and the log agrees up to here. Without being sent, too,
    /// if it was not needed.
    Stored {
        /// The last such index.
        upto: Index,
    },
    /// Not now.
    Refused,
}

impl Message {
    /// The term of the sender.
    #[must_use]
    pub fn term(&self) -> Term {
        match self {
            Self::PreVote { term, .. }
            | Self::PreVoteAnswer { term, .. }
            | Self::Vote { term, .. }
            | Self::VoteAnswer { term, .. }
            | Self::Append { term, .. }
            | Self::AppendAnswer { term, .. }
            | Self::Heartbeat { term, .. }
            | Self::HeartbeatAnswer { term, .. }
            | Self::SnapshotOffer { term, .. }
            | Self::SnapshotAnswer { term, .. }
            | Self::TimeoutNow { term }
            | Self::ReadIndex { term, .. }
            | Self::ReadIndexAnswer { term, .. } => *term,
        }
    }
}
