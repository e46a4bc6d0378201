//! A small share of `cs-torture power`: what was acknowledged survives a power
//! cut of the file system under it.
//!
//! Needs the right to mount; where it is refused the tests say so and pass.

use std::path::Path;

use cs_base::mutants::Mutant;
use cs_tests::Outcome;
use cs_tests::power::{Args, FileSystem, Skipped, run_with};

const SEED: u64 = 20_265;

/// None where nothing could be cut.
fn cut(args: &Args) -> Option<Outcome> {
    println!("seed {SEED}");
    let program = Path::new(env!("CARGO_BIN_EXE_cs-torture"));
    match run_with(program, args) {
        Ok(outcome) => Some(outcome),
        Err(Skipped(why)) => {
            println!("skipped: {why}");
            None
        }
    }
}

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    for fs in [FileSystem::Ext4, FileSystem::Xfs] {
        if let Some(outcome) = cut(&Args::new(fs, 12, SEED)) {
            assert_eq!((outcome.passed, outcome.failed), (12, 0), "{fs:?}");
        }
    }
}

#[test]
fn a_sync_that_does_nothing_is_missed_within_a_few_cuts() {
    let mut args = Args::new(FileSystem::Ext4, 20, SEED);
    args.mutant = Some(Mutant::SkipSync);
    if let Some(outcome) = cut(&args) {
        assert!(outcome.failed > 0, "the planted bug was not found");
    }
}
