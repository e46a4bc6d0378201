//! The model must catch every bug planted in this crate; else it proves nothing.
#![cfg(feature = "mutants")]

mod model;

use cs_base::mutants::{Mutant, plant};

/// Seeds after which a bug counts as not caught.
const SEEDS: u64 = 400;

#[test]
fn every_planted_bug_is_caught() {
    let ours = [
        Mutant::AcknowledgeBeforeSync,
        Mutant::IgnoreChecksum,
        Mutant::AcceptStaleRecord,
        Mutant::SecondGroupWithoutFirst,
        Mutant::GroupsShareBlock,
        Mutant::RecoveryWithoutSync,
        Mutant::FallbackOverRecycledLog,
    ];
    // The harness first without a bug: what it catches must be the bug.
    for seed in 0..20 {
        model::run(seed, 8).unwrap_or_else(|error| panic!("seed {seed} without a bug: {error}"));
    }
    let mut missed = Vec::new();
    for mutant in ours {
        plant(Some(mutant));
        let caught = (0..SEEDS).find_map(|seed| {
            let run = std::panic::catch_unwind(|| model::run(seed, 8));
            match run {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some((seed, error)),
                Err(_) => Some((seed, "panic".to_owned())),
            }
        });
        plant(None);
        match caught {
            Some((seed, error)) => println!("{mutant:?}: seed {seed}: {error}"),
            None => missed.push(mutant),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
