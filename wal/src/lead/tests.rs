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
        if matches!(log.lead.role.get(), Role::Free | Role::Caller) {
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
    log.lead.role.set(Role::Caller);
    std::thread::scope(|scope| {
        for target in 1..5_u64 {
            let (log, owner, waiter) = (&log, &owner, queue.register(target));
            scope.spawn(move || assert!(log.wait_for(owner.as_ref(), &waiter).is_err()));
        }
        while log.lead.guests.lock().len() < 4 {
            std::thread::yield_now();
        }
        log.poison("test");
    });
    assert_eq!(owner.failed.load(Ordering::Relaxed), 1);
}

/// Symptom: the log hung for good. Cause: a callback committed and waited on
/// the thread of the leader that ran it, behind that leader. Cure: such a wait
/// is refused by name.
#[test]
fn a_callback_that_waits_for_the_log_is_refused() {
    for log in [create(&memory()), create_threaded(&memory())] {
        let owner = Arc::new(TestOwner::default());
        let told = Arc::new(Mutex::new(Vec::new()));
        let first = append(&log, b"first").end;
        let (inner, inner_owner, slot) = (log.clone(), owner.clone(), told.clone());
        log.on_durable(
            first,
            Box::new(move |outcome| {
                let durable = inner.wait_durable(inner_owner.as_ref(), first);
                if outcome.is_err() || durable.is_err() {
                    return;
                }
                let end = append(&inner, b"second").end;
                let done = || inner.durable_lsn() >= end;
                slot.lock().extend([
                    inner.wait_durable(inner_owner.as_ref(), end),
                    inner.wait(inner_owner.as_ref(), &done),
                ]);
            }),
        );
        log.wait_durable(owner.as_ref(), first).unwrap();
        let told = std::mem::take(&mut *told.lock());
        assert_eq!(told.len(), 2);
        for outcome in told {
            assert!(matches!(outcome, Err(LogError::WaitInCallback)));
        }
        commit(&log, &owner, b"third");
        assert_eq!(log.last_index().0, 3);
    }
}

/// Symptom: a callback's panic ended the log thread, and everybody else waited
/// for ever. Cause: it unwound through the leader. Cure: it is caught.
#[test]
fn a_panic_of_a_callback_strands_nobody() {
    let log = create_threaded(&memory());
    let owner = Arc::new(TestOwner::default());
    log.attach(Arc::downgrade(&owner) as Weak<dyn LogOwner>);
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (log, owner) = (&log, &owner);
            scope.spawn(move || {
                for round in 0..50 {
                    let end = {
                        let _writer = owner.writer.lock();
                        append(log, b"x").end
                    };
                    if (thread, round % 10) == (0, 0) {
                        log.on_durable(end, Box::new(|_| panic!("on purpose")));
                    }
                    log.wait_durable(owner.as_ref(), end).unwrap();
                }
            });
        }
    });
    assert_eq!(log.durable_lsn(), log.appended_lsn());
    log.shutdown();
}

/// Symptom: waiters hung while a store closed. Cause: a leader had looked up
/// the log thread before it was told to stop, and gave it the lead afterwards.
/// Cure: whether it has to stop is asked under the lock of the lead.
#[test]
fn leadership_is_not_given_to_a_thread_that_has_stopped() {
    let (log, owner) = crowd(1, 1, true);
    let thread = log.log_thread();
    assert!(thread.is_some());
    append(&log, b"x");
    log.lead.role.set(Role::Caller);
    log.shutdown();
    log.hand_over(thread);
    assert_eq!(log.lead.role.get(), Role::Free);
    commit(&log, &owner, b"y");
}

/// Symptom: two leaders at once, of whom one took a group for finished that the
/// other still waited for. Cause: a second caller of `shutdown`, or one on the
/// log thread itself, laid the lead down before that thread had ended. Cure:
/// only whoever knows that it has ended does.
#[test]
fn the_log_thread_keeps_the_lead_until_it_has_ended() {
    let (log, owner) = crowd(1, 1, true);
    let (arrived, has_arrived) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let inner = log.clone();
    log.on_durable(
        append(&log, b"x").end,
        Box::new(move |_| {
            inner.shutdown();
            let _ = arrived.send(());
            let _ = may_go.recv();
        }),
    );
    let thread = log.log_thread();
    log.lead.role.set(Role::Caller);
    log.hand_over(thread);
    has_arrived.recv().unwrap();
    std::thread::scope(|scope| {
        let (begun, has_begun) = std::sync::mpsc::channel();
        let closers = [(); 2].map(|()| {
            let (log, begun) = (&log, begun.clone());
            scope.spawn(move || {
                begun.send(()).unwrap();
                log.shutdown();
            })
        });
        (0..closers.len()).for_each(|_| has_begun.recv().unwrap());
        // Both are at it: time enough for one that would not wait to be back.
        (0..2_000).for_each(|_| std::thread::yield_now());
        let leads = log.lead.role.get() == Role::Thread;
        let all_wait = closers.iter().all(|closer| !closer.is_finished());
        go.send(()).unwrap();
        assert!(leads && all_wait);
    });
    assert_eq!(log.lead.role.get(), Role::Free);
    commit(&log, &owner, b"y");
}

