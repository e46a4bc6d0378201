use cs_io::sim::{Fault, FaultPlan, SimDisk, SimOptions};
use cs_io::{Disk, SimRuntime};

use super::*;
use crate::log::tests::*;

fn simulated(finish_percent: u8) -> (Arc<SimDisk>, Arc<Log>) {
    let disk = SimDisk::new(
        3,
        SimOptions {
            finish_percent,
            ..SimOptions::default()
        },
    );
    let log = Log::create(disk.clone(), SimRuntime::new(3), FILE_ID, small()).unwrap();
    (disk, Arc::new(log))
}

#[test]
fn durable_moves_in_order_over_several_groups() {
    let (_disk, log) = simulated(30);
    let owner = TestOwner::default();
    let mut ends = Vec::new();
    for round in 0..200_u64 {
        ends.push(append(&log, &round.to_le_bytes()).end);
        log.drive(&owner);
        let durable = log.durable_lsn();
        assert!(durable == Lsn::ZERO || ends.contains(&durable), "{durable}");
    }
    log.wait_durable(&owner, log.appended_lsn()).unwrap();
    assert_eq!(log.durable_lsn(), *ends.last().unwrap());
    assert_eq!(owner.advanced.lock().last(), ends.last());
    assert_eq!(log.drive(&owner), Drive::Idle);
}

#[test]
fn no_more_groups_fly_than_allowed() {
    let (_disk, log) = simulated(0);
    let owner = TestOwner::default();
    for _ in 0..5 {
        append(&log, b"x");
        log.drive(&owner);
    }
    assert_eq!(log.flights.count.load(Ordering::Relaxed), 2);
    assert_eq!(log.drive(&owner), Drive::Busy);
}

#[test]
fn the_second_group_ending_first_moves_nothing() {
    let (disk, log) = simulated(0);
    let owner = TestOwner::default();
    for _ in 0..2 {
        append(&log, b"x");
        log.drive(&owner);
    }
    // Until both have ended by chance, durable is 0 or the end of the first.
    while disk.end_some() {
        log.drive(&owner);
        assert!([Lsn::ZERO, Lsn(72), log.appended_lsn()].contains(&log.durable_lsn()));
    }
}

#[test]
fn a_failed_write_fails_everybody_and_is_not_tried_again() {
    let (disk, log) = simulated(50);
    let owner = TestOwner::default();
    commit(&log, &owner, b"good");
    let durable = log.durable_lsn();
    disk.plan_fault(Some(FaultPlan {
        at_operation: 0,
        fault: Fault::Eio,
    }));
    let appended = append(&log, b"bad");
    let error = log.wait_durable(&owner, appended.end).unwrap_err();
    assert!(matches!(error, LogError::Poisoned { .. }), "{error}");
    assert!(error.to_string().contains("outcome unknown"), "{error}");
    assert_eq!(owner.failed.load(Ordering::Relaxed), 1);
    let operations = disk.operations();
    assert!(log.wait_durable(&owner, appended.end).is_err());
    assert_eq!(log.drive(&owner), Drive::Idle);
    assert!(log.reserve(1).is_err());
    assert_eq!(
        (log.durable_lsn(), disk.operations()),
        (durable, operations)
    );
    assert_eq!(owner.failed.load(Ordering::Relaxed), 1, "told once");
    assert!(
        log.wait_durable(&owner, durable).is_ok(),
        "what was durable stays so"
    );
}

#[test]
fn callbacks_hear_of_success_and_failure() {
    let (disk, log) = simulated(50);
    let owner = TestOwner::default();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let heard = heard.clone();
        Box::new(move |result: crate::Result<()>| heard.lock().push((what, result.is_ok())))
    };
    let first = append(&log, b"a");
    log.on_durable(first.end, note("first"));
    log.wait_durable(&owner, first.end).unwrap();
    disk.plan_fault(Some(FaultPlan {
        at_operation: 0,
        fault: Fault::ShortWrite,
    }));
    let second = append(&log, b"b");
    log.on_durable(second.end, note("second"));
    assert!(log.wait_durable(&owner, second.end).is_err());
    assert_eq!(*heard.lock(), [("first", true), ("second", false)]);
}

#[test]
fn a_failed_rollover_inside_a_run_poisons() {
    let (disk, log) = simulated(50);
    let owner = TestOwner::default();
    let mut run = log.reserve_run(&[10_000, 30_000, 30_000]).unwrap();
    disk.plan_fault(Some(FaultPlan {
        at_operation: 0,
        fault: Fault::SyncFails,
    }));
    log.append_next(&mut run, head(1), &[&[1; 10_000]]);
    let lost = log.append_next(&mut run, head(2), &[&[2; 30_000]]);
    assert!(log.is_poisoned());
    log.append_next(&mut run, head(2), &[&[3; 30_000]]);
    assert!(log.wait_durable(&owner, lost.end).is_err());
    assert!(!disk.list().unwrap().is_empty());
}

