use super::{Action, Operation, Refusal, Value, check};
use oorandom::Rand64;

fn write(value: Value, called: u64, returned: u64) -> Operation {
    of(Action::Write(value), called, Some(returned))
}

fn read(value: Value, called: u64, returned: u64) -> Operation {
    of(Action::Read(Some(value)), called, Some(returned))
}

fn cas(from: Value, to: Value, found: Value, called: u64, returned: u64) -> Operation {
    let found = Some(found);
    of(
        Action::CompareAndSet { from, to, found },
        called,
        Some(returned),
    )
}

fn lost_write(value: Value, called: u64) -> Operation {
    of(Action::Write(value), called, None)
}

fn lost_cas(from: Value, to: Value, called: u64) -> Operation {
    let found = None;
    of(Action::CompareAndSet { from, to, found }, called, None)
}

fn of(action: Action, called: u64, returned: Option<u64>) -> Operation {
    let key = 1;
    Operation {
        key,
        action,
        called,
        returned,
    }
}

fn holds(history: &[Operation]) -> bool {
    check(history).is_ok()
}

#[test]
fn an_empty_history_is_linearizable() {
    assert!(holds(&[]));
}

#[test]
fn a_read_beside_a_write_may_see_either_value() {
    assert!(holds(&[write(1, 0, 10), read(0, 2, 3)]));
    assert!(holds(&[write(1, 0, 10), read(1, 2, 3)]));
}

#[test]
fn a_read_after_a_write_sees_it() {
    assert!(!holds(&[write(1, 0, 10), read(0, 11, 12)]));
}

#[test]
fn two_reads_beside_a_write_do_not_go_back() {
    assert!(!holds(&[write(1, 0, 10), read(1, 2, 3), read(0, 4, 5)]));
    // Beside each other they may.
    assert!(holds(&[write(1, 0, 10), read(1, 2, 6), read(0, 4, 5)]));
}

#[test]
fn a_value_that_nobody_wrote_is_never_seen() {
    assert!(!holds(&[write(1, 0, 10), read(2, 2, 3)]));
}

#[test]
fn a_read_does_not_see_what_is_written_later() {
    assert!(!holds(&[read(1, 0, 3), write(1, 5, 10)]));
}

#[test]
fn a_write_of_unknown_outcome_may_take_effect_late_or_never() {
    assert!(holds(&[lost_write(1, 0), read(0, 5, 6), read(1, 100, 101)]));
    assert!(holds(&[lost_write(1, 0), read(0, 5, 6), read(0, 100, 101)]));
    // But once, and not before it was called.
    assert!(!holds(&[lost_write(1, 0), read(1, 5, 6), read(0, 7, 8)]));
    assert!(!holds(&[read(1, 5, 6), lost_write(1, 7)]));
}

#[test]
fn an_unknown_write_is_not_done_twice() {
    let history = [
        lost_write(1, 0),
        read(1, 5, 6),
        write(2, 7, 8),
        read(1, 9, 10),
    ];
    assert!(!holds(&history));
}

#[test]
fn of_two_who_replace_the_same_value_one_succeeds() {
    assert!(holds(&[cas(0, 1, 0, 0, 10), cas(0, 2, 1, 0, 10)]));
    assert!(!holds(&[cas(0, 1, 0, 0, 10), cas(0, 2, 0, 0, 10)]));
}

#[test]
fn a_replacement_that_failed_tells_what_was_there() {
    assert!(holds(&[write(5, 0, 1), cas(4, 6, 5, 2, 3), read(5, 4, 5)]));
    assert!(!holds(&[write(5, 0, 1), cas(4, 6, 4, 2, 3)]));
}

#[test]
fn unknown_replacements_in_a_row_are_kept_if_the_last_was_seen() {
    assert!(holds(&[
        lost_cas(0, 1, 0),
        lost_cas(1, 2, 0),
        read(2, 5, 6)
    ]));
    assert!(!holds(&[
        lost_cas(7, 1, 0),
        lost_cas(1, 2, 0),
        read(2, 5, 6)
    ]));
}

