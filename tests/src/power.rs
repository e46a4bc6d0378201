//! The harness `power`: a process writes to a database on a file system of its
//! own, and the power of that file system is cut, again and again.
//!
//! The file system lies in a file, behind a loop device. The kernel's own
//! shutdown call (`EXT4_IOC_SHUTDOWN`, `XFS_IOC_GOINGDOWN`) stops it at once:
//! what it has not written is lost, as if the machine had lost its power, and
//! mounting it again recovers its journal. Half of the cuts let the journal
//! out before (flag 1), half do not (flag 2).
//!
//! | step | file |
//! |---|---|
//! | a mount namespace that nothing outlives | `enclosure.rs` |
//! | the file system: made, mounted, cut, mounted again | `volume.rs` |
//! | one cut after the other; the process and the oracle are those of `kill` | `cuts.rs` |
//!
//! ## Invariants
//! * Acknowledged under `Sync`, by a flush or by a checkpoint means there
//!   after the cut; everything else is there wholly or not at all, in order.
//! * What a database showed after one cut survives the next one too.
//! * No mount, loop device or file is left, however this ends.
//! * Where the system refuses loop devices or mounts, the harness says so and
//!   ends with a code of its own: it never passes without having cut.
//!
//! What is *not* proved here: that a disk's own cache is flushed. A write that
//! reached the loop device stays, so a missing sync behind direct I/O into
//! written blocks goes unseen; the crash explorer sees it.

mod cuts;
mod enclosure;
mod volume;

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use cs_base::mutants::Mutant;

use crate::Outcome;

/// A file system with a shutdown call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileSystem {
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
}

/// Arguments of `cs-torture power`.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// On which file system.
    #[arg(long, value_enum, default_value = "ext4")]
    pub fs: FileSystem,
    /// How often to cut.
    #[arg(long, default_value_t = 20)]
    pub cuts: u64,
    /// What all random choices come from. What is written depends on it alone;
    /// the moment of the cut also on the machine.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where to put the file with the file system; else a temporary directory.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Plants this bug in the writing process; cuts must then fail.
    #[arg(long, value_parser = crate::flip::parse_mutant, conflicts_with = "mutants")]
    pub mutant: Option<Mutant>,
    /// Plants each bug that power cuts can see in turn; each must be found
    /// within the given cuts.
    #[arg(long)]
    pub mutants: bool,
    /// This is the process inside the mount namespace.
    #[arg(long, hide = true)]
    inside: bool,
}

impl Args {
    /// So many cuts of a file system from a seed.
    #[must_use]
    pub fn new(fs: FileSystem, cuts: u64, seed: u64) -> Self {
        Self {
            fs,
            cuts,
            seed,
            dir: None,
            mutant: None,
            mutants: false,
            inside: false,
        }
    }
}

/// Why nothing could be cut here, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped(pub String);

/// The code with which the program ends where it could not cut: what test
/// drivers since automake take for "skipped".
pub const SKIPPED_CODE: u8 = 77;

/// `cs-torture power`.
///
/// # Errors
/// The system refused what it takes.
pub fn run(args: &Args) -> Result<Outcome, Skipped> {
    match std::env::current_exe() {
        Ok(program) if args.inside => cuts::run(&program, args),
        Ok(program) => run_with(&program, args),
        Err(error) => Err(Skipped(format!("this program cannot find itself: {error}"))),
    }
}

/// Runs the harness with `program`, which is `cs-torture`.
///
/// # Errors
/// The system refused what it takes.
pub fn run_with(program: &Path, args: &Args) -> Result<Outcome, Skipped> {
    enclosure::run(program, args)
}
