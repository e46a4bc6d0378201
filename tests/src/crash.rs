//! The crash explorer: the key/value store on a simulated disk, crashed at any
//! event of its life.
//!
//! A *run* is one seeded life of a store: four writers, background steps and
//! the disk take turns in one thread, and some crashes lie in its middle. The
//! disk keeps a journal; walking it again, the explorer takes *states* evenly
//! spread over the events, makes a disk as a crash there might have left it,
//! opens the store on it and compares it with a model.
//!
//! ## What is promised of each state
//! * The store opens, and every commit acknowledged before the crash is there.
//! * It holds exactly what some commit left, wholly: log order, nothing half.
//! * Its own check finds nothing.
//! * A crash inside the recovery, or after it, takes back nothing that was
//!   acknowledged or that a reader has seen since.
//! * It goes on: commits made after the recovery survive the next crash.
//! * A statement of a session that was carried out is refused, with its results.
//! * `Async` is on disk once the flush interval has passed and background work
//!   is done; a store without a log has what its last checkpoint saved.
//! * With a meta damaged it recovers all the same, or refuses and says why.
//!
//! ## Invariants
//! * A state's number and the seed say all: same number, same crash.
//! * The model is advanced by what was asked for, never by what was read.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use cs_base::mutants::{Mutant, plant};
use cs_io::sim::{Replay, Rng};

use crate::progress::Progress;
use crate::watch::Watch;
use crate::{Failure, Outcome, Verdict, panics};

mod changes;
mod compact;
mod copy;
mod evaluated;
mod examine;
mod follow;
mod hits;
mod life;
mod load;
mod mutants;
mod named;
mod options;
pub mod parts;
mod prepared;
mod rot;
#[cfg(test)]
mod tests;
mod writer;

pub use hits::{Hits, Part};
pub use mutants::{Caught, hunt, parse as parse_mutant};

/// States taken from one run: enough to make its journal worth having.
pub const STATES_PER_RUN: u64 = 250;
/// So many states meet every part; where fewer are looked at it is luck.
const HITS_ALL: u64 = 20_000;
/// Failures described in full; the rest is only counted.
const DESCRIBED: u64 = 10;

/// Arguments of `cs-torture crash`.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// How many states to look at.
    #[arg(long, default_value_t = 20_000)]
    pub states: u64,
    /// What all random choices come from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Looks at this one state only.
    #[arg(long)]
    pub state: Option<u64>,
    /// How many threads share the work.
    #[arg(long, default_value_t = 1)]
    pub threads: u64,
    /// The life of transactions of many part records; states are dear there.
    #[arg(long, conflicts_with_all = ["state", "mutant", "mutants"])]
    pub parts: bool,
    /// Plants this bug; it must be found within the given states.
    #[arg(long, value_parser = mutants::parse, conflicts_with = "mutants")]
    pub mutant: Option<Mutant>,
    /// Plants every known bug in turn; each must be found within the given states.
    #[arg(long)]
    pub mutants: bool,
}

/// `cs-torture crash`.
#[must_use]
pub fn run(args: &Args) -> Outcome {
    eprintln!("seed {}", args.seed);
    if args.parts {
        return parts::explore(args.seed, args.states);
    }
    if args.mutants {
        return mutants::hunt_all(args.seed, args.states);
    }
    if let (Some(mutant), None) = (args.mutant, args.state) {
        let mut outcome = Outcome::default();
        outcome.count(mutants::report(mutant, args.seed, args.states));
        return outcome;
    }
    if let Some(number) = args.state {
        plant(args.mutant);
        let verdict = one_state(args.seed, number);
        plant(None);
        if let Err(failure) = &verdict {
            eprintln!("state {number}: {failure}");
        }
        let mut outcome = Outcome::default();
        outcome.count(verdict.is_ok());
        return outcome;
    }
    let progress = Progress::new("crash", args.states);
    let Explored { mut outcome, hits } =
        explore_with(args.seed, args.states, args.threads, &progress);
    progress.finish();
    eprint!("{hits}");
    let missing = hits.missing();
    if args.states >= HITS_ALL && !missing.is_empty() {
        eprintln!("never met: {}", missing.join(", "));
        outcome.count(false);
    }
    eprintln!(
        "{:.1} s, {:.0} states/s",
        progress.seconds(),
        progress.done() as f64 / progress.seconds()
    );
    outcome
}

/// What an exploration came to.
#[derive(Clone, Copy, Debug)]
pub struct Explored {
    /// Of the states.
    pub outcome: Outcome,
    /// What they and their runs met.
    pub hits: Hits,
}

