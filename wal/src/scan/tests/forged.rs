//! Records whose checksum is sound and whose contents are not.

use std::sync::Arc;

use cs_io::Disk;

use super::*;
use crate::names::segment_name;
use crate::reader::{LogReader, Verdict};

/// Two records, the second at 4096, that is not known to be durable.
fn two() -> Arc<dyn Disk> {
    let disk = memory();
    let log = create(&disk);
    for payload in [b"one", b"two"] {
        commit(&log, &TestOwner::default(), payload);
    }
    disk
}

/// Where the log ends, what was expected there and what found.
fn end_of(disk: &Arc<dyn Disk>) -> (u64, String, String) {
    let mut end = None;
    LogReader::new(disk.clone(), FILE_ID)
        .for_each_record(|report| {
            if let Verdict::End { expected, found } = &report.verdict {
                end = Some((report.lsn.0, expected.clone(), found.clone()));
            }
            true
        })
        .unwrap();
    end.unwrap()
}

#[test]
fn an_index_that_does_not_continue_the_last_one_ends_the_log() {
    for (kind, index) in [
        (RecordKind::Transaction, 3),
        (RecordKind::Transaction, 0),
        (RecordKind::Seal, 2),
        (RecordKind::Vote, 0),
    ] {
        let disk = two();
        forge(&disk, 4096, |raw, _| {
            (raw.kind, raw.index) = (kind as u8, index.into());
        });
        let expected = "an index that continues 1".to_owned();
        let found = format!("{kind:?} record of index {index}");
        assert_eq!(end_of(&disk), (4096, expected, found));
        let recovered = recover(&disk);
        assert_eq!(contents(&recovered), [(1, b"one".to_vec())]);
        assert_eq!(recovered.torn().unwrap().lsn, Lsn(72));
    }
}

#[test]
fn a_snapshot_mark_may_jump_ahead() {
    let disk = two();
    forge(&disk, 4096, |raw, _| {
        (raw.kind, raw.index) = (RecordKind::SnapshotMark as u8, 90.into());
    });
    assert_eq!(recover(&disk).last_index(), Index(90));
}

#[test]
fn a_vote_that_is_no_hard_state_ends_the_log() {
    let disk = two();
    forge(&disk, 4096, |raw, _| {
        (raw.kind, raw.index) = (RecordKind::Vote as u8, 1.into());
    });
    let expected = "a hard state".to_owned();
    let found = "hard state of 3 bytes".to_owned();
    assert_eq!(end_of(&disk), (4096, expected, found));
    assert_eq!(contents(&recover(&disk)).len(), 1);
}

#[test]
fn reserved_bytes_and_padding_are_zero() {
    let reserved = two();
    forge(&reserved, 4096, |raw, _| raw.reserved = 1.into());
    let padded = two();
    let padding = SEGMENT_HEADER + 4096 + RECORD_HEADER_BYTES as u64 + 3;
    overwrite(&padded, &segment_name(1), padding, b"!");
    for disk in [reserved, padded] {
        let expected = "zero reserved bytes and padding".to_owned();
        assert_eq!(end_of(&disk), (4096, expected, "others".to_owned()));
    }
}

const SEGMENT_HEADER: u64 = crate::format::SEGMENT_HEADER_BYTES;

#[test]
fn a_length_is_believed_up_to_the_end_of_the_segment() {
    // Of 16 KiB, 4 KiB lie before the record.
    for (len, fits) in [(12_288 - 64, true), (12_288, false), (33 << 20, false)] {
        let disk = two();
        forge(&disk, 4096, |raw, _| raw.payload_len = len.into());
        let (lsn, expected, found) = end_of(&disk);
        assert_eq!(lsn, 4096);
        if fits {
            assert!(expected.starts_with("checksum "), "{expected}");
        } else {
            assert_eq!(expected, "a payload that fits into 12288 bytes");
            assert_eq!(found, format!("{len} bytes"));
        }
    }
}

#[test]
fn behind_a_break_a_record_of_an_unknown_kind_is_no_evidence() {
    let disk = two();
    overwrite(&disk, &segment_name(1), SEGMENT_HEADER + 66, b"!");
    forge(&disk, 4096, |raw, _| raw.kind = 77);
    // The second record would have said that the first was durable.
    assert!(contents(&recover(&disk)).is_empty());
    forge(&disk, 4096, |raw, _| raw.kind = 1);
    let error = recover_from(&disk, StartPoint::default()).unwrap_err();
    assert!(error.is_corruption(), "{error}");
    assert!(error.to_string().contains("durable to 72"), "{error}");
}

#[test]
fn a_file_that_is_cut_while_it_is_read_is_corruption_and_not_the_end() {
    let disk = two();
    let recovered = recover(&disk);
    let file = disk
        .open(&segment_name(1), cs_io::OpenMode::ReadWrite)
        .unwrap();
    let mut records = recovered.records();
    file.set_len(SEGMENT_HEADER + 4096 + 10).unwrap();
    assert_eq!(records.next().unwrap().unwrap().payload, b"one");
    let error = records.next().unwrap_err();
    assert!(
        matches!(error, LogError::Corrupt { lsn: Lsn(4096), .. }),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.ends_with("found the end of the file"), "{text}");
}
