#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use super::*;

fn code_of<T: std::fmt::Debug>(result: Result<T>) -> i32 {
    result.unwrap_err().code
}

#[test]
fn numbers_of_a_session_only_grow() {
    let mut state = State::default();
    state.write(5).unwrap();
    state.write(5).unwrap();
    assert_eq!(code_of(state.write(4)), 225);
    assert_eq!(code_of(state.check_new(4)), 225);
    assert_eq!(code_of(state.transaction(4)), 225);
    state.write(6).unwrap();
}

#[test]
fn a_number_is_a_transactions_or_a_writes() {
    let mut state = State::default();
    state.write(1).unwrap();
    assert_eq!(code_of(state.check_new(1)), 50911);
    state.set(2, Phase::Open(7));
    assert_eq!(code_of(state.write(2)), 217);
    assert_eq!(state.open(), Some((2, 7)));
}

#[test]
fn each_state_of_a_transaction_has_its_code() {
    let mut state = State::default();
    assert_eq!(code_of(state.transaction(1)), 251);
    state.set(1, Phase::Open(7));
    assert_eq!(state.transaction(1).unwrap(), 7);
    assert_eq!(code_of(state.transaction(2)), 251);
    assert_eq!(state.abort(), Some((1, 7)));
    assert_eq!(code_of(state.transaction(1)), 251);
    assert_eq!(state.abort(), None);
    state.set(2, Phase::Committed);
    assert_eq!(code_of(state.transaction(2)), 256);
    assert_eq!(code_of(state.check_new(2)), 50911);
    state.check_new(3).unwrap();
}
