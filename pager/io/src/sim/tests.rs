use std::sync::Arc;

use super::*;
use crate::{AlignedBuf, Disk, File, OpenMode, Pending, WriteMode};

const ROUNDS: u64 = 300;

fn disk() -> Arc<SimDisk> {
    SimDisk::new(1, SimOptions::default())
}

fn block(fill: u8) -> Arc<AlignedBuf> {
    let mut block = AlignedBuf::zeroed(4096);
    block.fill(fill);
    Arc::new(block)
}

fn boot(image: &SimImage) -> Arc<SimDisk> {
    SimDisk::from_image(image, 2, SimOptions::default())
}

/// A file whose name and `blocks` blocks of `fill` are durable.
fn settled(disk: &SimDisk, name: &str, fill: u8, blocks: usize) -> Arc<dyn File> {
    let file = disk.open(name, OpenMode::Create).unwrap();
    file.write_at(&vec![fill; blocks * 4096], 0).unwrap();
    file.sync().unwrap();
    disk.sync_directory().unwrap();
    file
}

fn crashes(disk: &SimDisk, kind: CrashKind) -> impl Iterator<Item = SimImage> {
    let mut rng = Rng::new(5);
    (0..ROUNDS).map(move |_| disk.crash(&mut rng, kind))
}

#[test]
fn an_unsynced_write_is_lost_or_survives_or_is_torn() {
    let disk = disk();
    settled(&disk, "data", 1, 1)
        .write_at(&[2; 4096], 0)
        .unwrap();
    let (mut lost, mut whole, mut torn) = (0, 0, 0);
    for image in crashes(&disk, CrashKind::Machine) {
        let bytes = image.read("data").unwrap();
        assert_eq!(bytes.len(), 4096);
        for sector in bytes.chunks(512) {
            assert!(
                sector.iter().all(|byte| byte == &sector[0]),
                "a sector is torn"
            );
        }
        match (bytes.contains(&1), bytes.contains(&2)) {
            (true, false) => lost += 1,
            (false, true) => whole += 1,
            _ => torn += 1,
        }
    }
    assert!(
        lost > 20 && whole > 20 && torn > 20,
        "{lost} {whole} {torn}"
    );
}

#[test]
fn an_unsynced_file_can_vanish_and_its_size_can_be_lost() {
    let disk = disk();
    disk.open("data", OpenMode::Create)
        .unwrap()
        .write_at(&[3; 8192], 0)
        .unwrap();
    let (mut gone, mut empty, mut zero, mut full) = (0, 0, 0, 0);
    for image in crashes(&disk, CrashKind::Machine) {
        match image.read("data") {
            None => gone += 1,
            Some(bytes) if bytes.is_empty() => empty += 1,
            Some(bytes) if bytes.iter().all(|&byte| byte == 0) => zero += 1,
            Some(bytes) => full += usize::from(bytes == [3; 8192]),
        }
    }
    assert!(
        gone > 20 && empty > 10 && zero > 5 && full > 5,
        "{gone} {empty} {zero} {full}"
    );
}

#[test]
fn what_was_synced_is_in_every_image() {
    let disk = disk();
    let file = settled(&disk, "data", 4, 3);
    file.start_write(block(5), 4096, WriteMode::Durable)
        .wait()
        .unwrap();
    file.write_at(&[6; 4096], 8192).unwrap();
    for kind in [CrashKind::Machine, CrashKind::Process] {
        for image in crashes(&disk, kind) {
            let bytes = image.read("data").unwrap();
            assert_eq!(bytes[..4096], [4; 4096]);
            assert_eq!(bytes[4096..8192], [5; 4096]);
            if kind == CrashKind::Process {
                assert_eq!(bytes[8192..], [6; 4096]);
            }
        }
    }
}

#[test]
fn a_durable_write_is_not_undone_by_an_older_unsynced_one() {
    let disk = disk();
    let file = settled(&disk, "data", 1, 2);
    file.write_at(&[2; 8192], 0).unwrap();
    file.start_write(block(3), 0, WriteMode::Durable)
        .wait()
        .unwrap();
    for image in crashes(&disk, CrashKind::Machine) {
        assert_eq!(image.read("data").unwrap()[..4096], [3; 4096]);
    }
}

#[test]
fn a_durable_write_after_a_cut_keeps_the_cut() {
    let disk = disk();
    let file = settled(&disk, "data", 1, 2);
    file.set_len(0).unwrap();
    file.start_write(block(3), 0, WriteMode::Durable)
        .wait()
        .unwrap();
    for image in crashes(&disk, CrashKind::Machine) {
        assert_eq!(image.read("data").unwrap(), [3; 4096]);
    }
}

