use super::{Args, judge_seed, live, run};

#[test]
fn seeds_hold_what_is_promised_and_are_the_same_when_lived_again() {
    let outcome = run(&Args {
        first_seed: 1,
        seeds: 20,
        seconds: 30,
        threads: 2,
        trace: false,
        twice: true,
        mutants: false,
        mutant: None,
    });
    assert_eq!((outcome.passed, outcome.failed), (20, 0));
}

#[test]
fn whoever_reads_the_trace_changes_nothing() {
    for seed in 1..=3 {
        let [quiet, told] = [0, usize::MAX].map(|lines| live(seed, 10, lines));
        let hashes = [&quiet.1, &told.1].map(|lived| lived.as_ref().map(|lived| lived.hash).ok());
        assert!(
            hashes[0].is_some() && hashes[0] == hashes[1],
            "seed {seed}: {hashes:?}"
        );
        assert!(quiet.0.is_empty() && told.0.len() > 1000, "seed {seed}");
    }
}

#[test]
fn another_seed_is_another_life() {
    let hash = |seed| live(seed, 5, 0).1.map(|lived| lived.hash);
    assert_ne!(hash(1), hash(2));
}

#[test]
fn a_seed_without_time_for_anything_is_no_pass() {
    let verdict = judge_seed(1, 0, false);
    let failure = verdict.map(|_| ()).map_err(|failure| failure.0);
    assert!(
        matches!(&failure, Err(why) if why.starts_with("vacuous")),
        "{failure:?}"
    );
}
