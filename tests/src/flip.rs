//! The harness `flip`: one damage at a time to the files of a small database,
//! then a look at everything in it.
//!
//! | step | file |
//! |---|---|
//! | a database, and what is in it | `sample.rs` |
//! | what can be done to its files | `mutation.rs` |
//! | open it, read it, judge what came | `look.rs` |
//! | many cases, on threads, none of them for ever | `workers.rs` |
//! | what to say of it | `report.rs` |
//!
//! ## Invariants
//! * Each case is a clear error or exactly the model's contents. Other
//!   contents, a panic, a case without end, and memory beyond what the files
//!   could hold are failures.
//! * One thing cannot be told from a torn tail: damage to the last group of a
//!   log that was never sealed. Losing that group whole, and only that, counts
//!   as `ambiguous`, apart.
//! * A case is a function of seed and number: it can be run again alone.

mod look;
mod mutation;
mod report;
mod sample;
mod workers;

use std::path::PathBuf;

use clap::Parser;
use cs_base::mutants::{Mutant, plant};
use cs_io::allocations::CountingAllocator;

use crate::Outcome;
pub use look::Verdict;
pub use mutation::Region;
pub use report::Tally;

/// Counts per thread what each case asks for.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Arguments of `cs-torture flip`.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// How many cases, drawn from all file kinds.
    #[arg(long, default_value_t = 5_000)]
    pub samples: u64,
    /// Every byte that anybody reads, every block, every length in steps;
    /// takes its time.
    #[arg(long, conflicts_with = "samples")]
    pub all: bool,
    /// What all random choices come from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Runs this one case and says how it went.
    #[arg(long)]
    pub case: Option<u64>,
    /// Threads to run on.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Plants this bug first; cases must then fail.
    #[arg(long, value_parser = parse_mutant)]
    pub mutant: Option<Mutant>,
    /// Writes the files of the samples here, damaged by `--case` if given.
    #[arg(long)]
    pub keep: Option<PathBuf>,
}

impl Args {
    /// So many samples from a seed, on this thread's worth of processor.
    #[must_use]
    pub fn sampled(samples: u64, seed: u64) -> Self {
        Self {
            samples,
            all: false,
            seed,
            case: None,
            threads: 1,
            mutant: None,
            keep: None,
        }
    }
}

/// A planted bug by its name.
pub(crate) fn parse_mutant(name: &str) -> Result<Mutant, String> {
    let known = Mutant::ALL.into_iter();
    known
        .clone()
        .find(|mutant| format!("{mutant:?}").eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            let names: Vec<String> = known.map(|mutant| format!("{mutant:?}")).collect();
            format!("expected one of {}", names.join(", "))
        })
}

/// Runs the harness; the table goes to standard error.
#[must_use]
pub fn run(args: &Args) -> Outcome {
    eprintln!("flip: seed {}", args.seed);
    match tally(args) {
        Ok(tally) => {
            eprint!("{tally}");
            tally.outcome()
        }
        Err(error) => {
            eprintln!("flip: the samples could not be made: {error}");
            Outcome {
                passed: 0,
                failed: 1,
            }
        }
    }
}

/// Runs the harness and returns the whole table.
///
/// # Errors
/// The undamaged databases could not be made, or are not as they should be.
pub fn tally(args: &Args) -> Result<Tally, Box<dyn std::error::Error>> {
    let samples = sample::all(args.seed)?;
    if let (Some(directory), None) = (&args.keep, args.case) {
        for sample in &samples {
            sample.write_to(directory, None)?;
        }
    }
    let cases = if args.all {
        mutation::Cases::every(samples, args.seed, |case| {
            look::judge(case).0 == Verdict::Harmless
        })
    } else {
        mutation::Cases::sampled(samples, args.seed, args.samples)
    };
    if let (Some(directory), Some(number)) = (&args.keep, args.case) {
        let case = cases.get(number);
        case.sample.write_to(directory, Some(&case.mutation))?;
    }
    plant(args.mutant);
    let tally = workers::run(cases, args);
    plant(None);
    Ok(tally)
}

#[cfg(test)]
mod tests;