#[test]
fn keys_are_judged_one_by_one_and_named() {
    let mut stale = [write(1, 0, 10), read(0, 11, 12)];
    for operation in &mut stale {
        operation.key = 9;
    }
    let mut history = vec![write(1, 0, 10), read(1, 11, 12)];
    history.extend(stale);
    let Err(Refusal::NotLinearizable { key, placed, .. }) = check(&history) else {
        panic!("a stale read was accepted");
    };
    // The write is not even placed: somebody still has to see what it overwrites.
    assert_eq!((key, placed), (9, 0));
}

/// Every order of the operations, against the rules as they are written.
fn brute_force(history: &[Operation]) -> bool {
    fn go(left: &mut Vec<Operation>, value: Value) -> bool {
        if left.iter().all(|one| one.returned.is_none()) {
            return true;
        }
        for at in 0..left.len() {
            let this = left[at];
            if left
                .iter()
                .any(|other| other.returned.is_some_and(|end| end < this.called))
            {
                continue;
            }
            let next = match this.action {
                Action::Write(written) => Some(written),
                Action::Read(found) => found.is_none_or(|found| found == value).then_some(value),
                Action::CompareAndSet { from, to, found } => found
                    .is_none_or(|found| found == value)
                    .then_some(if from == value { to } else { value }),
            };
            if let Some(next) = next {
                left.remove(at);
                let is_good = go(left, next);
                left.insert(at, this);
                if is_good {
                    return true;
                }
            }
        }
        false
    }
    go(&mut history.to_vec(), 0)
}

#[test]
fn small_histories_are_judged_as_by_trying_every_order() {
    let seed = 7;
    let mut rng = Rand64::new(seed);
    let mut good = 0;
    for case in 0..20_000 {
        let len = 1 + rng.rand_range(0..6);
        let history: Vec<_> = (0..len)
            .map(|_| {
                // Few values, some of them written twice, and times that meet.
                let called = rng.rand_range(0..10);
                let returned = called + rng.rand_range(0..6);
                let returned = (rng.rand_range(0..4) > 0).then_some(returned);
                let value = |rng: &mut Rand64| rng.rand_range(0..4);
                let found = value(&mut rng);
                let found = returned.map(|_| found);
                let action = match rng.rand_range(0..3) {
                    0 => Action::Write(value(&mut rng)),
                    1 => Action::Read(found),
                    _ => Action::CompareAndSet {
                        from: value(&mut rng),
                        to: value(&mut rng),
                        found,
                    },
                };
                of(action, called, returned)
            })
            .collect();
        let expected = brute_force(&history);
        good += u64::from(expected);
        assert_eq!(
            holds(&history),
            expected,
            "seed {seed}, case {case}: {history:?}"
        );
    }
    assert!(
        (2_000..18_000).contains(&good),
        "{good} of 20000 were linearizable"
    );
}

/// A register under many clients; every answer as it should be, some of them lost.
fn made(seed: u64, len: u64) -> Vec<Operation> {
    let mut rng = Rand64::new(u128::from(seed));
    let (mut value, mut now) = (0, 0);
    (0..len)
        .map(|number| {
            now += 10;
            let called = now - rng.rand_range(0..100).min(now);
            let returned = (rng.rand_range(0..10) > 0).then_some(now + rng.rand_range(0..100));
            let action = match rng.rand_range(0..3) {
                0 => {
                    value = number + 1;
                    Action::Write(value)
                }
                1 => Action::Read(returned.map(|_| value)),
                _ => {
                    let from = if rng.rand_range(0..2) == 0 { value } else { 0 };
                    let found = returned.map(|_| value);
                    let to = number + 1;
                    if from == value {
                        value = to;
                    }
                    Action::CompareAndSet { from, to, found }
                }
            };
            of(action, called, returned)
        })
        .collect()
}

#[test]
fn long_histories_with_many_lost_answers_are_judged() {
    for seed in 0..10 {
        let mut history = made(seed, 5_000);
        assert_eq!(check(&history), Ok(()), "seed {seed}");
        // A value that was seen and overwritten long ago comes back.
        let seen = history.iter().find_map(|one| match one.action {
            Action::Read(Some(value)) if value != 0 => Some(value),
            _ => None,
        });
        history.push(read(seen.unwrap(), 1_000_000, 1_000_001));
        assert!(
            matches!(check(&history), Err(Refusal::NotLinearizable { .. })),
            "seed {seed}"
        );
    }
}
