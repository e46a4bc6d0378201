use super::{Args, run};

#[test]
fn a_prepared_transaction_is_in_doubt_or_decided_after_any_crash_and_any_failure() {
    let outcome = run(&Args {
        lives: 1,
        faulty_lives: 0,
        seed: 1,
        life: None,
        manner: None,
        mutants: false,
    });
    assert!(outcome.passed > 100, "{outcome:?}");
    assert_eq!(outcome.failed, 0);
}
