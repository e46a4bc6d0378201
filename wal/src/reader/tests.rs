use super::*;
use crate::log::tests::*;
use crate::names::segment_name;

#[test]
fn segments_are_listed_with_their_roles() {
    let disk = memory();
    let log = create(&disk);
    append(&log, &[1; 9000]);
    log.step().unwrap();
    disk.open("wal-0000000007.tmp", OpenMode::Create).unwrap();
    disk.open("data", OpenMode::Create).unwrap();
    let reader = LogReader::discover(disk).unwrap();
    assert_eq!(reader.file_id(), FILE_ID);
    let roles: Vec<_> = reader
        .segments()
        .unwrap()
        .into_iter()
        .map(|report| report.role)
        .collect();
    assert_eq!(
        roles,
        [
            SegmentRole::Spare,
            SegmentRole::Live,
            SegmentRole::Temporary
        ]
    );
}

#[test]
fn records_are_shown_with_verdicts_beyond_a_break() {
    let disk = memory();
    let log = create(&disk);
    for number in 0..4_u8 {
        commit(&log, &TestOwner::default(), &[number; 10]);
    }
    drop(log);
    overwrite(&disk, &segment_name(1), 4096 + 4096 + 66, b"!");
    let before = disk.list().unwrap();
    let mut seen = Vec::new();
    LogReader::new(disk.clone(), FILE_ID)
        .for_each_record(|report| {
            let payload = report.record.map(|record| record.payload[0]);
            let verdict = match report.verdict {
                Verdict::Good => "good",
                Verdict::Detached => "detached",
                Verdict::End { .. } => "end",
            };
            seen.push((report.lsn.0, verdict, payload));
            true
        })
        .unwrap();
    assert_eq!(
        seen,
        [
            (0, "good", Some(0)),
            (4096, "end", None),
            (8192, "detached", Some(2)),
            (12_288, "detached", Some(3))
        ]
    );
    assert_eq!(disk.list().unwrap(), before);
}

#[test]
fn an_empty_directory_has_no_log() {
    assert!(LogReader::discover(memory()).is_err());
    assert!(
        LogReader::new(memory(), FILE_ID)
            .segments()
            .unwrap()
            .is_empty()
    );
}
