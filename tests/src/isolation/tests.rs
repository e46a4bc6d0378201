use super::{Args, bank, fork, run};
use cs_kv::Isolation;

#[test]
fn random_transactions_from_many_threads_are_as_isolated_as_promised() {
    let outcome = run(&Args {
        transactions: 3_000,
        seed: 1,
        mutant: None,
        mutants: false,
    });
    assert_eq!((outcome.passed, outcome.failed), (2, 0));
}

#[test]
fn money_that_is_moved_stays_the_same_in_every_snapshot() {
    for isolation in [Isolation::Snapshot, Isolation::Serializable] {
        let stood = bank::transfers(1, isolation, 4_000).unwrap();
        assert!(stood > 100, "only {stood} transfers stood");
    }
}

#[test]
fn readers_see_independent_writes_in_one_order() {
    for isolation in [Isolation::Snapshot, Isolation::Serializable] {
        let states = fork::look(isolation, 300).unwrap();
        assert!(states > 10, "only {states} states were seen");
    }
}
