//! Two-phase commit under crashes and faults: a seeded life of prepared
//! transactions, with and without resources, on a simulated disk; crashed at every
//! event of it, and lived again with every operation failing.
//!
//! ## What is promised of each state
//! * A transaction is in doubt, or decided, or was never prepared; never both. What
//!   was acknowledged of it holds.
//! * Its effects are there wholly if it was committed, else not at all.
//! * While it is in doubt its locks are there, and the id of a tree that it will
//!   make is not given to another.
//! * A resource is told what the log says, never two different things, and nothing
//!   before the decision is durable; when it was told, nothing is left to tell.
//! * Who follows the changes is shown each commit once.
//! * The same after a crash in the recovery, or in what was done after it.
//!
//! | file | what it is |
//! |---|---|
//! | `life.rs`, `lived.rs` | the life, and what was acknowledged in it |
//! | `ledger.rs` | a resource that remembers what it was told |
//! | `judge.rs` | one state |

use clap::{Parser, ValueEnum};
use cs_base::mutants::{Mutant, plant};
use cs_io::sim::{CrashKind, Event, Fault, Replay, Rng};

use crate::progress::Progress;
use crate::watch::Watch;
use crate::{Failure, Outcome, Verdict, panics};

mod judge;
mod ledger;
mod life;
mod lived;
#[cfg(test)]
mod tests;

use judge::Left;
use lived::Lived;

/// Bugs that these states show.
pub const FOUND_HERE: [Mutant; 6] = [
    Mutant::AcknowledgeBeforeSync,
    Mutant::VisibleBeforeDurable,
    Mutant::ForgetPreparedLocks,
    Mutant::TellBeforeDecision,
    Mutant::ReusePreparedTreeIds,
    Mutant::FeedBeforeDurable,
];

/// What goes wrong with an operation, when one fails.
const FAULTS: [Fault; 4] = [
    Fault::Eio,
    Fault::NoSpace,
    Fault::ShortWrite,
    Fault::SyncFails,
];

/// Events at which a life with large transactions is crashed, about.
const LARGE_STATES: usize = 25;

/// What is done to a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Manner {
    /// It is crashed at every event.
    Crash,
    /// Its operations fail, one in each life.
    Fault,
}

/// Arguments of `cs-torture prepare`.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// How many lives are crashed at each of their events.
    #[arg(long, default_value_t = 5)]
    pub lives: u64,
    /// How many are lived again with each of their operations failing; dearer by far.
    #[arg(long, default_value_t = 1)]
    pub faulty_lives: u64,
    /// What all random choices come from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Some transactions take several records (over 4 MiB). Their states are dear,
    /// so each life is crashed at a few of its events only.
    #[arg(long, conflicts_with = "mutants")]
    pub large: bool,
    /// Only this life (needs a manner).
    #[arg(long, requires = "manner")]
    pub life: Option<u64>,
    /// What is done to that life.
    #[arg(long)]
    pub manner: Option<Manner>,
    /// Plants every bug that this harness knows in turn; each must be found
    /// within the given lives.
    #[arg(long)]
    pub mutants: bool,
}

/// `cs-torture prepare`.
#[must_use]
pub fn run(args: &Args) -> Outcome {
    let seed = args.seed;
    eprintln!("seed {seed}");
    let mut outcome = Outcome::default();
    if args.mutants {
        for mutant in FOUND_HERE {
            let caught = hunt(mutant, seed, args.lives);
            match &caught {
                Some((states, failure)) => {
                    eprintln!("{mutant:?}: caught after {states} states: {failure}");
                }
                None => eprintln!("{mutant:?}: NOT caught within {} lives", args.lives),
            }
            outcome.count(caught.is_some());
        }
        return outcome;
    }
    let progress = Progress::new("prepare, states", 0);
    let mut told = 0;
    let watch = Watch::start(move |life| format!("cs-torture prepare --seed {seed} (life {life})"));
    let mut look = |life: u64, manner: Manner, verdict: Verdict| {
        watch.now_at(progress.done());
        progress.count(verdict.is_ok());
        outcome.count(verdict.is_ok());
        if let (Err(failure), 0..10) = (verdict, told) {
            told += 1;
            let name = format!("{manner:?}").to_lowercase();
            let large = if args.large { " --large" } else { "" };
            progress.say(&format!(
                "{failure}\n  again with: cs-torture prepare --seed {seed}{large} --life {life} --manner {name}"
            ));
        }
        true
    };
    let only = |manner: Manner, lives: u64| match (args.life, args.manner) {
        (Some(life), Some(wanted)) if wanted == manner => life..life + 1,
        (_, Some(wanted)) if wanted != manner => 0..0,
        _ => 0..lives,
    };
    for life in only(Manner::Crash, args.lives) {
        crash(seed, life, args.large, &mut |verdict| {
            look(life, Manner::Crash, verdict)
        });
    }
    let faulty = if args.large { 0 } else { args.faulty_lives };
    for life in only(Manner::Fault, faulty) {
        for fault in FAULTS {
            fail(seed, life, fault, &mut |verdict| {
                look(life, Manner::Fault, verdict)
            });
        }
    }
    progress.finish();
    eprintln!("{:.1} s", progress.seconds());
    outcome
}

