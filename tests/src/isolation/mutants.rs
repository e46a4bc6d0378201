//! Whether the checker finds bugs: each planted one must make it fail.

use cs_base::mutants::{Mutant, plant};

use super::{EPOCH, one_epoch};
use crate::Failure;

/// Bugs that a history shows.
pub const FOUND_HERE: [Mutant; 9] = [
    Mutant::AcknowledgeBeforeSync,
    Mutant::AnswerBeforeVisible,
    Mutant::RefusalBeforeVisible,
    Mutant::VisibleBeforeDurable,
    Mutant::StaleSnapshot,
    Mutant::SkipWriteCheck,
    Mutant::SkipReadCheck,
    Mutant::ForgetRangesRead,
    Mutant::ForgetPreparedLocks,
];

/// Plants a bug and makes up to so many transactions: how many it took, and what
/// was wrong then; `None` if nothing was. The bug is switched on for the whole
/// process meanwhile.
#[must_use]
pub fn hunt(mutant: Mutant, seed: u64, transactions: u64) -> Option<(u64, Failure)> {
    plant(Some(mutant));
    let epochs = 0..transactions.div_ceil(EPOCH);
    let found = epochs.into_iter().find_map(|epoch| {
        let verdict = one_epoch(seed, epoch, transactions);
        verdict.err().map(|failure| ((epoch + 1) * EPOCH, failure))
    });
    plant(None);
    found
}

/// Hunts one, and says how it went.
pub(super) fn report(mutant: Mutant, seed: u64, transactions: u64) -> bool {
    match hunt(mutant, seed, transactions) {
        Some((took, failure)) => {
            eprintln!("{mutant:?}: caught within {took} transactions: {failure}");
            true
        }
        None => {
            eprintln!("{mutant:?}: NOT caught within {transactions} transactions");
            false
        }
    }
}
