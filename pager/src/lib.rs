//! Fixed-size pages: checksummed, cached, copied on write, checkpointed.
//!
//! A committed page is never overwritten. A writer changes copies (*shadow
//! pages*) in the open version ([`Shadow`]); sealing the version publishes them
//! to readers ([`Pager`]); a checkpoint ([`CheckpointRun`]) makes a sealed
//! version durable by writing its pages and then one of two alternating metas.
//! See README.md for the map and the invariants, FORMAT.md for the bytes.
//!
//! What is *not* here: keys, trees, the log. The root record's payload is the
//! layer above's.

mod checkpoint;
mod error;
mod extents;
pub mod format;
mod frames;
mod hash;
mod map;
mod open;
mod pool;
mod pressure;
mod register;
mod shadow;

pub use checkpoint::{CheckpointRun, Metas};
pub use error::{PagerError, Result};
pub use format::{
    DEFAULT_PAGE_SIZE, Membership, Meta, PAGE_HEADER, PageHeader, PageIdentity, PageKind, PageRef,
    ROOT_PAYLOAD, RootRecord,
};
pub use frames::{Frame, ReadGuard};
pub use open::{Opened, PagerOptions, ReadPath, create, exists, open, open_file, read_metas};
pub use pool::{Loan, Pager, PoolStats, VerifyPage};
pub use shadow::{RESERVE_PAGES, Retained, RetainedPages, Shadow, SpaceStats};

#[cfg(test)]
mod tests;
