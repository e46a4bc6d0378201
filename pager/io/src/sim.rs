//! The adversary: a disk in memory that remembers what was never synced.
//!
//! Data, file sizes, preallocation and directory entries are volatile until a
//! sync; operations in flight end in any order; a fault can be planned for any
//! operation. Everything is drawn from one seed and recorded in a [`Journal`],
//! from which [`Replay`] makes the state after a crash at any event.
//!
//! | part | what it is |
//! |---|---|
//! | [`SimDisk`] | the disk that a run uses: shows every operation that has ended |
//! | [`Journal`], [`Event`] | what happened, in order |
//! | [`Replay`] | walks a journal and keeps durable and unsynced state apart |
//! | [`SimImage`] | a disk after a crash; boots a new [`SimDisk`] |
//! | [`FaultPlan`], [`Fault`] | what goes wrong, and when |
//!
//! ## The model
//! * A sync covers the writes of its file that ended before it began, and the
//!   size of the file then. After a failed sync those writes stay visible and
//!   no later sync covers them (Rebello et al., "Can Applications Recover from
//!   fsync Failures?", ATC 2020). Directory syncs after a failed one do nothing.
//! * A durable write is durable when it has ended: its bytes, and the size as
//!   far as it needs it.
//! * [`CrashKind::Process`]: whatever ended stays visible *and unsynced*; what
//!   was in flight happened wholly, in part, or not.
//! * [`CrashKind::Machine`]: each write that is not durable is kept, lost or
//!   torn by 512-byte sectors. Size changes of one file survive in order: a
//!   beginning of them, possibly empty. Directory changes are each kept or
//!   lost; a rename is old or new, never both or neither.
//! * Order needs no simulation of its own: whether W1 or W2 reached an
//!   overlap last is the same as whether W2 was kept.
//!
//! ## Invariants
//! * One seed and one sequence of calls give one journal, hence one
//!   [`Journal::hash`].
//! * The visible state equals durable state plus all unsynced changes, in order.
//! * What was synced, or written durably and not changed since, is in every image.

mod content;
mod crash;
mod disk;
mod fault;
mod file;
mod image;
mod journal;
mod replay;
mod rng;
mod state;
mod unsynced;

pub use crash::CrashKind;
pub use disk::{SimDisk, SimOptions};
pub use fault::{Fault, FaultPlan};
pub use image::SimImage;
pub use journal::{Event, FileNumber, Journal, Operation};
pub use replay::Replay;
pub use rng::Rng;

#[cfg(test)]
mod tests;
