//! The harness `fuzz`: bytes from outside, in any shape, into whatever reads them.
//!
//! | target | what reads |
//! |---|---|
//! | `meta`, `page` | `pages.rs`: a meta; a page, and every accessor, search and change on a node that validated |
//! | `log`, `data-file` | `files.rs`: a segment of the log, a data file: listed, recovered from, read, checked |
//! | `block`, `effects` | `blocks.rs`: a compressed block; the payload of a record |
//! | `bson`, `json` | `documents.rs`: a document and a filter, validated, scanned, written as text; text, parsed |
//! | `expression`, `pipeline` | `expressions.rs`: an expression over a document; `pipelines.rs`: a pipeline over documents, and as an update |
//! | `query`, `update`, `keys` | `queries.rs`: a filter over a document, in both forms; an update of one; keys of values |
//! | `wire` | `wire.rs`: a message of a client of the server |
//!
//! The functions here are what the targets in `tests/fuzz` call with inputs of
//! libFuzzer. `cs-torture fuzz` calls them with mutations of the seeds, drawn
//! from a number, so that no nightly compiler is needed for a short look.
//!
//! ## Invariants
//! * No panic, no endless loop, no allocation by a length that was not checked.
//! * What is accepted stands up: it can be read in every way, it says the same
//!   when it is written and read again, and a node stays valid under changes.
//! * Checksums are made right before the bytes are read: else nothing behind
//!   them would ever be reached.

mod blocks;
mod documents;
mod expressions;
mod files;
mod mutate;
mod pages;
mod pipelines;
mod queries;
#[cfg(test)]
mod tests;
mod wire;

use std::fs;
use std::path::PathBuf;

use clap::Parser;

use crate::progress::Progress;
use crate::watch::Watch;
use crate::{Outcome, panics};

/// Something that reads bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Reads; panics if a promise is broken.
    pub run: fn(&[u8]),
    /// Sound inputs to begin with, made by the code under test.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: [Target; 14] = [
    Target {
        name: "meta",
        run: pages::meta,
        seeds: pages::meta_seeds,
    },
    Target {
        name: "page",
        run: pages::page,
        seeds: pages::page_seeds,
    },
    Target {
        name: "log",
        run: files::log,
        seeds: files::log_seeds,
    },
    Target {
        name: "data-file",
        run: files::data_file,
        seeds: files::data_file_seeds,
    },
    Target {
        name: "block",
        run: blocks::block,
        seeds: blocks::block_seeds,
    },
    Target {
        name: "effects",
        run: blocks::effects,
        seeds: blocks::effects_seeds,
    },
    Target {
        name: "bson",
        run: documents::bson,
        seeds: documents::bson_seeds,
    },
    Target {
        name: "json",
        run: documents::json,
        seeds: documents::json_seeds,
    },
    Target {
        name: "query",
        run: queries::query,
        seeds: queries::query_seeds,
    },
    Target {
        name: "update",
        run: queries::update,
        seeds: queries::update_seeds,
    },
    Target {
        name: "expression",
        run: expressions::expression,
        seeds: expressions::expression_seeds,
    },
    Target {
        name: "pipeline",
        run: pipelines::pipeline,
        seeds: pipelines::pipeline_seeds,
    },
    Target {
        name: "keys",
        run: queries::keys,
        seeds: queries::keys_seeds,
    },
    Target {
        name: "wire",
        run: wire::wire,
        seeds: wire::wire_seeds,
    },
];

/// Runs the target of that name.
///
/// # Panics
/// A promise was broken, or there is no such target.
pub fn run_target(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("no target {name}"));
    (target.run)(input);
}

/// Arguments of `cs-torture fuzz`.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Only this target.
    #[arg(long)]
    pub target: Option<String>,
    /// Inputs for each target.
    #[arg(long, default_value_t = 5_000)]
    pub runs: u64,
    /// What all random choices come from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only the input of this number (needs a target).
    #[arg(long, requires = "target")]
    pub run: Option<u64>,
    /// Only this file, as libFuzzer left it (needs a target).
    #[arg(long, requires = "target")]
    pub input: Option<PathBuf>,
    /// Writes the seeds into one directory for each target, and ends.
    #[arg(long)]
    pub write_seeds: Option<PathBuf>,
}

/// `cs-torture fuzz`.
#[must_use]
pub fn run(args: &Args) -> Outcome {
    let mut outcome = Outcome::default();
    if let Some(directory) = &args.write_seeds {
        let written = write_seeds(directory);
        if let Err(error) = &written {
            eprintln!("fuzz: writing seeds: {error}");
        }
        outcome.count(written.is_ok());
        return outcome;
    }
    eprintln!("fuzz: seed {}", args.seed);
    let chosen = |target: &&Target| {
        args.target
            .as_deref()
            .is_none_or(|name| name == target.name)
    };
    for target in TARGETS.iter().filter(chosen) {
        match &args.input {
            None => some_inputs(target, args, &mut outcome),
            Some(file) => {
                let verdict = match fs::read(file) {
                    Ok(input) => panics::catch(|| {
                        (target.run)(&input);
                        Ok(())
                    }),
                    Err(error) => Err(crate::Failure(error.to_string())),
                };
                if let Err(failure) = &verdict {
                    eprintln!("{}: {failure}", target.name);
                }
                outcome.count(verdict.is_ok());
            }
        }
    }
    if outcome == Outcome::default() {
        eprintln!("fuzz: no such target");
        outcome.count(false);
    }
    outcome
}

fn some_inputs(target: &'static Target, args: &Args, outcome: &mut Outcome) {
    let seed = args.seed;
    let name = target.name;
    let again = move |run| format!("cs-torture fuzz --target {name} --seed {seed} --run {run}");
    let watch = Watch::start(again);
    let seeds = (target.seeds)();
    let numbers = args.run.map_or(0..args.runs, |run| run..run + 1);
    let progress = Progress::new(name, numbers.end - numbers.start);
    for number in numbers {
        watch.now_at(number);
        let input = mutate::input(&seeds, seed, number);
        let verdict = panics::catch(|| {
            (target.run)(&input);
            Ok(())
        });
        progress.count(verdict.is_ok());
        outcome.count(verdict.is_ok());
        if let Err(failure) = verdict {
            progress.say(&format!(
                "{name}: {failure}\n  again with: {}",
                again(number)
            ));
        }
    }
    progress.finish();
}

fn write_seeds(directory: &std::path::Path) -> std::io::Result<()> {
    for target in TARGETS {
        let place = directory.join(target.name);
        fs::create_dir_all(&place)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(place.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
