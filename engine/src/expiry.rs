//! Documents that expire: deleted by themselves when their time is over.
//!
//! A collection says when in one of two ways, or both: by indexes with
//! `expireAfterSeconds`, as MongoDB has them, and by its option `ttlField`, which names a
//! field of seconds that each document has for itself (`option`). Every so often
//! (`DatabaseOptions::expire_interval`) a *pass* goes over all that can expire (`pass`), on a
//! thread of its own, or step by step where there is one thread (`runner`). A step is one
//! commit of bounded size (`collection/expire.rs`).
//!
//! ## Invariants
//! * An expired document can be seen until it is deleted. Nothing but its deletion
//!   depends on the clock: reads, indexes and the log are the same on every machine.
//! * A deletion is an ordinary commit: logged, told to change streams, maintained in all
//!   indexes, and judged where it commits. A document that changed since it was read is
//!   looked at again, and stays if it has not expired any more.
//! * A document that others keep winning, or that a prepared transaction holds, is passed
//!   over until the next pass; it holds up no other.
//! * Nothing is deleted in a database that is read only, nor before the first interval is
//!   over.
//! * What the thread works with holds no handle to the database: when the last one is gone,
//!   or it was closed, the thread has ended and the directory is free.

mod option;
mod pass;
mod runner;

pub(crate) use option::TtlOption;
pub(crate) use pass::{Pass, Rule};
pub(crate) use runner::Expiry;
