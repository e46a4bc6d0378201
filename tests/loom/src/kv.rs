//! A store of which only the commit queue is real: batches are numbers, and applying one is
//! noting it. Follows `engine/kv/src/commit.rs` (plan and do under the writer's lock),
//! `core/roots.rs` (`wait_durable`) and `wal/src/group.rs` (one sync makes everything durable
//! that was appended, then callbacks run).

pub mod core;

/// `engine/kv/src/commit_queue.rs`.
#[allow(missing_docs, dead_code, reason = "the text of another crate")]
pub mod commit_queue {
    include!(concat!(env!("OUT_DIR"), "/commit_queue.rs"));
}

/// A batch is its number.
pub mod batch {
    /// See above.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Batch(pub usize);
}

/// What a commit asks for.
pub mod options {
    /// Only `Sync` waits.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Durability {
        /// On disk.
        #[default]
        Sync,
    }

    /// The usual ones.
    #[derive(Clone, Debug, Default)]
    pub struct CommitOptions {
        /// None: `Sync`.
        pub durability: Option<Durability>,
    }
}

/// A batch on its way.
pub mod commit {
    use super::batch::Batch;
    use super::options::CommitOptions;

    /// See above.
    #[derive(Clone, Copy, Debug)]
    pub struct Commit<'a> {
        /// Which.
        pub batch: &'a Batch,
    }

    impl<'a> Commit<'a> {
        /// Of a batch, without a snapshot.
        #[must_use]
        pub fn of(batch: &'a Batch, _: &CommitOptions) -> Self {
            Self { batch }
        }
    }
}

/// An encoded batch; ours are small enough to be left for others.
pub mod packing {
    /// See above.
    #[derive(Debug, Default)]
    pub struct Payload {
        /// Nothing.
        pub effects: Vec<u8>,
    }
}

/// No error comes up here but of the checker's making.
pub mod error {
    /// See above.
    #[derive(Clone, Debug)]
    pub enum Error {
        /// The store has failed.
        OutcomeUnknown(String),
        /// Something was left half done.
        Damaged(String),
        /// There was no room.
        NoSpace,
    }

    impl Error {
        pub(crate) fn is_no_space(&self) -> bool {
            matches!(self, Self::NoSpace)
        }
    }

    /// With our error.
    pub type Result<T> = std::result::Result<T, Error>;
}

/// What a commit returns.
pub mod ticket {
    use std::sync::Arc;

    use cs_base::{Index, Lsn};

    use super::core::Core;
    use super::error::Result;

    /// See above.
    #[derive(Debug)]
    pub struct Ticket {
        pub(crate) core: Arc<Core>,
        pub(crate) index: Index,
        pub(crate) needs: Lsn,
    }

    impl Ticket {
        pub(crate) fn needs(&self) -> Lsn {
            self.needs
        }

        pub(crate) fn index(&self) -> Index {
            self.index
        }

        pub(crate) fn wait(&self) -> Result<()> {
            self.core.wait_durable(self.needs)
        }
    }
}

/// The open version.
pub mod writer {
    /// See above.
    #[derive(Debug, Default)]
    pub struct Writer {
        /// Batches in the order of their records.
        pub applied: Vec<usize>,
        /// A panic came in the middle of a change.
        pub broken: bool,
    }
}
