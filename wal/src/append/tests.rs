use cs_base::Term;
use cs_io::memory::MemoryDisk;
use cs_io::{Disk, SimRuntime};

use super::*;
use crate::error::LogError;
use crate::format::MAX_RECORD_PAYLOAD;
use crate::log::tests::*;
use crate::options::LogOptions;

#[test]
fn records_follow_each_other_inside_a_group() {
    let log = create(&memory());
    let (a, b) = (append(&log, b"a"), append(&log, b"bb"));
    assert_eq!(a.lsn, Lsn(0));
    assert_eq!(a.end, Lsn(72), "64 bytes of header, payload, padding to 8");
    assert_eq!(b.lsn, a.end);
    assert_eq!(log.appended_lsn(), b.end);
    assert_eq!(log.last_appended().chain, b.chain);
}

#[test]
fn a_group_starts_on_a_block() {
    let log = create(&memory());
    let owner = TestOwner::default();
    commit(&log, &owner, b"a");
    assert_eq!(append(&log, b"b").lsn, Lsn(4096));
}

#[test]
fn a_record_never_spans_segments() {
    let log = create(&memory());
    for _ in 0..20 {
        append(&log, &[7; 3000]);
    }
    let segments = log.segments();
    assert!(segments.len() >= 3, "{segments:?}");
    for pair in segments.windows(2) {
        assert!(
            pair[0].end <= pair[1].base && pair[0].end <= pair[0].base.advance(pair[0].capacity)
        );
    }
    let capacities: Vec<_> = segments
        .iter()
        .map(|segment| segment.capacity >> 10)
        .collect();
    assert_eq!(
        capacities,
        [16, 32, 64][..capacities.len()],
        "segments double"
    );
}

#[test]
fn a_record_larger_than_a_segment_gets_its_own() {
    let disk = memory();
    let log = create(&disk);
    let owner = TestOwner::default();
    commit(&log, &owner, b"small");
    commit(&log, &owner, &vec![9; 300 << 10]);
    assert!(log.segments().last().unwrap().capacity >= 300 << 10);
    drop(log);
    assert_eq!(contents(&recover(&disk))[1].1.len(), 300 << 10);
}

#[test]
fn a_record_beyond_the_limit_is_refused() {
    let log = create(&memory());
    let error = log.reserve(MAX_RECORD_PAYLOAD + 1).unwrap_err();
    assert!(matches!(error, LogError::RecordTooLarge { .. }), "{error}");
    assert!(!log.is_poisoned());
}

#[test]
fn a_run_over_several_segments_is_reserved_at_once() {
    let disk = memory();
    let log = create(&disk);
    let owner = TestOwner::default();
    let lens = [10_000, 60_000, 50_000, 3, 120_000, 9_000];
    let mut run = log.reserve_run(&lens).unwrap();
    for (position, len) in lens.iter().enumerate() {
        assert_eq!(run.remaining(), lens.len() - position);
        let payload = vec![position as u8; *len];
        log.append_next(&mut run, head(position as u64 + 1), &[&payload]);
    }
    log.wait_durable(&owner, log.appended_lsn()).unwrap();
    drop(log);
    let found: Vec<_> = contents(&recover(&disk))
        .into_iter()
        .map(|(_, payload)| payload.len())
        .collect();
    assert_eq!(found, lens);
}

#[test]
fn a_full_disk_is_refused_before_anything_changed() {
    let disk: std::sync::Arc<dyn Disk> = MemoryDisk::with_capacity(80 << 10);
    let log = Log::create(disk.clone(), SimRuntime::new(1), FILE_ID, small()).unwrap();
    let owner = TestOwner::default();
    commit(&log, &owner, &[1; 9000]);
    let before = disk.list().unwrap();
    let error = log.reserve_run(&[9000, 30_000, 60_000]).unwrap_err();
    assert!(matches!(error, LogError::NoSpace { .. }), "{error}");
    assert!(!log.is_poisoned());
    assert!(
        disk.list().unwrap().len() <= before.len() + 1,
        "at most a spare was kept"
    );
    commit(&log, &owner, b"still works");
}

#[test]
fn payload_parts_are_joined() {
    let disk = memory();
    let log = create(&disk);
    let reservation = log.reserve(100).unwrap();
    let appended = log.append(reservation, head(1), &[b"one ", b"", b"two"]);
    log.wait_durable(&TestOwner::default(), appended.end)
        .unwrap();
    drop(log);
    assert_eq!(contents(&recover(&disk)), [(1, b"one two".to_vec())]);
}

#[test]
#[should_panic(expected = "record of index 3 after 1")]
fn a_gap_in_the_index_is_a_defect() {
    let log = create(&memory());
    append(&log, b"a");
    log.append(log.reserve(1).unwrap(), head(3), &[b"b"]);
}

#[test]
#[should_panic(expected = "record of index 0 after 1")]
fn an_index_of_zero_is_a_defect() {
    let log = create(&memory());
    append(&log, b"a");
    log.append(log.reserve(0).unwrap(), head(0), &[]);
}

#[test]
fn a_snapshot_mark_may_leave_indexes_out() {
    let disk = memory();
    let log = create(&disk);
    append(&log, b"a");
    let mark = RecordHead {
        kind: RecordKind::SnapshotMark,
        ..head(70)
    };
    let end = log.append(log.reserve(0).unwrap(), mark, &[]).end;
    log.wait_durable(&TestOwner::default(), end).unwrap();
    append(&log, b"b");
    assert_eq!(log.last_index(), Index(71));
    drop(log);
    assert_eq!(recover(&disk).last_index(), Index(70));
}

