//! Ordered transactional keys and values: B+ trees over the pager, commit
//! through the log.
//!
//! A [`Store`] holds any number of trees. A [`Snapshot`] reads one state of all
//! of them; a [`Transaction`] changes several at once; a [`Batch`] changes them
//! without having read. Each commit is one record of the log, and one function
//! carries records out: when they are committed, and again after a crash.
//! See README.md for the map and the invariants, FORMAT.md for the bytes.
//!
//! What is *not* here: documents, and anything about what keys and values mean.

#![forbid(unsafe_code)]

mod account;
mod background;
pub mod backup;
mod batch;
mod bulk;
mod certify;
mod check;
mod checkpointing;
mod commit;
mod commit_queue;
mod compaction;
mod core;
mod cursor;
mod difference;
mod effects;
mod error;
mod estimate;
mod evaluation;
mod feed;
mod in_flight;
mod key_range;
pub mod limits;
mod named;
pub mod node;
mod options;
mod packing;
mod pinned;
mod prepared;
mod recorder;
mod recovery;
mod room;
mod root;
mod session;
mod shares;
mod snapshot;
mod store;
mod ticket;
mod transaction;
mod tree;
mod tree_root;
mod visibility;
mod writer;

// Who opens a store hands in a disk and a runtime, and names trees by id: the
// layer above gets these through us and imports nothing from further below.
pub use cs_base as base;
pub use cs_io as io;

pub use cs_pager::ReadPath;

pub use account::{Account, SpaceReport};
pub use background::Housekeeping;
pub use backup::{
    Backup, BackupError, BackupFile, BackupOptions, BackupPosition, BackupProgress, BackupReader,
    BackupReport, BackupSummary, RestoreOptions, RestoreProgress, RestoreReport, VerifiedBackup,
    restore, restore_stream, verify_backup,
};
pub use batch::{Batch, Expect, Kept};
pub use bulk::{BulkOptions, BulkProgress, BulkReport, Duplicates, SortEntry, Sorted, Sorter};
pub use check::{CheckReport, Finding, TreeShape};
pub use compaction::{AutoCompact, CompactOptions, CompactProgress, CompactReport};
pub use cursor::Cursor;
pub use effects::{Effect, Effects, unpack_payload};
pub use error::{Error, Result};
pub use evaluation::{Also, Declined, Evaluate, Outcome};
pub use feed::{ChangeFeed, ChangeMoves, ChangePosition, ChangeRecord, NotedEffect, RecordEffects};
pub use key_range::KeyRange;
pub use named::{MAX_SNAPSHOT_NAME, NamedSnapshot};
pub use options::{
    CommitOptions, Compression, CompressionOptions, Durability, KeepChanges, SessionStatement,
    StoreOptions,
};
pub use packing::{BlockStats, CompressionStats};
pub use pinned::{SnapshotLimits, SnapshotStats};
pub use prepared::{
    Decided, Decision, MAX_GID, MAX_RESOURCES, PreparedTransaction, ResourceCommit, ResourceError,
    TransactionResource, Untold,
};
pub use recorder::{EVENTS, Event, RECORDER_FILE, RECORDER_HEAD};
pub use recovery::RecoveryReport;
pub use snapshot::{Snapshot, TreeReader};
pub use store::{Store, StoreStats};
pub use ticket::Ticket;
pub use transaction::{
    Isolation, Savepoint, Scan, Transaction, TransactionEntries, TransactionOptions,
};
pub use tree_root::{TreeRoot, TreeStats, system};
