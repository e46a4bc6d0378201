//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

/// Most threads that a run may have.
pub(crate) const MOST_THREADS: u64 = 1024;
/// Most bytes of a value: a document of 16 MiB less the room for its other fields.
pub(crate) const MOST_VALUE_BYTES: u64 = (16 << 20) - 1024;

/// Measures Collection Store and the disk under it.
#[derive(Debug, Parser)]
#[command(name = "cs-bench", version, max_term_width = 100)]
#[command(after_help = "Examples:
  cs-bench probe                                  what can the disk below the current directory do?
  cs-bench probe --dir /data --seconds 3 --json   the same for another disk, for a script
  cs-bench run insert-1 --dir /data/b             one durable commit for each document
  cs-bench run insert-1 --dir /data/b --threads 64
  cs-bench run find-id --dir /data/b --docs 1000000 --json > find-id.json

Exit codes: 0 measured, 1 the run failed, 2 the command line makes no sense.")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure what the disk can do: the ceiling for every durable write
    #[command(after_help = "Examples:
  cs-bench probe --dir /data
  cs-bench probe --dir /data --json | jq .append_fdatasync_per_s

Everything happens in a temporary subdirectory of DIR that is removed afterwards. What the system
refuses (direct I/O on tmpfs, io_uring in a container) is shown with its reason; it is no failure.")]
    Probe(ProbeArgs),
    /// Run a workload against a fresh database
    #[command(after_help = "Examples:
  cs-bench run insert-1 --dir /data/b --docs 20000
  cs-bench run insert-batch --dir /data/b --batch 100 --value-size 1KiB
  cs-bench run load-bulk --dir /data/b --docs 1000000 --durability async
  cs-bench run scan --dir /data/b --docs 1000000 --cache-bytes 64MiB --json
  cs-bench run delete --dir /data/b --keep          leave the database for cs-inspect

DIR must be new or empty. It is left as it was found, unless --keep is given. Documents are
{_id: 24 characters, v: binary of --value-size random bytes}, in random order of their keys; the
same --seed makes the same documents.")]
    Run(RunArgs),
}

/// Arguments of `probe`.
#[derive(Args, Debug)]
pub(crate) struct ProbeArgs {
    /// Directory on the disk to measure
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Seconds for each measurement
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// What to measure
    #[arg(value_enum)]
    pub(crate) workload: Workload,
    /// Directory of the database: new or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Clients that work at the same time
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=MOST_THREADS))]
    pub(crate) threads: u64,
    /// Documents in all
    #[arg(long, value_name = "N", default_value_t = 100_000,
          value_parser = clap::value_parser!(u64).range(1..=u64::from(u32::MAX)))]
    pub(crate) docs: u64,
    /// Bytes of the value in each document (suffixes KiB, MiB)
    #[arg(long, value_name = "BYTES", default_value = "150", value_parser = value_size)]
    pub(crate) value_size: u64,
    /// When a commit counts as done
    #[arg(long, value_enum, default_value_t = Durability::Sync)]
    pub(crate) durability: Durability,
    /// Documents for each call: insert-batch (default 100) and load-bulk (default 10000)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) batch: Option<u64>,
    /// Seed of keys, values and order
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Memory for the database's cache (suffixes KiB, MiB, GiB) [default: the database's own]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) cache_bytes: Option<u64>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave the database in DIR
    #[arg(long)]
    pub(crate) keep: bool,
}

/// What `run` measures.
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

/// Parses `150`, `64KiB`, `1 GiB` and the short forms `64k`, `1G`, all binary.
fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| "expected a whole number of bytes, such as 4096 or 64MiB".to_owned())?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        other => return Err(format!("unknown unit {other:?}, expected KiB, MiB or GiB")),
    };
    number
        .checked_mul(factor)
        .ok_or_else(|| "does not fit into 64 bits".to_owned())
}

fn value_size(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        size if size <= MOST_VALUE_BYTES => Ok(size),
        size => Err(format!(
            "{size} bytes do not fit into a document, at most {MOST_VALUE_BYTES}"
        )),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=3600.0).contains(&seconds) => Ok(seconds),
        Ok(seconds) => Err(format!("{seconds} is not between 0.01 and 3600")),
        Err(_) => Err("expected a number of seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests;
