//! Raft as a pure state machine: events in, actions out.
//!
//! No I/O, no clock, no threads, no randomness of its own: the driver hands in
//! what happened and when ([`Node::on`]), and does what it is asked for
//! ([`Node::take`]). What the driver must keep to is said at each [`Event`] and
//! [`Action`], and together in the README.
//!
//! | what | file |
//! |---|---|
//! | a node | `node.rs`, `receive.rs` |
//! | what it is told, wants done, says to others, tells of itself | `event.rs`, `action.rs`, `message.rs`, `status.rs`, `trace.rs` |
//! | one file for each role | `candidate.rs`, `follower.rs`, `leader.rs` with `replicate.rs` and `progress.rs`, `learner.rs` |
//! | one for each thing that can be asked for | `reads.rs`, `change.rs`, `transfer.rs`, `snapshot.rs` |
//! | what it keeps | `log.rs`, `disk.rs`, `waiters.rs`, `membership.rs` |
//! | majorities | `quorum.rs` |
//! | numbers, entries, options, errors | `ids.rs`, `entry.rs`, `config.rs`, `error.rs`, `random.rs` |
//! | planted bugs | `mutants.rs` |

#![forbid(unsafe_code)]

mod action;
mod candidate;
mod change;
mod config;
mod disk;
mod entry;
mod error;
mod event;
mod follower;
mod ids;
mod leader;
mod learner;
mod log;
mod membership;
mod message;
pub mod mutants;
mod node;
mod progress;
pub mod quorum;
mod random;
mod reads;
mod receive;
mod replicate;
mod snapshot;
mod status;
#[cfg(test)]
mod testing;
mod trace;
mod transfer;
mod waiters;

pub use action::{Action, Outcome, Readiness, Refusal, Role};
pub use config::{Config, Lease};
pub use disk::Health;
pub use entry::{Body, ENTRY_OVERHEAD_BYTES, Entry, Payload, Restored, Run, Vote};
pub use error::{Error, MembershipError, Refused};
pub use event::{Consistency, Event};
pub use ids::{Index, LogId, NodeId, ReadRound, RequestId, Session, Term, Ticket, Time, Token};
pub use membership::{
    Kind, MAX_ADDRESS_BYTES, MAX_DELAY, MAX_MEMBERS, Member, Members, Membership,
};
pub use message::{AppendOutcome, Message, SnapshotOutcome};
pub use node::Node;
pub use status::{PeerState, PeerStatus, Status};
