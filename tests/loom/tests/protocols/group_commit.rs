use std::sync::Arc;

use cs_loom::plant::Plant;
use cs_loom::wal::log::Log;
use cs_loom::{HANGS, assert_found, check};
use loom::thread;

const BOUND: usize = 2;

fn committers(count: usize) {
    let log = Arc::new(Log::default());
    let others: Vec<_> = (1..count)
        .map(|_| {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append_and_wait())
        })
        .collect();
    log.append_and_wait();
    for other in others {
        other.join().unwrap();
    }
    log.assert_all_durable();
}

fn two() {
    committers(2);
}

fn three() {
    committers(3);
}

/// So many committers, and the log thread, which has just been given the lead.
fn beside_the_log_thread(count: usize) {
    let log = Log::crowded();
    let others: Vec<_> = (1..count)
        .map(|_| {
            let log = Arc::clone(&log);
            thread::spawn(move || log.append_and_wait())
        })
        .collect();
    log.append_and_wait();
    for other in others {
        other.join().unwrap();
    }
    log.assert_all_durable();
    log.end();
}

fn one_beside_the_log_thread() {
    beside_the_log_thread(1);
}

fn two_beside_the_log_thread() {
    beside_the_log_thread(2);
}

#[test]
fn the_log_thread_is_told_of_what_comes_while_it_parks() {
    check(BOUND, None, one_beside_the_log_thread);
    check(1, None, two_beside_the_log_thread);
}

#[test]
fn looking_for_work_before_parking_is_found() {
    let body = one_beside_the_log_thread;
    assert_found(BOUND, Plant::LookBeforeParking, HANGS, body);
}

#[test]
fn whoever_waits_is_answered_when_his_record_is_durable() {
    check(BOUND, None, two);
}

#[test]
fn so_it_is_with_three() {
    check(1, None, three);
}

#[test]
fn waking_a_successor_before_leadership_is_free_is_found() {
    assert_found(BOUND, Plant::WakeBeforeLayingDown, HANGS, two);
}

#[test]
fn looking_before_listening_is_found() {
    assert_found(BOUND, Plant::LookBeforeListening, HANGS, two);
}

/// The leader looks for a flight that it cannot find, again and again.
#[test]
fn a_cut_that_is_seen_before_its_flight_is_found() {
    assert_found(
        BOUND,
        Plant::CutBeforeFlight,
        "maximum number of branches",
        two,
    );
}

#[test]
fn finishing_the_second_group_before_the_first_is_found() {
    assert_found(
        BOUND,
        Plant::SecondGroupWithoutFirst,
        "passes over a gap",
        three,
    );
}
