//! All cycles of the kill loop.
//!
//! ## Invariants
//! * Most cycles go on with the directory of their kind; some begin with none,
//!   since creation is the least tested window of all.
//! * What a failed cycle left is taken away before the next one of its kind.

use std::fs;
use std::path::Path;

use super::Args;
use super::oracle::Oracle;
use super::plan::Kind;
use super::scene::Scene;
use crate::progress::Progress;
use crate::{Outcome, panics};

/// Each so many cycles one begins with an empty directory. No divisor of it is
/// one of the kinds' turn, so that each kind begins so.
const FRESH_EVERY: u64 = 7;
/// So many directories of failed cycles are kept to be looked at.
const MOST_KEPT: u64 = 3;

/// What a cycle writes.
pub(crate) fn kind_of(cycle: u64) -> Kind {
    match cycle % 6 {
        1 | 4 => Kind::Documents,
        2 => Kind::WithoutLog,
        _ => Kind::Pairs,
    }
}

/// The databases that go on from cycle to cycle, one of each kind.
#[derive(Debug)]
pub(crate) struct Going {
    seed: u64,
    oracles: [Oracle; 3],
}

/// The database of one cycle.
pub(crate) struct Chosen<'a> {
    pub(crate) oracle: &'a mut Oracle,
    /// Its directory, below that of the harness.
    pub(crate) name: String,
    pub(crate) is_fresh: bool,
}

impl Going {
    pub(crate) fn new(seed: u64) -> Self {
        let kinds = [Kind::Pairs, Kind::WithoutLog, Kind::Documents];
        Self {
            seed,
            oracles: kinds.map(|kind| Oracle::new(kind, seed)),
        }
    }

    /// For `cycle`; `fresh` is where a new one may be kept.
    pub(crate) fn choose<'a>(
        &'a mut self,
        cycle: u64,
        fresh: &'a mut Option<Oracle>,
    ) -> Chosen<'a> {
        let kind = kind_of(cycle);
        if cycle % FRESH_EVERY == FRESH_EVERY - 1 {
            return Chosen {
                oracle: fresh.insert(Oracle::new(kind, self.seed)),
                name: format!("fresh-{cycle}"),
                is_fresh: true,
            };
        }
        Chosen {
            oracle: &mut self.oracles[kind as usize],
            name: kind.name(),
            is_fresh: false,
        }
    }

    /// The base of this kind is lost: the next cycle of it begins anew.
    pub(crate) fn forget(&mut self, cycle: u64) {
        let kind = kind_of(cycle);
        self.oracles[kind as usize] = Oracle::new(kind, self.seed);
    }
}

/// All cycles.
pub(super) fn run(program: &Path, directory: &Path, args: &Args) -> Outcome {
    let progress = Progress::new("kill", args.cycles);
    let mut outcome = Outcome::default();
    let mut going = Going::new(args.seed);
    let mut transactions = 0;
    for cycle in 0..args.cycles {
        let mut fresh = None;
        let chosen = going.choose(cycle, &mut fresh);
        let place = directory.join(&chosen.name);
        let before = chosen.oracle.transactions();
        let scene = Scene {
            program,
            place: &place,
            seed: args.seed,
            cycle,
            mutant: args.mutant,
        };
        let result = panics::catch(|| {
            let said = scene.write_and_die(chosen.oracle, None)?;
            scene.judge(chosen.oracle, &said)
        });
        transactions += chosen.oracle.transactions().saturating_sub(before);
        let is_fresh = chosen.is_fresh;
        progress.count(result.is_ok());
        outcome.count(result.is_ok());
        match result {
            Ok(()) if is_fresh => drop(fs::remove_dir_all(&place)),
            Ok(()) => {}
            Err(failure) => {
                progress.say(&format!("kill: cycle {cycle}: {failure}"));
                let seed = args.seed;
                let again = format!("cs-torture kill --seed {seed} --cycles {}", cycle + 1);
                let keep = args.mutant.is_none() && outcome.failed <= MOST_KEPT;
                let kept = set_aside(&place, cycle, keep);
                progress.say(&format!("  again: {again}{kept}"));
                if !is_fresh {
                    going.forget(cycle);
                }
            }
        }
    }
    progress.finish();
    eprintln!(
        "kill: {transactions} transactions survived, {:.1} s",
        progress.seconds()
    );
    outcome
}

/// Takes what a failed cycle left out of the way of the next one; says where
/// it is, if it is kept.
fn set_aside(place: &Path, cycle: u64, keep: bool) -> String {
    let beside = format!("cs-kill-{}-{cycle}", std::process::id());
    let kept = std::env::temp_dir().join(beside);
    if keep && fs::rename(place, &kept).is_ok() {
        return format!("; what it left: {}", kept.display());
    }
    let _ = fs::remove_dir_all(place);
    String::new()
}
