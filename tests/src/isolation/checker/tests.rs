use super::{Kind, check};
use crate::isolation::history::{Key, Level, Number, Outcome, Step, Txn};

const X: Key = 1;
const Y: Key = 2;

fn append(key: Key, number: Number) -> Step {
    Step::Append(key, number)
}

fn read(key: Key, list: &[Number]) -> Step {
    Step::Read(key, list.to_vec())
}

fn range(found: &[(Key, &[Number])]) -> Step {
    let found = found.iter().map(|(key, list)| (*key, list.to_vec()));
    Step::Range(0, 9, found.collect())
}

fn txn(level: Level, time: (u64, u64), steps: &[Step]) -> Txn {
    Txn {
        name: "T".into(),
        level,
        outcome: Outcome::Committed,
        begin: time.0,
        end: time.1,
        steps: steps.to_vec(),
    }
}

/// All at the same time.
fn history(level: Level, all: &[&[Step]]) -> Vec<Txn> {
    let beside =
        |(place, steps): (usize, &&[Step])| txn(level, (place as u64, 1000 + place as u64), steps);
    all.iter().enumerate().map(beside).collect()
}

/// One after the other.
fn in_turn(all: &[&[Step]]) -> Vec<Txn> {
    let at = |(place, steps): (usize, &&[Step])| {
        let time = (2 * place as u64, 2 * place as u64 + 1);
        txn(Level::Snapshot, time, steps)
    };
    all.iter().enumerate().map(at).collect()
}

