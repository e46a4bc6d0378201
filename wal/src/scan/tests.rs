use super::*;
use crate::log::Log;
use crate::log::tests::*;
use crate::options::StartPoint;

mod forged;

#[test]
fn a_record_right_behind_and_one_at_the_next_block_are_found() {
    let disk = memory();
    let log = create(&disk);
    let owner = TestOwner::default();
    append(&log, b"a");
    commit(&log, &owner, b"b");
    commit(&log, &owner, b"c");
    drop(log);
    let records = contents(&recover(&disk));
    assert_eq!(
        records.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
        [1, 2, 3]
    );
}

#[test]
fn a_record_that_starts_in_the_last_eight_bytes_of_a_block_is_found() {
    let disk = memory();
    let log = create(&disk);
    let owner = TestOwner::default();
    append(&log, &[1; 4096 - 8 - 64]);
    let second = append(&log, b"straddles");
    assert_eq!(second.lsn, Lsn(4088));
    log.wait_durable(&owner, second.end).unwrap();
    drop(log);
    assert_eq!(contents(&recover(&disk)).len(), 2);
}

#[test]
fn a_record_of_another_database_does_not_count() {
    let disk = memory();
    let log = create(&disk);
    commit(&log, &TestOwner::default(), b"a");
    drop(log);
    let other = crate::format::checksum_seed(cs_base::FileId(1));
    assert_ne!(other, crate::format::checksum_seed(FILE_ID));
    let error = Log::recover(
        disk,
        cs_io::SimRuntime::new(1),
        cs_base::FileId(1),
        small(),
        StartPoint::default(),
    );
    assert!(error.unwrap_err().is_corruption());
}

#[test]
fn an_unknown_kind_is_refused_by_number() {
    let disk = memory();
    let log = create(&disk);
    commit(&log, &TestOwner::default(), b"");
    drop(log);
    forge(&disk, 0, |raw, _| raw.kind = 77);
    let error = recover_from(&disk, StartPoint::default()).unwrap_err();
    assert!(error.to_string().contains("kind 77"), "{error}");
}
