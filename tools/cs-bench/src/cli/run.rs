//! Arguments of `run`, for all of its levels.
//!
//! Invariant: what belongs to the other level is refused, not ignored.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::engine::{EngineName, ReadPath};
use crate::error::BenchError;
use crate::{kv, txn};

use super::{MOST_THREADS, bytes, seconds, value_size};

/// Most records.
const MOST_RECORDS: u64 = u32::MAX as u64;
/// Name of all workloads that take turns on one database of level `kv`.
pub(crate) const ALL: &str = "all";

/// Arguments of `run`.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// What to measure; --list tells what each does
    #[arg(required_unless_present = "list", value_parser = PossibleValuesParser::new(names()),
          hide_possible_values = true)]
    pub(crate) workloads: Vec<String>,
    /// List the workloads of all levels and end
    #[arg(long)]
    pub(crate) list: bool,
    /// Directory of the databases: new or empty
    #[arg(long, value_name = "DIR", required_unless_present = "list")]
    pub(crate) dir: Option<PathBuf>,
    /// Documents, the keys and values below them, or transactions [default: kv where --engine is
    /// given or a workload is only known there, txn for those named txn-…, else doc]
    #[arg(long, value_enum)]
    pub(crate) level: Option<Level>,
    /// Engines to measure, in turns; more than cs with the feature `peers` [default: cs]
    #[arg(long, value_name = "ENGINE,…", value_enum, value_delimiter = ',')]
    pub(crate) engine: Vec<EngineName>,
    /// Clients that work at the same time; a list at level kv [default: 1, or the workload's own]
    #[arg(long, value_name = "N,…", value_delimiter = ',',
          value_parser = clap::value_parser!(u64).range(1..=MOST_THREADS))]
    pub(crate) threads: Vec<u64>,
    /// Seed of keys, values and order
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Memory for the database's cache (suffixes KiB, MiB, GiB) [default: 1 GiB at level kv, else
    /// the database's own]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) cache_bytes: Option<u64>,
    /// Write one JSON object, to FILE, or to standard output instead of a table
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(crate) json: Option<Option<PathBuf>>,
    /// Leave the databases in DIR
    #[arg(long)]
    pub(crate) keep: bool,
    /// What only documents have.
    #[command(flatten, next_help_heading = "Options of --level doc")]
    pub(crate) documents: DocumentOptions,
    /// What only keys and values have.
    #[command(flatten, next_help_heading = "Options of --level kv")]
    pub(crate) kv: KvOptions,
}

/// What only documents have.
#[derive(Args, Debug)]
pub(crate) struct DocumentOptions {
    /// Documents in all [default: 100000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_RECORDS))]
    docs: Option<u64>,
    /// Bytes of the value in each document (suffixes KiB, MiB) [default: 150]
    #[arg(long, value_name = "BYTES", value_parser = value_size)]
    value_size: Option<u64>,
    /// When a commit counts as done; at --level txn too [default: sync]
    #[arg(long, value_enum)]
    durability: Option<Durability>,
    /// Documents for each call: insert-batch (default 100) and load-bulk (default 10000)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    batch: Option<u64>,
}

