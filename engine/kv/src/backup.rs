//! Backup: a copy of one state of the whole database, made while writing goes on.
//!
//! ```text
//! Snapshot ──cursors──> chunks ──> blocks ──> file NAME.partial, then NAME; or any `Write`
//!                                               │
//!                    new directory <──bulk load─┴──> verify_backup
//! ```
//! A backup is logical: trees, and their keys and values in order. So it knows
//! nothing of pages, and a database of another page size can be made of it.
//!
//! | file | what |
//! |---|---|
//! | `writer.rs` | the walk of the snapshot, in bounded steps |
//! | `chunk.rs`, `outgoing.rs` | where chunks end; blocks on their way out |
//! | `file.rs` | a backup as a file: unfinished, resumed, finished |
//! | `frames.rs`, `scan.rs` | reading: block by block; what they come to |
//! | `restore.rs`, `staging.rs` | a database from a backup, and its place |
//! | `format.rs` | bytes: see FORMAT.md |
//!
//! ## Invariants
//! * A backup has one state: that of the snapshot of its last attempt.
//! * What [`verify_backup`] accepts is what that state was: the count, bytes and
//!   128-bit sum of each tree are computed anew from what is there, and compared
//!   with what the source's own tree root said.
//! * A restored database appears whole or not at all.
//!
//! What is *not* here: increments on an earlier backup, and the log (what came
//! after the snapshot).

mod chunk;
mod error;
mod file;
pub mod format;
mod frames;
mod outgoing;
mod restore;
mod scan;
mod staging;
mod writer;

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use cs_base::{FileId, HybridTime, Incarnation, Index, Term, TreeId};
use cs_io::Disk;

pub use error::BackupError;
pub use file::{BackupFile, BackupReader, PARTIAL};
pub use restore::{
    RestoreOptions, RestoreProgress, RestoreReport, VerifiedBackup, restore, restore_stream,
};
pub use writer::Backup;

use crate::error::{Error, Result};
use crate::options::Compression;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::tree_root::TreeStats;

/// Bytes of entries in a chunk, on average, unless told.
const CHUNK_BYTES: u32 = 1 << 20;
/// Bytes between two syncs of a file, unless told.
const SYNC_BYTES: u64 = 64 << 20;

/// A place in the history of a database that outlives its log: everything up to
/// and with the commit at `index`, and the first `ordinal` effects of the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupPosition {
    /// Which log.
    pub incarnation: Incarnation,
    /// Term of the commit.
    pub term: Term,
    /// Index of the commit.
    pub index: Index,
    /// Always 0 of a backup: it has whole commits.
    pub ordinal: u32,
}

impl std::fmt::Display for BackupPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            incarnation,
            term,
            index,
            ordinal,
        } = self;
        write!(
            f,
            "incarnation {incarnation}, term {term}, index {index}, ordinal {ordinal}"
        )
    }
}

/// How a backup is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackupOptions {
    /// How chunks are compressed; LZ4 unless told.
    pub compression: Compression,
    /// Bytes of entries in a chunk, on average: 1 MiB unless told.
    pub chunk_bytes: u32,
    /// Most bytes written each second, if there is a limit.
    pub bytes_per_second: Option<u64>,
    /// A file is synced each time so many bytes were written.
    pub sync_bytes: u64,
    /// Go on with an unfinished file, if there is one; so unless told. If not,
    /// it is thrown away.
    pub resume: bool,
}

impl Default for BackupOptions {
    fn default() -> Self {
        Self {
            compression: Compression::Lz4,
            chunk_bytes: CHUNK_BYTES,
            bytes_per_second: None,
            sync_bytes: SYNC_BYTES,
            resume: true,
        }
    }
}

impl BackupOptions {
    fn check(&self) -> Result<()> {
        let range = format::MIN_CHUNK_BYTES..=format::MAX_CHUNK_BYTES;
        if !range.contains(&self.chunk_bytes) {
            return Err(Error::InvalidOption(format!(
                "chunk_bytes: expected {} to {}, found {}",
                range.start(),
                range.end(),
                self.chunk_bytes
            )));
        }
        if self.bytes_per_second == Some(0) || self.sync_bytes == 0 {
            return Err(Error::InvalidOption(
                "bytes_per_second and sync_bytes must be more than 0".into(),
            ));
        }
        if let Compression::Gzip(level) = self.compression
            && !(1..=9).contains(&level)
        {
            return Err(Error::InvalidOption(format!(
                "compression: expected a level of gzip from 1 to 9, found {level}"
            )));
        }
        Ok(())
    }
}

/// How far a backup has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupProgress {
    /// Entries that are in it.
    pub entries: u64,
    /// Entries that will be.
    pub total_entries: u64,
    /// Bytes of keys and values that are in it.
    pub bytes: u64,
    /// Bytes of keys and values that will be.
    pub total_bytes: u64,
    /// Bytes written to the destination by this attempt.
    pub written: u64,
    /// So long nothing more may be written, because of
    /// [`BackupOptions::bytes_per_second`].
    pub wait: Duration,
    /// All is written and, to a file, synced.
    pub is_done: bool,
}

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupSummary {
    /// Which state of the source.
    pub position: BackupPosition,
    /// Time of its last commit.
    pub time: HybridTime,
    /// Which database.
    pub file: FileId,
    /// Bytes a page there.
    pub page_size: u32,
    /// Whether it had a log.
    pub has_log: bool,
    /// The next id of a tree that was never given there.
    pub next_tree: u32,
    /// Each tree and what the source says of it.
    pub trees: Vec<(TreeId, TreeStats)>,
    /// Entries of all trees.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Chunks that they are in.
    pub chunks: u64,
    /// How many of these an earlier attempt wrote.
    pub kept_chunks: u64,
    /// Attempts that it took.
    pub attempts: u32,
    /// Bytes of the backup.
    pub file_bytes: u64,
    /// One number for the content of all trees: equal for equal states, on any node.
    pub content: u128,
    /// XXH3-128 of the file but its last 16 bytes, which are this number.
    pub hash: u128,
}

