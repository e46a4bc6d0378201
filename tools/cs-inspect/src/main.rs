//! `cs-inspect` looks inside a Collection Store database without changing a byte.
//!
//! | what happens | where |
//! |---|---|
//! | the command line | `cli.rs` |
//! | opening a directory to look at it | `place.rs`, `view.rs` |
//! | being overtaken by whoever writes, and trying again | `passes.rs` |
//! | one command each | `commands/` |
//!
//! ## Invariants
//! * All commands but `load` open files for reading only: no lock is taken, no
//!   file is made, no byte is changed. Recovery runs on an overlay in memory.
//! * A finding is what two passes agree on: a database that somebody else is
//!   writing never looks damaged because of that.
//! * The result goes to standard output, all else to standard error.
//! * Exit codes: 0 sound; 1 findings; 2 the command line makes no sense;
//!   3 unreadable; 4 locked, or overtaken until the time was up.

#![forbid(unsafe_code)]

mod catalog;
mod cli;
mod commands;
mod documents;
mod error;
mod finding;
mod lock;
mod log_state;
mod output;
mod pages;
mod passes;
mod place;
mod progress;
mod view;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command, WalCommand};
use crate::error::Result;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<u8> {
    let global = &cli.global;
    match &cli.command {
        Command::Info(arguments) => commands::info::run(global, arguments),
        Command::Check(arguments) => commands::check::run(global, arguments),
        Command::Page(arguments) => commands::page::run(global, arguments),
        Command::Tree(arguments) => commands::tree::run(global, arguments),
        Command::Wal(WalCommand::List(arguments)) => commands::wal_list::run(global, arguments),
        Command::Wal(WalCommand::Dump(arguments)) => commands::wal_dump::run(global, arguments),
        Command::Dump(arguments) => commands::dump::run(global, arguments),
        Command::Load(arguments) => commands::load::run(global, arguments),
        Command::Constants => commands::constants::run(global),
    }
}