#[test]
fn a_write_in_flight_may_be_lost_by_either_crash_and_a_durable_one_is_seen_when_ended() {
    let disk = disk();
    let file = settled(&disk, "data", 1, 1);
    let pending = file.start_write(block(2), 0, WriteMode::Durable);
    let mut seen = [0; 1];
    file.read_at(&mut seen, 0).unwrap();
    assert_eq!(seen, [1]);
    for kind in [CrashKind::Machine, CrashKind::Process] {
        let (mut old, mut new) = (0, 0);
        for image in crashes(&disk, kind) {
            let bytes = image.read("data").unwrap();
            old += usize::from(bytes == [1; 4096]);
            new += usize::from(bytes == [2; 4096]);
        }
        assert!(old > 10 && new > 10, "{kind:?}: {old} {new}");
    }
    pending.wait().unwrap();
    file.read_at(&mut seen, 0).unwrap();
    assert_eq!(seen, [2]);
}

#[test]
fn a_sync_covers_only_what_ended_before_it_began() {
    let disk = SimDisk::new(
        1,
        SimOptions {
            finish_percent: 0,
            ..SimOptions::default()
        },
    );
    let file = settled(&disk, "data", 1, 1);
    let write = file.start_write(block(2), 0, WriteMode::Plain);
    let sync = file.start_sync();
    write.wait().unwrap();
    sync.wait().unwrap();
    assert!(crashes(&disk, CrashKind::Machine).any(|i| i.read("data").unwrap() == [1; 4096]));
    file.sync().unwrap();
    assert!(crashes(&disk, CrashKind::Machine).all(|i| i.read("data").unwrap() == [2; 4096]));
}

#[test]
fn a_rename_without_a_directory_sync_is_old_or_new_never_both_or_neither() {
    let disk = disk();
    settled(&disk, "current", 1, 1);
    settled(&disk, "next.tmp", 2, 1);
    disk.rename("next.tmp", "current").unwrap();
    let (mut old, mut new) = (0, 0);
    for image in crashes(&disk, CrashKind::Machine) {
        match image.read("current").unwrap()[0] {
            1 => {
                assert_eq!(image.names(), ["current", "next.tmp"]);
                old += 1;
            }
            _ => {
                assert_eq!(image.names(), ["current"]);
                new += 1;
            }
        }
    }
    assert!(old > 50 && new > 50, "{old} {new}");
    disk.sync_directory().unwrap();
    assert!(crashes(&disk, CrashKind::Machine).all(|i| i.read("current").unwrap()[0] == 2));
}

#[test]
fn a_removed_file_comes_back_unless_the_directory_was_synced() {
    let disk = disk();
    settled(&disk, "data", 1, 1);
    disk.remove("data").unwrap();
    assert!(crashes(&disk, CrashKind::Machine).any(|image| image.read("data").is_some()));
    assert!(crashes(&disk, CrashKind::Process).all(|image| image.read("data").is_none()));
    disk.sync_directory().unwrap();
    assert!(crashes(&disk, CrashKind::Machine).all(|image| image.read("data").is_none()));
}

#[test]
fn a_machine_crash_after_a_process_crash_loses_what_was_never_synced() {
    let disk = disk();
    settled(&disk, "data", 1, 1)
        .write_at(&[2; 4096], 0)
        .unwrap();
    let image = disk.crash(&mut Rng::new(1), CrashKind::Process);
    let second = boot(&image);
    let file = second.open("data", OpenMode::ReadWrite).unwrap();
    let mut bytes = [0; 4096];
    file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(bytes, [2; 4096]);

    let lost = |image: SimImage| image.read("data").unwrap() != [2; 4096];
    assert!(crashes(&second, CrashKind::Machine).any(lost));
    file.sync().unwrap();
    assert!(!crashes(&second, CrashKind::Machine).any(lost));
}

#[test]
fn preallocation_can_be_lost_until_it_is_synced() {
    let disk = disk();
    let file = settled(&disk, "data", 1, 0);
    file.allocate(0, 65_536).unwrap();
    assert!(crashes(&disk, CrashKind::Machine).any(|i| i.read("data").unwrap().is_empty()));
    file.sync().unwrap();
    assert!(crashes(&disk, CrashKind::Machine).all(|i| i.read("data").unwrap().len() == 65_536));
}