/// What only keys and values have.
#[derive(Args, Debug)]
pub(crate) struct KvOptions {
    /// Keys that the database is loaded with; several are measured one by one [default: 1000000;
    /// soak 10000000; growth 100000,1000000,10000000; larger-than-memory 500000]
    #[arg(long, value_name = "N,…", value_delimiter = ',',
          value_parser = clap::value_parser!(u64).range(100..=MOST_RECORDS))]
    pub(crate) keys: Vec<u64>,
    /// Bytes of a value: random up to 255, JSON text from 256 on [default: 150; larger-than-memory
    /// 1024]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(16..=1 << 20))]
    pub(crate) value_bytes: Option<u64>,
    /// Seconds for each measurement that has no end of its own [default: 1.5; open-loop 60]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) seconds: Option<f64>,
    /// Times that every engine takes its turn [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(crate) pairs: Option<u64>,
    /// Read paths of cs; each but the first for the reading workloads only [default: pool]
    #[arg(long, value_name = "PATH,…", value_enum, value_delimiter = ',')]
    pub(crate) read_path: Vec<ReadPath>,
    /// Most memory for the process of each engine, the system's cache of its files included, by a
    /// control group: needs root (suffixes KiB, MiB, GiB) [default: none; larger-than-memory
    /// --cache-bytes and 15 %, and 32 MiB for the program itself]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) memory_limit: Option<u64>,
    /// Before each measurement wait, at most 30 s, until other programs leave the processors alone
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Draw the ratios (for growth the rates) as an SVG file
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Ordered keys and values, each engine behind the same few calls
    Kv,
    /// Documents, Collection Store only
    Doc,
    /// Transactions, Collection Store only
    Txn,
}

/// Names and sentences of all workloads; those that several levels know, once.
fn names() -> Vec<PossibleValue> {
    fn of<T: ValueEnum + 'static>() -> impl Iterator<Item = PossibleValue> {
        T::value_variants().iter().filter_map(T::to_possible_value)
    }
    let mut names = vec![PossibleValue::new(ALL)];
    for value in of::<Workload>()
        .chain(of::<kv::Workload>())
        .chain(of::<txn::Workload>())
    {
        if !names
            .iter()
            .any(|known| known.get_name() == value.get_name())
        {
            names.push(value);
        }
    }
    names
}

/// Workloads of a level, with a sentence each.
pub(crate) fn listed(level: Level) -> Vec<(String, String)> {
    fn of<T: ValueEnum>() -> Vec<(String, String)> {
        let values = T::value_variants().iter().filter_map(T::to_possible_value);
        values
            .map(|value| {
                let help = value.get_help().map(ToString::to_string);
                (value.get_name().to_owned(), help.unwrap_or_default())
            })
            .collect()
    }
    match level {
        Level::Doc => of::<Workload>(),
        Level::Kv => {
            let mut list = of::<kv::Workload>();
            let all = "All of these that take turns on one loaded database, in this order: \
                       not open-loop, soak, growth and larger-than-memory";
            list.push((ALL.to_owned(), all.to_owned()));
            list
        }
        Level::Txn => of::<txn::Workload>(),
    }
}

impl RunArgs {
    /// The level asked for, or the one that fits.
    pub(crate) fn level(&self) -> Level {
        let is_document = |name: &String| Workload::from_str(name, false).is_ok();
        let is_txn = |name: &String| txn::Workload::from_str(name, false).is_ok();
        self.level.unwrap_or(if self.workloads.iter().any(is_txn) {
            Level::Txn
        } else if self.engine.is_empty() && self.workloads.iter().all(is_document) {
            Level::Doc
        } else {
            Level::Kv
        })
    }

    /// Where the databases go.
    pub(crate) fn directory(&self) -> Result<PathBuf, BenchError> {
        let missing = || BenchError::Usage("--dir: expected a directory".to_owned());
        self.dir.clone().ok_or_else(missing)
    }

