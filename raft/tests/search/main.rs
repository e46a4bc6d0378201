//! Every way that three nodes can go within a bound: each message may arrive at any time, in any
//! order or never, each write may be done at any time or be lost in a crash. After each step the
//! rules of `world.rs` hold. See `../README.md` for the bounds and how long they take.
//!
//! A depth-first search over the real core: a state is a copy of the three nodes with disks and
//! network, and a way is left where a state was met before.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod world;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use world::{Budget, Move, World};

/// A planted bug is planted in the whole process: nothing else runs beside a hunt.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a search came to.
#[derive(Debug, Default)]
struct Found {
    states: usize,
    steps: usize,
    /// Some way led to an acknowledged entry of this index.
    acknowledged: u64,
    /// What was wrong, and the way to it.
    violation: Option<(String, Vec<Move>)>,
    /// Nothing was left out.
    is_whole: bool,
}

/// A state on the way, and where to go on from it.
struct Frame {
    world: World,
    moves: Vec<Move>,
    next: usize,
}

impl Frame {
    fn new(world: World) -> Self {
        let moves = world.moves();
        Self {
            world,
            moves,
            next: 0,
        }
    }
}

/// Goes every way from `root`, at most so many states.
fn search(root: &World, max_states: usize) -> Found {
    let mut found = Found::default();
    // Only asked whether something is in it: its order reaches no result.
    let mut seen = HashSet::from([root.fingerprint()]);
    let mut stack = vec![Frame::new(root.clone())];
    while let Some(frame) = stack.last_mut() {
        let Some(&step) = frame.moves.get(frame.next) else {
            stack.pop();
            continue;
        };
        frame.next += 1;
        let mut world = frame.world.clone();
        found.steps += 1;
        let verdict = catch_unwind(AssertUnwindSafe(|| world.make(step)))
            .unwrap_or_else(|_| Err("the core's own assertion failed".to_owned()));
        if let Err(wrong) = verdict {
            let way = stack
                .iter()
                .map(|frame| frame.moves[frame.next - 1])
                .collect();
            found.violation = Some((wrong, way));
            break;
        }
        if seen.insert(world.fingerprint()) {
            found.acknowledged = found.acknowledged.max(world.acknowledged);
            if seen.len() >= max_states {
                found.states = seen.len();
                return found;
            }
            stack.push(Frame::new(world));
        }
    }
    found.states = seen.len();
    found.is_whole = found.violation.is_none();
    found
}

/// Node 1 leads in term 1, and everybody knows.
fn led(budget: Budget) -> World {
    let mut world = World::new(Budget {
        timeouts: 1,
        ..budget
    });
    world.make(Move::Timeout(0)).unwrap();
    let is_quiet = |step: &Move| matches!(step, Move::Deliver(_) | Move::Persist(_));
    while let Some(step) = world.moves().into_iter().find(is_quiet) {
        world.make(step).unwrap();
    }
    *world.budget_mut() = budget;
    world
}

/// The way to what was wrong, step by step.
fn told(root: &World, way: &[Move]) -> String {
    let mut world = root.clone();
    let mut text = String::new();
    for step in way {
        text += &format!("{}\n", world.describe(*step));
        let _ = catch_unwind(AssertUnwindSafe(|| world.make(*step)));
    }
    text
}

fn explore(name: &str, root: &World, max_states: usize) -> Found {
    let found = search(root, max_states);
    println!(
        "{name}: {} states, {} steps, whole: {}",
        found.states, found.steps, found.is_whole
    );
    if let Some((wrong, way)) = &found.violation {
        panic!("{name}: {wrong}\n{}", told(root, way));
    }
    let is_proposed = root.budget().proposals > 0;
    assert!(
        found.acknowledged > 0 || !is_proposed,
        "{name}: on no way was anything acknowledged"
    );
    found
}

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn every_way_within_a_small_bound_keeps_the_rules() {
    let _alone = alone();
    let budget = Budget {
        timeouts: 1,
        proposals: 1,
        crashes: 0,
        max_term: 2,
        changes: 0,
        heartbeats: false,
    };
    let found = explore("from nothing", &World::new(budget), usize::MAX);
    assert!(found.is_whole);
    let found = explore("from a leader", &led(budget), usize::MAX);
    assert!(found.is_whole);
    let change = Budget {
        timeouts: 0,
        proposals: 0,
        changes: 1,
        ..budget
    };
    let found = explore("a change", &led(change), usize::MAX);
    assert!(found.is_whole);
}

/// `cargo test --release -p cs-raft --test search -- --ignored --nocapture`, with `TIMEOUTS`,
/// `PROPOSALS`, `CRASHES`, `CHANGES`, `TERMS`, `HEARTBEATS` and `STATES` (in thousands, the most
/// that are kept) as one likes.
#[test]
#[ignore = "minutes, and gigabytes"]
fn every_way_within_a_large_bound_keeps_the_rules() {
    let _alone = alone();
    let budget = Budget {
        timeouts: number("TIMEOUTS", 1),
        proposals: number("PROPOSALS", 2),
        crashes: number("CRASHES", 1),
        max_term: u64::from(number("TERMS", 2)),
        changes: number("CHANGES", 0),
        heartbeats: number("HEARTBEATS", 0) > 0,
    };
    let max_states = number("STATES", 40_000) as usize * 1000;
    explore("from nothing", &World::new(budget), max_states);
    explore("from a leader", &led(budget), max_states);
}

/// The bugs that a disk, a crash and two candidates can show, and from where they are looked for.
#[cfg(feature = "mutants")]
#[test]
fn each_planted_bug_of_votes_and_acknowledgements_is_found() {
    use cs_raft::mutants::{Mutant, plant};
    let _alone = alone();
    let told = std::panic::take_hook();
    // The core's own assertions are among what finds them.
    std::panic::set_hook(Box::new(|_| {}));
    let budget = Budget {
        timeouts: 2,
        proposals: 1,
        crashes: 1,
        max_term: 2,
        changes: 0,
        heartbeats: false,
    };
    let root = led(budget);
    let mut unseen = Vec::new();
    for mutant in [
        Mutant::DoubleVote,
        Mutant::VoteBeforeDurable,
        Mutant::AnswerBeforeDurable,
        Mutant::UnsortedQuorum,
    ] {
        plant(Some(mutant));
        let found = search(&root, 400_000);
        plant(None);
        match found.violation {
            Some((wrong, way)) => {
                let (states, steps) = (found.states, way.len());
                println!("{mutant:?}: {states} states, a way of {steps} steps: {wrong}");
            }
            None => unseen.push(mutant),
        }
    }
    std::panic::set_hook(told);
    assert!(unseen.is_empty(), "not found: {unseen:?}");
}
