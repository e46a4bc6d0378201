use cs_loom::background::Core;
use cs_loom::plant::Plant;
use cs_loom::{HANGS, assert_found, check};
use loom::thread;

const BOUND: usize = 3;

/// The thread comes to rest at any moment between the commits.
fn two_commits_beside_the_thread() {
    let core = Core::new(2);
    let background = core.clone();
    let background = thread::spawn(move || background.run());
    core.commit();
    core.commit();
    background.join().unwrap();
}

/// The commits come from two threads.
fn two_committers_beside_the_thread() {
    let core = Core::new(2);
    let (background, other) = (core.clone(), core.clone());
    let background = thread::spawn(move || background.run());
    let other = thread::spawn(move || other.commit());
    core.commit();
    other.join().unwrap();
    background.join().unwrap();
}

#[test]
fn what_was_committed_is_flushed_though_nobody_commits_again() {
    check(BOUND, None, two_commits_beside_the_thread);
    check(2, None, two_committers_beside_the_thread);
}

#[test]
fn a_commit_without_its_fence_is_found() {
    let body = two_commits_beside_the_thread;
    assert_found(BOUND, Plant::CommitWithoutFence, HANGS, body);
}

#[test]
fn resting_without_the_fence_is_found() {
    let body = two_commits_beside_the_thread;
    assert_found(BOUND, Plant::RestWithoutFence, HANGS, body);
}

#[test]
fn flushing_before_resting_is_found() {
    let body = two_commits_beside_the_thread;
    assert_found(BOUND, Plant::FlushBeforeResting, HANGS, body);
}
