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
fn a_run_is_the_same_whatever_ran_before_it() {
    let hashes = || {
        let phases = life::live(7).unwrap();
        phases
            .iter()
            .map(|phase| phase.journal.hash())
            .collect::<Vec<_>>()
    };
    let first = hashes();
    let _ = life::live(8).unwrap();
    assert_eq!(first, hashes());
}