#[test]
fn no_thread_is_started_after_shutdown() {
    let (log, _owner) = crowd(1, 1, true);
    log.shutdown();
    assert!(log.log_thread().is_none());
}

#[test]
fn shutdown_amid_a_crowd_strands_nobody() {
    let (ended, has_ended) = std::sync::mpsc::channel();
    let worker = std::thread::spawn(move || {
        for round in 0..100_u64 {
            let log = create_threaded(&memory());
            let owner = Arc::new(TestOwner::default());
            log.attach(Arc::downgrade(&owner) as Weak<dyn LogOwner>);
            std::thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        for _ in 0..40 {
                            let end = {
                                let _writer = owner.writer.lock();
                                append(&log, b"x").end
                            };
                            log.wait_durable(owner.as_ref(), end).unwrap();
                        }
                    });
                }
                // Two at once, at a moment that differs from round to round.
                for closer in 0..2 {
                    let log = &log;
                    scope.spawn(move || {
                        while log.last_index().0 < round * 2 + closer {
                            std::thread::yield_now();
                        }
                        log.shutdown();
                    });
                }
            });
            assert_eq!(log.durable_lsn(), log.appended_lsn());
        }
        ended.send(()).unwrap();
    });
    let outcome = has_ended.recv_timeout(std::time::Duration::from_secs(60));
    assert!(outcome.is_ok(), "somebody waits for ever");
    worker.join().unwrap();
}

/// The owner appends for many, who sleep on one event until one callback comes.
#[test]
fn one_callback_wakes_many_who_sleep_on_one_event() {
    use cs_io::EventCount;
    let log = create_threaded(&memory());
    let owner = Arc::new(TestOwner::default());
    let event = Arc::new((EventCount::new(), AtomicBool::new(false)));
    let end = append(&log, b"for all of them").end;
    let shared = event.clone();
    log.on_durable(
        end,
        Box::new(move |outcome| {
            shared.1.store(outcome.is_ok(), Ordering::Release);
            shared.0.notify_all();
        }),
    );
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while !event.1.load(Ordering::Acquire) {
                    let listener = event.0.listen();
                    if !event.1.load(Ordering::Acquire) {
                        listener.wait();
                    }
                }
            });
        }
        log.wait_durable(owner.as_ref(), end).unwrap();
    });
}

#[test]
fn a_waiter_of_a_foreign_queue_is_woken_by_whoever_completes_it() {
    let log = create_threaded(&memory());
    let owner = Arc::new(TestOwner::default());
    let queue = WaitQueue::new(0);
    // Somebody leads, so the waiter does not.
    log.lead.role.set(Role::Caller);
    std::thread::scope(|scope| {
        let (log, owner, waiter) = (&log, &owner, queue.register(1));
        scope.spawn(move || log.wait_for(owner.as_ref(), &waiter).unwrap());
        while log.lead.guests.lock().is_empty() {
            std::thread::yield_now();
        }
        queue.complete_up_to(1);
    });
    assert!(log.lead.guests.lock().is_empty());
}

/// Whoever finds that a leader left takes over: none sleeps for ever, however
/// leaders and followers meet.
#[test]
fn leaders_that_come_and_go_strand_nobody() {
    let (ended, has_ended) = std::sync::mpsc::channel();
    let worker = std::thread::spawn(move || {
        for _ in 0..30 {
            let log = create_threaded(&memory());
            let owner = TestOwner::default();
            std::thread::scope(|scope| {
                for thread in 0..5 {
                    let (log, owner) = (&log, &owner);
                    scope.spawn(move || {
                        for round in 0..60 {
                            let end = {
                                let _writer = owner.writer.lock();
                                append(log, b"x").end
                            };
                            if (thread + round) % 4 == 0 {
                                log.drive(owner);
                            }
                            if thread == 0 {
                                let done = || log.durable_lsn() >= end;
                                log.wait(owner, &done).unwrap();
                            } else {
                                log.wait_durable(owner, end).unwrap();
                            }
                        }
                    });
                }
            });
            assert_eq!(log.durable_lsn(), log.appended_lsn());
            assert_eq!(log.lead.role.get(), Role::Free);
        }
        ended.send(()).unwrap();
    });
    let outcome = has_ended.recv_timeout(std::time::Duration::from_secs(120));
    assert!(outcome.is_ok(), "somebody waits for ever");
    worker.join().unwrap();
}