    /// Arguments of a run over documents.
    pub(crate) fn documents(&self) -> Result<DocumentArgs, BenchError> {
        let [name] = self.workloads.as_slice() else {
            return Err(BenchError::Usage(
                "--level doc: expected one workload".to_owned(),
            ));
        };
        let workload = Workload::from_str(name, false).map_err(|_| {
            BenchError::Usage(format!("--level doc: {name} is a workload of --level kv"))
        })?;
        if self.engine.iter().any(|engine| *engine != EngineName::Cs) {
            return Err(BenchError::Usage(
                "--engine: only cs has documents; expected --level kv".to_owned(),
            ));
        }
        let options = &self.kv;
        refuse(
            "kv",
            &[
                ("--keys", !options.keys.is_empty()),
                ("--value-bytes", options.value_bytes.is_some()),
                ("--seconds", options.seconds.is_some()),
                ("--pairs", options.pairs.is_some()),
                ("--read-path", !options.read_path.is_empty()),
                ("--memory-limit", options.memory_limit.is_some()),
                ("--quiet", options.quiet),
                ("--plot", options.plot.is_some()),
                ("--threads with a list", self.threads.len() > 1),
            ],
        )?;
        Ok(DocumentArgs {
            workload,
            dir: self.directory()?,
            threads: self.threads.first().copied().unwrap_or(1),
            docs: self.documents.docs.unwrap_or(100_000),
            value_size: self.documents.value_size.unwrap_or(150),
            durability: self.durability(),
            batch: self.documents.batch,
            seed: self.seed,
            cache_bytes: self.cache_bytes,
            json: self.json.clone(),
            keep: self.keep,
        })
    }

    /// When a commit counts as done.
    pub(crate) fn durability(&self) -> Durability {
        self.documents.durability.unwrap_or(Durability::Sync)
    }

    /// Refuses what only documents have, but for that.
    pub(crate) fn refuse_all_but_durability(&self) -> Result<(), BenchError> {
        let options = &self.documents;
        refuse(
            "doc",
            &[
                ("--docs", options.docs.is_some()),
                ("--value-size", options.value_size.is_some()),
                ("--batch", options.batch.is_some()),
            ],
        )
    }

    /// Refuses what only documents have.
    pub(crate) fn refuse_document_options(&self) -> Result<(), BenchError> {
        let options = &self.documents;
        refuse(
            "doc",
            &[
                ("--docs", options.docs.is_some()),
                ("--value-size", options.value_size.is_some()),
                ("--durability", options.durability.is_some()),
                ("--batch", options.batch.is_some()),
            ],
        )
    }
}

/// Refuses the first of `options` that is given.
fn refuse(level: &str, options: &[(&str, bool)]) -> Result<(), BenchError> {
    match options.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(BenchError::Usage(format!(
            "{name}: an option of --level {level} only"
        ))),
        None => Ok(()),
    }
}

/// Arguments of a run over documents, with their defaults.
#[derive(Clone, Debug)]
pub(crate) struct DocumentArgs {
    pub(crate) workload: Workload,
    pub(crate) dir: PathBuf,
    pub(crate) threads: u64,
    pub(crate) docs: u64,
    pub(crate) value_size: u64,
    pub(crate) durability: Durability,
    pub(crate) batch: Option<u64>,
    pub(crate) seed: u64,
    pub(crate) cache_bytes: Option<u64>,
    /// Absent: a table; without a file: to standard output.
    pub(crate) json: Option<Option<PathBuf>>,
    pub(crate) keep: bool,
}

/// What `run` measures of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workload {
    /// Insert documents one by one, a commit for each
    #[value(name = "insert-1")]
    #[serde(rename = "insert-1")]
    Insert1,
    /// Insert documents in batches
    InsertBatch,
    /// Insert documents in large batches, as an import does
    LoadBulk,
    /// Find documents by _id, in random order
    FindId,
    /// Read the whole collection; each thread reads all of it
    Scan,
    /// Delete documents one by one by _id, a commit for each
    Delete,
}

impl Workload {
    /// Documents for each call where the user does not say; `None` where there
    /// is nothing to say.
    pub(crate) fn default_batch(self) -> Option<u64> {
        match self {
            Self::InsertBatch => Some(100),
            Self::LoadBulk => Some(10_000),
            Self::Insert1 | Self::FindId | Self::Scan | Self::Delete => None,
        }
    }

    /// Whether the documents are there, untimed, before the clock starts.
    pub(crate) fn needs_documents(self) -> bool {
        matches!(self, Self::FindId | Self::Scan | Self::Delete)
    }
}

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Durability {
    /// On disk
    Sync,
    /// In the log, on disk within the flush interval
    Async,
    /// In memory, never on disk
    Memory,
}
