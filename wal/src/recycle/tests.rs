use std::sync::Arc;

use cs_io::memory::MemoryDisk;
use cs_io::sim::{Fault, FaultPlan, SimDisk, SimOptions};
use cs_io::{Disk, SimRuntime};

use super::*;
use crate::log::tests::*;
use crate::names::{FileName, parse};
use crate::options::LogOptions;

fn spares(disk: &dyn Disk) -> usize {
    let names = disk.list().unwrap();
    names
        .iter()
        .filter(|name| matches!(parse(name), Some(FileName::Spare(_))))
        .count()
}

#[test]
fn the_next_segment_is_prepared_ahead_of_need() {
    let disk = memory();
    let log = create(&disk);
    assert!(!log.step().unwrap(), "nothing to do yet");
    append(&log, &[1; 9000]);
    assert!(log.step().unwrap());
    assert!(!log.step().unwrap());
    assert_eq!(spares(disk.as_ref()), 1);
    append(&log, &[1; 9000]);
    assert_eq!(spares(disk.as_ref()), 0);
    assert_eq!(log.segments().len(), 2);
}

#[test]
fn only_whole_segments_below_everything_go() {
    let disk = memory();
    let log = create(&disk);
    let owner = TestOwner::default();
    for _ in 0..30 {
        append(&log, &[1; 3000]);
    }
    log.recycle_below(Lsn::MAX).unwrap();
    let all = log.segments().len();
    assert!(all >= 3, "nothing is durable");
    log.wait_durable(&owner, log.appended_lsn()).unwrap();

    let first_end = log.segments()[0].end;
    log.pin("backup", Lsn(first_end.0 - 8), None);
    log.recycle_below(Lsn::MAX).unwrap();
    assert_eq!(log.segments().len(), all, "the pin holds the first");
    log.pin("backup", first_end, None);
    log.recycle_below(Lsn::MAX).unwrap();
    assert_eq!(log.segments().len(), all - 1);
    log.unpin("backup");
    log.recycle_below(Lsn::MAX).unwrap();
    assert_eq!(log.segments().len(), 1, "the active one stays");
    assert_eq!(spares(disk.as_ref()), 2);
    assert_eq!(
        log.bytes_retained(),
        log.appended_lsn().0 - log.segments()[0].base.0
    );
}

#[test]
fn spares_are_bounded_and_reused() {
    let disk = memory();
    let log = create(&disk);
    let owner = TestOwner::default();
    for _ in 0..200 {
        commit(&log, &owner, &[1; 3000]);
        log.recycle_below(log.durable_lsn()).unwrap();
        while log.step().unwrap() {}
    }
    assert!(spares(disk.as_ref()) <= 2);
    assert!(disk.list().unwrap().len() <= 4, "{:?}", disk.list());
    let start = log.last_appended();
    commit(&log, &owner, b"last");
    drop(log);
    let recovered = recover_from(&disk, start).unwrap();
    assert_eq!(
        contents(&recovered),
        [(201, b"last".to_vec())],
        "stale records do not count"
    );
}

/// Symptom: a log refused writes on a disk with room for many. Cause: it asked
/// only for a segment twice as large as the last. Cure: the smallest that will
/// do is asked for next; ahead of need, want of space is no error.
#[test]
fn a_smaller_segment_is_prepared_where_the_doubled_one_does_not_fit() {
    // A segment of 16 KiB and its header are there; another fits, 32 KiB do not.
    let disk: Arc<dyn Disk> = MemoryDisk::with_capacity(44 << 10);
    let log = create(&disk);
    append(&log, &[1; 9000]);
    assert!(log.step().unwrap());
    assert!(!log.step().unwrap(), "one will do, and no more fit");
    append(&log, &[1; 9000]);
    append(&log, &[1; 1000]);
    let capacities = log.segments().into_iter().map(|segment| segment.capacity);
    assert_eq!(capacities.collect::<Vec<_>>(), [16 << 10, 16 << 10]);
    assert!(!log.step().unwrap(), "not even the smallest fits");
    assert!(log.check().is_ok());
}

#[test]
fn small_spares_do_not_pile_up_on_a_full_disk() {
    let disk: Arc<dyn Disk> = MemoryDisk::with_capacity(100 << 10);
    let options = LogOptions {
        segment_bytes_min: 16 << 10,
        segment_bytes_max: 1 << 20,
        ..LogOptions::default()
    };
    let log = Log::create(disk.clone(), SimRuntime::new(1), FILE_ID, options).unwrap();
    append(&log, &[1; 9000]);
    append(&log, &[1; 20_000]);
    for _ in 0..5 {
        let _ = log.step().unwrap();
    }
    assert_eq!(spares(disk.as_ref()), 1);
}

#[test]
fn a_step_is_wanted_once_per_segment_and_only_while_none_is_ready() {
    let disk = memory();
    let log = create(&disk);
    append(&log, &[1; 1500]);
    assert!(!log.wants_step());
    append(&log, &[1; 1500]);
    assert!(log.wants_step());
    assert!(log.step().unwrap());
    append(&log, &[1; 10]);
    assert!(!log.wants_step(), "the next is ready");
    append(&log, &[1; 17_000]);
    assert_eq!(log.segments().len(), 2);
    assert!(
        log.wants_step(),
        "one record is more than an eighth of the second"
    );
}

