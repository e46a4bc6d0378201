use super::*;
use crate::log::tests::*;
use crate::names::segment_name;

/// A log of `count` records, each durable before the next.
fn filled(disk: &Arc<dyn Disk>, count: u64) -> Arc<Log> {
    let log = create(disk);
    let owner = TestOwner::default();
    for number in 1..=count {
        commit(&log, &owner, &number.to_le_bytes());
    }
    log
}

fn indexes(recovered: &Recovered) -> Vec<u64> {
    contents(recovered)
        .into_iter()
        .map(|(index, _)| index)
        .collect()
}

#[test]
fn what_was_appended_is_read_back_in_order() {
    let disk = memory();
    drop(filled(&disk, 30));
    let recovered = recover(&disk);
    assert_eq!(indexes(&recovered), (1..=30).collect::<Vec<_>>());
    assert_eq!(recovered.last_index(), Index(30));
    assert_eq!(recovered.last_time(), HybridTime(30));
    assert_eq!(recovered.torn(), None);
    assert!(
        recovered.durable() < recovered.end(),
        "nothing names the last group"
    );
}

#[test]
fn reading_starts_at_the_checkpoint() {
    let disk = memory();
    let log = filled(&disk, 10);
    let start = log.last_appended();
    commit(&log, &TestOwner::default(), b"after");
    drop(log);
    let recovered = recover_from(&disk, start).unwrap();
    assert_eq!(indexes(&recovered), [11]);
    let at_end = StartPoint {
        lsn: recovered.end(),
        chain: recovered.chain(),
        index: Index(11),
        ..start
    };
    assert!(indexes(&recover_from(&disk, at_end).unwrap()).is_empty());
}

#[test]
fn a_checkpoint_of_another_history_is_refused() {
    let disk = memory();
    let log = filled(&disk, 10);
    let start = log.last_appended();
    commit(&log, &TestOwner::default(), b"after");
    drop(log);
    for wrong in [
        StartPoint {
            chain: start.chain ^ 1,
            ..start
        },
        StartPoint {
            index: Index(9),
            ..start
        },
        StartPoint {
            lsn: Lsn(start.lsn.0 - 8),
            ..start
        },
        StartPoint {
            lsn: Lsn(1 << 30),
            ..start
        },
        StartPoint {
            incarnation: Incarnation(9),
            ..start
        },
    ] {
        let error = recover_from(&disk, wrong).unwrap_err();
        assert!(error.is_corruption(), "{wrong:?}: {error}");
    }
}

use cs_base::Incarnation;

