//! Whether the explorer finds bugs: each planted one must make it fail.

use cs_base::mutants::{Mutant, plant};

use super::{Hits, STATES_PER_RUN, each_state, watch};
use crate::{Failure, Outcome};

/// What finding a planted bug took.
#[derive(Clone, Debug)]
pub struct Caught {
    /// States looked at, the failing one included.
    pub states: u64,
    /// What was wrong with it.
    pub failure: Failure,
}

/// Plants a bug and looks at up to `states` states; `None` if all of them pass.
/// The bug is switched on for the whole process meanwhile.
#[must_use]
pub fn hunt(mutant: Mutant, seed: u64, states: u64) -> Option<Caught> {
    plant(Some(mutant));
    let watch = watch(seed);
    let mut caught = None;
    let mut first = 0;
    while first < states && caught.is_none() {
        each_state(
            seed,
            first..states.min(first + STATES_PER_RUN),
            &watch,
            &mut Hits::default(),
            &mut |number, verdict| {
                caught = verdict.err().map(|failure| Caught {
                    states: number + 1,
                    failure,
                });
                caught.is_none()
            },
        );
        first += STATES_PER_RUN;
    }
    plant(None);
    caught
}

/// Hunts one, and says how it went.
pub(super) fn report(mutant: Mutant, seed: u64, states: u64) -> bool {
    let caught = hunt(mutant, seed, states);
    match &caught {
        Some(Caught { states, failure }) => {
            eprintln!("{mutant:?}: caught after {states} states: {failure}");
        }
        None => eprintln!("{mutant:?}: NOT caught within {states} states"),
    }
    caught.is_some()
}

/// Hunts all of them but the one that simulated disks know nothing of, and those
/// that other harnesses hunt.
pub(super) fn hunt_all(seed: u64, states: u64) -> Outcome {
    let mut outcome = Outcome::default();
    let elsewhere = [
        Mutant::SkipSync,
        Mutant::AnswerBeforeVisible,
        Mutant::RefusalBeforeVisible,
        Mutant::VisibleBeforeDurable,
        Mutant::StaleSnapshot,
        Mutant::SkipWriteCheck,
        Mutant::SkipReadCheck,
        Mutant::ForgetRangesRead,
        Mutant::ForgetPreparedLocks,
        Mutant::TellBeforeDecision,
        Mutant::ReusePreparedTreeIds,
        Mutant::FeedBeforeDurable,
        Mutant::KeepIndexEntry,
        Mutant::TakenUniqueKey,
        Mutant::IgnoreKept,
        Mutant::CompareThroughDouble,
        Mutant::LastFieldCounts,
    ];
    for mutant in Mutant::ALL {
        if !elsewhere.contains(&mutant) {
            outcome.count(report(mutant, seed, states));
        }
    }
    outcome
}

/// A planted bug by its name.
pub fn parse(name: &str) -> Result<Mutant, String> {
    let found = Mutant::ALL
        .into_iter()
        .find(|mutant| format!("{mutant:?}").eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names: Vec<_> = Mutant::ALL
            .iter()
            .map(|mutant| format!("{mutant:?}"))
            .collect();
        format!("expected one of {}", names.join(", "))
    })
}
