//! A small share of `cs-torture flip`: damage is found or harmless.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::sync::{Mutex, PoisonError};

use cs_base::mutants::Mutant;
use cs_tests::flip::{Args, Region, Verdict, tally};

/// Planted bugs are switched on for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const SEED: u64 = 20_261;

#[test]
fn no_damage_is_returned_as_data() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    println!("seed {SEED}");
    let tally = tally(&Args::sampled(2_000, SEED)).unwrap();
    println!("{tally}");
    assert_eq!(tally.outcome().failed, 0, "{:#?}", tally.failures());
    // The harness looks where it says it looks.
    for region in [
        Region::Meta,
        Region::Pages,
        Region::LogHeader,
        Region::LogRecords,
    ] {
        assert!(
            tally.count_in(region, Verdict::Detected) > 0,
            "{region}: nothing was detected"
        );
    }
    assert!(
        tally.count(Verdict::Ambiguous) * 20 < tally.cases(),
        "too much is ambiguous"
    );
}

#[test]
fn checksums_that_are_not_compared_are_missed() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    println!("seed {SEED}");
    let mut args = Args::sampled(300, SEED);
    args.mutant = Some(Mutant::IgnoreChecksum);
    let tally = tally(&args).unwrap();
    println!("{tally}");
    assert!(
        tally.count(Verdict::Wrong) > 0,
        "the planted bug was not found"
    );
}
