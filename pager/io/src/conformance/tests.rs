//! The disks of this crate, and what they promise beyond the rest.

use std::sync::Arc;

use super::*;
use crate::is_no_space;
use crate::memory::MemoryDisk;
use crate::overlay::OverlayDisk;
use crate::sim::{SimDisk, SimOptions};
use crate::sys::{DirectIo, SysDisk, SysOptions};
use crate::uring::{DurableForm, LoneWrite, UringDisk, UringOptions};

/// A disk and whatever must live as long.
type Made = (Arc<dyn Disk>, Option<tempfile::TempDir>);

/// How a disk is called here, and made.
type Maker = (&'static str, fn() -> Made);

const DISKS: [Maker; 10] = [
    ("memory", || (MemoryDisk::new(), None)),
    ("simulated", || {
        (SimDisk::new(1, SimOptions::default()), None)
    }),
    ("overlay", || (OverlayDisk::new(MemoryDisk::new()), None)),
    ("syscalls, direct", || sys(DirectIo::Auto)),
    ("syscalls, buffered", || sys(DirectIo::Off)),
    ("ring, direct", || {
        uring(DirectIo::Auto, DurableForm::Auto, LoneWrite::Ring)
    }),
    ("ring, direct, linked", || {
        uring(DirectIo::Auto, DurableForm::Linked, LoneWrite::Ring)
    }),
    ("ring, buffered, linked", || {
        uring(DirectIo::Off, DurableForm::Auto, LoneWrite::Ring)
    }),
    ("ring, buffered, dsync", || {
        uring(DirectIo::Off, DurableForm::Dsync, LoneWrite::Ring)
    }),
    ("ring, lone by call", || {
        uring(DirectIo::Auto, DurableForm::Auto, LoneWrite::Syscall)
    }),
];

fn sys(direct: DirectIo) -> Made {
    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(
        scratch.path(),
        SysOptions {
            create: false,
            direct,
        },
    )
    .unwrap();
    (disk, Some(scratch))
}

/// With system calls where io_uring is refused: other tests say that it is used.
fn uring(direct: DirectIo, form: DurableForm, lone: LoneWrite) -> Made {
    let scratch = tempfile::tempdir().unwrap();
    let options = UringOptions {
        create: false,
        direct,
        form,
        lone,
    };
    match UringDisk::open(scratch.path(), options) {
        Ok(disk) => (disk, Some(scratch)),
        Err(_) => sys(direct),
    }
}

/// What a disk does not promise: the simulated one is for a single thread, and
/// in an overlay there is nobody to exclude.
const EXCEPTIONS: [(&str, &str); 2] = [
    ("simulated", "threads_write_durably_side_by_side"),
    ("overlay", "a_lock_excludes_another"),
];

#[test]
fn every_disk_keeps_every_promise() {
    for (name, make) in DISKS {
        for check in CHECKS {
            if EXCEPTIONS.contains(&(name, check.name)) {
                continue;
            }
            println!("{}, on {name}", check.name);
            let (disk, scratch) = make();
            (check.run)(&*disk);
            assert_eq!(disk.report().fallbacks, Vec::<String>::new());
            drop((disk, scratch));
        }
    }
}

#[test]
fn a_held_lock_names_this_process() {
    for (name, make) in DISKS.into_iter().filter(|(name, _)| *name != "overlay") {
        let (disk, _scratch) = make();
        let _guard = disk.lock().unwrap();
        let Err(LockError::Held(text)) = disk.lock() else {
            panic!("{name} was locked twice");
        };
        let pid = format!("pid {}", std::process::id());
        assert!(text.contains(&pid), "{name}: {text}");
    }
}

#[test]
fn a_full_disk_says_so_and_goes_on_after_a_removal() {
    let sim = SimOptions {
        capacity: 32_768,
        ..SimOptions::default()
    };
    let disks: [Arc<dyn Disk>; 2] = [MemoryDisk::with_capacity(32_768), SimDisk::new(1, sim)];
    for disk in disks {
        let file = disk.open("a", OpenMode::Create).unwrap();
        file.allocate(0, 16_384).unwrap();
        assert!(is_no_space(&file.allocate(0, 65_536).unwrap_err()));
        assert_eq!(file.len().unwrap(), 16_384, "nothing has changed");
        disk.open("b", OpenMode::Create)
            .unwrap()
            .write_at(&[1; 16_384], 0)
            .unwrap();
        assert!(is_no_space(&file.write_at(&[1; 4096], 16_384).unwrap_err()));
        let pending = file.start_write(block(1, 1), 16_384, WriteMode::Durable);
        assert!(is_no_space(&pending.wait().unwrap_err()));
        file.write_durable(block(2, 4), 0).unwrap();
        disk.remove("b").unwrap();
        file.write_at(&[1; 4096], 16_384).unwrap();
    }
}