#[test]
fn a_full_disk_is_not_tried_again_at_every_append() {
    let disk: Arc<dyn Disk> = MemoryDisk::with_capacity(20 << 10);
    let log = create(&disk);
    append(&log, &[1; 9000]);
    assert!(log.wants_step());
    assert!(!log.step().unwrap());
    append(&log, &[1; 10]);
    assert!(!log.wants_step());
}

#[test]
fn a_spare_that_cannot_be_made_is_an_error_that_says_which_file() {
    let disk = SimDisk::new(1, SimOptions::default());
    let shared: Arc<dyn Disk> = disk.clone();
    let log = create(&shared);
    append(&log, &[1; 9000]);
    disk.plan_fault(Some(FaultPlan {
        at_operation: disk.operations() + 1,
        fault: Fault::Eio,
    }));
    let error = log.step().unwrap_err();
    assert!(error.to_string().starts_with("make wal-"), "{error}");
    assert!(!log.is_poisoned(), "nobody has lost anything");
    assert!(log.step().unwrap(), "another try makes it");
}

#[test]
fn a_segment_larger_than_any_that_is_made_now_is_removed_and_not_kept() {
    let disk = memory();
    let log = create(&disk);
    let owner = TestOwner::default();
    for _ in 0..20 {
        commit(&log, &owner, &[1; 9000]);
    }
    assert!(log.segments().iter().any(|info| info.capacity == 64 << 10));
    drop(log);
    let options = LogOptions {
        segment_bytes_max: 16 << 10,
        ..small()
    };
    let recovered = Log::recover(
        disk.clone(),
        cs_io::SimRuntime::new(1),
        FILE_ID,
        options,
        crate::StartPoint::default(),
    );
    let log = recovered.unwrap().finish().unwrap();
    for _ in 0..3 {
        commit(&log, &TestOwner::default(), &[1; 9000]);
    }
    log.recycle_below(log.durable_lsn()).unwrap();
    for name in disk.list().unwrap() {
        let len = disk.open(&name, cs_io::OpenMode::ReadOnly).unwrap().len();
        assert!(len.unwrap() <= (16 << 10) + 4096, "{name}");
    }
}

/// Larger than one piece.
fn create_large(disk: &Arc<dyn Disk>) -> Arc<Log> {
    let options = LogOptions {
        segment_bytes_min: 1 << 20,
        segment_bytes_max: 1 << 20,
        ..LogOptions::default()
    };
    Arc::new(Log::create(disk.clone(), SimRuntime::new(1), FILE_ID, options).unwrap())
}

#[test]
fn a_segment_is_made_in_pieces_no_faster_than_the_active_one_fills() {
    let disk = memory();
    let log = create_large(&disk);
    assert_eq!(log.making_is_ahead(), None);
    append(&log, &[1; 200 << 10]);
    assert_eq!(log.piece().unwrap(), Piece::Part);
    assert_eq!(
        log.making_is_ahead(),
        Some(false),
        "a quarter of it, a fifth full"
    );
    assert_eq!(log.piece().unwrap(), Piece::Part);
    assert_eq!(
        log.making_is_ahead(),
        Some(true),
        "half of it, a fifth full"
    );
    append(&log, &[1; 200 << 10]);
    assert_eq!(log.making_is_ahead(), Some(false));
    assert_eq!(spares(disk.as_ref()), 0);
    while log.piece().unwrap() != Piece::Done {}
    assert_eq!(spares(disk.as_ref()), 1);
    assert_eq!(log.making_is_ahead(), None);
    assert_eq!(log.piece().unwrap(), Piece::Nothing);
}

#[test]
fn a_segment_that_is_half_made_goes_when_spares_do() {
    let disk = memory();
    let log = create_large(&disk);
    append(&log, &[1; 200 << 10]);
    assert_eq!(log.piece().unwrap(), Piece::Part);
    let files = disk.list().unwrap().len();
    log.trim_spares().unwrap();
    assert_eq!(disk.list().unwrap().len(), files - 1);
    assert_eq!(log.making_is_ahead(), None);
}

#[test]
fn as_many_bytes_of_spares_are_kept_as_the_owner_wants() {
    let disk = memory();
    let log = create(&disk);
    let owner = TestOwner::default();
    log.keep_spares(u64::MAX);
    for _ in 0..200 {
        commit(&log, &owner, &[1; 3000]);
    }
    let segments = log.segments().len();
    log.recycle_below(Lsn::MAX).unwrap();
    assert!(segments > 4);
    assert_eq!(
        spares(disk.as_ref()),
        segments - 1,
        "all but the active one"
    );
    assert!(!log.step().unwrap(), "none is superfluous");
    let made = log.stats().segments_made_ahead;
    for _ in 0..100 {
        commit(&log, &owner, &[1; 3000]);
        log.step().unwrap();
    }
    assert_eq!(log.stats().segments_made_ahead, made);
    log.trim_spares().unwrap();
    assert!(spares(disk.as_ref()) < 2);
}