#[test]
fn after_a_failed_sync_the_data_is_visible_and_no_later_sync_covers_it() {
    let disk = disk();
    let file = settled(&disk, "data", 1, 2);
    file.write_at(&[2; 4096], 0).unwrap();
    let plan = FaultPlan {
        at_operation: 0,
        fault: Fault::SyncFails,
    };
    disk.plan_fault(Some(plan));
    file.sync().unwrap_err();
    file.write_at(&[3; 4096], 4096).unwrap();
    file.sync().unwrap();
    assert_eq!(
        disk.crash(&mut Rng::new(1), CrashKind::Process)
            .read("data")
            .unwrap()[0],
        2
    );
    let mut lost = 0;
    for image in crashes(&disk, CrashKind::Machine) {
        let bytes = image.read("data").unwrap();
        lost += usize::from(bytes[0] == 1);
        assert_eq!(
            bytes[4096..],
            [3; 4096],
            "written after the failure and synced"
        );
    }
    assert!(lost > 50);

    // The kernel of a process that crashed takes the page for clean too …
    let second = boot(&disk.crash(&mut Rng::new(1), CrashKind::Process));
    let file = second.open("data", OpenMode::ReadWrite).unwrap();
    file.sync().unwrap();
    let lost = |image: SimImage| image.read("data").unwrap()[0] == 1;
    assert!(crashes(&second, CrashKind::Machine).any(lost));
    // … and only writing it again helps.
    file.write_at(&[2; 4096], 0).unwrap();
    file.sync().unwrap();
    assert!(!crashes(&second, CrashKind::Machine).any(lost));
}

#[test]
fn operations_end_in_any_order() {
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let disk = SimDisk::new(seed, SimOptions::default());
        let file = disk.open("data", OpenMode::Create).unwrap();
        let mut pending: Vec<Pending> = (0..3)
            .map(|n| file.start_write(block(n), 0, WriteMode::Durable))
            .collect();
        assert_eq!(disk.in_flight(), 3);
        while disk.end_some() {}
        assert!(pending.iter_mut().all(Pending::is_finished));
        let mut last = [0; 1];
        file.read_at(&mut last, 0).unwrap();
        orders.insert(last);
    }
    assert_eq!(orders.len(), 3);
}

#[test]
fn a_dropped_operation_goes_on() {
    let disk = disk();
    let file = disk.open("data", OpenMode::Create).unwrap();
    drop(file.start_write(block(9), 0, WriteMode::Plain));
    assert_eq!((disk.in_flight(), file.len().unwrap()), (1, 0));
    assert!(disk.end_some());
    assert_eq!(file.len().unwrap(), 4096);
}

/// A workload that tells how it went.
fn workload(disk: &SimDisk) -> std::io::Result<()> {
    let file = disk.open("a.tmp", OpenMode::Create)?;
    file.allocate(0, 16_384)?;
    file.write_at(&[1; 8192], 0)?;
    file.write_durable(block(2), 8192)?;
    file.sync()?;
    disk.rename("a.tmp", "a")?;
    disk.sync_directory()?;
    let mut back = [0; 4096];
    file.read_at(&mut back, 4096)?;
    file.set_len(12_288)?;
    file.set_len(20_000)?;
    disk.list()?;
    disk.remove("a")
}

#[test]
fn each_fault_can_hit_each_operation_it_applies_to_in_turn() {
    let hits_of = |fault: Fault| {
        let (mut at_operation, mut hits) = (0, 0);
        loop {
            let options = SimOptions {
                fault: Some(FaultPlan {
                    at_operation,
                    fault,
                }),
                ..Default::default()
            };
            let disk = SimDisk::new(3, options);
            let result = workload(&disk);
            let Some(hit) = disk.fault_fired() else {
                result.unwrap();
                return hits;
            };
            let silent = [Fault::LostWrite, Fault::MisdirectedWrite];
            assert_eq!(
                result.is_ok(),
                silent.contains(&fault),
                "{fault:?} at {hit}"
            );
            hits += 1;
            at_operation = hit + 1;
        }
    };
    let hits = Fault::ALL.map(hits_of);
    // Eio, NoSpace, ShortWrite, SyncFails, ReadEio, LostWrite, MisdirectedWrite.
    assert_eq!(hits, [12, 5, 2, 2, 1, 2, 2]);
}

