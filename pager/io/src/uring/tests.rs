use super::choice::{open_with, override_choice, override_direct};
use super::*;
use crate::AlignedBuf;
use io_uring::IoUring;

fn refused() -> io::Result<IoUring> {
    Err(io::Error::from_raw_os_error(libc::EPERM))
}

fn open(choice: IoChoice, set_up: pool::SetUp) -> (io::Result<Arc<dyn Disk>>, tempfile::TempDir) {
    let scratch = tempfile::tempdir().unwrap();
    (
        open_with(scratch.path(), false, choice, DirectIo::Auto, set_up),
        scratch,
    )
}

fn block() -> Arc<AlignedBuf> {
    Arc::new(AlignedBuf::zeroed(4096))
}

#[test]
fn where_io_uring_is_refused_system_calls_are_used_and_the_report_says_why() {
    let (disk, _scratch) = open(IoChoice::Auto, refused);
    let disk = disk.unwrap();
    let file = disk.open("a", OpenMode::Create).unwrap();
    file.start_write(block(), 0, WriteMode::Durable)
        .wait()
        .unwrap();
    let report = disk.report();
    assert_eq!(
        (report.name, report.ring_writes, report.syscall_writes),
        ("syscalls", 0, 1)
    );
    assert!(
        report.fallbacks[0].starts_with("io_uring refused: "),
        "{report:?}"
    );
}

#[test]
fn whoever_insists_on_io_uring_gets_the_refusal() {
    let (disk, _scratch) = open(IoChoice::Uring, refused);
    assert_eq!(disk.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn the_report_counts_ring_writes_and_syscall_writes() {
    for (choice, lone_by_ring) in [(IoChoice::Uring, 1), (IoChoice::Auto, 0)] {
        let (disk, _scratch) = open(choice, ring::set_up);
        // A kernel without io_uring has nothing to count.
        let Ok(disk) = disk else { return };
        if disk.report().name != "io_uring" {
            return;
        }
        let file = disk.open("a", OpenMode::Create).unwrap();
        file.start_write(block(), 0, WriteMode::Durable)
            .wait()
            .unwrap();
        file.start_write(block(), 0, WriteMode::Plain)
            .wait()
            .unwrap();
        file.write_durable(block(), 0).unwrap();
        let report = disk.report();
        assert_eq!(report.ring_writes, 1 + lone_by_ring);
        assert_eq!(report.syscall_writes, 1 - lone_by_ring);
    }
}

#[test]
fn environment_variables_override_and_bad_values_are_named() {
    assert_eq!(
        override_choice(None, IoChoice::Uring).unwrap(),
        IoChoice::Uring
    );
    assert_eq!(
        override_choice(Some(""), IoChoice::Uring).unwrap(),
        IoChoice::Uring
    );
    assert_eq!(
        override_choice(Some("syscalls"), IoChoice::Auto).unwrap(),
        IoChoice::Syscalls
    );
    assert_eq!(
        override_choice(Some("uring"), IoChoice::Auto).unwrap(),
        IoChoice::Uring
    );
    assert_eq!(
        override_choice(Some("auto"), IoChoice::Uring).unwrap(),
        IoChoice::Auto
    );
    assert_eq!(
        override_direct(Some("off"), DirectIo::Auto).unwrap(),
        DirectIo::Off
    );
    assert_eq!(
        override_direct(Some("auto"), DirectIo::Off).unwrap(),
        DirectIo::Auto
    );
    let error = override_choice(Some("aio"), IoChoice::Auto).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("CS_IO: expected auto, uring or syscalls, found \"aio\"")
    );
    assert!(override_direct(Some("1"), DirectIo::Auto).is_err());
}

/// The kernel cancels what an exiting thread has handed to its workers.
#[test]
fn an_operation_outlives_the_thread_that_started_it() {
    let scratch = tempfile::tempdir().unwrap();
    for form in [DurableForm::Auto, DurableForm::Dsync, DurableForm::Linked] {
        for direct in [DirectIo::Auto, DirectIo::Off] {
            let options = UringOptions {
                form,
                direct,
                ..UringOptions::default()
            };
            let Ok(disk) = UringDisk::open(scratch.path(), options) else {
                return;
            };
            let file = disk
                .open(&format!("{form:?}-{direct:?}"), OpenMode::Create)
                .unwrap();
            let pending: Vec<Pending> = (0..20)
                .map(|n| {
                    let start = || file.start_write(block(), n * 4096, WriteMode::Durable);
                    std::thread::scope(|scope| scope.spawn(start).join().unwrap())
                })
                .collect();
            for pending in pending {
                pending.wait().unwrap();
            }
            assert_eq!(file.len().unwrap(), 20 * 4096);
            assert_eq!(disk.report().fallbacks, Vec::<String>::new());
        }
    }
}

#[test]
fn a_read_only_handle_syncs_nothing_and_by_choice_there_is_no_ring() {
    for choice in [IoChoice::Uring, IoChoice::Auto, IoChoice::Syscalls] {
        let (disk, _scratch) = open(choice, ring::set_up);
        // A kernel without io_uring refuses whoever insists on it.
        let Ok(disk) = disk else { continue };
        if choice == IoChoice::Syscalls {
            assert_eq!(disk.report().name, "syscalls");
        }
        disk.open("a", OpenMode::Create).unwrap();
        let file = disk.open("a", OpenMode::ReadOnly).unwrap();
        for result in [file.sync(), file.start_sync().wait()] {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
    }
}
