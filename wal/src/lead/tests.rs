use std::sync::Weak;

use cs_io::SimRuntime;

use super::*;
use crate::log::tests::*;
use crate::tickets::WaitQueue;

#[test]
fn a_lone_caller_leads_itself() {
    let log = create_threaded(&memory());
    let owner = Arc::new(TestOwner::default());
    log.attach(Arc::downgrade(&owner) as Weak<dyn LogOwner>);
    for _ in 0..20 {
        commit(&log, &owner, b"x");
    }
    assert!(log.lead.thread.get().is_none(), "no thread for one caller");
    assert_eq!(owner.advanced.lock().len(), 20);
}

#[test]
fn waiting_for_what_was_never_appended_is_an_error() {
    let log = create_threaded(&memory());
    let owner = TestOwner::default();
    commit(&log, &owner, b"x");
    assert!(matches!(
        log.wait_durable(&owner, Lsn(1 << 40)),
        Err(LogError::Stalled)
    ));
    assert!(matches!(
        log.wait(&owner, &|| false),
        Err(LogError::Stalled)
    ));
    let single = Arc::new(Log::create(memory(), SimRuntime::new(1), FILE_ID, small()).unwrap());
    assert!(matches!(
        single.wait(&owner, &|| false),
        Err(LogError::Stalled)
    ));
}

/// Many threads, each waiting for its own records in one of three ways.
fn crowd(threads: usize, rounds: usize, attach: bool) -> (Arc<Log>, Arc<TestOwner>) {
    let log = create_threaded(&memory());
    let owner = Arc::new(TestOwner::default());
    if attach {
        log.attach(Arc::downgrade(&owner) as Weak<dyn LogOwner>);
    }
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (log, owner) = (&log, &owner);
            scope.spawn(move || {
                for _ in 0..rounds {
                    let end = {
                        let _writer = owner.writer.lock();
                        append(log, &[thread as u8; 50]).end
                    };
                    match thread % 3 {
                        0 => log
                            .wait(owner.as_ref(), &|| log.durable_lsn() >= end)
                            .unwrap(),
                        _ => log.wait_durable(owner.as_ref(), end).unwrap(),
                    }
                    assert!(log.durable_lsn() >= end);
                }
            });
        }
    });
    (log, owner)
}

#[test]
fn a_crowd_without_a_thread_hands_the_baton_on() {
    let (log, _owner) = crowd(8, 300, false);
    assert_eq!(log.last_index().0, 2400);
    assert_eq!(log.durable_lsn(), log.appended_lsn());
}

#[test]
fn a_crowd_is_served_and_the_thread_ends() {
    let (log, owner) = crowd(8, 300, true);
    assert_eq!(log.durable_lsn(), log.appended_lsn());
    assert_eq!(*owner.advanced.lock().last().unwrap(), log.appended_lsn());
    log.shutdown();
    commit(&log, &owner, b"others lead again");
    log.shutdown();
}

#[test]
fn the_log_thread_leaves_when_the_crowd_has_gone() {
    let (log, owner) = crowd(6, 50, true);
    for _ in 0..3 * LONELY_GROUPS {
        commit(&log, &owner, b"alone");
    }
    assert!(!log.lead.crowd.load(Ordering::Relaxed));
    // The thread may be a moment behind.
    for _ in 0..1000 {
        if !log.lead.state.lock().thread_leads {
            return;
        }
        commit(&log, &owner, b"alone");
    }
    panic!("the thread still leads");
}

#[test]
fn poison_wakes_every_parked_waiter() {
    let log = create_threaded(&memory());
    let owner = Arc::new(TestOwner::default());
    let queue = WaitQueue::new(0);
    // Somebody leads and never ends: everybody else parks.
    log.lead.state.lock().led = true;
    std::thread::scope(|scope| {
        for target in 1..5_u64 {
            let (log, owner, waiter) = (&log, &owner, queue.register(target));
            scope.spawn(move || assert!(log.wait_for(owner.as_ref(), &waiter).is_err()));
        }
        while log.lead.state.lock().parked.len() < 4 {
            std::thread::yield_now();
        }
        log.poison("test");
    });
    assert_eq!(owner.failed.load(Ordering::Relaxed), 1);
}
