//! The harness `raft`: whole clusters of the consensus core, in virtual time.
//!
//! A seed is a cluster of 3, 5 or 7 voters with learners and perhaps a witness, clients,
//! and some of the faults of `plan.rs`, each as hard as the seed says. It is a
//! function of its number: the same seed, the same trace.
//!
//! 1. **Safety**: for so many simulated seconds things go wrong; at every step the judge,
//!    who sees all logs and disks, looks at what must hold (`judge.rs`).
//! 2. **Life**: all faults end, and the cluster must lead, serve and converge in time
//!    (`heal.rs`). Then the history of the clients must be linearizable.
//!
//! A seed in which nothing was acknowledged, or nothing went wrong, has shown nothing
//! and is no pass.
//!
//! | file | what it is |
//! |---|---|
//! | `plan.rs`, `dice.rs` | what a seed is like |
//! | `world.rs`, `schedule.rs` | everything that happens, in the order of time |
//! | `server.rs`, `actions.rs`, `apply.rs` | a node and its driver |
//! | `disk.rs`, `ledger.rs` | what a disk has after a crash; a log |
//! | `network.rs`, `nemesis.rs` | messages; what goes wrong |
//! | `clients.rs`, `asking.rs`, `machine.rs`, `operator.rs` | who asks for something, and what is done |
//! | `judge.rs`, `rules.rs`, `heal.rs`, `degrade.rs` | what must hold |
//! | `trace.rs`, `digest.rs`, `hash.rs`, `hits.rs` | what happened |
//! | `mutants.rs` | the hunt for planted bugs |

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;

use crate::progress::Progress;
use crate::verdict::ensure;
use crate::{Failure, Outcome, Verdict, panics};

mod actions;
mod apply;
mod asking;
mod clients;
mod degrade;
mod dice;
mod digest;
mod disk;
mod hash;
mod heal;
mod hits;
mod judge;
mod ledger;
mod machine;
mod mutants;
mod nemesis;
mod network;
mod operator;
mod plan;
mod rules;
mod schedule;
mod server;
#[cfg(test)]
mod tests;
mod trace;
mod world;

pub use mutants::{Caught, FOUND_ELSEWHERE, hunt, parse};

use hits::Hits;
use plan::SECOND;
use world::World;

/// Lines of the trace that are shown of a seed that failed.
const SHOWN_LINES: usize = 60;
/// Failing seeds that are told of.
const TOLD: u64 = 5;

/// Arguments of `cs-torture raft`.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub first_seed: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 500)]
    pub seeds: u64,
    /// Simulated seconds in which things go wrong; up to 30 more follow in which
    /// nothing does.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Threads; a seed is the same on any number of them.
    #[arg(long, default_value_t = 2)]
    pub threads: u64,
    /// Prints everything that happens (for one seed).
    #[arg(long)]
    pub trace: bool,
    /// Lives each seed twice; the traces must be the same.
    #[arg(long, conflicts_with = "mutants")]
    pub twice: bool,
    /// Plants every bug that the simulator knows in turn; each must be found within
    /// the given seeds.
    #[arg(long)]
    pub mutants: bool,
    /// Plants this bug alone.
    #[arg(long, value_parser = parse)]
    pub mutant: Option<cs_raft::mutants::Mutant>,
}

/// What a seed was.
#[derive(Clone, Debug)]
struct Lived {
    /// Over everything that happened.
    hash: u64,
    /// Simulated, in microseconds.
    micros: u64,
    /// Requests that were acknowledged while things went wrong.
    acknowledged: u64,
    hits: Hits,
}