#[test]
fn a_bad_record_below_the_durable_lsn_is_corruption() {
    let disk = memory();
    drop(filled(&disk, 10));
    overwrite(&disk, &segment_name(1), 4096 + 4096 * 3 + 70, b"!");
    let error = recover_from(&disk, StartPoint::default()).unwrap_err();
    assert!(
        matches!(
            error,
            LogError::Corrupt {
                lsn: Lsn(12_288),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_block_that_is_missing_below_the_durable_lsn_is_corruption() {
    let disk = memory();
    drop(filled(&disk, 10));
    overwrite(&disk, &segment_name(1), 4096 + 4096 * 3, &[0; 4096]);
    assert!(
        recover_from(&disk, StartPoint::default())
            .unwrap_err()
            .is_corruption()
    );
}

#[test]
fn a_bad_last_record_is_a_torn_tail() {
    let disk = memory();
    drop(filled(&disk, 3));
    overwrite(&disk, &segment_name(1), 4096 + 4096 * 2 + 65, b"!");
    let recovered = recover(&disk);
    assert_eq!(indexes(&recovered), [1, 2]);
    assert_eq!(recovered.torn().unwrap().lsn, Lsn(4096 + 72));
    let log = recovered.finish().unwrap();
    commit(&log, &TestOwner::default(), b"instead");
    drop(log);
    assert_eq!(contents(&recover(&disk))[2], (3, b"instead".to_vec()));
}

#[test]
fn after_a_seal_the_last_record_is_known_to_be_durable() {
    let disk = memory();
    let log = filled(&disk, 3);
    log.seal_if_idle().unwrap();
    log.wait_durable(&TestOwner::default(), log.appended_lsn())
        .unwrap();
    drop(log);
    overwrite(&disk, &segment_name(1), 4096 + 4096 * 2 + 65, b"!");
    assert!(
        recover_from(&disk, StartPoint::default())
            .unwrap_err()
            .is_corruption()
    );
}

#[test]
fn after_reopening_the_last_record_is_known_to_be_durable() {
    let disk = memory();
    drop(filled(&disk, 3));
    drop(recover(&disk).finish().unwrap());
    overwrite(&disk, &segment_name(1), 4096 + 4096 * 2 + 65, b"!");
    assert!(
        recover_from(&disk, StartPoint::default())
            .unwrap_err()
            .is_corruption()
    );
}

#[test]
fn a_log_that_starts_later_is_unreachable_and_says_where() {
    let disk = memory();
    let log = filled(&disk, 30);
    log.recycle_below(log.durable_lsn()).unwrap();
    let first = log.segments()[0].base;
    drop(log);
    let error = recover_from(&disk, StartPoint::default()).unwrap_err();
    assert!(
        matches!(error, LogError::Unreachable { first: Some(lsn), .. } if lsn == first),
        "{error}"
    );
    let empty = recover_from(&memory(), StartPoint::default()).unwrap_err();
    assert!(
        matches!(empty, LogError::Unreachable { first: None, .. }),
        "{empty}"
    );
}

#[test]
fn a_later_record_supersedes_those_of_the_same_or_a_higher_index() {
    let disk = memory();
    let log = filled(&disk, 5);
    let owner = TestOwner::default();
    for (index, payload) in [(3, b"x3"), (4, b"x4"), (2, b"y2"), (3, b"y3")] {
        log.append(log.reserve(2).unwrap(), head(index), &[payload]);
    }
    log.wait_durable(&owner, log.appended_lsn()).unwrap();
    drop(log);
    let recovered = recover(&disk);
    let expected = [
        (1, 1_u64.to_le_bytes().to_vec()),
        (2, b"y2".to_vec()),
        (3, b"y3".to_vec()),
    ];
    assert_eq!(contents(&recovered), expected);
    assert_eq!(recovered.last_index(), Index(3));
}

#[test]
fn recovery_changes_nothing_until_it_is_finished() {
    let disk = memory();
    drop(filled(&disk, 3));
    let before = disk.list().unwrap();
    drop(recover(&disk));
    assert_eq!(disk.list().unwrap(), before);
}

#[test]
fn a_torn_newest_segment_is_ignored_and_removed() {
    let disk = memory();
    drop(filled(&disk, 3));
    let file = disk
        .open(&segment_name(2), cs_io::OpenMode::Create)
        .unwrap();
    file.write_at(&[3; 10_000], 0).unwrap();
    let recovered = recover(&disk);
    assert_eq!(indexes(&recovered), [1, 2, 3]);
    let log = recovered.finish().unwrap();
    assert_eq!(disk.list().unwrap(), [segment_name(1), segment_name(3)]);
    drop(log);
}

/// What lies in a torn making counts only if it is a sound record of later on.
#[test]
fn what_is_no_later_record_does_not_make_a_torn_newest_segment_count() {
    let raw = |lsn: u64, incarnation: u64, len: u32| RawRecordHeader {
        checksum: 1.into(),
        kind: 1,
        flags: 0,
        reserved: 0.into(),
        payload_len: len.into(),
        previous: 0.into(),
        lsn: lsn.into(),
        incarnation: incarnation.into(),
        term: 1.into(),
        index: 4.into(),
        durable_lsn: 0.into(),
        time: 0.into(),
    };
    let later = 1 << 20;
    for (case, header) in [
        ("an older position", raw(0, 1, 8)),
        ("an older incarnation", raw(later, 0, 8)),
        ("longer than any record", raw(later, 1, u32::MAX)),
        ("longer than the file", raw(later, 1, 9000)),
        ("a bad checksum", raw(later, 1, 8)),
    ] {
        let disk = memory();
        drop(filled(&disk, 3));
        let name = segment_name(2);
        let file = disk.open(&name, cs_io::OpenMode::Create).unwrap();
        file.set_len(12_300).unwrap();
        for block in [4096, 8192] {
            overwrite(&disk, &name, block, zerocopy::IntoBytes::as_bytes(&header));
        }
        assert_eq!(indexes(&recover(&disk)), [1, 2, 3], "{case}");
    }
}

#[test]
fn seals_and_votes_are_the_logs_own_and_not_among_the_records() {
    let disk = memory();
    let log = filled(&disk, 2);
    let owner = TestOwner::default();
    assert!(log.seal_if_idle().unwrap());
    let state = HardState {
        voted_for: 9,
        ..HardState::default()
    };
    let voted = log.save_hard_state(&state).unwrap();
    log.wait_durable(&owner, voted.end).unwrap();
    drop(log);
    let recovered = recover(&disk);
    assert_eq!(indexes(&recovered), [1, 2]);
    assert_eq!(recovered.hard_state().voted_for, 9);
    assert!(recovered.end() > voted.lsn);
}

#[test]
fn a_file_that_is_cut_before_recovery_has_finished_is_an_error_of_that_file() {
    let disk = memory();
    drop(filled(&disk, 3));
    let recovered = recover(&disk);
    let name = segment_name(1);
    let file = disk.open(&name, cs_io::OpenMode::ReadWrite).unwrap();
    file.set_len(4096 + 100).unwrap();
    let error = recovered.finish().unwrap_err();
    let start = format!("make {name} durable: ");
    assert!(error.to_string().starts_with(&start), "{error}");
}

#[test]
fn a_newest_segment_with_records_and_a_bad_header_is_corruption() {
    let disk = memory();
    drop(filled(&disk, 30));
    let newest = disk.list().unwrap().pop().unwrap();
    overwrite(&disk, &newest, 100, b"!");
    let error = recover_from(&disk, StartPoint::default()).unwrap_err();
    assert!(matches!(error, LogError::CorruptSegment { .. }), "{error}");
}

/// Symptom: a log whose newest file was cut short opened without its last
/// records, although they had been acknowledged. Cause: a newest segment of
/// the wrong size was taken for a torn making, which is ignored if no record
/// is found in it. Cure: the making of a segment leaves no short file under
/// its name, so one is corruption.
#[test]
fn a_newest_segment_that_was_cut_short_is_corruption_whatever_is_left_of_it() {
    for len in [0, 100, 4095, 4096, 5000, 8192] {
        let disk = memory();
        drop(filled(&disk, 30));
        let newest = disk.list().unwrap().pop().unwrap();
        assert_ne!(newest, segment_name(1));
        let file = disk.open(&newest, cs_io::OpenMode::ReadWrite).unwrap();
        file.set_len(len).unwrap();
        let error = recover_from(&disk, StartPoint::default()).unwrap_err();
        assert!(
            matches!(error, LogError::CorruptSegment { .. }),
            "{len}: {error}"
        );
    }
}

#[test]
fn a_bad_header_in_the_middle_is_corruption() {
    let disk = memory();
    drop(filled(&disk, 30));
    overwrite(&disk, &segment_name(1), 100, b"!");
    let error = recover_from(&disk, StartPoint::default()).unwrap_err();
    assert!(
        matches!(&error, LogError::CorruptSegment { name, .. } if *name == segment_name(1)),
        "{error}"
    );
}

#[test]
fn a_truncated_segment_is_corruption() {
    let disk = memory();
    drop(filled(&disk, 3));
    let file = disk
        .open(&segment_name(1), cs_io::OpenMode::ReadWrite)
        .unwrap();
    file.set_len(9000).unwrap();
    assert!(
        recover_from(&disk, StartPoint::default())
            .unwrap_err()
            .is_corruption()
    );
}

#[test]
fn every_single_byte_changed_is_found_or_harmless() {
    let disk = memory();
    let log = filled(&disk, 4);
    log.seal_if_idle().unwrap();
    log.wait_durable(&TestOwner::default(), log.appended_lsn())
        .unwrap();
    drop(log);
    let good = contents(&recover(&disk));
    let name = segment_name(1);
    let file = disk.open(&name, cs_io::OpenMode::ReadWrite).unwrap();
    for offset in (0..4096 * 5 + 200).step_by(7) {
        let mut byte = [0];
        file.read_at(&mut byte, offset).unwrap();
        file.write_at(&[byte[0] ^ 0x10], offset).unwrap();
        if let Ok(recovered) = recover_from(&disk, StartPoint::default()) {
            assert_eq!(contents(&recovered), good, "offset {offset}");
        }
        file.write_at(&byte, offset).unwrap();
    }
}
