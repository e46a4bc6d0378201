//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod run;

pub(crate) use run::ALL;
pub(crate) use run::{DocumentArgs, Durability, Level, RunArgs, Workload, listed};

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
  cs-bench run put-1 get --engine cs,lmdb --dir /data/b      side by side with a peer
  cs-bench compare monday.json tuesday.json                  is anything slower?

Exit codes: 0 measured, 1 the run failed or compare found a loss, 2 the command line makes no sense.")]
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
    /// Run workloads against fresh databases, of this project and of others
    #[command(after_help = "Examples:
  cs-bench run --list                               what can be measured?
  cs-bench run insert-1 --dir /data/b --docs 20000
  cs-bench run insert-batch --dir /data/b --batch 100 --value-size 1KiB
  cs-bench run load-bulk --dir /data/b --docs 1000000 --durability async
  cs-bench run scan --dir /data/b --docs 1000000 --cache-bytes 64MiB --json
  cs-bench run delete --dir /data/b --keep          leave the database for cs-inspect

  cs-bench run put-1 get scan --engine cs,lmdb,redb --dir /data/b --pairs 5
  cs-bench run all --engine cs,redb,lmdb,sqlite,fjall --dir /data/b --quiet --json a.json
  cs-bench run growth --engine cs,lmdb --dir /data/b --keys 100000,1000000 --plot growth.svg

DIR must be new or empty. It is left as it was found, unless --keep is given. Documents are
{_id: 24 characters, v: binary of --value-size random bytes}; keys and values are 24 random bytes
and --value-bytes of random bytes or JSON text. Both come in random order of their keys; the same
--seed makes the same ones. Other engines than cs need a build with --features peers (RocksDB:
peers-rocksdb). Each runs in a process of its own.")]
    Run(Box<RunArgs>),
    /// Compare two reports of run --level kv; exit code 1 if the second is worse
    #[command(after_help = "Examples:
  cs-bench compare monday.json tuesday.json
  cs-bench compare monday.json tuesday.json --tolerance 0.25

Every row that both reports have is shown with its ratio, above 1 where B is better. Reports of two
machines, or of two moments of a noisy one, say little.")]
    Compare(CompareArgs),
    /// One engine under load, told over standard input what to do: `run` starts it.
    #[command(name = "engine-process", hide = true)]
    EngineProcess,
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

/// Arguments of `compare`.
#[derive(Args, Debug)]
pub(crate) struct CompareArgs {
    /// Report of the earlier run, made by `run --level kv --json FILE`, or `txn`
    #[arg(value_name = "A.json")]
    pub(crate) before: PathBuf,
    /// Report of the later run
    #[arg(value_name = "B.json")]
    pub(crate) after: PathBuf,
    /// How much worse a median may be: 0.10 is a tenth
    #[arg(long, value_name = "SHARE", default_value = "0.10", value_parser = share)]
    pub(crate) tolerance: f64,
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

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=10.0).contains(&share) => Ok(share),
        Ok(share) => Err(format!("{share} is not between 0 and 10")),
        Err(_) => Err("expected a number such as 0.10".to_owned()),
    }
}

#[cfg(test)]
mod tests;