#[test]
fn a_short_write_leaves_half_and_a_misdirected_one_lands_elsewhere() {
    let disk = disk();
    let file = settled(&disk, "data", 1, 4);
    disk.plan_fault(Some(FaultPlan {
        at_operation: 0,
        fault: Fault::ShortWrite,
    }));
    let error = file.write_at(&[2; 4096], 0).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WriteZero);
    let read = || {
        disk.crash(&mut Rng::new(0), CrashKind::Process)
            .read("data")
            .unwrap()
    };
    assert_eq!(read().iter().filter(|&&byte| byte == 2).count(), 2048);

    disk.plan_fault(Some(FaultPlan {
        at_operation: 0,
        fault: Fault::MisdirectedWrite,
    }));
    file.write_at(&[3; 4096], 4096).unwrap();
    let bytes = read();
    assert_eq!(bytes[4096..8192], [1; 4096]);
    assert_eq!(bytes.iter().filter(|&&byte| byte == 3).count(), 4096);
}

#[test]
fn the_same_seed_leaves_the_same_trace() {
    let trace = |seed: u64| {
        let disk = SimDisk::new(seed, SimOptions::default());
        let file = disk.open("data", OpenMode::Create).unwrap();
        let mut pending: Vec<Pending> = (0..10)
            .map(|n| file.start_write(block(n), 4096, WriteMode::Plain))
            .collect();
        while !pending.iter_mut().all(Pending::is_finished) {}
        workload(&disk).unwrap();
        disk.mark(seed / 1000);
        disk.journal().hash()
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}

#[test]
fn space_that_was_allocated_cannot_run_out() {
    let disk = SimDisk::new(
        1,
        SimOptions {
            capacity: 16_384,
            ..SimOptions::default()
        },
    );
    let reserved = disk.open("reserved", OpenMode::Create).unwrap();
    reserved.allocate(0, 8192).unwrap();
    let sparse = disk.open("sparse", OpenMode::Create).unwrap();
    sparse.set_len(1 << 20).unwrap();
    sparse.write_at(&[1; 8192], 4096).unwrap();
    let error = sparse.write_at(&[1; 4096], 65_536).unwrap_err();
    assert!(crate::is_no_space(&error), "{error}");
    assert!(crate::is_no_space(&sparse.allocate(0, 4096).unwrap_err()));
    reserved.write_at(&[1; 8192], 0).unwrap();
    disk.remove("sparse").unwrap();
    reserved.write_at(&[1; 8192], 8192).unwrap();
}

#[test]
fn an_image_can_be_damaged_by_hand() {
    let disk = disk();
    settled(&disk, "data", 1, 1);
    let mut image = disk.crash(&mut Rng::new(1), CrashKind::Machine);
    let mut bytes = image.read("data").unwrap();
    bytes[7] ^= 0x10;
    image.put("data", &bytes);
    image.put("new", b"x");
    assert_eq!(boot(&image).list().unwrap(), ["data", "new"]);
    assert_eq!(image.read("data").unwrap(), bytes);
    image.remove("data");
    assert_eq!(image.names(), ["new"]);
}

/// The visible state is durable state plus unsynced changes, at every event
/// and whatever was done; and a settled disk never changes by a crash.
#[test]
fn a_process_crash_with_nothing_in_flight_shows_what_the_disk_showed() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let disk = SimDisk::new(seed, SimOptions::default());
        let file = disk.open("data", OpenMode::Create).unwrap();
        for step in 0..40u8 {
            let (offset, len) = (rng.below(20_000), rng.below(9_000));
            let bytes: Arc<[u8]> = vec![step; len as usize].into();
            match rng.below(8) {
                0..3 => file.write_at(&bytes, offset).unwrap(),
                3..5 => {
                    let mut whole = AlignedBuf::zeroed(len as usize);
                    whole.fill(step);
                    file.write_durable(Arc::new(whole), offset).unwrap();
                }
                5 => file.set_len(offset).unwrap(),
                6 => file.allocate(offset, len).unwrap(),
                _ => file.sync().unwrap(),
            }
            let mut seen = vec![0; file.len().unwrap() as usize];
            file.read_at(&mut seen, 0).unwrap();
            let image = disk.crash(&mut rng, CrashKind::Process);
            assert!(
                image.read("data").unwrap() == seen,
                "seed {seed} step {step}"
            );
        }
        file.sync().unwrap();
        disk.sync_directory().unwrap();
        let mut seen = vec![0; file.len().unwrap() as usize];
        file.read_at(&mut seen, 0).unwrap();
        let image = disk.crash(&mut rng, CrashKind::Machine);
        assert!(image.read("data").unwrap() == seen, "seed {seed}");
    }
}
