//! Through the disk, whose operations ask the pool for a ring.

use super::super::ring::{ENTRIES, set_up};
use super::super::{DurableForm, LoneWrite, UringDisk, UringOptions};
use super::*;
use crate::refuse::Refusal;
use crate::refuse::tests::within;
use crate::{AlignedBuf, Disk, File, OpenMode, PageArena, Pending, WriteMode};

/// `None` where io_uring is refused.
fn disk(lone: LoneWrite) -> Option<(Arc<UringDisk>, tempfile::TempDir)> {
    drop(set_up().ok()?);
    let scratch = tempfile::tempdir().unwrap();
    let options = UringOptions {
        form: DurableForm::Dsync,
        lone,
        ..UringOptions::default()
    };
    Some((UringDisk::open(scratch.path(), options).unwrap(), scratch))
}

/// What is written to a place.
fn fill(place: u64) -> u8 {
    (place % 251) as u8 + 1
}

fn start(file: &dyn File, place: u64) -> Pending {
    let mut block = AlignedBuf::zeroed(4096);
    block.fill(fill(place));
    file.start_write(Arc::new(block), place * 4096, WriteMode::Durable)
}

/// Each place holds what was written to it.
fn check(file: &dyn File, places: u64) {
    let mut block = [0; 4096];
    for place in 0..places {
        file.read_at(&mut block, place * 4096).unwrap();
        assert_eq!(block, [fill(place); 4096], "place {place}");
    }
}

#[test]
fn with_all_rings_full_the_rest_goes_by_system_call() {
    let Some((disk, _scratch)) = disk(LoneWrite::Ring) else {
        return;
    };
    let file = disk.open("a", OpenMode::Create).unwrap();
    let most = (RINGS_MAX * ENTRIES) as u64;
    let pending: Vec<_> = (0..most + 10).map(|place| start(&*file, place)).collect();
    assert_eq!(disk.report().syscall_writes, 10);
    pending.into_iter().for_each(|p| p.wait().unwrap());
    assert_eq!(disk.report().ring_writes, most);
    check(&*file, most + 10);
}

#[test]
fn where_no_further_ring_is_allowed_one_does_and_the_rest_goes_by_system_call() {
    let Some((disk, _scratch)) = disk(LoneWrite::Ring) else {
        return;
    };
    let file = disk.open("a", OpenMode::Create).unwrap();
    let refusal = [Refusal::of(libc::SYS_io_uring_setup, libc::ENOMEM)];
    let one = ENTRIES as u64;
    within(&refusal, || {
        let pending: Vec<_> = (0..one + 5).map(|place| start(&*file, place)).collect();
        // The ring is in use, so this one is not alone on it.
        file.write_durable(Arc::new(AlignedBuf::zeroed(4096)), (one + 5) * 4096)
            .unwrap();
        assert_eq!(disk.report().syscall_writes, 6);
        pending.into_iter().for_each(|p| p.wait().unwrap());
    });
    let report = disk.report();
    assert_eq!((report.name, report.ring_writes), ("io_uring", one));
    assert_eq!(report.fallbacks, Vec::<String>::new());
    check(&*file, one + 5);
}

#[test]
fn a_kernel_that_refuses_its_rings_in_the_middle_is_reported_and_nothing_is_lost() {
    let Some((disk, _scratch)) = disk(LoneWrite::Ring) else {
        return;
    };
    let file = disk.open("a", OpenMode::Create).unwrap();
    start(&*file, 0).wait().unwrap();
    let refusal = [Refusal::of(libc::SYS_io_uring_enter, libc::EPERM)];
    let arena = PageArena::new(4096, 1 << 20);
    within(&refusal, || {
        start(&*file, 1).wait().unwrap();
        let block = AlignedBuf::copy_of(&[3; 4096]);
        file.write_durable(Arc::new(block), 2 * 4096).unwrap();
        file.sync().unwrap();
        file.start_sync().wait().unwrap();
        let (page, count) = file.start_read(arena.take(), 4096).wait().unwrap();
        assert_eq!((count, &page[..]), (4096, &[2; 4096][..]));
    });
    check(&*file, 3);
    let report = disk.report();
    assert_eq!((report.ring_writes, report.syscall_writes), (1, 2));
    assert_eq!(report.fallbacks.len(), 1, "{report:?}");
    assert!(
        report.fallbacks[0].starts_with("io_uring refused when submitting: "),
        "{report:?}"
    );
}

#[test]
fn dropping_what_is_in_flight_waits_for_its_end() {
    let Some((disk, _scratch)) = disk(LoneWrite::Ring) else {
        return;
    };
    let file = disk.open("a", OpenMode::Create).unwrap();
    for place in 0..8 {
        drop(start(&*file, place));
    }
    check(&*file, 8);
    let arena = PageArena::new(4096, 1 << 20);
    drop(file.start_read(arena.take(), 0));
    assert_eq!(arena.used_bytes(), 0, "the kernel has given it back");
}

#[test]
fn by_choice_lone_writes_and_syncs_are_system_calls() {
    let Some((disk, _scratch)) = disk(LoneWrite::Syscall) else {
        return;
    };
    let file = disk.open("a", OpenMode::Create).unwrap();
    let refusal = [Refusal::of(libc::SYS_io_uring_enter, libc::EPERM)];
    within(&refusal, || {
        file.write_durable(Arc::new(AlignedBuf::copy_of(&[1; 4096])), 0)
            .unwrap();
        file.sync().unwrap();
    });
    check(&*file, 1);
    let report = disk.report();
    assert_eq!((report.ring_writes, report.syscall_writes), (0, 1));
    assert_eq!(report.fallbacks, Vec::<String>::new());
}
