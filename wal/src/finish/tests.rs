use cs_io::SimRuntime;
use cs_io::memory::MemoryDisk;
use cs_io::sim::{CrashKind, Fault, FaultPlan, Rng, SimDisk, SimOptions};

use super::*;
use crate::log::tests::*;

#[test]
fn each_opening_is_a_new_incarnation() {
    let disk = memory();
    drop(create(&disk));
    for expected in 2..6 {
        let log = recover(&disk).finish().unwrap();
        assert_eq!(log.incarnation(), Incarnation(expected));
        assert_eq!(
            disk.list().unwrap().len(),
            1,
            "empty segments do not pile up"
        );
    }
}

#[test]
fn records_go_on_over_many_openings() {
    let disk = memory();
    let owner = TestOwner::default();
    commit(&create(&disk), &owner, &[1]);
    for round in 2..12_u8 {
        let log = recover(&disk).finish().unwrap();
        assert_eq!(log.last_index(), Index(u64::from(round) - 1));
        commit(&log, &TestOwner::default(), &[round]);
    }
    let found: Vec<_> = contents(&recover(&disk))
        .into_iter()
        .map(|(_, payload)| payload[0])
        .collect();
    assert_eq!(found, (1..12).collect::<Vec<_>>());
}

#[test]
fn creation_removes_what_a_crash_left_and_refuses_what_holds_records() {
    let disk = memory();
    for name in ["wal-0000000009.tmp", "spare-4.log", "wal-0000000001.log"] {
        disk.open(name, OpenMode::Create).unwrap();
    }
    let log = create(&disk);
    assert_eq!(disk.list().unwrap(), ["wal-0000000002.log"]);
    commit(&log, &TestOwner::default(), b"a");
    let error = Log::create(disk, SimRuntime::new(1), FILE_ID, small()).unwrap_err();
    assert!(matches!(error, LogError::AlreadyExists { .. }), "{error}");
}

#[test]
fn a_log_opens_on_a_disk_with_little_room() {
    let disk: Arc<dyn Disk> = MemoryDisk::with_capacity(60 << 10);
    let options = LogOptions {
        segment_bytes_min: 32 << 10,
        ..LogOptions::default()
    };
    let log = Log::create(disk.clone(), SimRuntime::new(1), FILE_ID, options.clone()).unwrap();
    commit(&log, &TestOwner::default(), b"a");
    let start = crate::StartPoint::default();
    let recovered = Log::recover(disk, SimRuntime::new(1), FILE_ID, options, start).unwrap();
    assert_eq!(
        recovered
            .finish()
            .unwrap()
            .segments()
            .last()
            .unwrap()
            .capacity,
        16 << 10
    );
}

#[test]
fn what_recovery_read_after_a_process_crash_survives_a_machine_crash() {
    for seed in 0..60 {
        let disk = SimDisk::new(seed, SimOptions::default());
        let log = Log::create(disk.clone(), SimRuntime::new(seed), FILE_ID, small()).unwrap();
        for number in 0..5_u64 {
            append(&log, &[number as u8; 700]);
            log.drive(&TestOwner::default());
        }
        let mut rng = Rng::new(seed);
        let image = disk.crash(&mut rng, CrashKind::Process);
        let disk = SimDisk::from_image(&image, seed, SimOptions::default());
        let opened: Arc<dyn Disk> = disk.clone();
        let recovered = recover(&opened);
        let read = contents(&recovered);
        drop(recovered.finish().unwrap());
        let image = disk.crash(&mut rng, CrashKind::Machine);
        let disk: Arc<dyn Disk> = SimDisk::from_image(&image, seed, SimOptions::default());
        assert_eq!(contents(&recover(&disk)), read, "seed {seed}");
    }
}

#[test]
fn records_survive_in_real_files() {
    let folder = tempfile::tempdir().unwrap();
    let open = || -> Arc<dyn Disk> {
        cs_io::sys::SysDisk::open(folder.path(), cs_io::sys::SysOptions::default()).unwrap()
    };
    let log = create_threaded(&open());
    for number in 0..10_u8 {
        commit(&log, &TestOwner::default(), &[number; 3000]);
    }
    drop(log);
    let recovered = recover(&open());
    assert_eq!(contents(&recovered).len(), 10);
    let log = recovered.finish().unwrap();
    commit(&log, &TestOwner::default(), b"more");
    drop(log);
    assert_eq!(contents(&recover(&open())).len(), 11);
}

#[test]
fn an_empty_segment_that_begins_anywhere_is_no_log_to_be_kept() {
    let disk = memory();
    drop(create(&disk));
    forge_header(&disk, "wal-0000000001.log", |header| {
        header.base = Lsn(8192);
        header.last_end = Lsn(8192);
    });
    drop(create(&disk));
    assert_eq!(disk.list().unwrap(), ["wal-0000000002.log"]);
}

#[test]
fn a_log_of_another_version_is_refused_and_not_made_anew() {
    let disk = memory();
    drop(create(&disk));
    overwrite(&disk, "wal-0000000001.log", 8, &[9]);
    let error = Log::create(disk.clone(), SimRuntime::new(1), FILE_ID, small()).unwrap_err();
    assert!(matches!(error, LogError::Unsupported { .. }), "{error}");
    assert_eq!(disk.list().unwrap(), ["wal-0000000001.log"]);
}

#[test]
fn a_log_with_features_for_readers_only_is_read_and_not_written() {
    let disk = memory();
    commit(&create(&disk), &TestOwner::default(), b"a");
    forge_header(&disk, "wal-0000000001.log", |header| {
        header.read_only_compatible = 2;
    });
    let recovered = recover(&disk);
    assert_eq!(contents(&recovered), [(1, b"a".to_vec())]);
    let error = recovered.finish().unwrap_err();
    assert!(error.to_string().contains("features 0x2"), "{error}");
    assert_eq!(disk.list().unwrap(), ["wal-0000000001.log"]);
}

#[test]
fn a_read_that_fails_is_an_error_and_the_next_one_reads_again() {
    let disk = SimDisk::new(1, SimOptions::default());
    let shared: Arc<dyn Disk> = disk.clone();
    commit(&create(&shared), &TestOwner::default(), b"a");
    let recovered = recover(&shared);
    let mut records = recovered.records();
    disk.plan_fault(Some(FaultPlan {
        at_operation: disk.operations(),
        fault: Fault::ReadEio,
    }));
    let error = records.next().unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("read wal-0000000001.log: "), "{text}");
    assert_eq!(records.next().unwrap().unwrap().payload, b"a");
}
