//! `cs-torture`: the harnesses on the command line. See README.md.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cs_tests::{crash, fault, filters, flip, fuzz, indexes, isolation, kill, power, prepare, raft};

/// Breaks Collection Store in every way we know, and looks whether it holds.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    harness: Harness,
}

#[derive(Debug, Subcommand)]
enum Harness {
    /// Crashes a simulated disk at any event and looks at what is recovered.
    Crash(crash::Args),
    /// Lets one I/O operation after the other fail.
    Fault(fault::Args),
    /// Kills a writing process and looks at what it left.
    Kill(kill::Args),
    /// Cuts the power of a file system under a writing process.
    Power(power::Args),
    /// Feeds changed inputs to whatever reads bytes from outside.
    Fuzz(fuzz::Args),
    /// Flips bits, cuts and swaps pages, and looks for silence.
    Flip(flip::Args),
    /// Judges random transactions from many threads by their isolation.
    Isolation(isolation::Args),
    /// Crashes indexed collections at any event, and proves indexes against documents.
    Indexes(indexes::Args),
    /// Compares the two forms of filters over generated documents.
    Filters(filters::Args),
    /// Crashes prepared transactions at any event, and lets their I/O fail.
    Prepare(prepare::Args),
    /// Lives whole clusters of the consensus core in virtual time, under faults.
    Raft(raft::Args),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().harness {
        Harness::Crash(args) => crash::run(&args),
        Harness::Fault(args) => fault::run(&args),
        Harness::Kill(args) => kill::run(&args),
        Harness::Power(args) => match power::run(&args) {
            Ok(outcome) => outcome,
            Err(power::Skipped(why)) => {
                println!("skipped: {why}");
                return ExitCode::from(power::SKIPPED_CODE);
            }
        },
        Harness::Fuzz(args) => fuzz::run(&args),
        Harness::Flip(args) => flip::run(&args),
        Harness::Isolation(args) => isolation::run(&args),
        Harness::Indexes(args) => indexes::run(&args),
        Harness::Filters(args) => filters::run(&args),
        Harness::Prepare(args) => prepare::run(&args),
        Harness::Raft(args) => raft::run(&args),
    };
    println!("{} passed, {} failed", outcome.passed, outcome.failed);
    if outcome.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
