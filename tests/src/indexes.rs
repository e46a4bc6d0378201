//! The harness `indexes`: indexes and documents always agree.
//!
//! * A *life* is a seeded mixture of inserts, updates of one and of many, replacements,
//!   deletions, loads, transactions, and of indexes that are made (while others write, or in
//!   part), gone on with and dropped, on a simulated disk, in one thread. After each
//!   operation every index is proven against the documents, both ways.
//! * A *state* is what a crash at some event of that life leaves. It opens, its indexes agree,
//!   those that were being made are gone on with, and agree again.
//! * A *round* is the same mixture from several threads, where readers compare, in one
//!   transaction, what each index finds; and a bank whose transactions read and write through
//!   indexes (`bank`).

mod bank;
mod life;
#[cfg(test)]
mod tests;
mod threads;
mod work;

use clap::Parser;
use cs_base::mutants::{Mutant, plant};

use crate::progress::Progress;
use crate::{Failure, Outcome, Verdict, panics};

/// States of one life.
const STATES_PER_LIFE: u64 = 40;
/// States for each round of threads.
const STATES_PER_ROUND: u64 = 20;

/// Bugs that are found here.
pub const FOUND_HERE: [Mutant; 4] = [
    Mutant::ForgetRangesRead,
    Mutant::KeepIndexEntry,
    Mutant::TakenUniqueKey,
    Mutant::IgnoreKept,
];

/// Arguments of `cs-torture indexes`.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// How many states to look at.
    #[arg(long, default_value_t = 2_000)]
    pub states: u64,
    /// What all random choices come from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only the life of this number.
    #[arg(long)]
    pub life: Option<u64>,
    /// Plants each bug, and passes if it is found within the given states.
    #[arg(long)]
    pub mutants: bool,
}

/// `cs-torture indexes`.
#[must_use]
pub fn run(args: &Args) -> Outcome {
    eprintln!("indexes: seed {}", args.seed);
    let mut outcome = Outcome::default();
    if args.mutants {
        for mutant in FOUND_HERE {
            let found = hunt(mutant, args.seed, args.states);
            match &found {
                Some((states, failure)) => {
                    eprintln!("{mutant:?}: caught within {states} states: {failure}");
                }
                None => eprintln!("{mutant:?}: NOT caught"),
            }
            outcome.count(found.is_some());
        }
        return outcome;
    }
    let lives = match args.life {
        Some(number) => number..number + 1,
        None => 0..args.states.div_ceil(STATES_PER_LIFE),
    };
    let progress = Progress::new("indexes", (lives.end - lives.start) * STATES_PER_LIFE);
    for number in lives {
        one_life(args.seed, number, &mut |verdict| {
            progress.count(verdict.is_ok());
            outcome.count(verdict.is_ok());
            if let Err(failure) = verdict {
                progress.say(&format!(
                    "life {number}: {failure}\n  again with: cs-torture indexes --seed {} --life {number}",
                    args.seed
                ));
            }
        });
    }
    progress.finish();
    outcome
}

/// Plants a bug and looks at so many states: how many it took, and what was wrong
/// then. The bug is switched on for the whole process meanwhile.
#[must_use]
pub fn hunt(mutant: Mutant, seed: u64, states: u64) -> Option<(u64, Failure)> {
    plant(Some(mutant));
    let mut found = None;
    for number in 0..states.div_ceil(STATES_PER_LIFE) {
        one_life(seed, number, &mut |verdict| {
            if let Err(failure) = verdict
                && found.is_none()
            {
                found = Some(((number + 1) * STATES_PER_LIFE, failure));
            }
        });
        if found.is_some() {
            break;
        }
    }
    plant(None);
    found
}

/// A life, its states, and its rounds of threads.
fn one_life(seed: u64, number: u64, tell: &mut dyn FnMut(Verdict)) {
    let seed = seed.wrapping_mul(1_000_003).wrapping_add(number);
    let journal = match panics::catch(|| life::live(seed)) {
        Ok(journal) => journal,
        Err(failure) => return tell(Err(failure)),
    };
    let events = journal.len() as u64;
    for state in 0..STATES_PER_LIFE {
        let at = (state * events + seed % events.max(1)) / STATES_PER_LIFE;
        let verdict = panics::catch(|| life::examine(&journal, at as usize, seed ^ (state << 40)));
        tell(verdict.map_err(|failure| failure.during(format_args!("event {at}"))));
    }
    for round in 0..STATES_PER_LIFE / STATES_PER_ROUND {
        let verdict = panics::catch(|| {
            threads::round(seed ^ (round << 50))?;
            bank::round(seed ^ (round << 50))
        });
        tell(verdict.map_err(|failure| failure.during(format_args!("round {round}"))));
    }
}
