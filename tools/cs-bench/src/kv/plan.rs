//! What the arguments of `run --level kv` ask for.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::{ALL, RunArgs};
use crate::engine::{EngineName, KEY_BYTES, ReadPath, Settings};
use crate::error::BenchError;

use super::workload::Workload;

/// Cache of every engine unless told.
const CACHE_BYTES: u64 = 1 << 30;
/// The same for `larger-than-memory`.
const SMALL_CACHE_BYTES: u64 = 8 << 20;
/// What its limit allows beside cache and 15 %: this program, its libraries, the
/// pairs that it hands over, stacks.
const PROGRAM_BYTES: u64 = 32 << 20;

/// An engine as it takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entrant {
    pub(super) engine: EngineName,
    pub(super) read_path: ReadPath,
    /// It is there for its read path only.
    pub(super) only_reads: bool,
}

impl Entrant {
    /// Its name in the report: that of the engine, and of the read path if it is not the pool.
    pub(super) fn label(&self) -> String {
        match self.read_path {
            ReadPath::Pool => self.engine.to_string(),
            ReadPath::Map => format!("{}-map", self.engine),
        }
    }
}

/// A workload to measure, and how.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Task {
    pub(super) workload: Workload,
    /// One measurement for each.
    pub(super) threads: Vec<u64>,
    pub(super) seconds: f64,
    /// Of `growth`.
    pub(super) grows: bool,
}

/// One database: loaded once, for all the tasks on it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Round {
    pub(super) keys: u64,
    pub(super) tasks: Vec<Task>,
}

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) directory: PathBuf,
    pub(super) entrants: Vec<Entrant>,
    pub(super) rounds: Vec<Round>,
    pub(super) turns: u64,
    pub(super) value_bytes: u64,
    pub(super) cache_bytes: u64,
    pub(super) memory_limit: Option<u64>,
    pub(super) seed: u64,
    pub(super) quiet: bool,
}

impl Plan {
    /// From the command line, if it makes sense.
    pub(super) fn new(arguments: &RunArgs) -> Result<Self, BenchError> {
        arguments.refuse_document_options()?;
        let options = &arguments.kv;
        let workloads = workloads(&arguments.workloads)?;
        let takes_threads = |workload: &Workload| {
            workload
                .parts()
                .iter()
                .any(|part| !part.default_threads().is_empty())
        };
        if !arguments.threads.is_empty() && !workloads.iter().any(takes_threads) {
            return Err(BenchError::Usage(format!(
                "--threads: {} has threads of its own",
                arguments.workloads.join(" ")
            )));
        }
        let is_small = workloads.contains(&Workload::LargerThanMemory);
        if is_small && workloads.len() > 1 {
            return Err(BenchError::Usage(format!(
                "{}: expected it alone, since its cache and limit are its own",
                Workload::LargerThanMemory
            )));
        }
        let entrants = entrants(&arguments.engine, &options.read_path, &workloads)?;
        let mut rounds = Vec::new();
        for workload in workloads {
            let keys = match options.keys.as_slice() {
                [] => workload.default_keys(),
                several => several,
            };
            for keys in keys {
                let tasks = tasks(workload, &arguments.threads, options.seconds);
                add(&mut rounds, *keys, tasks);
            }
        }
        let usual = if is_small {
            SMALL_CACHE_BYTES
        } else {
            CACHE_BYTES
        };
        let cache_bytes = arguments.cache_bytes.unwrap_or(usual);
        let its_own = is_small.then_some(cache_bytes + cache_bytes / 100 * 15 + PROGRAM_BYTES);
        let memory_limit = options.memory_limit.or(its_own);
        Ok(Self {
            directory: arguments.directory()?,
            entrants,
            rounds,
            turns: options.pairs.unwrap_or(1),
            value_bytes: options
                .value_bytes
                .unwrap_or(if is_small { 1024 } else { 150 }),
            cache_bytes,
            memory_limit,
            seed: arguments.seed,
            quiet: options.quiet,
        })
    }

    /// How an entrant opens a database of so many keys.
    pub(super) fn settings(&self, entrant: &Entrant, keys: u64) -> Settings {
        Settings {
            cache_bytes: self.cache_bytes,
            value_bytes: self.value_bytes,
            payload_bytes: keys.saturating_mul(KEY_BYTES as u64 + self.value_bytes),
            read_path: entrant.read_path,
            long_log: false,
            memory_limit: self.memory_limit,
        }
    }
}

/// Adds tasks to the round of so many keys.
fn add(rounds: &mut Vec<Round>, keys: u64, tasks: Vec<Task>) {
    match rounds.iter_mut().find(|round| round.keys == keys) {
        Some(round) => round.tasks.extend(tasks),
        None => rounds.push(Round { keys, tasks }),
    }
}

/// The workloads named, each once, in the order in which they follow from each other.
fn workloads(names: &[String]) -> Result<Vec<Workload>, BenchError> {
    let mut found = Vec::new();
    for name in names {
        if name == ALL {
            found.extend(Workload::all());
            continue;
        }
        found.push(Workload::from_str(name, false).map_err(|_| {
            BenchError::Usage(format!("--level kv: {name} is a workload of --level doc"))
        })?);
    }
    // Reads come before writes, so that they see the load and nothing else.
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn entrants(
    engines: &[EngineName],
    paths: &[ReadPath],
    workloads: &[Workload],
) -> Result<Vec<Entrant>, BenchError> {
    let mut entrants: Vec<Entrant> = Vec::new();
    let engines = if engines.is_empty() {
        &[EngineName::Cs]
    } else {
        engines
    };
    if !paths.is_empty() && !engines.contains(&EngineName::Cs) {
        return Err(BenchError::Usage(
            "--read-path: only cs has read paths".to_owned(),
        ));
    }
    let some_read = workloads
        .iter()
        .any(|workload| workload.parts().iter().any(|part| part.only_reads()));
    for engine in engines {
        engine.check_built()?;
        let paths = match (engine, paths) {
            (EngineName::Cs, [_, ..]) => paths,
            _ => &[ReadPath::Pool],
        };
        for (place, read_path) in paths.iter().enumerate() {
            let entrant = Entrant {
                engine: *engine,
                read_path: *read_path,
                only_reads: place > 0,
            };
            let is_new = entrants
                .iter()
                .all(|other| other.label() != entrant.label());
            if is_new && (some_read || !entrant.only_reads) {
                entrants.push(entrant);
            }
        }
    }
    Ok(entrants)
}

fn tasks(workload: Workload, threads: &[u64], seconds: Option<f64>) -> Vec<Task> {
    let grows = workload == Workload::Growth;
    let task = |part: Workload| Task {
        workload: part,
        threads: match (part.default_threads(), threads) {
            ([_, ..], []) if workload == Workload::LargerThanMemory => match part {
                Workload::Get => vec![1, 2],
                _ => vec![1],
            },
            ([], _) => vec![1],
            (_, [_, ..]) => threads.to_vec(),
            (_, []) if grows => vec![1],
            (default, []) => default.to_vec(),
        },
        seconds: seconds.unwrap_or(part.default_seconds()),
        grows,
    };
    workload.parts().into_iter().map(task).collect()
}

#[cfg(test)]
mod tests;