/// Looks at the states numbered from 0 to `states`.
#[must_use]
pub fn explore(seed: u64, states: u64) -> Explored {
    explore_with(seed, states, 1, &Progress::new("crash", states))
}

fn explore_with(seed: u64, states: u64, threads: u64, progress: &Progress) -> Explored {
    let next_run = AtomicU64::new(0);
    let failed = AtomicU64::new(0);
    let all_hits = Mutex::new(Hits::default());
    let work = || {
        let watch = watch(seed);
        let mut hits = Hits::default();
        loop {
            let number = next_run.fetch_add(1, Ordering::Relaxed);
            let first = number * STATES_PER_RUN;
            if first >= states {
                break;
            }
            let wanted = first..states.min(first + STATES_PER_RUN);
            each_state(seed, wanted, &watch, &mut hits, &mut |number, verdict| {
                progress.count(verdict.is_ok());
                if let Err(failure) = verdict
                    && failed.fetch_add(1, Ordering::Relaxed) < DESCRIBED
                {
                    progress.say(&format!(
                        "state {number}: {failure}\n  again with: cs-torture crash --seed {seed} --state {number}"
                    ));
                }
                true
            });
        }
        if let Ok(mut all) = all_hits.lock() {
            all.add(&hits);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let failed = failed.into_inner();
    let outcome = Outcome {
        passed: states - failed,
        failed,
    };
    Explored {
        outcome,
        hits: all_hits.into_inner().unwrap_or_default(),
    }
}

/// Looks at one state.
///
/// # Errors
/// What is wrong with it.
pub fn one_state(seed: u64, number: u64) -> Verdict {
    let mut found = Ok(());
    let mut hits = Hits::default();
    let mut tell = |_, verdict| {
        found = verdict;
        true
    };
    let watch = watch(seed);
    each_state(seed, number..number + 1, &watch, &mut hits, &mut tell);
    found
}

fn watch(seed: u64) -> Watch {
    Watch::start(move |state| format!("cs-torture crash --seed {seed} --state {state}"))
}

/// Makes a run and shows `tell` the verdict of each wanted state of it, until
/// `tell` says that it is enough. A run that itself goes wrong is the failure
/// of its first wanted state, and the others pass for want of a disk.
fn each_state(
    seed: u64,
    wanted: Range<u64>,
    watch: &Watch,
    hits: &mut Hits,
    tell: &mut dyn FnMut(u64, Verdict) -> bool,
) {
    let run = wanted.start / STATES_PER_RUN;
    watch.now_at(wanted.start);
    let life = panics::catch(|| life::live(mix(seed, run), hits));
    let phases = match life {
        Ok(phases) => phases,
        Err(failure) => {
            for number in wanted.clone() {
                let first = number == wanted.start;
                let verdict = if first {
                    Err(failure.clone().during(format_args!("run {run}")))
                } else {
                    Ok(())
                };
                if !tell(number, verdict) {
                    break;
                }
            }
            return;
        }
    };
    let places: u64 = phases
        .iter()
        .map(|phase| phase.journal.len() as u64 + 1)
        .sum();
    let mut phases = phases.iter();
    let Some(mut phase) = phases.next() else {
        return;
    };
    let mut passed = 0;
    let mut replay = Replay::from_image(&phase.image, &phase.journal);
    for number in wanted {
        let mut rng = Rng::new(mix(mix(seed, number), 0x5EED));
        // Evenly spread over the run, and anywhere within the even share.
        let within = number % STATES_PER_RUN;
        let place = within * places / STATES_PER_RUN + rng.below((places / STATES_PER_RUN).max(1));
        while place - passed > phase.journal.len() as u64 {
            passed += phase.journal.len() as u64 + 1;
            let Some(following) = phases.next() else {
                return;
            };
            phase = following;
            replay = Replay::from_image(&phase.image, &phase.journal);
        }
        replay.advance_to((place - passed) as usize);
        watch.now_at(number);
        hits.state_at(replay.position(), &phase.spans, phase.packs());
        let verdict = panics::catch(|| examine::examine(phase, &replay, &mut rng, hits));
        let verdict = verdict.map_err(|failure: Failure| {
            failure.during(format_args!("event {} of run {run}", replay.position()))
        });
        if !tell(number, verdict) {
            return;
        }
    }
}

/// One number out of two, by the finaliser of the generator itself.
fn mix(a: u64, b: u64) -> u64 {
    Rng::new(a ^ b.wrapping_mul(0xD6E8_FEB8_6659_FD93)).draw()
}