/// Plants a bug and crashes so many lives: states looked at, and what was wrong;
/// `None` if nothing was. The bug is switched on for the whole process meanwhile.
#[must_use]
pub fn hunt(mutant: Mutant, seed: u64, lives: u64) -> Option<(u64, Failure)> {
    plant(Some(mutant));
    let (mut states, mut caught) = (0, None);
    for life in 0..lives {
        crash(seed, life, false, &mut |verdict| {
            states += 1;
            caught = verdict.err();
            caught.is_none()
        });
        if caught.is_some() {
            break;
        }
    }
    plant(None);
    caught.map(|failure| (states, failure))
}

fn mix(seed: u64, number: u64) -> u64 {
    Rng::new(seed ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93)).draw()
}

/// A life, crashed at each event in both manners; until `tell` has enough.
fn crash(seed: u64, life: u64, is_large: bool, tell: &mut dyn FnMut(Verdict) -> bool) {
    let seed = mix(seed, life);
    let lived = match panics::catch(|| life::live(seed, is_large, None)) {
        Ok(lived) => lived,
        Err(failure) => {
            tell(Err(failure.during(format_args!("life {life}"))));
            return;
        }
    };
    let journal = lived.disk.journal();
    let mut replay = Replay::from_image(&lived.image, &journal);
    let step = if is_large {
        journal.len() / LARGE_STATES
    } else {
        1
    };
    let shift = (seed % step.max(1) as u64) as usize;
    for place in (shift..=journal.len()).step_by(step.max(1)) {
        replay.advance_to(place);
        for kind in [CrashKind::Process, CrashKind::Machine] {
            let mut rng = Rng::new(mix(
                seed,
                2 * place as u64 + u64::from(kind == CrashKind::Machine),
            ));
            let verdict = panics::catch(|| {
                let image = replay.crash(&mut rng, kind);
                Left::of(&lived, image, place, &mut rng).judge(&mut rng)
            });
            let at = |failure: Failure| {
                failure.during(format_args!("life {life}, {kind:?} crash at event {place}"))
            };
            if !tell(verdict.map_err(at)) {
                return;
            }
        }
    }
}

/// A life again and again, with one operation failing after the other.
fn fail(seed: u64, life: u64, fault: Fault, tell: &mut dyn FnMut(Verdict) -> bool) {
    let seed = mix(seed, life);
    let mut operation = 0;
    loop {
        let mut fired = None;
        let verdict = panics::catch(|| {
            let lived = life::live(seed, false, Some((fault, operation)))?;
            fired = lived.fired;
            judge_end(&lived, seed)
        });
        let at = |failure: Failure| {
            failure.during(format_args!(
                "life {life}, {fault:?} at operation {operation}"
            ))
        };
        let is_good = verdict.is_ok();
        if !tell(verdict.map_err(at)) || (is_good && fired.is_none()) {
            return;
        }
        // Where the life itself went wrong, nobody knows which one it was.
        operation = fired.map_or(operation, |fired| fired.max(operation)) + 1;
    }
}

/// The end of a life, crashed in both manners.
fn judge_end(lived: &Lived, seed: u64) -> Verdict {
    let mut rng = Rng::new(seed);
    for kind in [CrashKind::Process, CrashKind::Machine] {
        let image = lived.disk.crash(&mut rng, kind);
        let mut left = Left::of(lived, image, lived.disk.event_count(), &mut rng);
        // Where a sync of the directory failed, no later one may be believed before
        // the machine was started anew.
        let failed = Event::DirSync { ok: false };
        if kind == CrashKind::Process && lived.disk.journal().events().contains(&failed) {
            left = left.without_another_crash();
        }
        left.judge(&mut rng)
            .map_err(|failure| failure.during(format_args!("{kind:?} crash at the end")))?;
    }
    Ok(())
}
