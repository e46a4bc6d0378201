//! The harness `flip`.

use clap::Parser;

use crate::Outcome;

/// Arguments of `cs-torture flip`.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// What all random choices come from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Runs the harness.
#[must_use]
pub fn run(args: &Args) -> Outcome {
    let _ = args;
    Outcome::default()
}
