use std::sync::Arc;

use cs_io::{RealRuntime, SimRuntime};

use crate::log::Log;
use crate::log::tests::*;
use crate::options::LogOptions;

fn bounded(undurable_bytes_max: u64) -> LogOptions {
    LogOptions {
        undurable_bytes_max,
        ..small()
    }
}

#[test]
fn groups_and_records_are_counted() {
    let log = create(&memory());
    let owner = TestOwner::default();
    commit(&log, &owner, b"alone");
    append(&log, b"two");
    commit(&log, &owner, b"together");
    let stats = log.stats();
    assert_eq!((stats.groups, stats.records), (2, 3));
    assert_eq!(stats.segments_made_in_commit, 0);
}

#[test]
fn a_segment_made_by_an_append_is_told_from_one_made_ahead() {
    let log = create(&memory());
    append(&log, &[1; 9_000]);
    append(&log, &[1; 9_000]);
    assert_eq!(log.stats().segments_made_in_commit, 1, "nobody prepared it");
    append(&log, &[1; 9_000]);
    assert!(log.step().unwrap());
    for _ in 0..3 {
        append(&log, &[1; 9_000]);
    }
    let stats = log.stats();
    assert_eq!(log.segments().len(), 3);
    assert_eq!(
        (stats.segments_made_in_commit, stats.segments_made_ahead),
        (1, 1)
    );
}

/// Under a steady load with a background that does its steps no commit makes a
/// file, sizes grow, and then files are only used again.
#[test]
fn a_steady_load_makes_no_segment_in_a_commit() {
    let log = create(&memory());
    let owner = TestOwner::default();
    for round in 0..2_000 {
        commit(&log, &owner, &[1; 500]);
        if log.wants_step() {
            log.step().unwrap();
        }
        if round % 20 == 0 {
            log.recycle_below(log.durable_lsn()).unwrap();
        }
    }
    let stats = log.stats();
    assert_eq!(stats.segments_made_in_commit, 0);
    assert!(stats.segments_recycled > 20, "{stats:?}");
    assert!(stats.segments_made_ahead < 6, "{stats:?}");
    let capacity = log.segments().last().unwrap().capacity;
    assert_eq!(capacity, log.options().segment_bytes_max);
}

#[test]
fn what_is_gathered_is_bounded() {
    let log = Log::create(memory(), SimRuntime::new(1), FILE_ID, bounded(20_000)).unwrap();
    let owner = TestOwner::default();
    let mut most = 0;
    for _ in 0..500 {
        log.wait_for_room(&owner).unwrap();
        append(&log, &[1; 900]);
        most = most.max(log.appended_lsn().0 - log.durable_lsn().0);
    }
    // One record and what pads its group come on top.
    assert!((15_000..=20_000 + 1_000 + 4_096).contains(&most), "{most}");
    while log.has_room() {
        append(&log, &[1; 900]);
    }
    log.poison("test");
    assert!(log.wait_for_room(&owner).is_err(), "there never will be");
}

#[test]
fn appenders_beyond_the_bound_sleep_until_there_is_room() {
    let options = bounded(8_000);
    let log = Log::create(memory(), RealRuntime::new(), FILE_ID, options).unwrap();
    let (log, owner) = (Arc::new(log), TestOwner::default());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..300 {
                    log.wait_for_room(&owner).unwrap();
                    let _writer = owner.writer.lock();
                    append(&log, &[1; 900]);
                }
            });
        }
    });
    assert_eq!(log.last_index().0, 1_800);
    log.wait_durable(&owner, log.appended_lsn()).unwrap();
}
