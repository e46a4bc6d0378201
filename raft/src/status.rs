//! What a node tells about itself.

use std::sync::Arc;

use crate::node::{Node, State};
use crate::{
    Health, Index, LogId, Membership, NodeId, Readiness, Role, Session, Term, Time, Token,
};

/// A node as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    /// The node.
    pub id: NodeId,
    /// What it is.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// Whom it voted for in its term.
    pub voted_for: Option<NodeId>,
    /// Who leads, as far as is known.
    pub leader: Option<NodeId>,
    /// Whether it can evaluate.
    pub readiness: Readiness,
    /// How its disk is.
    pub health: Health,
    /// Why it is poisoned, if it is.
    pub failure: Option<Arc<str>>,
    /// What is committed, as far as is known.
    pub commit: Index,
    /// What is applied.
    pub applied: Index,
    /// The last index of the prefix of the log that is durable here.
    pub durable: Index,
    /// The last entry of the log.
    pub last: LogId,
    /// The entry before the first of the log.
    pub base: LogId,
    /// The membership that counts.
    pub membership: Arc<Membership>,
    /// The entry that made it so.
    pub membership_id: LogId,
    /// Bytes that wait to be committed.
    pub uncommitted_bytes: usize,
    /// Bytes of entries that are not yet durable here.
    pub unpersisted_bytes: usize,
    /// Proposals and changes that wait for their answer.
    pub waiting_proposals: usize,
    /// Reads that wait.
    pub waiting_reads: usize,
    /// Of a leader: until when it answers reads by its lease.
    pub lease_until: Option<Time>,
    /// Of a leader: its peers, by node.
    pub peers: Vec<PeerStatus>,
}

/// A peer as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerStatus {
    /// The peer.
    pub id: NodeId,
    /// How it is replicated to.
    pub state: PeerState,
    /// The stream to it.
    pub session: Session,
    /// What it has durably.
    pub matched: Index,
    /// What it is sent next; in state `Snapshot`, what it will need next at
    /// least. A driver that keeps the log from the least of these on spares
    /// its peers snapshots.
    pub next: Index,
    /// Bytes under way to it.
    pub inflight_bytes: usize,
    /// The last round of heartbeats that it answered.
    pub confirmed: Token,
    /// When it was last heard of in this term.
    pub heard: Option<Time>,
}

/// How a peer is replicated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerState {
    /// Where its log agrees is looked for: one message at a time.
    Probe,
    /// Entries flow, one message behind another.
    Replicate,
    /// It is offered a snapshot, or sent one.
    Snapshot,
}

impl Node {
    /// The node as it is now.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            id: self.config.id,
            role: self.role(),
            term: self.vote.term,
            voted_for: self.vote.voted_for,
            leader: self.leader,
            readiness: self.readiness(),
            health: self.disk.health,
            failure: self.disk.failure.clone(),
            commit: self.commit,
            applied: self.applied,
            durable: self.disk.durable(),
            last: self.log.last_id(),
            base: self.log.base(),
            membership: self.log.membership().clone(),
            membership_id: self.log.membership_id(),
            uncommitted_bytes: self.waiters.bytes(),
            unpersisted_bytes: self.disk.unpersisted_bytes(),
            waiting_proposals: self.waiters.len() + usize::from(self.change.is_some()),
            waiting_reads: self.reads.len(),
            lease_until: self.lease_until(),
            peers: self.peers(),
        }
    }

    fn peers(&self) -> Vec<PeerStatus> {
        let State::Leader(leader) = &self.state else {
            return Vec::new();
        };
        let peers = leader.peers.iter().map(|(&id, peer)| PeerStatus {
            id,
            state: peer.state(),
            session: peer.session,
            matched: peer.matched,
            next: peer.next,
            inflight_bytes: peer.inflight_bytes(),
            confirmed: peer.confirmed,
            heard: peer.heard,
        });
        peers.collect()
    }
}
