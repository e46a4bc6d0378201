//! Answers that a healthy kernel never gives, handed to the machine directly.

use super::super::ring::set_up;
use super::super::{Pool, UringDisk, UringOptions};
use super::*;
use crate::refuse::Refusal;
use crate::refuse::tests::within;
use crate::sys::{SysDisk, SysOptions};
use crate::{AlignedBuf, Disk, OpenMode};

struct Bench {
    disk: Arc<UringDisk>,
    file: Arc<SysFile>,
    _scratch: tempfile::TempDir,
}

/// `None` where io_uring is refused: there is no machine then.
fn bench(form: DurableForm) -> Option<Bench> {
    bench_with(form, SysOptions::default())
}

fn bench_with(form: DurableForm, options: SysOptions) -> Option<Bench> {
    let scratch = tempfile::tempdir().unwrap();
    let pool = Pool::new(set_up).ok()?;
    let sys = SysDisk::open(scratch.path(), options).unwrap();
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

/// A machine whose submission the kernel answers nothing to.
fn unanswered(bench: &Bench, mut operation: Operation) -> Operation {
    let (_, shape) = operation.next_request().unwrap();
    operation.in_flight = Some(InFlight {
        ring: Arc::new(Ring::new(set_up().unwrap())),
        completion: Arc::default(),
        shape,
    });
    assert_eq!(bench.disk.report().fallbacks, Vec::<String>::new());
    operation
}

#[test]
fn a_refused_wait_leaves_the_outcome_unknown_which_is_an_error() {
    let Some(bench) = bench(DurableForm::Auto) else {
        return;
    };
    let sync = Operation::sync(&bench.disk.shared, &bench.file);
    for (operation, start) in [
        (bench.write(), "writing 8192 bytes to a at offset 4096: "),
        (sync, "syncing a: "),
    ] {
        let mut operation = unanswered(&bench, operation);
        assert!(!operation.is_finished());
        let refusal = [Refusal::of(libc::SYS_io_uring_enter, libc::EPERM)];
        let error = within(&refusal, || run(operation)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().starts_with(start), "{error}");
    }
    assert_eq!(bench.file.len().unwrap(), 0);
}

#[test]
fn a_sync_that_never_runs_is_made_by_system_call_in_the_end() {
    let Some(bench) = bench(DurableForm::Auto) else {
        return;
    };
    let interrupted = || {
        let mut operation = Operation::sync(&bench.disk.shared, &bench.file);
        for _ in 0..ATTEMPTS {
            Bench::answer(&mut operation, None, Some(-libc::EINTR), false);
        }
        operation
    };
    run(interrupted()).unwrap();
    let syncs = [libc::SYS_fsync, libc::SYS_fdatasync].map(|call| Refusal::of(call, libc::EIO));
    let error = within(&syncs, || run(interrupted())).unwrap_err();
    assert!(error.to_string().starts_with("syncing a: "), "{error}");
}

#[test]
fn bytes_that_arrived_before_system_calls_took_over_are_synced_too() {
    let Some(bench) = bench(DurableForm::Linked) else {
        return;
    };
    let mut operation = bench.write();
    Bench::answer(&mut operation, Some(4096), Some(-libc::ECANCELED), false);
    for _ in 1..ATTEMPTS {
        Bench::answer(
            &mut operation,
            Some(-libc::EINTR),
            Some(-libc::ECANCELED),
            false,
        );
    }
    let syncs = [libc::SYS_fsync, libc::SYS_fdatasync].map(|call| Refusal::of(call, libc::EIO));
    let error = within(&syncs, || run(operation)).unwrap_err();
    assert!(error.to_string().starts_with("syncing a: "), "{error}");
}

#[test]
fn a_length_that_cannot_be_asked_for_does_not_keep_a_sync_from_running() {
    let Some(bench) = bench(DurableForm::Linked) else {
        return;
    };
    let refusal = [Refusal::of(libc::SYS_lseek, libc::EIO)];
    within(&refusal, || run(bench.write())).unwrap();
    assert_eq!(bench.disk.report().ring_writes, 1);
}

#[derive(Debug)]
struct Nothing;

impl StableBytes for Nothing {
    fn stable_bytes(&self) -> &[u8] {
        &[]
    }
}

#[test]
fn an_empty_write_is_done_without_asking_the_kernel() {
    let Some(bench) = bench(DurableForm::Auto) else {
        return;
    };
    let write = |mode| {
        let nothing: Arc<dyn StableBytes> = Arc::new(Nothing);
        Operation::write(&bench.disk.shared, &bench.file, nothing, 9000, mode)
    };
    let refusal = [Refusal::of(libc::SYS_io_uring_enter, libc::EPERM)];
    within(&refusal, || {
        for mode in [WriteMode::Plain, WriteMode::Durable] {
            write(mode).run_alone().unwrap();
            let mut pending = write(mode).start();
            assert!(pending.is_finished());
            pending.wait().unwrap();
        }
    });
    assert_eq!(bench.disk.report().fallbacks, Vec::<String>::new());
    assert_eq!(bench.file.len().unwrap(), 0);
}

#[test]
fn whoever_polls_submits_what_never_ran_once_more() {
    let Some(bench) = bench(DurableForm::Auto) else {
        return;
    };
    let mut operation = bench.write();
    Bench::answer(&mut operation, Some(-libc::EINTR), None, false);
    while !operation.is_finished() {
        std::thread::yield_now();
    }
    assert!(operation.is_finished(), "and again");
    run(operation).unwrap();
    assert_eq!(bench.file.len().unwrap(), 4096 + 8192);
}

#[test]
fn through_the_page_cache_only_the_flag_can_be_refused() {
    let buffered = SysOptions {
        direct: crate::sys::DirectIo::Off,
        ..SysOptions::default()
    };
    let Some(bench) = bench_with(DurableForm::Dsync, buffered) else {
        return;
    };
    let mut failed = bench.write();
    Bench::answer(&mut failed, Some(-libc::EIO), None, false);
    assert!(run(failed).is_err(), "a failure is no refusal");
    let mut operation = bench.write();
    Bench::answer(&mut operation, Some(-libc::EINVAL), None, false);
    let (_, shape) = operation.next_request().unwrap();
    assert!(!shape.dsync && shape.sync.is_some());
    // Without the flag there is nothing left that could be refused.
    operation.absorb(
        shape,
        Outcome {
            write: Some(-libc::EINVAL),
            sync: Some(-libc::ECANCELED),
            parted: false,
        },
    );
    let error = run(operation).unwrap_err();
    assert_eq!(error.raw_os_error(), None);
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let fallbacks = bench.disk.report().fallbacks;
    assert_eq!(fallbacks.len(), 1, "{fallbacks:?}");
}
