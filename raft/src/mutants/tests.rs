use std::process::Command;

use super::*;

/// Names the bug that the clusters of the unit tests plant.
const PLANTED: &str = "CS_RAFT_PLANTED";

/// Plants the bug that the environment names, if any.
pub(crate) fn plant_named() {
    if let Ok(name) = std::env::var(PLANTED) {
        let mut all = Mutant::ALL.iter();
        plant(all.find(|mutant| format!("{mutant:?}") == name).copied());
    }
}

/// A rule without a test that fails when it is broken is not tested.
#[test]
#[ignore = "runs all unit tests once for each bug: 15 s"]
fn every_planted_bug_falls_to_a_unit_test() {
    let tests = std::env::current_exe().unwrap();
    let fails = |planted: &str| {
        let mut run = Command::new(&tests);
        let run = run.env(PLANTED, planted).env("PROPTEST_CASES", "1");
        !run.output().unwrap().status.success()
    };
    assert!(!fails("none"), "the tests pass without a bug");
    let alive = Mutant::ALL.iter().map(|mutant| format!("{mutant:?}"));
    let alive: Vec<String> = alive.filter(|mutant| !fails(mutant)).collect();
    assert!(alive.is_empty(), "these live: {alive:?}");
}