#[test]
fn an_idle_log_is_sealed_once() {
    let log = create(&memory());
    let owner = TestOwner::default();
    assert!(
        !log.seal_if_idle().unwrap(),
        "the header of a new segment says it all"
    );
    let appended = append(&log, b"a");
    assert!(!log.seal_if_idle().unwrap(), "not idle");
    log.wait_durable(&owner, appended.end).unwrap();
    assert!(log.seal_if_idle().unwrap());
    assert!(!log.seal_if_idle().unwrap());
    assert_eq!(log.last_index(), Index(1), "a seal takes no index");
    log.wait_durable(&owner, log.appended_lsn()).unwrap();
    assert!(!log.seal_if_idle().unwrap());
}

#[test]
fn hard_state_survives_rollover_and_reopening() {
    let disk = memory();
    let log = create(&disk);
    let owner = TestOwner::default();
    let state = HardState {
        term: Term(5),
        voted_for: 3,
        commit: Index(0),
        membership: vec![1, 2, 3],
    };
    let saved = log.save_hard_state(&state).unwrap();
    log.wait_durable(&owner, saved.end).unwrap();
    for _ in 0..20 {
        commit(&log, &owner, &[7; 3000]);
    }
    let start = log.last_appended();
    log.recycle_below(start.lsn).unwrap();
    assert_eq!(log.segments().len(), 1, "the record itself is gone");
    drop(log);
    let recovered = recover_from(&disk, start).unwrap();
    assert_eq!(*recovered.hard_state(), state);
    assert_eq!(recovered.finish().unwrap().hard_state(), state);
}

#[test]
fn a_membership_that_does_not_fit_a_header_is_refused() {
    let log = create(&memory());
    let state = HardState {
        membership: vec![0; 2049],
        ..HardState::default()
    };
    assert!(matches!(
        log.save_hard_state(&state),
        Err(LogError::MembershipTooLarge { .. })
    ));
}

#[test]
fn options_are_rounded_to_blocks() {
    let options = LogOptions {
        group_bytes_max: 5000,
        groups_in_flight: 0,
        ..LogOptions::default()
    };
    let options = options.normalised();
    assert_eq!(
        (options.group_bytes_max, options.groups_in_flight),
        (8192, 1)
    );
}

/// As ahead of need (see the tests of `recycle.rs`), so when it is needed.
#[test]
fn a_smaller_segment_is_made_where_the_doubled_one_does_not_fit() {
    let disk: std::sync::Arc<dyn Disk> = MemoryDisk::with_capacity(106 << 10);
    let log = create(&disk);
    let owner = TestOwner::default();
    commit(&log, &owner, &[1; 16_000]);
    commit(&log, &owner, &[1; 30_000]);
    // 20 and 36 KiB are used, with headers. The next segment would be of 64
    // KiB; two of 16 fit.
    let mut run = log.reserve_run(&[16_000, 16_000]).unwrap();
    log.append_next(&mut run, head(3), &[&[2; 16_000]]);
    log.append_next(&mut run, head(4), &[&[3; 16_000]]);
    let segments = log.segments().into_iter();
    let capacities: Vec<_> = segments.map(|segment| segment.capacity >> 10).collect();
    assert_eq!(capacities, [16, 32, 16, 16]);
    log.wait_durable(&owner, log.appended_lsn()).unwrap();
    drop((log, run));
    assert_eq!(contents(&recover(&disk)).len(), 4);
}

#[test]
fn want_of_space_for_a_seal_or_hard_state_changes_nothing() {
    let disk: std::sync::Arc<dyn Disk> = MemoryDisk::with_capacity(30 << 10);
    let log = create(&disk);
    let owner = TestOwner::default();
    // Exactly one segment.
    commit(&log, &owner, &[1; (16 << 10) - RECORD_HEADER_BYTES]);
    let (names, last) = (disk.list().unwrap(), log.last_appended());
    let state = HardState {
        term: Term(5),
        ..HardState::default()
    };
    assert!(matches!(log.seal_if_idle(), Err(LogError::NoSpace { .. })));
    assert!(matches!(
        log.save_hard_state(&state),
        Err(LogError::NoSpace { .. })
    ));
    assert_eq!(log.hard_state(), HardState::default());
    assert_eq!((disk.list().unwrap(), log.last_appended()), (names, last));
    assert!(log.check().is_ok());
}

#[test]
fn a_guard_appends_many_records_that_leave_together() {
    let disk = memory();
    let log = create(&disk);
    let owner = TestOwner::default();
    let mut ends = Vec::new();
    {
        let mut guard = log.appender();
        let mut run = guard.reserve_run(&[100, 100]).unwrap();
        ends.push(guard.append_next(&mut run, head(1), &[b"one"]).end);
        ends.push(guard.append_next(&mut run, head(2), &[b"two"]).end);
        let mut single = guard.reserve(5).unwrap();
        ends.push(
            guard
                .append_next(&mut single, head(3), &[b"th", b"ree"])
                .end,
        );
        let place = guard.last_appended();
        assert_eq!((place.lsn, place.index), (ends[2], Index(3)));
        assert!(matches!(
            guard.reserve(MAX_RECORD_PAYLOAD + 1),
            Err(LogError::RecordTooLarge { .. })
        ));
    }
    log.wait_durable(&owner, ends[2]).unwrap();
    assert_eq!(*owner.advanced.lock(), [ends[2]], "one group");
    drop(log);
    let payloads = contents(&recover(&disk));
    assert_eq!(
        payloads,
        [
            (1, b"one".to_vec()),
            (2, b"two".to_vec()),
            (3, b"three".to_vec())
        ]
    );
}
