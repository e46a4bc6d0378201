//! Answers that a healthy kernel never gives, handed to the machine directly.

use super::super::ring::set_up;
use super::super::{Pool, UringDisk, UringOptions};
use super::*;
use crate::sys::{SysDisk, SysOptions};
use crate::{AlignedBuf, Disk, OpenMode};

struct Bench {
    disk: Arc<UringDisk>,
    file: Arc<SysFile>,
    _scratch: tempfile::TempDir,
}

/// `None` where io_uring is refused: there is no machine then.
fn bench(form: DurableForm) -> Option<Bench> {
    let scratch = tempfile::tempdir().unwrap();
    let pool = Pool::new(set_up).ok()?;
    let sys = SysDisk::open(scratch.path(), SysOptions::default()).unwrap();
    let disk = UringDisk::with(
        sys,
        pool,
        UringOptions {
            form,
            ..UringOptions::default()
        },
    );
    let file = disk.sys.open_file("a", OpenMode::Create).unwrap();
    Some(Bench {
        disk,
        file,
        _scratch: scratch,
    })
}

impl Bench {
    fn write(&self) -> Operation {
        let mut bytes = AlignedBuf::zeroed(8192);
        bytes.fill(7);
        let bytes: Arc<dyn StableBytes> = Arc::new(bytes);
        Operation::write(
            &self.disk.shared,
            &self.file,
            bytes,
            4096,
            WriteMode::Durable,
        )
    }

    /// Answers the next submission without making it.
    fn answer(operation: &mut Operation, write: Option<i32>, sync: Option<i32>, parted: bool) {
        let (_, shape) = operation.next_request().unwrap();
        operation.absorb(
            shape,
            Outcome {
                write,
                sync,
                parted,
            },
        );
    }
}

fn run(operation: Operation) -> io::Result<()> {
    Box::new(operation).wait()
}

#[test]
fn a_short_write_voids_the_linked_sync_and_the_rest_is_submitted_again() {
    let Some(bench) = bench(DurableForm::Linked) else {
        return;
    };
    let mut operation = bench.write();
    // As if the kernel had synced all the same: it must not count.
    Bench::answer(&mut operation, Some(4096), Some(0), false);
    assert!(operation.result.is_none() && operation.unsynced);
    let (request, shape) = operation.next_request().unwrap();
    assert_eq!((shape.len, request.write.unwrap().offset), (4096, 8192));
    assert!(shape.sync.is_some());
    run(operation).unwrap();
    let mut rest = [0; 4096];
    bench.file.read_at(&mut rest, 8192).unwrap();
    assert_eq!(rest, [7; 4096]);
}

#[test]
fn a_sync_that_was_cancelled_or_parted_from_its_write_is_made_again() {
    let Some(bench) = bench(DurableForm::Linked) else {
        return;
    };
    for (sync, parted) in [(-libc::ECANCELED, false), (-libc::EINTR, false), (0, true)] {
        let mut operation = bench.write();
        Bench::answer(&mut operation, Some(8192), Some(sync), parted);
        assert!(operation.result.is_none());
        let (request, _) = operation.next_request().unwrap();
        assert!(request.write.is_none() && request.sync.is_some());
        run(operation).unwrap();
    }
}

#[test]
fn a_failed_sync_is_an_error_and_never_made_again() {
    let Some(bench) = bench(DurableForm::Linked) else {
        return;
    };
    let mut operation = bench.write();
    Bench::answer(&mut operation, Some(8192), Some(-libc::EIO), false);
    let error = run(operation).unwrap_err();
    assert!(error.to_string().starts_with("syncing a: "), "{error}");
}

#[test]
fn interruptions_and_cancellations_are_submitted_again_until_system_calls_take_over() {
    let Some(bench) = bench(DurableForm::Auto) else {
        return;
    };
    for errno in [libc::EINTR, libc::EAGAIN, libc::ECANCELED] {
        let mut operation = bench.write();
        for _ in 0..ATTEMPTS {
            assert!(operation.result.is_none());
            Bench::answer(&mut operation, Some(-errno), Some(-libc::ECANCELED), false);
        }
        assert!(operation.next_request().is_none());
        run(operation).unwrap();
    }
    assert_eq!(bench.disk.report().syscall_writes, 3);
}

#[test]
fn errors_of_a_write_name_the_file_and_the_offset() {
    let Some(bench) = bench(DurableForm::Auto) else {
        return;
    };
    for (answer, kind) in [
        (-libc::ENOSPC, io::ErrorKind::StorageFull),
        (0, io::ErrorKind::WriteZero),
    ] {
        let mut operation = bench.write();
        Bench::answer(&mut operation, Some(answer), None, false);
        let error = run(operation).unwrap_err();
        assert_eq!(error.kind(), kind);
        let text = error.to_string();
        assert!(
            text.starts_with("writing 8192 bytes to a at offset 4096: "),
            "{text}"
        );
    }
}

#[test]
fn refusals_retire_the_flag_then_direct_io_and_the_write_succeeds() {
    let Some(bench) = bench(DurableForm::Dsync) else {
        return;
    };
    let mut operation = bench.write();
    Bench::answer(&mut operation, Some(-libc::EOPNOTSUPP), None, false);
    Bench::answer(
        &mut operation,
        Some(-libc::EINVAL),
        Some(-libc::ECANCELED),
        false,
    );
    let (request, shape) = operation.next_request().unwrap();
    assert!(!shape.direct && !shape.dsync && request.sync.is_some());
    run(operation).unwrap();
    let fallbacks = bench.disk.report().fallbacks;
    // Where the file system of this test has no direct I/O there is only the first.
    assert!(
        fallbacks[0].starts_with("RWF_DSYNC refused"),
        "{fallbacks:?}"
    );
}

#[test]
fn what_is_forgotten_in_flight_keeps_its_memory() {
    let Some(bench) = bench(DurableForm::Linked) else {
        return;
    };
    let Pending::InFlight(pending) = bench.write().start() else {
        return;
    };
    std::mem::forget(pending);
    drop(bench.write().start());
    run(bench.write()).unwrap();
}
