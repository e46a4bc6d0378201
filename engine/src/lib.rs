#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod aggregate;
mod backup;
mod catalog;
mod changes;
mod collection;
mod context;
mod database;
mod environment;
mod error;
mod expiry;
pub mod expression;
pub mod filter;
mod functions;
mod id;
mod index;
mod input;
pub mod json;
pub mod key;
mod migration;
pub mod monitor;
pub mod names;
mod object_ids;
mod options;
mod pattern;
pub mod projection;
mod rules;
mod schema;
mod sequences;
mod snapshots;
pub mod sort;
mod stats;
mod surroundings;
mod transaction;
pub mod typed;
mod update;
pub mod values;

pub use changes::{
    ChangeEvent, ChangeOperation, ChangeStream, Changes, ResumeToken, Subscription, TruncatedArray,
    UpdateDescription, WatchOptions,
};
pub use collection::{
    AggregateCursor, AggregateOptions, BulkWriteOptions, BulkWriteResult, Collection, Cursor,
    Explain, ExplainStep, Find, FindAndModifyOptions, FoundAndModified, ImportOptions,
    ImportReport, IndexCheck, IndexProgress, InsertMany, InsertManyOptions, MAX_BATCH_BYTES,
    MAX_BATCH_DOCUMENTS, ReplaceResult, ReturnDocument, UpdateResult, WriteModel,
};
pub use collection::{MigrationReport, SchemaVersion};
pub use context::{CancelFlag, OperationContext};
pub use cs_kv::base::HybridTime;
pub use cs_kv::io;
pub use cs_kv::{
    Account, AutoCompact, BlockStats, BulkOptions, BulkProgress, BulkReport, CompactOptions,
    CompactProgress, CompactReport, Compression, CompressionOptions, CompressionStats, Duplicates,
    Durability, ReadPath, SpaceReport,
};
pub use cs_kv::{
    BackupOptions, BackupPosition, BackupProgress, BackupReport, BackupSummary, RestoreProgress,
    RestoreReport, TreeStats,
};
pub use cs_kv::{
    Decided, Decision, Isolation, NamedSnapshot, PreparedTransaction, ResourceCommit,
    ResourceError, SessionStatement, SnapshotLimits, SnapshotStats, TransactionResource, Untold,
};
pub use database::{CollectionInfo, Database};
pub use error::{DuplicateKey, Error, ErrorKind, Result, WriteError};
pub use index::{Hint, IndexInfo, IndexModel};
pub use input::{IntoDocument, IntoFilter, IntoUpdate, UpdateSpec};
pub use options::DatabaseOptions;
pub use schema::{FieldFault, Schema, SchemaField};
pub use snapshots::{DatabaseSnapshot, SnapshotInfo};
pub use stats::{CollectionStats, DatabaseStats, ExpiryStats, FilterStats, OperationStats};
pub use transaction::{Savepoint, Transaction, TransactionInfo, TransactionOptions};
pub use typed::Document;
pub use update::{Applied, Update, UpdateContext, UpdateOptions};

pub use bson;
/// Derives [`Document`](trait@Document).
pub use collection_store_derive::Document;
