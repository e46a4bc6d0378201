use cs_io::Disk;

use super::*;
use crate::log::tests::*;
use crate::names::{FileName, parse};

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
