//! What a node is told.

use std::sync::Arc;

use crate::{
    Entry, Index, LogId, Members, Membership, Message, NodeId, Payload, RequestId, Session, Ticket,
};

/// Something that happened, handed to [`Node::on`](crate::Node::on).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A message came.
    Receive {
        /// From this node: the driver has made sure of it.
        from: NodeId,
        /// What it says.
        message: Message,
    },
    /// Time passed. Wanted no later than at [`Node::deadline`](crate::Node::deadline).
    Tick,
    /// Somebody wants these in the log: all of them, in this order, together.
    Propose {
        /// Names it in the answer.
        id: RequestId,
        /// At least one.
        payloads: Vec<Payload>,
    },
    /// A write is durable, with every [`SupersedeTail`](crate::Action::SupersedeTail)
    /// before it. Writes end in any order.
    Persisted {
        /// The write.
        ticket: Ticket,
    },
    /// A write failed. What is on disk is unknown: the node is poisoned and
    /// takes part in nothing until it is made anew from what can be read.
    PersistFailed {
        /// The write.
        ticket: Ticket,
        /// Why; [`Status`](crate::Status) tells it.
        reason: Arc<str>,
    },
    /// The disk has not answered for too long; or whatever else, such as
    /// applying, keeps this node from being of use as a leader.
    DiskStalled,
    /// It answers again.
    DiskHealthy,
    /// The state has the effects of the log up to here.
    Applied {
        /// At most what [`Commit`](crate::Action::Commit) has said.
        index: Index,
    },
    /// The entries that [`Fetch`](crate::Action::Fetch) asked for.
    Fetched {
        /// As in the question.
        to: NodeId,
        /// As in the question.
        session: Session,
        /// As in the question.
        after: Index,
        /// From `after + 1`, at least one; none if they are gone.
        entries: Vec<Entry>,
    },
    /// A snapshot from another node is here, whole and durable, beside the
    /// state. The node answers with [`InstallSnapshot`](crate::Action::InstallSnapshot)
    /// or [`DropSnapshot`](crate::Action::DropSnapshot).
    SnapshotStored {
        /// Who sent it.
        from: NodeId,
        /// In which stream.
        session: Session,
        /// The last entry that it contains.
        id: LogId,
        /// The membership as of `id`.
        membership: Membership,
    },
    /// A snapshot from another node did not get here, or could not be stored.
    SnapshotFailed {
        /// Who sent it.
        from: NodeId,
        /// In which stream.
        session: Session,
    },
    /// The snapshot that [`StartSnapshot`](crate::Action::StartSnapshot) asked
    /// for has left.
    SnapshotSent {
        /// To whom.
        to: NodeId,
        /// In which stream.
        session: Session,
    },
    /// It could not be sent.
    SnapshotSendFailed {
        /// To whom.
        to: NodeId,
        /// In which stream.
        session: Session,
    },
    /// Somebody wants to read.
    Read {
        /// Names it in the answer.
        id: RequestId,
        /// How fresh.
        consistency: Consistency,
    },
    /// The cluster shall consist of these.
    ChangeMembership {
        /// Names it in the answer.
        id: RequestId,
        /// All of them, not only those that are new.
        members: Members,
    },
    /// Another node shall lead.
    Transfer {
        /// Names it in the answer.
        id: RequestId,
        /// This one; or whoever is best.
        to: Option<NodeId>,
    },
    /// The driver has dropped the log up to here, or may at any time: exactly
    /// as far as it says, whoever might still want it.
    Compact {
        /// At most the lesser of what is applied and what is durable here:
        /// [`applied_index`](crate::Node::applied_index), which on a witness
        /// follows the commit index by itself, and
        /// [`durable_index`](crate::Node::durable_index).
        to: Index,
    },
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// It sees all that was acknowledged anywhere before it was asked for.
    Linearizable,
    /// The same, without a round of messages while the leader's lease lasts:
    /// rests on the clock assumption of [`Lease`](crate::Lease).
    Lease,
    /// It sees what this node has applied.
    Local,
}
