//! `cs-bench` measures Collection Store, and the disk under it.
//!
//! * `probe` finds out what the disk can do at best: the ceiling that every
//!   durable write has to be judged by.
//! * `run` drives workloads against fresh databases: documents, or the keys and
//!   values below them beside other engines.
//! * `compare` says what became worse between two reports.
//!
//! ## Invariants
//! * The report goes to standard output, all else (progress, warnings, errors)
//!   to standard error; with `--json` standard output is one JSON object.
//! * Nothing that was in a directory before is changed or removed.
//! * A figure is only printed if every answer of the database was right.
//! * Exit code 0: measured; 1: failed, or worse than before; 2: the command line makes no sense.

// LMDB is opened through an unsafe call, in `engine/lmdb.rs` and nowhere else.
#![cfg_attr(not(feature = "peers"), forbid(unsafe_code))]

mod cli;
mod engine;
mod error;
mod kv;
mod latency;
mod machine;
mod probe;
mod report;
mod run;
mod txn;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command, Level, RunArgs};
use crate::error::BenchError;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let is_child = matches!(cli.command, Command::EngineProcess);
    if !is_child && report::DEBUG_BUILD {
        report::warn("this is a debug build: its figures mean nothing. Build with --release.");
    }
    let result = match &cli.command {
        Command::Probe(arguments) => probe::main(arguments),
        Command::Run(arguments) => run(arguments),
        Command::Compare(arguments) => kv::compare(arguments),
        Command::EngineProcess => kv::engine_process(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: &RunArgs) -> Result<(), BenchError> {
    if arguments.list {
        return list();
    }
    match arguments.level() {
        Level::Doc => run::main(&arguments.documents()?),
        Level::Kv => kv::main(arguments),
        Level::Txn => txn::main(arguments),
    }
}

/// What can be measured.
fn list() -> Result<(), BenchError> {
    let mut table = report::table(&["level", "workload", "what it does"], 3);
    for (level, name) in [(Level::Doc, "doc"), (Level::Kv, "kv"), (Level::Txn, "txn")] {
        for (workload, sentence) in cli::listed(level) {
            table.add_row([name.to_owned(), workload, sentence]);
        }
    }
    report::print(&table.to_string())
}
