//! Placeholder.
use clap::Parser;

use crate::Outcome;

/// Arguments.
#[derive(Clone, Debug, Parser)]
pub struct Args {}

/// Runs.
#[must_use]
pub fn run(_args: &Args) -> Outcome {
    Outcome::default()
}
