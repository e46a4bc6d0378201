//! A small share of `cs-torture kill`: what was acknowledged survives SIGKILL.

use std::path::Path;

use cs_base::mutants::Mutant;
use cs_tests::kill::{Args, run_with};

const SEED: u64 = 20_262;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_cs-torture"))
}

#[test]
fn what_was_acknowledged_survives_the_death_of_the_process() {
    println!("seed {SEED}");
    let outcome = run_with(program(), &Args::new(60, SEED));
    assert_eq!((outcome.passed, outcome.failed), (60, 0));
}

/// The page cache hides a missing sync from this harness, but not a page that
/// was never written.
#[test]
fn a_page_that_a_checkpoint_never_wrote_is_missed() {
    println!("seed {SEED}");
    let mut args = Args::new(40, SEED);
    args.mutant = Some(Mutant::LoseCheckpointWrite);
    assert!(
        run_with(program(), &args).failed > 0,
        "the planted bug was not found"
    );
}
