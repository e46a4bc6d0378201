//! Raft as a pure state machine: events in, actions out.
//!
//! No I/O, no clock, no threads, no randomness of its own: the driver hands in
//! what happened and when, and does what it is asked for.
//!
//! | what | file |
//! |---|---|
//! | the entry: a node | `node.rs` |
//! | what it is told, what it wants done | `event.rs`, `action.rs` |
//! | what nodes say to each other | `message.rs` |
//! | who belongs to the cluster | `membership.rs` |
//! | the numbers, entries | `ids.rs`, `entry.rs` |
//! | options, errors, what it tells about itself | `config.rs`, `error.rs`, `status.rs` |
//! | all of it as text | `trace.rs` |
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
