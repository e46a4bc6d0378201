use cs_loom::plant::Plant;
use cs_loom::signal::{EventCount, Signal};
use cs_loom::{HANGS, assert_found, check};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

const BOUND: usize = 3;

fn wait(event: &EventCount, ready: &AtomicBool) {
    while !ready.load(Ordering::Relaxed) {
        let listener = event.listen();
        if !ready.load(Ordering::Relaxed) {
            listener.wait();
        }
    }
}

/// What is looked at is relaxed: the event itself is all the order there is.
fn two_wait_for_one() {
    let shared = Arc::new((EventCount::new(), AtomicBool::new(false)));
    let waiters = [(); 2].map(|()| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || wait(&shared.0, &shared.1))
    });
    shared.1.store(true, Ordering::Relaxed);
    shared.0.notify_all();
    for waiter in waiters {
        waiter.join().unwrap();
    }
}

/// One who is woken and does not sleep passes it on, as whoever lays the lead down does.
fn one_wakes_the_next() {
    let shared = Arc::new((EventCount::new(), AtomicBool::new(false)));
    let waiters = [(); 2].map(|()| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            wait(&shared.0, &shared.1);
            shared.0.notify_one();
        })
    });
    shared.1.store(true, Ordering::Relaxed);
    shared.0.notify_one();
    for waiter in waiters {
        waiter.join().unwrap();
    }
}

fn two_raise_and_one_waits_for_both() {
    let shared = Arc::new((Signal::new(), AtomicUsize::new(0)));
    let raisers = [(); 2].map(|()| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            shared.1.fetch_add(1, Ordering::Relaxed);
            shared.0.raise();
        })
    });
    while shared.1.load(Ordering::Relaxed) < 2 {
        shared.0.wait();
    }
    for raiser in raisers {
        raiser.join().unwrap();
    }
}

fn a_wait_that_ends_by_itself_comes_before_one_that_does_not() {
    let shared = Arc::new((Signal::new(), AtomicUsize::new(0)));
    let other = Arc::clone(&shared);
    let raiser = thread::spawn(move || {
        other.1.store(1, Ordering::Relaxed);
        other.0.raise();
    });
    if !shared.0.wait_for(std::time::Duration::from_millis(1)) {
        shared.0.wait();
    }
    assert_eq!(
        shared.1.load(Ordering::Relaxed),
        1,
        "raised after the change"
    );
    raiser.join().unwrap();
}

#[test]
fn all_who_listen_hear_what_happens() {
    check(BOUND, None, two_wait_for_one);
    check(BOUND, None, one_wakes_the_next);
}

#[test]
fn a_raised_signal_is_not_slept_through() {
    check(BOUND, None, two_raise_and_one_waits_for_both);
    check(
        BOUND,
        None,
        a_wait_that_ends_by_itself_comes_before_one_that_does_not,
    );
}

#[test]
fn listening_without_a_fence_is_found() {
    assert_found(BOUND, Plant::ListenWithoutFence, HANGS, two_wait_for_one);
}

#[test]
fn notifying_without_a_fence_is_found() {
    assert_found(BOUND, Plant::NotifyWithoutFence, HANGS, two_wait_for_one);
}

#[test]
fn raising_in_two_steps_is_found() {
    let body = two_raise_and_one_waits_for_both;
    assert_found(BOUND, Plant::RaiseInTwoSteps, HANGS, body);
}
