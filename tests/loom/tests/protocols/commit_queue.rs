use cs_loom::kv::core::Core;
use cs_loom::plant::Plant;
use cs_loom::{HANGS, assert_found, check};
use loom::thread;

const BOUND: usize = 2;

fn crowd(committers: usize, reads: bool) {
    let core = Core::new();
    let others: Vec<_> = (1..committers)
        .map(|number| {
            let core = core.clone();
            thread::spawn(move || core.commit_one(number))
        })
        .collect();
    if reads {
        core.lock_and_unlock();
    }
    core.commit_one(0);
    for other in others {
        other.join().unwrap();
    }
    core.assert_each_once(committers);
}

fn two() {
    crowd(2, false);
}

fn three() {
    crowd(3, false);
}

/// Somebody has the writer's lock who leads no round.
fn two_beside_another() {
    crowd(2, true);
}

#[test]
fn each_batch_is_carried_out_once_and_its_owner_hears_of_it() {
    check(BOUND + 1, None, two);
    check(BOUND, None, two_beside_another);
}

#[test]
fn so_it_is_with_three() {
    check(1, None, three);
}

#[test]
fn a_follower_that_sleeps_without_trying_the_lock_is_found() {
    assert_found(BOUND, Plant::SleepWithoutTrying, HANGS, two);
}

#[test]
fn looking_before_listening_is_found() {
    assert_found(BOUND, Plant::LookBeforeListening, HANGS, two);
}

#[test]
fn looking_into_the_queue_before_the_lock_is_free_is_found() {
    assert_found(BOUND, Plant::LookBeforeUnlocking, HANGS, two_beside_another);
}

#[test]
fn waking_followers_before_their_commit_is_done_is_found() {
    assert_found(BOUND, Plant::TellBeforeDone, HANGS, two);
}
