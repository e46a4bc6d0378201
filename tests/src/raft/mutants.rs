//! Whether the simulator finds bugs: each planted one must make a seed fail.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use cs_raft::mutants::{Mutant, plant};

use super::{Args, judge_seed};
use crate::{Failure, Outcome};

/// Bugs that no seed shows, and why; scenarios of the core find them.
pub const FOUND_ELSEWHERE: [(Mutant, &str); 2] = [
    (Mutant::StaleSessionCounts, INTACT),
    (Mutant::AckAfterRestartCounts, INTACT),
];
const INTACT: &str = "what a disk had it has, so an old acknowledgement stays true here";

/// What finding a planted bug took.
#[derive(Clone, Debug)]
pub struct Caught {
    /// Seeds lived, the failing one included.
    pub seeds: u64,
    /// The failing seed.
    pub seed: u64,
    /// What was wrong with it.
    pub failure: Failure,
}

/// Plants a bug and lives up to `seeds` seeds, on so many threads; `None` if all of them
/// pass. The bug is switched on for the whole process meanwhile.
#[must_use]
pub fn hunt(
    mutant: Mutant,
    first_seed: u64,
    seeds: u64,
    seconds: u64,
    threads: u64,
) -> Option<Caught> {
    plant(Some(mutant));
    let next = AtomicU64::new(0);
    // The first seed that failed, whoever found it: no later one is begun after it.
    let first = AtomicU64::new(seeds);
    let caught: Mutex<Option<Caught>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= first.load(Ordering::Relaxed) {
                        return;
                    }
                    let seed = first_seed + number;
                    let Err(failure) = judge_seed(seed, seconds, false) else {
                        continue;
                    };
                    first.fetch_min(number, Ordering::Relaxed);
                    let Ok(mut caught) = caught.lock() else {
                        return;
                    };
                    if caught.as_ref().is_none_or(|other| other.seed > seed) {
                        let seeds = number + 1;
                        *caught = Some(Caught {
                            seeds,
                            seed,
                            failure,
                        });
                    }
                }
            });
        }
    });
    plant(None);
    caught.into_inner().ok().flatten()
}

/// Hunts all of them, or the one that is wanted, and says how it went.
pub(super) fn hunt_all(args: &Args) -> Outcome {
    let mut outcome = Outcome::default();
    for mutant in Mutant::ALL {
        if args.mutant.is_some_and(|wanted| wanted != *mutant) {
            continue;
        }
        let elsewhere = FOUND_ELSEWHERE.iter().find(|(other, _)| other == mutant);
        if let (Some((_, why)), None) = (elsewhere, args.mutant) {
            eprintln!("{mutant:?}: found by scenarios: {why}");
            continue;
        }
        let caught = hunt(
            *mutant,
            args.first_seed,
            args.seeds,
            args.seconds,
            args.threads,
        );
        match &caught {
            Some(Caught {
                seeds,
                seed,
                failure,
            }) => {
                let failure: String = failure
                    .0
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .take(240)
                    .collect();
                eprintln!("{mutant:?}: caught after {seeds} seeds (seed {seed}): {failure}");
            }
            None => eprintln!("{mutant:?}: NOT caught within {} seeds", args.seeds),
        }
        outcome.count(caught.is_some());
    }
    outcome
}

/// A planted bug by its name.
///
/// # Errors
/// The names that there are.
pub fn parse(name: &str) -> Result<Mutant, String> {
    let found = Mutant::ALL
        .iter()
        .find(|mutant| format!("{mutant:?}").eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| {
        let names: Vec<_> = Mutant::ALL
            .iter()
            .map(|mutant| format!("{mutant:?}"))
            .collect();
        format!("expected one of {}", names.join(", "))
    })
}
