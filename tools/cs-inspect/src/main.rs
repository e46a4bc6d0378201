//! `cs-inspect` looks inside a Collection Store database without changing a byte.
//!
//! | what happens | where |
//! |---|---|
//! | the command line | `cli.rs` |
//! | opening a directory to look at it | `place.rs`, `view.rs` |
//! | being overtaken by whoever writes, and trying again | `passes.rs` |
//! | pages as they lie in the file | `pages.rs`, `allocation.rs`, `census.rs` |
//! | trees as they lie in the file | `roots.rs`, `walk.rs`, `runs.rs`, `owners.rs`, `locate.rs` |
//! | transactions of the log, put together | `parts.rs` |
//! | one command each | `commands/` |
//!
//! ## Invariants
//! * All commands but `load` and `compact` open the files of a database for reading only: no
//!   lock is taken, no byte is changed. Recovery runs on an overlay in memory.
//!   `salvage` and `restore` write to a new directory alone, `backup` to a new file.
//! * A finding is what two passes agree on: a database that somebody else is
//!   writing never looks damaged because of that.
//! * The result goes to standard output, all else to standard error.
//! * Exit codes: 0 sound; 1 findings; 2 the command line makes no sense;
//!   3 unreadable; 4 locked, or overtaken until the time was up.

#![forbid(unsafe_code)]

mod allocation;
mod catalog;
mod census;
mod cli;
mod commands;
mod documents;
mod error;
mod finding;
mod locate;
mod lock;
mod log_state;
mod output;
mod owners;
mod pages;
mod parts;
mod passes;
mod place;
mod progress;
mod roots;
mod runs;
mod view;
mod walk;

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
        Command::Pages(arguments) => commands::pages::run(global, arguments),
        Command::Free(arguments) => commands::free::run(global, arguments),
        Command::Stats(arguments) => commands::stats::run(global, arguments),
        Command::Account(arguments) => commands::account::run(global, arguments),
        Command::Map(arguments) => commands::map::run(global, arguments),
        Command::History(arguments) => commands::history::run(global, arguments),
        Command::Recorder(arguments) => commands::recorder::run(global, arguments),
        Command::Compact(arguments) => commands::compact::run(global, arguments),
        Command::Salvage(arguments) => commands::salvage::run(global, arguments),
        Command::Backup(arguments) => commands::backup::run(global, arguments),
        Command::VerifyBackup(arguments) => commands::verify_backup::run(global, arguments),
        Command::Restore(arguments) => commands::restore::run(global, arguments),
        Command::Constants => commands::constants::run(global),
    }
}
