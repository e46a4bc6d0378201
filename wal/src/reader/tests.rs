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

#[test]
fn who_has_seen_enough_is_shown_no_more() {
    let disk = memory();
    let log = create(&disk);
    for number in 0..4_u8 {
        commit(&log, &TestOwner::default(), &[number; 10]);
    }
    drop(log);
    overwrite(&disk, &segment_name(1), 4096 + 4096 + 66, b"!");
    let reader = LogReader::new(disk, FILE_ID);
    // A good one, the end, a detached one.
    for enough in 1..=3 {
        let mut seen = 0;
        reader
            .for_each_record(|_| {
                seen += 1;
                seen < enough
            })
            .unwrap();
        assert_eq!(seen, enough);
    }
}

#[test]
fn a_segment_that_nothing_reaches_is_shown_as_dead_with_its_error() {
    let disk = memory();
    drop(create(&disk));
    let dead = segment_name(9);
    let file = disk.open(&dead, OpenMode::Create).unwrap();
    file.write_at(b"junk", 0).unwrap();
    let reports = LogReader::new(disk, FILE_ID).segments().unwrap();
    let shown: Vec<_> = reports.iter().map(|r| (r.role, r.file_bytes)).collect();
    assert_eq!(shown, [(SegmentRole::Live, 20_480), (SegmentRole::Dead, 4)]);
    assert!(reports[0].header.is_ok());
    let error = reports[1].header.as_ref().unwrap_err().to_string();
    assert!(
        error.contains(&dead) && error.contains("found 4"),
        "{error}"
    );
}

#[test]
fn a_directory_without_segments_has_no_records() {
    let reader = LogReader::new(memory(), FILE_ID);
    reader
        .for_each_record(|report| panic!("{report:?}"))
        .unwrap();
}
