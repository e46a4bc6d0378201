//! How a node behaves.

use std::time::Duration;

use crate::{Error, NodeId};

/// How a node behaves. All nodes of a cluster should have the same timeouts;
/// with leases they must have the same `election_timeout`.
///
/// ```
/// use cs_raft::{Config, NodeId};
/// let config = Config::new(NodeId(1), 42);
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// The node.
    pub id: NodeId,
    /// From which the timeouts are drawn, with the node and how often it was started.
    pub seed: u64,
    /// A follower waits between once and twice as long for its leader; a
    /// leader without a quorum for this long steps down.
    pub election_timeout: Duration,
    /// Between two heartbeats.
    pub heartbeat_interval: Duration,
    /// A transfer that takes longer has failed.
    pub transfer_timeout: Duration,
    /// Nothing heard of a snapshot for this long: it is offered anew.
    pub snapshot_timeout: Duration,
    /// How long a request of a deposed leader waits to learn its fate, and a
    /// confirmed read for anything to be applied.
    pub unknown_after: Duration,
    /// Most bytes of entries in a message, unless a single one is longer.
    pub max_append_bytes: usize,
    /// Most bytes under way to a peer.
    pub window_bytes: usize,
    /// Most messages with entries under way to a peer. Few: batches grow when
    /// they wait, latency does when they are under way.
    pub window_messages: usize,
    /// Recent entries kept in memory.
    pub cache_bytes: usize,
    /// Most bytes that wait to be committed.
    pub max_uncommitted_bytes: usize,
    /// Longest payload.
    pub max_payload_bytes: usize,
    /// Most bytes handed to the disk that are not yet durable.
    pub max_unpersisted_bytes: usize,
    /// Most reads that wait.
    pub max_pending_reads: usize,
    /// Whether this node, as a leader, answers reads by its lease.
    pub lease: Option<Lease>,
}

/// The clock assumption of lease reads: over any stretch of time the clocks of
/// two nodes differ in *rate* by at most this. What they show does not matter.
/// A pause of the machine is fine as long as its clock goes on meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// In thousandths; 0 to 500.
    pub max_drift_per_mille: u32,
}

impl Config {
    /// The node with defaults for a local network.
    #[must_use]
    pub fn new(id: NodeId, seed: u64) -> Self {
        Self {
            id,
            seed,
            election_timeout: Duration::from_millis(300),
            heartbeat_interval: Duration::from_millis(50),
            transfer_timeout: Duration::from_millis(600),
            snapshot_timeout: Duration::from_secs(60),
            unknown_after: Duration::from_secs(3),
            max_append_bytes: 1 << 20,
            window_bytes: 8 << 20,
            window_messages: 16,
            cache_bytes: 32 << 20,
            max_uncommitted_bytes: 64 << 20,
            max_payload_bytes: 32 << 20,
            max_unpersisted_bytes: 64 << 20,
            max_pending_reads: 1 << 16,
            lease: None,
        }
    }

    /// Whether a node can behave so.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first option that does not fit.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |what| Err(Error::Config { what });
        if self.heartbeat_interval.is_zero() {
            return wrong("heartbeat_interval must be more than zero");
        }
        if self.election_timeout < 2 * self.heartbeat_interval {
            return wrong("election_timeout must be at least twice heartbeat_interval");
        }
        let timeouts = [
            self.transfer_timeout,
            self.snapshot_timeout,
            self.unknown_after,
        ];
        if timeouts.iter().any(Duration::is_zero) {
            return wrong(
                "transfer_timeout, snapshot_timeout and unknown_after must be more than zero",
            );
        }
        let sizes = [
            self.max_append_bytes,
            self.window_bytes,
            self.window_messages,
            self.max_uncommitted_bytes,
            self.max_payload_bytes,
            self.max_unpersisted_bytes,
            self.max_pending_reads,
        ];
        if sizes.contains(&0) {
            return wrong("a limit must be more than zero");
        }
        match self.lease {
            Some(lease) if lease.max_drift_per_mille > 500 => {
                wrong("max_drift_per_mille must be at most 500")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
