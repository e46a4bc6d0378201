//! The engines side by side: what a workload needs of one, and which there are.
//!
//! Invariants:
//! * One file an engine, and nothing else here knows its API. Settings are those
//!   of the README's table, the same durability and cache for all.
//! * A durable write is on disk when the call returns; an unsynced one is left
//!   to the engine.
//! * A batch is one commit, whole or not at all.

mod cs;
#[cfg(feature = "peers")]
mod fjall;
#[cfg(feature = "peers")]
mod lmdb;
#[cfg(feature = "peers")]
mod redb;
#[cfg(feature = "peers-rocksdb")]
mod rocksdb;
#[cfg(feature = "peers")]
mod sqlite;

use std::fmt;
use std::path::Path;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::error::BenchError;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 24;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: [u8; KEY_BYTES],
    pub(crate) value: Vec<u8>,
}

/// What the return of a write means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    /// On disk.
    Durable,
    /// Readable; on disk some time.
    Later,
}

/// What a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// One snapshot, taken before its first call.
    Held,
    /// The newest state, asked for with each call.
    Fresh,
}

/// An engine under load, shared by the threads of a run.
pub(crate) trait Engine: Send + std::marker::Sync {
    /// Writes all of `pairs` in one commit.
    fn put(&self, pairs: &[Pair], sync: Sync) -> Result<(), BenchError>;

    /// Deletes all of `keys` in one commit; each of them is there.
    fn delete(&self, keys: &[[u8; KEY_BYTES]], sync: Sync) -> Result<(), BenchError>;

    /// Fills an empty database with what `next` hands over, batch by batch,
    /// each sorted by key; durable when the call returns.
    fn load(&self, next: &mut dyn FnMut() -> Option<Vec<Pair>>) -> Result<(), BenchError>;

    /// Lets one thread read through `work`.
    fn read(
        &self,
        view: View,
        work: &mut dyn FnMut(&mut dyn Reader) -> Result<(), BenchError>,
    ) -> Result<(), BenchError>;

    /// Does all the work that it has put off: flush, compaction, checkpoint.
    fn settle(&self) -> Result<(), BenchError>;

    /// Closes it cleanly.
    fn close(self: Box<Self>) -> Result<(), BenchError>;
}

/// How one thread reads.
pub(crate) trait Reader {
    /// Shows the value of `key` to `see`; whether there is one.
    fn get(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, BenchError>;

    /// Shows the pairs from `from` on, at most `most` of them, in order; how
    /// many there were.
    fn range(
        &mut self,
        from: &[u8],
        most: u64,
        see: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64, BenchError>;
}

/// An engine by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EngineName {
    /// Collection Store: the ordered store below the documents
    Cs,
    /// redb: copy-on-write B-tree
    Redb,
    /// redb that keeps its allocation map with each commit
    RedbQuickRepair,
    /// LMDB through heed: copy-on-write B-tree in mapped memory
    Lmdb,
    /// SQLite: B-tree with a write-ahead log, synchronous FULL
    Sqlite,
    /// fjall: log-structured merge tree
    Fjall,
    /// RocksDB: log-structured merge tree
    Rocksdb,
}

impl fmt::Display for EngineName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl EngineName {
    /// The feature of this program that an engine needs, if this build lacks it.
    pub(crate) fn missing_feature(self) -> Option<&'static str> {
        match self {
            Self::Cs => None,
            Self::Rocksdb => (!cfg!(feature = "peers-rocksdb")).then_some("peers-rocksdb"),
            _ => (!cfg!(feature = "peers")).then_some("peers"),
        }
    }

    /// Refuses an engine that this build lacks.
    pub(crate) fn check_built(self) -> Result<(), BenchError> {
        let Some(feature) = self.missing_feature() else {
            return Ok(());
        };
        Err(BenchError::Usage(format!(
            "--engine: this build has no {self}; build it with \
             `cargo build --release -p cs-bench --features {feature}`"
        )))
    }
}

/// How Collection Store finds its pages.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ReadPath {
    /// Through its page cache
    #[default]
    Pool,
    /// In the data file, mapped into memory
    Map,
}

/// How an engine is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Memory for its cache.
    pub(crate) cache_bytes: u64,
    /// Bytes of a value: some engines choose their page by it.
    pub(crate) value_bytes: u64,
    /// Keys and values that will be in it at the most.
    pub(crate) payload_bytes: u64,
    /// Only Collection Store has two.
    pub(crate) read_path: ReadPath,
    /// Nothing is moved out of the log before the end, so that opening has to
    /// bring all of it back.
    pub(crate) long_log: bool,
    /// What its process may take, the system's cache of its files included.
    pub(crate) memory_limit: Option<u64>,
}

impl Settings {
    /// For engines that gather writes in memory: so much of it, and the rest of
    /// the cache's for reading, where memory is limited.
    #[cfg(feature = "peers")]
    pub(crate) fn with_write_buffer(&self, usual: u64) -> (u64, u64) {
        if self.memory_limit.is_none() {
            return (usual, self.cache_bytes);
        }
        // Two of them may be there at once.
        let buffer = usual.min(self.cache_bytes / 4);
        (buffer, self.cache_bytes - 2 * buffer)
    }
}

/// Opens `engine` in `directory`, which is there, and makes it if it is empty.
pub(crate) fn open(
    engine: EngineName,
    directory: &Path,
    settings: &Settings,
) -> Result<Box<dyn Engine>, BenchError> {
    engine.check_built()?;
    match engine {
        EngineName::Cs => cs::open(directory, settings),
        #[cfg(feature = "peers")]
        EngineName::Redb => redb::open(directory, settings, false),
        #[cfg(feature = "peers")]
        EngineName::RedbQuickRepair => redb::open(directory, settings, true),
        #[cfg(feature = "peers")]
        EngineName::Lmdb => lmdb::open(directory, settings),
        #[cfg(feature = "peers")]
        EngineName::Sqlite => sqlite::open(directory, settings),
        #[cfg(feature = "peers")]
        EngineName::Fjall => fjall::open(directory, settings),
        #[cfg(feature = "peers-rocksdb")]
        EngineName::Rocksdb => rocksdb::open(directory, settings),
        #[cfg(not(feature = "peers-rocksdb"))]
        _ => unreachable!("an engine that is not built was refused above"),
    }
}

/// For `map_err`: the engine refused `what`.
pub(crate) fn refused<E: fmt::Display>(what: &'static str) -> impl FnOnce(E) -> BenchError {
    move |error| BenchError::Database {
        what,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