/// `cs-torture raft`.
#[must_use]
pub fn run(args: &Args) -> Outcome {
    eprintln!("raft: seeds from {}", args.first_seed);
    if args.trace {
        cs_raft::mutants::plant(args.mutant);
        return trace(args);
    }
    if args.mutants || args.mutant.is_some() {
        return mutants::hunt_all(args);
    }
    let progress = Progress::new("raft, seeds", args.seeds);
    let next = AtomicU64::new(args.first_seed);
    let end = args.first_seed + args.seeds;
    let all = Mutex::new((Outcome::default(), Hits::default(), 0_u64));
    std::thread::scope(|scope| {
        for _ in 0..args.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let verdict = judge_seed(seed, args.seconds, args.twice);
                    progress.count(verdict.is_ok());
                    let Ok(mut all) = all.lock() else { return };
                    all.0.count(verdict.is_ok());
                    match verdict {
                        Ok(lived) => {
                            all.1.add(&lived.hits);
                            all.2 += lived.micros;
                        }
                        Err(failure) if all.0.failed <= TOLD => {
                            progress.say(&tell(seed, args.seconds, &failure));
                        }
                        Err(failure) => {
                            let first = failure.0.lines().next().unwrap_or_default();
                            progress.say(&format!("seed {seed}: {first}"));
                        }
                    }
                }
            });
        }
    });
    progress.finish();
    let Ok((mut outcome, hits, micros)) = all.into_inner() else {
        return Outcome {
            passed: 0,
            failed: 1,
        };
    };
    let simulated = micros / SECOND;
    let rate = simulated as f64 / progress.seconds();
    eprintln!(
        "{simulated} simulated seconds in {:.1} s: {rate:.0} per second on {} threads",
        progress.seconds(),
        args.threads
    );
    for (what, count) in hits.all().into_iter().filter(|_| outcome.passed > 0) {
        eprintln!("  {what}: {count}");
        // A part that so many seeds never met is not tested.
        if count == 0 && outcome.passed >= 500 {
            eprintln!("  never met: {what}");
            outcome.failed += 1;
        }
    }
    outcome
}

/// Lives a seed, twice if wanted; one that shows nothing has failed.
fn judge_seed(seed: u64, seconds: u64, twice: bool) -> Verdict<Lived> {
    let lived = panics::catch(|| live(seed, seconds, 0).1)?;
    ensure(lived.acknowledged > 0, || {
        "vacuous: nothing was acknowledged".into()
    })?;
    ensure(lived.hits.faults > 0, || {
        "vacuous: nothing went wrong".into()
    })?;
    if twice {
        let again = panics::catch(|| live(seed, seconds, 0).1)?;
        ensure(again.hash == lived.hash, || {
            format!(
                "one seed, two traces: {:x} and {:x}",
                lived.hash, again.hash
            )
        })?;
    }
    Ok(lived)
}

/// Lives a seed, and gives the last lines of its trace, if some are wanted.
fn live(seed: u64, seconds: u64, lines: usize) -> (Vec<String>, Verdict<Lived>) {
    let mut world = match World::new(seed, lines) {
        Ok(world) => world,
        Err(failure) => return (Vec::new(), Err(failure)),
    };
    let verdict = panics::catch(|| {
        world.suffer(seconds * SECOND)?;
        let acknowledged = world.hits.acknowledged;
        world.recover()?;
        Ok(Lived {
            hash: world.trace.hash,
            micros: world.schedule.now(),
            acknowledged,
            hits: world.hits.clone(),
        })
    });
    let at = world.schedule.now() as f64 / SECOND as f64;
    let verdict = verdict.map_err(|failure| failure.during(format_args!("at {at:.6} s")));
    (world.trace.lines().map(str::to_owned).collect(), verdict)
}

/// A failing seed once more, with its trace, and how to see it again.
fn tell(seed: u64, seconds: u64, failure: &Failure) -> String {
    let (lines, _) = live(seed, seconds, SHOWN_LINES);
    let lines = lines.join("\n  ");
    format!(
        "seed {seed}: {failure}\n  {lines}\n  again with: cs-torture raft --first-seed {seed} --seeds 1 --seconds {seconds} --trace"
    )
}

/// One seed, with everything that happens.
fn trace(args: &Args) -> Outcome {
    let (lines, verdict) = live(args.first_seed, args.seconds, usize::MAX);
    for line in lines {
        println!("{line}");
    }
    let mut outcome = Outcome::default();
    outcome.count(verdict.is_ok());
    match verdict {
        Ok(lived) => eprintln!(
            "seed {}: as promised, trace {:x}",
            args.first_seed, lived.hash
        ),
        Err(failure) => eprintln!("seed {}: {failure}", args.first_seed),
    }
    outcome
}
