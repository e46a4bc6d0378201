use cs_loom::kv::core::Core;
use cs_loom::plant::Plant;
use cs_loom::{HANGS, assert_found, check};
use loom::thread;

const BOUND: usize = 2;
/// Between two threads.
const DEEP: usize = 5;

/// Commits from so many threads, while this one locks the writer for another purpose.
fn crowd(committers: usize) {
    let core = Core::new();
    let threads: Vec<_> = (0..committers)
        .map(|number| {
            let core = core.clone();
            thread::spawn(move || core.commit_one(number))
        })
        .collect();
    core.lock_and_unlock();
    for thread in threads {
        thread.join().unwrap();
    }
    core.assert_each_once(committers);
}

fn one_beside_a_reader() {
    crowd(1);
}

fn two_beside_a_reader() {
    crowd(2);
}

fn three_beside_a_reader() {
    crowd(3);
}

/// No third thread, for the sake of more preemptions.
fn two() {
    let core = Core::new();
    let other = core.clone();
    let other = thread::spawn(move || other.commit_one(1));
    core.commit_one(0);
    other.join().unwrap();
    core.assert_each_once(2);
}

#[test]
fn each_batch_is_carried_out_once_and_its_owner_hears_of_it() {
    check(DEEP, None, two);
    check(BOUND, None, one_beside_a_reader);
    check(BOUND, None, two_beside_a_reader);
}

#[test]
fn so_it_is_with_three() {
    check(2, None, three_beside_a_reader);
}

#[test]
fn a_follower_that_sleeps_without_trying_the_lock_is_found() {
    assert_found(BOUND, Plant::SleepWithoutTrying, HANGS, two);
}

#[test]
fn looking_before_listening_is_found() {
    assert_found(DEEP, Plant::LookBeforeListening, HANGS, two);
}

#[test]
fn looking_into_the_queue_before_the_lock_is_free_is_found() {
    assert_found(DEEP, Plant::LookBeforeUnlocking, HANGS, one_beside_a_reader);
}

#[test]
fn looking_into_the_queue_without_a_fence_is_found() {
    assert_found(BOUND, Plant::QueueWithoutFence, HANGS, two);
}

#[test]
fn waking_followers_before_their_commit_is_done_is_found() {
    assert_found(BOUND, Plant::TellBeforeDone, HANGS, two);
}
