use super::*;

#[test]
fn a_few_hundred_states_are_as_promised() {
    assert_eq!(
        explore(3, 300),
        Outcome {
            passed: 300,
            failed: 0
        }
    );
}

#[test]
fn a_transaction_of_many_parts_is_there_wholly_or_not_at_all() {
    assert_eq!(
        parts::explore(5, 60),
        Outcome {
            passed: 60,
            failed: 0
        }
    );
}

#[test]
fn a_run_is_the_same_whatever_runs_before_and_beside_it() {
    let hashes = |seed| {
        let phases = life::live(seed).unwrap();
        phases
            .iter()
            .map(|phase| phase.journal.hash())
            .collect::<Vec<_>>()
    };
    let forward: Vec<_> = (0..60).map(hashes).collect();
    let (mut backward, mut beside) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| backward.extend((0..60).rev().map(hashes)));
        scope.spawn(|| beside.extend((0..60).map(hashes)));
    });
    backward.reverse();
    for seed in 0..60 {
        assert_eq!(forward[seed], backward[seed], "seed {seed}");
        assert_eq!(forward[seed], beside[seed], "seed {seed}");
    }
}
