use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

fn poisoned() -> LogError {
    LogError::Poisoned {
        reason: "test".into(),
    }
}

#[test]
fn completing_ends_targets_at_or_below_and_no_others() {
    let queue = WaitQueue::new(0);
    let (at, above) = (queue.register(10), queue.register(11));
    queue.complete_up_to(10);
    assert!(matches!(at.poll(), Some(Ok(()))));
    assert!(!above.is_complete());
    assert_eq!(queue.len(), 1);
    queue.complete_up_to(u64::MAX);
    assert!(above.wait().is_ok());
    assert!(queue.is_empty());
}

#[test]
fn a_target_that_is_reached_is_done_at_once() {
    let queue = WaitQueue::new(5);
    assert!(queue.register(5).is_complete());
    let called = Arc::new(AtomicU64::new(0));
    let seen = called.clone();
    queue.on_complete(
        3,
        Box::new(move |result| {
            assert!(result.is_ok());
            seen.fetch_add(1, Ordering::Relaxed);
        }),
    );
    assert_eq!(called.load(Ordering::Relaxed), 1);
}

#[test]
fn callbacks_run_in_order_of_their_targets() {
    let queue = WaitQueue::new(0);
    let order = Arc::new(Mutex::new(Vec::new()));
    for target in [7_u64, 3, 5] {
        let order = order.clone();
        queue.on_complete(target, Box::new(move |_| order.lock().push(target)));
    }
    queue.complete_up_to(6);
    assert_eq!(*order.lock(), [3, 5]);
    queue.complete_up_to(4);
    assert_eq!(*order.lock(), [3, 5], "the position never goes back");
}

#[test]
fn failure_reaches_everybody_but_those_who_were_done() {
    let queue = WaitQueue::new(4);
    let waiter = queue.register(9);
    queue.fail_all(&poisoned());
    assert!(matches!(waiter.wait(), Err(LogError::Poisoned { .. })));
    assert!(matches!(queue.register(10).poll(), Some(Err(_))));
    assert!(matches!(queue.register(4).poll(), Some(Ok(()))));
    queue.complete_up_to(20);
    assert!(
        matches!(queue.register(10).poll(), Some(Err(_))),
        "nothing completes after a failure"
    );
}

#[test]
fn a_parked_thread_is_woken() {
    let queue = Arc::new(WaitQueue::new(0));
    let waiter = queue.register(1);
    let other = queue.clone();
    let thread = std::thread::spawn(move || other.complete_up_to(1));
    assert!(waiter.wait().is_ok());
    thread.join().unwrap();
}

#[test]
fn failing_wakes_waiters_and_leaves_callbacks_for_later() {
    let queue = WaitQueue::new(0);
    let waiter = queue.register(2);
    let order = Arc::new(Mutex::new(Vec::new()));
    for target in [3_u64, 1] {
        let order = order.clone();
        let note = move |outcome: Result<()>| order.lock().push((target, outcome.is_err()));
        queue.on_complete(target, Box::new(note));
    }
    queue.run_failed();
    queue.fail(&poisoned());
    assert!(matches!(waiter.poll(), Some(Err(_))));
    assert!(order.lock().is_empty());
    assert_eq!(queue.len(), 2);
    queue.run_failed();
    queue.run_failed();
    assert_eq!(*order.lock(), [(1, true), (3, true)]);
}

#[test]
fn a_callback_that_panics_does_not_keep_others_from_theirs() {
    let queue = WaitQueue::new(0);
    let later = Arc::new(AtomicU64::new(0));
    let seen = later.clone();
    queue.on_complete(1, Box::new(|_| panic!("on purpose")));
    queue.on_complete(
        2,
        Box::new(move |_| {
            seen.fetch_add(1, Ordering::Relaxed);
        }),
    );
    let waiter = queue.register(3);
    queue.complete_up_to(3);
    assert_eq!(later.load(Ordering::Relaxed), 1);
    assert!(waiter.wait().is_ok());
}

#[test]
fn a_waiter_does_not_wait_inside_a_callback() {
    let queue = WaitQueue::new(1);
    let waiter = queue.register(2);
    let told = Arc::new(OnceLock::new());
    let slot = told.clone();
    queue.on_complete(1, Box::new(move |_| drop(slot.set(waiter.wait()))));
    assert!(matches!(told.get(), Some(Err(LogError::WaitInCallback))));
}