impl BackupSummary {
    fn end(&self) -> format::RawEnd {
        format::RawEnd {
            trees: (self.trees.len() as u32).into(),
            attempts: self.attempts.into(),
            chunks: self.chunks.into(),
            kept: self.kept_chunks.into(),
            entries: self
                .trees
                .iter()
                .map(|(_, stats)| stats.count)
                .sum::<u64>()
                .into(),
            bytes: self
                .trees
                .iter()
                .map(|(_, stats)| stats.bytes)
                .sum::<u64>()
                .into(),
            content: self.content.to_le_bytes(),
        }
    }
}

/// What making a backup came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// What is in it.
    pub summary: BackupSummary,
    /// Bytes written by this attempt.
    pub written: u64,
    /// Bytes of an unfinished file that could not be read and were cut off.
    pub discarded: u64,
}

impl Store {
    /// Begins a backup of the newest visible state to anything that takes bytes.
    /// Nothing is written before the first [`step`](Backup::step). Commits that
    /// are not durable yet may be in it: see [`flush`](Self::flush).
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot), or an option makes no sense.
    pub fn backup<W: Write>(&self, sink: W, options: &BackupOptions) -> Result<Backup<W>> {
        Backup::new(self.snapshot()?, sink, options)
    }

    /// Begins a backup to the file `name` of a disk, which is not that of the
    /// store: one of its own, or another directory. Until it is done and
    /// [installed](BackupFile::install) the file is called `NAME.partial`; what
    /// an earlier attempt left of that is gone on with, unless told otherwise.
    ///
    /// What is saved then: a chunk that the new snapshot has too is not
    /// compressed and not written again. It is read, on both sides, to know
    /// that; but of a tree that is wholly in the unfinished file and has not
    /// changed since, the source is not read. What has changed is written again,
    /// and its old chunks stay in the file, unused.
    ///
    /// # Errors
    /// [`BackupError::Exists`], [`BackupError::OtherDatabase`], the unfinished
    /// file is none or could not be read, or as [`backup`](Self::backup).
    pub fn begin_backup(
        &self,
        disk: &Arc<dyn Disk>,
        name: &str,
        options: &BackupOptions,
    ) -> Result<Backup<BackupFile>> {
        file::begin(self.snapshot()?, disk, name, options)
    }

    /// Makes a backup in the file `name` of a disk; as
    /// [`begin_backup`](Self::begin_backup), from beginning to end. `progress` is
    /// told now and then how far it has come, and may end it: what was written
    /// stays for the next attempt.
    ///
    /// # Errors
    /// As [`begin_backup`](Self::begin_backup) and [`Backup::step`]; [`Error::Cancelled`].
    pub fn backup_to(
        &self,
        disk: &Arc<dyn Disk>,
        name: &str,
        options: &BackupOptions,
        progress: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<BackupReport> {
        file::backup_to(self.snapshot()?, disk, name, options, progress)
    }
}

impl Snapshot {
    /// Begins a backup of this state: as [`Store::backup`].
    ///
    /// # Errors
    /// As there.
    pub fn backup<W: Write>(&self, sink: W, options: &BackupOptions) -> Result<Backup<W>> {
        Backup::new(self.clone(), sink, options)
    }

    /// Makes a backup of this state in the file `name` of a disk: as
    /// [`Store::backup_to`].
    ///
    /// # Errors
    /// As there.
    pub fn backup_to(
        &self,
        disk: &Arc<dyn Disk>,
        name: &str,
        options: &BackupOptions,
        progress: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<BackupReport> {
        file::backup_to(self.clone(), disk, name, options, progress)
    }
}

/// Proves a backup without making a database of it: every byte is as it was
/// written, and each tree has the count, bytes and hash sum that the source's
/// tree root said. Takes memory for one chunk, and for two keys of each.
/// `progress` is told how many bytes were read, and may end it.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use cs_io::{RealRuntime, memory::MemoryDisk};
/// use cs_kv::{BackupOptions, CommitOptions, Store, StoreOptions, verify_backup};
///
/// let store = Store::open(MemoryDisk::new(), RealRuntime::new(), StoreOptions::default())?;
/// let mut txn = store.begin()?;
/// let tree = txn.create_tree();
/// txn.put(tree, b"key".to_vec(), b"value".to_vec())?;
/// txn.commit(&CommitOptions::default())?.wait()?;
///
/// let mut backup = store.backup(Vec::new(), &BackupOptions::default())?;
/// let report = backup.run(&mut |_| ControlFlow::Continue(()))?;
/// let mut bytes = backup.into_sink();
/// let found = verify_backup(bytes.as_slice(), &mut |_| ControlFlow::Continue(()))?;
/// assert_eq!(found, report.summary);
///
/// bytes[100] ^= 1;
/// assert!(verify_backup(bytes.as_slice(), &mut |_| ControlFlow::Continue(())).is_err());
/// # Ok::<(), cs_kv::Error>(())
/// ```
///
/// # Errors
/// [`Error::Backup`] says at which byte it is damaged; [`Error::Cancelled`].
pub fn verify_backup(
    source: impl Read,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<BackupSummary> {
    let scan = scan::scan(source, progress, &mut |_, _| Ok(()))?;
    scan.summary
        .ok_or_else(|| BackupError::Incomplete { len: 0 }.into())
}
