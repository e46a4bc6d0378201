//! What the arguments of `run --level txn` ask for.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::cli::{ALL, Durability, RunArgs};
use crate::engine::EngineName;
use crate::error::BenchError;

use super::draw::KEYS;
use super::workload::Workload;

/// Cache of `txn-snapshot-memory` unless told: full before the snapshots come.
const SMALL_CACHE_BYTES: u64 = 32 << 20;

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) directory: PathBuf,
    pub(super) workloads: Vec<Workload>,
    /// Empty: the workload's own.
    pub(super) threads: Vec<u64>,
    pub(super) keys: u64,
    pub(super) value_bytes: u64,
    pub(super) seconds: f64,
    pub(super) turns: u64,
    pub(super) durability: Durability,
    pub(super) cache_bytes: Option<u64>,
    pub(super) seed: u64,
    pub(super) quiet: bool,
}

impl Plan {
    /// From the command line, if it makes sense.
    pub(super) fn new(arguments: &RunArgs) -> Result<Self, BenchError> {
        let usage = |what: String| Err(BenchError::Usage(what));
        let options = &arguments.kv;
        arguments.refuse_all_but_durability()?;
        let others = [
            ("--read-path", !options.read_path.is_empty()),
            ("--memory-limit", options.memory_limit.is_some()),
            ("--plot", options.plot.is_some()),
            ("--keys with a list", options.keys.len() > 1),
        ];
        if let Some((name, _)) = others.iter().find(|(_, given)| *given) {
            return usage(format!("{name}: not an option of --level txn"));
        }
        if arguments
            .engine
            .iter()
            .any(|engine| *engine != EngineName::Cs)
        {
            return usage("--engine: only cs is measured at --level txn".to_owned());
        }
        let workloads = workloads(&arguments.workloads)?;
        let keys = options.keys.first().copied().unwrap_or(100_000);
        let most = arguments.threads.iter().copied();
        let usual = workloads
            .iter()
            .flat_map(|one| one.default_threads())
            .copied();
        let most = most.max().or(usual.max()).unwrap_or(1);
        if keys < most * KEYS as u64 {
            return usage(format!(
                "--keys: {keys} are too few for {most} threads, expected {} at least",
                most * KEYS as u64
            ));
        }
        Ok(Self {
            directory: arguments.directory()?,
            workloads,
            threads: arguments.threads.clone(),
            keys,
            value_bytes: options.value_bytes.unwrap_or(150),
            seconds: options.seconds.unwrap_or(1.5),
            turns: options.pairs.unwrap_or(1),
            durability: arguments.durability(),
            cache_bytes: arguments.cache_bytes,
            seed: arguments.seed,
            quiet: options.quiet,
        })
    }

    /// Threads to measure a workload with; one where it has no choice.
    pub(super) fn threads_of(&self, workload: Workload) -> Vec<u64> {
        let usual = workload.default_threads();
        match (usual, self.threads.as_slice()) {
            ([], _) => vec![1],
            (usual, []) => usual.to_vec(),
            (_, asked) => asked.to_vec(),
        }
    }

    /// Memory for a workload's cache; none: the store's own default.
    pub(super) fn cache_bytes_of(&self, workload: Workload) -> Option<u64> {
        let is_small = workload == Workload::SnapshotMemory;
        self.cache_bytes.or(is_small.then_some(SMALL_CACHE_BYTES))
    }

    /// Time for one measurement.
    pub(super) fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

fn workloads(names: &[String]) -> Result<Vec<Workload>, BenchError> {
    if names.iter().any(|name| name == ALL) {
        return Ok(Workload::value_variants().to_vec());
    }
    let known = |name: &String| {
        Workload::from_str(name, false).map_err(|_| {
            BenchError::Usage(format!(
                "--level txn: {name} is a workload of another level"
            ))
        })
    };
    names.iter().map(known).collect()
}
