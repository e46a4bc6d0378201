//! The harness `kill`: a process that writes to a database on a real disk is
//! killed at a random moment, again and again.
//!
//! | step | file |
//! |---|---|
//! | what each writer writes, as a function of seed, writer and number | `plan.rs` |
//! | every way to a directory, in turn | `disks.rs` |
//! | the process that writes and acknowledges: pairs, documents | `child.rs`, `documents.rs` |
//! | acknowledgements on a pipe | `frames.rs` |
//! | start, kill, reopen | `scene.rs` |
//! | one cycle after the other | `cycle.rs` |
//! | what must be there, and nothing else | `oracle.rs` |
//!
//! ## Invariants
//! * Each acknowledgement is sent after its ticket was waited for, never before.
//! * What a reopened database showed once is the base of the next cycle: it
//!   may not be taken back.
//!
//! What is *not* proved here: that anything was synced. The page cache survives
//! the death of a process; the crash explorer and the power cuts are for that.

mod child;
pub(crate) mod cycle;
mod disks;
mod documents;
mod frames;
pub(crate) mod oracle;
pub(crate) mod plan;
pub(crate) mod scene;

use std::path::{Path, PathBuf};

use clap::Parser;
use cs_base::mutants::Mutant;

use crate::Outcome;

/// Arguments of `cs-torture kill`.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// How often to kill.
    #[arg(long, default_value_t = 200)]
    pub cycles: u64,
    /// What all random choices come from. What is written depends on it alone;
    /// the moment of death also on the machine.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where to put the databases, on a real disk; else a temporary directory.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Plants this bug in the writing process; cycles must then fail.
    #[arg(long, value_parser = crate::flip::parse_mutant)]
    pub mutant: Option<Mutant>,
    /// This is the writing process, of this cycle.
    #[arg(long, hide = true)]
    child: Option<u64>,
    /// What it writes.
    #[arg(long, hide = true, default_value = "pairs")]
    kind: plan::Kind,
    /// How far its writers came before.
    #[arg(long, hide = true, value_delimiter = ',')]
    reached: Vec<u64>,
}

impl Args {
    /// So many cycles from a seed, in a temporary directory.
    #[must_use]
    pub fn new(cycles: u64, seed: u64) -> Self {
        Self {
            cycles,
            seed,
            dir: None,
            mutant: None,
            child: None,
            kind: plan::Kind::Pairs,
            reached: Vec::new(),
        }
    }
}

/// Runs the harness, or is the process to be killed: then it does not return.
#[must_use]
pub fn run(args: &Args) -> Outcome {
    match (args.child, &args.dir) {
        (Some(cycle), Some(directory)) => {
            child::run(&child::Orders {
                kind: args.kind,
                seed: args.seed,
                cycle,
                directory,
                mutant: args.mutant,
                reached: &args.reached,
            });
        }
        _ => match std::env::current_exe() {
            Ok(program) => run_with(&program, args),
            Err(error) => refuse(&format!("this program cannot find itself: {error}")),
        },
    }
}

/// Runs the harness with `program`, which is `cs-torture`, as the process to
/// be killed.
#[must_use]
pub fn run_with(program: &Path, args: &Args) -> Outcome {
    eprintln!("kill: seed {}", args.seed);
    let temporary;
    let directory = match &args.dir {
        Some(directory) => directory.as_path(),
        None => match tempfile::tempdir() {
            Ok(made) => {
                temporary = made;
                temporary.path()
            }
            Err(error) => return refuse(&format!("no temporary directory: {error}")),
        },
    };
    cycle::run(program, directory, args)
}

fn refuse(why: &str) -> Outcome {
    eprintln!("kill: {why}");
    Outcome {
        passed: 0,
        failed: 1,
    }
}
