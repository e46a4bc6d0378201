use super::{Args, run};

#[test]
fn indexes_agree_with_documents_through_a_few_crashes() {
    let outcome = run(&Args {
        states: 80,
        seed: 3,
        life: None,
        mutants: false,
    });
    assert_eq!(outcome.failed, 0);
    assert!(outcome.passed >= 80);
}
