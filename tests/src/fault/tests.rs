use super::*;

#[test]
fn the_first_operations_may_fail_in_every_manner() {
    let outcome = sweep(2, 40);
    assert_eq!(outcome.failed, 0);
    assert!(outcome.passed > 150, "{outcome:?}");
}
