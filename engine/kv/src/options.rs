//! How a store behaves.

use std::time::Duration;

use cs_pager::{DEFAULT_PAGE_SIZE, ReadPath};
use cs_wal::LogOptions;

use crate::compaction::AutoCompact;
use crate::error::{Error, Result};
use crate::pinned::SnapshotLimits;

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Acknowledged means on disk.
    #[default]
    Sync,
    /// On disk within the flush interval.
    Async,
    /// For a commit: logged, never waited for. For a store: there is no log,
    /// and what was written since the last checkpoint is lost with the process.
    Memory,
}

/// How bytes are compressed on their way to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// LZ4: quick both ways.
    Lz4,
    /// Gzip with a level from 1 (quick) to 9 (small): for a slow or dear disk.
    Gzip(u8),
    /// LZ4 while samples show that it takes off at least
    /// [`GAIN_PERCENT`](cs_base::codec::GAIN_PERCENT) percent; see
    /// [`Sampler`](cs_base::codec::Sampler).
    Auto,
}

/// What is compressed, and how. Only what is written from now on: whatever a
/// store has is read with any options.
///
/// Nothing is, unless told. LZ4 costs the writer about 1.4 µs per KiB in and a
/// reader 0.2 µs per KiB out. A local disk of today writes a KiB in 0.5 µs, so
/// saving a third of it gives back a tenth of the price: for speed alone it does
/// not pay there. It pays on a disk that is slower than about 300 MB/s (most
/// network volumes), where space, wear or retained log cost more than time, and
/// for data that is larger than memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompressionOptions {
    /// The records of the log.
    pub log: Compression,
    /// Values too large for a leaf, where that saves at least one page.
    pub values: Compression,
    /// What has fewer bytes stays as it is.
    pub threshold_bytes: u32,
}

impl CompressionOptions {
    /// Log and values alike.
    #[must_use]
    pub fn of(compression: Compression) -> Self {
        Self {
            log: compression,
            values: compression,
            ..Self::default()
        }
    }
}

impl Default for CompressionOptions {
    fn default() -> Self {
        Self {
            log: Compression::None,
            values: Compression::None,
            // A group of the log is padded to this: a record on its own that
            // is shorter saves nothing by being shorter still.
            threshold_bytes: cs_base::BLOCK_SIZE as u32,
        }
    }
}

/// How much of the history a database keeps, so that a
/// [feed](crate::Store::changes_after) can go on where it was before a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepChanges {
    /// Bytes of log, at most.
    pub max_bytes: u64,
    /// What is older is not kept, whatever its size. Judged at checkpoints, so
    /// what they come too late for stays a little longer.
    pub max_age: Duration,
}

/// Room for one entry in twenty: the first inserts in between split no page.
pub(crate) const FILL_PERCENT: usize = 96;

