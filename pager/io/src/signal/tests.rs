use std::sync::atomic::AtomicU64;

use super::*;

#[test]
fn a_flag_raised_before_the_wait_is_not_lost() {
    let signal = Signal::new();
    signal.raise();
    signal.raise();
    signal.wait();
    assert!(!signal.wait_for(Duration::from_millis(1)), "taken down");
    signal.raise();
    assert!(signal.wait_for(Duration::from_secs(60)));
}

#[test]
fn two_threads_take_turns_by_signals() {
    let signals = [Signal::new(), Signal::new()];
    std::thread::scope(|scope| {
        let (mine, other) = (&signals[0], &signals[1]);
        scope.spawn(|| {
            for _ in 0..2_000 {
                signals[1].wait();
                signals[0].raise();
            }
        });
        for _ in 0..2_000 {
            other.raise();
            mine.wait();
        }
    });
}

#[test]
fn a_limited_wait_ends_without_a_signal() {
    assert!(!Signal::new().wait_for(Duration::from_millis(2)));
    assert!(!Signal::new().wait_for(Duration::ZERO));
}

#[test]
fn everybody_hears_what_happened_after_they_began_to_listen() {
    let (event, position) = (EventCount::new(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for target in 1..=500 {
                    while position.load(Ordering::Acquire) < target {
                        let listener = event.listen();
                        if position.load(Ordering::Acquire) < target {
                            listener.wait();
                        }
                    }
                }
            });
        }
        for _ in 0..500 {
            position.fetch_add(1, Ordering::Release);
            event.notify_all();
        }
    });
    assert_eq!(event.listeners.load(Ordering::Relaxed), 0);
    assert!(!event.notify_one(), "nobody listens");
}

#[test]
fn notifying_one_wakes_one() {
    let (event, turns) = (EventCount::new(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                event.listen().wait();
                turns.fetch_add(1, Ordering::Relaxed);
            });
        }
        let mut woken = 0;
        while woken < 3 {
            woken += u64::from(event.notify_one());
            std::thread::yield_now();
            if turns.load(Ordering::Relaxed) == 3 {
                break;
            }
        }
    });
    assert_eq!(turns.load(Ordering::Relaxed), 3);
}

#[test]
fn a_listener_that_is_too_late_does_not_sleep() {
    let event = EventCount::new();
    let listener = event.listen();
    event.notify_all();
    listener.wait();
}

#[test]
fn a_signal_shows_whether_it_is_up() {
    let signal = Signal::new();
    assert_eq!(format!("{signal:?}"), "Signal(false)");
    signal.raise();
    assert_eq!(format!("{signal:?}"), "Signal(true)");
}
