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
