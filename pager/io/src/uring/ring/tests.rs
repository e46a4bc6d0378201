use super::*;
use crate::refuse::Refusal;
use crate::refuse::tests::within;
use crate::sys::{SysDisk, SysOptions};
use crate::{AlignedBuf, OpenMode};

/// A ring, and a file; `None` where io_uring is refused.
fn ring() -> Option<(Ring, Arc<SysFile>, tempfile::TempDir)> {
    let uring = set_up().ok()?;
    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(scratch.path(), SysOptions::default()).unwrap();
    let file = disk.open_file("a", OpenMode::Create).unwrap();
    Some((Ring::new(uring), file, scratch))
}

/// A write of one block, linked to a sync.
fn pair(file: &Arc<SysFile>) -> Request {
    Request {
        file: Arc::clone(file),
        read: None,
        write: Some(WriteRequest {
            bytes: Arc::new(AlignedBuf::zeroed(4096)),
            part: 0..4096,
            offset: 0,
            direct: false,
            dsync: false,
        }),
        sync: Some(SyncKind::Data),
    }
}

fn entering(error: i32) -> [Refusal; 1] {
    [Refusal::of(libc::SYS_io_uring_enter, error)]
}

#[test]
fn a_kernel_that_knows_too_few_operations_or_tells_nothing_is_refused() {
    if set_up().is_err() {
        return;
    }
    // Answered, but nothing was filled in: no operation is supported.
    let register = |error| [Refusal::of(libc::SYS_io_uring_register, error)];
    let error = within(&register(0), || set_up().map(drop)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "the kernel's io_uring is too old");
    let error = within(&register(libc::EPERM), || set_up().map(drop)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}

/// Whether the kernel refuses, or says "not now" for ever, or takes nothing.
#[test]
fn what_the_kernel_does_not_take_counts_as_cancelled_and_the_ring_takes_no_more() {
    for error in [libc::EPERM, libc::EAGAIN, libc::EBUSY, 0] {
        let Some((ring, file, _scratch)) = ring() else {
            return;
        };
        let completion = within(&entering(error), || ring.start(pair(&file))).unwrap();
        let outcome = completion.outcome().unwrap();
        let cancelled = Some(-libc::ECANCELED);
        assert_eq!((outcome.write, outcome.sync), (cancelled, cancelled));
        let failure = ring.failure().unwrap();
        assert!(
            failure.starts_with("io_uring refused when submitting: "),
            "{failure}"
        );
        assert!(ring.start(pair(&file)).is_err());
        assert!(ring.run_alone(pair(&file)).is_err());
        // The request, and with it the file, was given back.
        assert_eq!(Arc::strong_count(&file), 1);
        assert_eq!(crate::File::len(&*file).unwrap(), 0);
    }
}

#[test]
fn a_wait_that_the_kernel_refuses_is_an_error_and_the_ring_takes_no_more() {
    for error in [libc::EPERM, libc::EAGAIN] {
        let Some((ring, file, _scratch)) = ring() else {
            return;
        };
        let never = Completion::default();
        let wait = || ring.wait(&never).map(drop);
        let refused = within(&entering(error), wait).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(error));
        let failure = ring.failure().unwrap();
        assert!(
            failure.starts_with("io_uring refused when waiting: "),
            "{failure}"
        );
        assert!(ring.start(pair(&file)).is_err());
    }
}

#[test]
fn a_ring_in_use_runs_nothing_alone_and_a_full_one_takes_no_more() {
    let Some((ring, file, _scratch)) = ring() else {
        return;
    };
    let started: Vec<_> = (0..ENTRIES / 2)
        .map(|_| ring.start(pair(&file)).unwrap())
        .collect();
    assert!(ring.run_alone(pair(&file)).is_err());
    assert!(ring.start(pair(&file)).is_err());
    for completion in &started {
        let outcome = ring.wait(completion).unwrap();
        assert_eq!((outcome.write, outcome.sync), (Some(4096), Some(0)));
        assert!(!outcome.parted);
    }
    let outcome = ring.run_alone(pair(&file)).unwrap().unwrap();
    assert_eq!((outcome.write, outcome.sync), (Some(4096), Some(0)));
    assert_eq!(ring.failure(), None);
}

#[test]
fn a_ring_that_goes_with_work_in_flight_leaves_the_memory_to_the_kernel() {
    let Some((ring, file, _scratch)) = ring() else {
        return;
    };
    drop(ring.start(pair(&file)).unwrap());
    assert!(format!("{ring:?}").contains("failure"));
    drop(ring);
    assert_eq!(Arc::strong_count(&file), 2, "its request was not freed");
}

#[test]
fn whoever_finds_the_ring_taken_passes_it_over() {
    let Some((ring, file, _scratch)) = ring() else {
        return;
    };
    let completion = ring.start(pair(&file)).unwrap();
    let held = ring.queue.lock();
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let taken = ring.start(pair(&file)).is_err() && ring.run_alone(pair(&file)).is_err();
            taken && !ring.poll(&completion)
        });
        assert!(busy.join().unwrap());
    });
    drop(held);
    let reaping = ring.reaper.lock();
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| !ring.poll(&completion));
        assert!(busy.join().unwrap(), "another is about to reap");
    });
    drop(reaping);
    // Somebody else is the reaper, and will take it.
    *ring.reaper.lock() = true;
    assert!(!ring.poll(&completion));
    *ring.reaper.lock() = false;
    ring.wait(&completion).unwrap();
    assert!(ring.poll(&completion));
}

#[test]
fn a_pair_that_was_taken_in_two_pieces_says_so_in_its_outcome() {
    let Some((ring, file, _scratch)) = ring() else {
        return;
    };
    let completion = ring.start(pair(&file)).unwrap();
    ring.queue.lock().part_pair(0);
    assert!(ring.wait(&completion).unwrap().parted);
}

#[test]
fn an_answer_to_nobody_changes_nothing() {
    let Some((ring, file, _scratch)) = ring() else {
        return;
    };
    let completion = ring.start(pair(&file)).unwrap();
    ring.wait(&completion).unwrap();
    let mut queue = ring.queue.lock();
    queue.deliver(0, Part::Write, 77);
    queue.part_pair(0);
    assert_eq!((queue.outstanding, queue.free.len()), (0, 1));
    drop(queue);
    assert_eq!(completion.outcome().unwrap().write, Some(4096));
}