/// An owner that finds, while it seals, that it cannot go on.
struct FailsToSeal<'a> {
    log: &'a Log,
    inner: TestOwner,
}

impl LogOwner for FailsToSeal<'_> {
    fn seal_and_cut(&self, cut: &mut dyn FnMut()) {
        let _writer = self.inner.writer.lock();
        self.log.poison("the record was not applied");
        cut();
    }

    fn durable_advanced(&self, durable: Lsn) {
        self.inner.durable_advanced(durable);
    }

    fn log_failed(&self, error: &LogError) {
        self.inner.log_failed(error);
    }
}

/// Symptom: a record whose apply had failed in the owner was there after a
/// restart. Cause: poison was looked at before the owner's lock was taken, not
/// under it. Cure: the cut looks again.
#[test]
fn nothing_leaves_a_log_that_was_poisoned_under_the_owners_lock() {
    let (disk, log) = simulated(100);
    let owner = FailsToSeal {
        log: &log,
        inner: TestOwner::default(),
    };
    let appended = append(&log, b"never applied");
    let operations = disk.operations();
    assert!(log.wait_durable(&owner, appended.end).is_err());
    assert_eq!(disk.operations(), operations, "nothing was written");
    assert_eq!(log.durable_lsn(), Lsn::ZERO);
    assert_eq!(owner.inner.failed.load(Ordering::Relaxed), 1);
    drop(log);
    let disk: Arc<dyn Disk> = disk;
    assert!(contents(&recover(&disk)).is_empty());
}

#[test]
fn callbacks_hear_of_a_failure_that_the_owner_found_while_driving() {
    let (_disk, log) = simulated(100);
    let owner = FailsToSeal {
        log: &log,
        inner: TestOwner::default(),
    };
    let appended = append(&log, b"never applied");
    let heard = Arc::new(AtomicUsize::new(0));
    let counter = heard.clone();
    log.on_durable(
        appended.end,
        Box::new(move |outcome| {
            counter.fetch_add(usize::from(outcome.is_err()), Ordering::Relaxed);
        }),
    );
    log.drive(&owner);
    assert_eq!(heard.load(Ordering::Relaxed), 1);
    assert_eq!(owner.inner.failed.load(Ordering::Relaxed), 1);
}

/// An owner whose lock somebody has: it says so at once, if asked.
struct Busy<'a> {
    log: &'a Log,
    inner: TestOwner,
    /// What had happened when the lock was waited for.
    told_before_waiting: Mutex<Vec<usize>>,
}

impl LogOwner for Busy<'_> {
    fn seal_and_cut(&self, cut: &mut dyn FnMut()) {
        let told = self.inner.advanced.lock().len();
        self.told_before_waiting.lock().push(told);
        cut();
    }

    fn try_seal_and_cut(&self, _cut: &mut dyn FnMut()) -> bool {
        false
    }

    fn durable_advanced(&self, durable: Lsn) {
        self.inner.durable_advanced(durable);
        if self.inner.advanced.lock().len() == 1 {
            append(self.log, b"came meanwhile");
        }
    }

    fn log_failed(&self, error: &LogError) {
        self.inner.log_failed(error);
    }
}

#[test]
fn nobody_waits_for_the_owners_lock_whose_group_has_ended() {
    let (_disk, log) = simulated(100);
    let owner = Busy {
        log: &log,
        inner: TestOwner::default(),
        told_before_waiting: Mutex::default(),
    };
    let first = append(&log, b"first").end;
    log.wait_durable(&owner, first).unwrap();
    log.wait_durable(&owner, log.appended_lsn()).unwrap();
    assert_eq!(*owner.told_before_waiting.lock(), [0, 1]);
    assert_eq!(owner.inner.advanced.lock().len(), 2);
}

#[test]
fn a_crowd_takes_turns_in_halves() {
    let (_disk, log) = simulated(0);
    let owner = TestOwner::default();
    log.lead.note_group(8);
    log.flights.crowd.store(8, Ordering::Relaxed);
    append(&log, b"first");
    assert!(log.is_worth_a_flight(), "nothing flies");
    log.drive(&owner);
    for _ in 0..3 {
        append(&log, b"one of the other half");
        log.help(&owner);
        assert_eq!(log.flights.count.load(Ordering::Relaxed), 1);
        assert!(!log.is_worth_a_flight());
    }
    append(&log, b"the last of them");
    log.help(&owner);
    assert_eq!(log.flights.count.load(Ordering::Relaxed), 2);
    log.wait_durable(&owner, log.appended_lsn()).unwrap();
}
