//! `cs-bench` measures Collection Store, and the disk under it.
//!
//! * `probe` finds out what the disk can do at best: the ceiling that every
//!   durable write has to be judged by.
//! * `run` drives one workload against a fresh database.
//!
//! ## Invariants
//! * The report goes to standard output, all else (progress, warnings, errors)
//!   to standard error; with `--json` standard output is one JSON object.
//! * Nothing that was in a directory before is changed or removed.
//! * A figure is only printed if every answer of the database was right.
//! * Exit code 0: measured; 1: failed; 2: the command line makes no sense.

#![forbid(unsafe_code)]

mod cli;
mod error;
mod latency;
mod machine;
mod probe;
mod report;
mod run;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if report::DEBUG_BUILD {
        report::warn("this is a debug build: its figures mean nothing. Build with --release.");
    }
    let result = match &cli.command {
        Command::Probe(arguments) => probe::main(arguments),
        Command::Run(arguments) => run::main(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