/// Options of a store; the defaults are right for most.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Bytes a page, a power of two from 4,096 to 65,536; only for a new store.
    pub page_size: u32,
    /// Memory, in bytes: pages mostly, buffers too. What callers hold themselves
    /// (batches, transactions, values read) comes on top.
    pub cache_bytes: u64,
    /// How pages are read: the pool unless told; see [`ReadPath`] for what the
    /// map cannot promise.
    pub read_path: ReadPath,
    /// What a commit survives unless it says otherwise; unless told `Sync`, or
    /// `Memory` for a store that was made without a log.
    pub durability: Option<Durability>,
    /// The longest that an `Async` commit stays unsynced.
    pub flush_interval: Duration,
    /// A checkpoint begins when the log has grown since the last by as many
    /// bytes as the data file has in use, but by this at least …
    pub checkpoint_log_bytes: u64,
    /// … and by this at most: it bounds the time that a recovery takes.
    pub checkpoint_log_bytes_max: u64,
    /// A checkpoint also begins after so long, if anything was written.
    pub checkpoint_interval: Duration,
    /// How full leaves are made when ascending keys go behind the end of a
    /// tree, in percent from 50 to 100. Less leaves room for later inserts.
    pub fill_percent: u8,
    /// When the store gives space back by itself, if it does: while nobody
    /// commits, and more than a share of its files is not needed.
    pub auto_compact: Option<AutoCompact>,
    /// Segments and groups of the log.
    pub log: LogOptions,
    /// What is compressed, and how.
    pub compression: CompressionOptions,
    /// How long it is remembered how prepared transactions were decided; longer
    /// where a resource has still to be told.
    pub remember_decisions: Duration,
    /// When snapshots are ended that keep old versions for too long; never,
    /// unless told.
    pub snapshot_limits: SnapshotLimits,
    /// Bytes of log that one feed of changes which falls behind may keep.
    pub feed_log_bytes: u64,
    /// How much of the log is kept for feeds that come back later; nothing beyond
    /// what checkpoints leave, unless told.
    pub keep_changes: Option<KeepChanges>,
    /// Nothing may be changed.
    pub read_only: bool,
    /// Make a store where there is none.
    pub create: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            page_size: DEFAULT_PAGE_SIZE,
            cache_bytes: 256 * 1024 * 1024,
            read_path: ReadPath::Pool,
            durability: None,
            flush_interval: Duration::from_secs(1),
            checkpoint_log_bytes: 64 * 1024 * 1024,
            // Some three million records of 150 bytes: seconds of recovery.
            checkpoint_log_bytes_max: 512 * 1024 * 1024,
            checkpoint_interval: Duration::from_secs(300),
            fill_percent: FILL_PERCENT as u8,
            auto_compact: Some(AutoCompact::default()),
            log: LogOptions::default(),
            compression: CompressionOptions::default(),
            // A week: whoever asks again after a crash asks within that.
            remember_decisions: Duration::from_secs(7 * 24 * 3600),
            snapshot_limits: SnapshotLimits::default(),
            feed_log_bytes: 256 * 1024 * 1024,
            keep_changes: None,
            read_only: false,
            create: true,
        }
    }
}

impl StoreOptions {
    /// Refuses options that no store could have.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] names the option, what was expected and what was found.
    pub fn check(&self) -> Result<()> {
        if !cs_pager::format::valid_page_size(self.page_size) {
            return Err(Error::InvalidOption(format!(
                "page_size: expected a power of two from 4096 to 65536, found {}",
                self.page_size
            )));
        }
        if !(50..=100).contains(&self.fill_percent) {
            return Err(Error::InvalidOption(format!(
                "fill_percent: expected 50 to 100, found {}",
                self.fill_percent
            )));
        }
        if self.checkpoint_log_bytes == 0 || self.cache_bytes == 0 {
            return Err(Error::InvalidOption(
                "cache_bytes and checkpoint_log_bytes must be more than 0".into(),
            ));
        }
        for compression in [self.compression.log, self.compression.values] {
            if let Compression::Gzip(level) = compression
                && !(1..=9).contains(&level)
            {
                return Err(Error::InvalidOption(format!(
                    "compression: expected a level of gzip from 1 to 9, found {level}"
                )));
            }
        }
        Ok(())
    }
}

/// How one commit is made.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CommitOptions {
    /// What it survives; the store's durability unless told.
    pub durability: Option<Durability>,
    /// Makes the commit happen at most once: see [`SessionStatement`].
    pub session: Option<SessionStatement>,
}

impl CommitOptions {
    /// With this durability.
    #[must_use]
    pub fn with_durability(durability: Durability) -> Self {
        Self {
            durability: Some(durability),
            session: None,
        }
    }
}

/// The name of a commit that a client may send again: stored with the effects
/// in the same record. A second commit with the same session and a number that
/// is not higher is refused with what the first one stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatement {
    /// Whose.
    pub session: [u8; 16],
    /// Which; grows within the session.
    pub number: u64,
    /// What to tell whoever asks again, at most [`MAX_RESULTS`](crate::limits::MAX_RESULTS) bytes.
    pub results: Vec<u8>,
}