fn kinds(history: &[Txn]) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = check(history).iter().map(|found| found.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[track_caller]
fn finds(kind: Kind, all: &[&[Step]]) {
    assert_eq!(kinds(&history(Level::Snapshot, all)), [kind]);
}

#[test]
fn a_history_one_after_the_other_is_clean() {
    let all = in_turn(&[
        &[append(X, 1), append(Y, 2)],
        &[read(X, &[1]), append(X, 3), read(X, &[1, 3])],
        &[append(Y, 4), append(Y, 5)],
        &[range(&[(X, &[1, 3]), (Y, &[2, 4, 5])])],
    ]);
    assert_eq!(kinds(&all), []);
}

#[test]
fn writes_in_two_orders_are_g0() {
    finds(
        Kind::G0,
        &[
            &[append(X, 1), append(Y, 3)],
            &[append(X, 2), append(Y, 4)],
            &[read(X, &[1, 2]), read(Y, &[4, 3])],
        ],
    );
}

#[test]
fn reading_what_was_aborted_or_taken_back_is_g1a() {
    let mut all = in_turn(&[&[append(X, 1)], &[read(X, &[1])]]);
    all[0].outcome = Outcome::Aborted;
    assert_eq!(kinds(&all), [Kind::AbortedRead]);
    all[0].outcome = Outcome::Lost;
    assert_eq!(kinds(&all), [Kind::AbortedRead]);
    let steps: &[&[Step]] = &[&[Step::TakenBack(X, 1), append(Y, 2)], &[read(X, &[1])]];
    finds(Kind::AbortedRead, steps);
}

#[test]
fn reading_the_middle_of_a_transaction_is_g1b() {
    let all: &[&[Step]] = &[&[append(X, 1), append(X, 2)], &[read(X, &[1])]];
    finds(Kind::IntermediateRead, all);
}

#[test]
fn two_that_read_each_other_are_g1c() {
    finds(
        Kind::G1c,
        &[
            &[append(X, 1), read(Y, &[2])],
            &[append(Y, 2), read(X, &[1])],
        ],
    );
}

#[test]
fn two_that_append_to_the_same_state_are_a_lost_update() {
    finds(
        Kind::LostUpdate,
        &[
            &[read(X, &[]), append(X, 1)],
            &[read(X, &[]), append(X, 2)],
            &[read(X, &[1])],
        ],
    );
}

#[test]
fn half_of_a_transaction_is_a_fractured_read() {
    finds(
        Kind::FracturedRead,
        &[
            &[append(X, 1), append(Y, 2)],
            &[read(X, &[1]), read(Y, &[])],
            &[read(Y, &[2])],
        ],
    );
}

#[test]
fn a_cycle_with_one_anti_dependency_is_g_single() {
    finds(
        Kind::GSingle,
        &[
            &[append(X, 1)],
            &[read(X, &[1]), append(Y, 2)],
            &[read(X, &[]), read(Y, &[2])],
        ],
    );
}

#[test]
fn two_readers_who_see_two_writes_in_different_orders_are_a_long_fork() {
    let all: &[&[Step]] = &[
        &[append(X, 1)],
        &[append(Y, 2)],
        &[read(X, &[1]), read(Y, &[])],
        &[read(X, &[]), read(Y, &[2])],
    ];
    finds(Kind::LongFork, all);
}

const SKEW: [&[(Key, Number)]; 2] = [&[(X, 1)], &[(Y, 2)]];

#[test]
fn write_skew_is_allowed_under_snapshot_and_g2_among_serializable_ones() {
    let steps: Vec<Vec<Step>> = SKEW
        .iter()
        .map(|written| {
            let (key, number) = written[0];
            vec![read(X, &[]), read(Y, &[]), append(key, number)]
        })
        .collect();
    let last = [read(X, &[1]), read(Y, &[2])];
    let all: [&[Step]; 3] = [&steps[0], &steps[1], &last];
    assert_eq!(kinds(&history(Level::Snapshot, &all)), []);
    assert_eq!(kinds(&history(Level::Serializable, &all)), [Kind::G2Item]);
    let mut one = history(Level::Serializable, &all);
    one[0].level = Level::Snapshot;
    assert_eq!(kinds(&one), [], "a promise to one is none to the other");
}

#[test]
fn what_appears_in_a_range_that_was_read_is_a_phantom() {
    let all: &[&[Step]] = &[
        &[range(&[]), append(X, 1)],
        &[range(&[]), append(Y, 2)],
        &[range(&[(X, &[1]), (Y, &[2])])],
    ];
    assert_eq!(kinds(&history(Level::Snapshot, all)), []);
    let found = kinds(&history(Level::Serializable, all));
    assert_eq!(found, [Kind::G2Predicate]);
}

#[test]
fn who_begins_after_an_acknowledgement_and_does_not_see_it_reads_stale() {
    let all = in_turn(&[&[append(X, 1)], &[read(X, &[])], &[read(X, &[1])]]);
    assert_eq!(kinds(&all), [Kind::StaleRead]);
    let mut beside = all;
    beside[0].end = 3;
    assert_eq!(kinds(&beside), [], "nothing was acknowledged yet");
}

#[test]
fn what_was_acknowledged_and_is_nowhere_is_lost() {
    let mut all = in_turn(&[&[append(X, 1)], &[append(X, 2)], &[read(X, &[2])]]);
    assert_eq!(kinds(&all), [Kind::LostAppend]);
    all[0].outcome = Outcome::Unknown;
    all[0].end = u64::MAX;
    assert_eq!(kinds(&all), [], "it may be there or not");
    all[2].steps = vec![read(X, &[1, 2])];
    assert_eq!(kinds(&all), []);
    // Seen, and then not any more: a crash took it back.
    let taken_back = &[read(X, &[2])];
    all.push(txn(Level::Snapshot, (8, 9), taken_back));
    assert_eq!(kinds(&all), [Kind::IncompatibleOrder]);
}

#[test]
fn what_was_seen_and_is_gone_after_a_crash_reads_stale() {
    let mut all = in_turn(&[&[append(X, 1)], &[read(X, &[1])], &[read(X, &[])]]);
    all[0].outcome = Outcome::Unknown;
    all[0].end = u64::MAX;
    assert_eq!(kinds(&all), [Kind::StaleRead]);
}

#[test]
fn lists_must_agree_and_a_transaction_sees_its_own() {
    let all: &[&[Step]] = &[
        &[append(X, 1)],
        &[append(X, 2)],
        &[read(X, &[1])],
        &[read(X, &[2, 1])],
    ];
    finds(Kind::IncompatibleOrder, all);
    finds(Kind::Internal, &[&[append(X, 1), read(X, &[])]]);
    let twice: &[&[Step]] = &[
        &[append(X, 1)],
        &[read(X, &[]), read(X, &[1])],
        &[read(X, &[1])],
    ];
    finds(Kind::Internal, twice);
    finds(Kind::Garbage, &[&[append(X, 1)], &[read(Y, &[1])]]);
    finds(Kind::Garbage, &[&[append(X, 1)], &[read(X, &[1, 1])]]);
    finds(Kind::Garbage, &[&[append(X, 1)], &[read(X, &[1, 7])]]);
}

#[test]
fn one_that_was_refused_still_read_one_state() {
    let mut all = history(
        Level::Snapshot,
        &[
            &[append(X, 1), append(Y, 2)],
            &[read(X, &[1]), read(Y, &[]), append(X, 9)],
            &[read(Y, &[2])],
        ],
    );
    all[1].outcome = Outcome::Aborted;
    assert_eq!(kinds(&all), [Kind::FracturedRead]);
}
