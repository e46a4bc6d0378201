use std::sync::mpsc;

use super::*;
use crate::Signal;

/// Symptom: closing a store from its own background thread panicked, or hung.
/// Cause: the last reference was dropped there, and the thread joined itself.
/// Cure: joining oneself returns at once.
#[test]
fn a_thread_that_joins_itself_goes_on() {
    let (give, given) = mpsc::channel::<Task>();
    let ended = Arc::new(Signal::new());
    let signal = Arc::clone(&ended);
    let work = Box::new(move || {
        given.recv().unwrap().join();
        signal.raise();
    });
    let task = RealRuntime::new().spawn("self", work).unwrap().unwrap();
    give.send(task).unwrap();
    assert!(
        ended.wait_for(Duration::from_secs(60)),
        "it ended by itself"
    );
}

#[test]
fn joining_waits_for_the_end_and_swallows_a_panic() {
    // A join that did not wait would be the faster one in some of the rounds.
    for round in 0..200 {
        let ended = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&ended);
        let work = Box::new(move || {
            (0..50).for_each(|_| std::thread::yield_now());
            counter.fetch_add(1, Ordering::Relaxed);
            // Like a panic, but without a message for each round.
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        let task = RealRuntime::new().spawn("panics", work).unwrap().unwrap();
        task.join();
        assert_eq!(ended.load(Ordering::Relaxed), 1, "round {round}");
    }
}
