//! What every disk must do, run over all of them.

use std::io;
use std::sync::Arc;

use cs_base::BLOCK_SIZE;

use crate::memory::MemoryDisk;
use crate::overlay::OverlayDisk;
use crate::sim::{SimDisk, SimOptions};
use crate::sys::{DirectIo, SysDisk, SysOptions};
use crate::uring::{DurableForm, LoneWrite, UringDisk, UringOptions};
use crate::{AlignedBuf, Disk, LockError, OpenMode, Pending, WriteMode, is_no_space};

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

fn on_each(test: impl Fn(&dyn Disk)) {
    for (name, make) in DISKS {
        println!("on {name}");
        let (disk, scratch) = make();
        test(&*disk);
        drop((disk, scratch));
    }
}

fn block(fill: u8, blocks: usize) -> Arc<AlignedBuf> {
    let mut block = AlignedBuf::zeroed(blocks * BLOCK_SIZE);
    block.fill(fill);
    Arc::new(block)
}

fn kind<T>(result: io::Result<T>) -> Option<io::ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn opening_tells_missing_from_present() {
    on_each(|disk| {
        assert_eq!(
            kind(disk.open("a", OpenMode::ReadWrite)),
            Some(io::ErrorKind::NotFound)
        );
        assert_eq!(
            kind(disk.open("a", OpenMode::ReadOnly)),
            Some(io::ErrorKind::NotFound)
        );
        let file = disk.open("a", OpenMode::Create).unwrap();
        assert!(file.is_empty().unwrap());
        assert_eq!(
            kind(disk.open("a", OpenMode::Create)),
            Some(io::ErrorKind::AlreadyExists)
        );
        disk.open("a", OpenMode::ReadWrite)
            .unwrap()
            .write_at(b"x", 0)
            .unwrap();
        assert_eq!(file.len().unwrap(), 1);
    });
}

#[test]
fn names_that_could_leave_the_directory_are_refused() {
    on_each(|disk| {
        disk.open("ok", OpenMode::Create).unwrap();
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "/a",
            "a\0",
            "lock",
            ".hidden",
            "ä",
            &"x".repeat(256),
        ] {
            let refused = Some(io::ErrorKind::InvalidInput);
            assert_eq!(kind(disk.open(name, OpenMode::Create)), refused, "{name:?}");
            assert_eq!(kind(disk.remove(name)), refused, "{name:?}");
            assert_eq!(kind(disk.rename("ok", name)), refused, "{name:?}");
        }
    });
}

#[test]
fn reads_are_short_only_at_the_end() {
    on_each(|disk| {
        let file = disk.open("a", OpenMode::Create).unwrap();
        file.write_at(&[7; 5000], 0).unwrap();
        let mut aligned = AlignedBuf::zeroed(3 * BLOCK_SIZE);
        assert_eq!(file.read_at(&mut aligned, 0).unwrap(), 5000);
        assert!(aligned[..5000].iter().all(|&byte| byte == 7));
        assert_eq!(file.read_at(&mut aligned, BLOCK_SIZE as u64).unwrap(), 904);
        assert_eq!(
            file.read_at(&mut aligned, 2 * BLOCK_SIZE as u64).unwrap(),
            0
        );
        let mut odd = [0; 10];
        assert_eq!(file.read_at(&mut odd, 4995).unwrap(), 5);
        assert_eq!(file.read_at(&mut odd, 5000).unwrap(), 0);
        assert_eq!(file.read_at(&mut odd, 1 << 40).unwrap(), 0);
        assert_eq!(file.read_at(&mut [], 0).unwrap(), 0);
    });
}

#[test]
fn sizes_follow_writes_cuts_and_allocations() {
    on_each(|disk| {
        let file = disk.open("a", OpenMode::Create).unwrap();
        file.write_at(&[1; 10], 100).unwrap();
        assert_eq!(file.len().unwrap(), 110);
        file.set_len(105).unwrap();
        file.set_len(9000).unwrap();
        file.allocate(4096, 12_288).unwrap();
        assert_eq!(file.len().unwrap(), 16_384);
        file.allocate(0, 100).unwrap();
        assert_eq!(file.len().unwrap(), 16_384);
        file.sync().unwrap();
        let mut bytes = vec![9; 20_000];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 16_384);
        assert!(bytes[..100].iter().all(|&byte| byte == 0));
        assert_eq!(bytes[100..105], [1; 5]);
        assert!(
            bytes[105..16_384].iter().all(|&byte| byte == 0),
            "the cut part is zero"
        );
        assert_eq!(
            kind(file.write_at(b"x", u64::MAX)),
            Some(io::ErrorKind::InvalidInput)
        );
    });
}

#[test]
fn durable_writes_may_be_many_aligned_or_not_and_waited_for_in_any_order() {
    on_each(|disk| {
        let file = disk.open("a", OpenMode::Create).unwrap();
        file.allocate(0, 64 * 4096).unwrap();
        file.sync().unwrap();
        let mut pending: Vec<Pending> = (0..40)
            .map(|n| {
                let mode = if n % 3 == 0 {
                    WriteMode::Plain
                } else {
                    WriteMode::Durable
                };
                file.start_write(block(n as u8 + 1, 1), n * 4096, mode)
            })
            .collect();
        pending.push(file.start_sync());
        for index in [30, 5, 5, 20] {
            pending.remove(index).wait().unwrap();
        }
        while !pending[0].is_finished() {}
        drop(pending.remove(1));
        for pending in pending.into_iter().rev() {
            pending.wait().unwrap();
        }
        file.write_durable(block(99, 2), 50 * 4096).unwrap();
        file.write_durable(block(98, 1), 60 * 4096 + 100).unwrap();
        file.sync().unwrap();

        let mut bytes = AlignedBuf::zeroed(64 * 4096);
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 64 * 4096);
        for n in (0..40).filter(|&n| n != 1) {
            // The one that was dropped may not have ended on the simulated disk.
            let seen = bytes[n * 4096..(n + 1) * 4096]
                .iter()
                .filter(|&&b| b == n as u8 + 1);
            let count = seen.count();
            assert!(
                count == 4096 || (count == 0 && disk.report().name == "simulated"),
                "{n}"
            );
        }
        assert!(bytes[50 * 4096..52 * 4096].iter().all(|&byte| byte == 99));
        assert!(
            bytes[60 * 4096 + 100..61 * 4096 + 100]
                .iter()
                .all(|&byte| byte == 98)
        );
    });
}

#[test]
fn threads_write_durably_side_by_side() {
    for (name, make) in DISKS.into_iter().filter(|(name, _)| *name != "simulated") {
        println!("on {name}");
        let (disk, _scratch) = make();
        let file = disk.open("a", OpenMode::Create).unwrap();
        file.write_at(&block(0, 64), 0).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let file = &file;
                scope.spawn(move || {
                    for n in 0..8u64 {
                        let place = thread * 8 + n;
                        let bytes = block(place as u8 + 1, 1);
                        if n % 2 == 0 {
                            file.write_durable(bytes, place * 4096).unwrap();
                        } else {
                            let pending = file.start_write(bytes, place * 4096, WriteMode::Durable);
                            file.start_sync().wait().unwrap();
                            pending.wait().unwrap();
                        }
                    }
                });
            }
        });
        let mut bytes = AlignedBuf::zeroed(64 * 4096);
        file.read_at(&mut bytes, 0).unwrap();
        for (place, block) in bytes.chunks(4096).enumerate() {
            assert!(
                block.iter().all(|&byte| byte == place as u8 + 1),
                "block {place}"
            );
        }
        assert_eq!(disk.report().fallbacks, Vec::<String>::new());
    }
}

#[test]
fn a_read_only_handle_refuses_every_change() {
    on_each(|disk| {
        disk.open("a", OpenMode::Create)
            .unwrap()
            .write_at(b"old", 0)
            .unwrap();
        let file = disk.open("a", OpenMode::ReadOnly).unwrap();
        let refused = Some(io::ErrorKind::PermissionDenied);
        assert_eq!(kind(file.write_at(b"new", 0)), refused);
        let pending = file.start_write(block(1, 1), 0, WriteMode::Durable);
        assert_eq!(kind(pending.wait()), refused);
        assert_eq!(kind(file.write_durable(block(1, 1), 0)), refused);
        assert_eq!(kind(file.set_len(0)), refused);
        assert_eq!(kind(file.allocate(0, 4096)), refused);
        let mut bytes = [0; 4];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 3);
        assert_eq!(&bytes[..3], b"old");
    });
}

#[test]
fn the_list_is_sorted_and_follows_renames_and_removals() {
    on_each(|disk| {
        for name in ["b", "c", "a", "wal-0000000001.log"] {
            disk.open(name, OpenMode::Create)
                .unwrap()
                .write_at(name.as_bytes(), 0)
                .unwrap();
        }
        let handle = disk.open("a", OpenMode::ReadOnly).unwrap();
        let _lock = disk.lock().unwrap();
        assert_eq!(disk.list().unwrap(), ["a", "b", "c", "wal-0000000001.log"]);
        disk.rename("c", "a").unwrap();
        disk.remove("b").unwrap();
        disk.sync_directory().unwrap();
        assert_eq!(disk.list().unwrap(), ["a", "wal-0000000001.log"]);
        let mut byte = [0; 1];
        disk.open("a", OpenMode::ReadOnly)
            .unwrap()
            .read_at(&mut byte, 0)
            .unwrap();
        assert_eq!(&byte, b"c", "the new name replaced what had it");
        handle.read_at(&mut byte, 0).unwrap();
        assert_eq!(&byte, b"a", "an open handle keeps its file");
        assert_eq!(kind(disk.remove("b")), Some(io::ErrorKind::NotFound));
        assert_eq!(kind(disk.rename("b", "d")), Some(io::ErrorKind::NotFound));
        disk.rename("a", "a").unwrap();
        assert_eq!(disk.list().unwrap(), ["a", "wal-0000000001.log"]);
    });
}

#[test]
fn a_file_renamed_before_its_first_aligned_write_is_still_itself() {
    on_each(|disk| {
        let file = disk.open("new.tmp", OpenMode::Create).unwrap();
        disk.rename("new.tmp", "final").unwrap();
        let other = disk.open("new.tmp", OpenMode::Create).unwrap();
        file.write_durable(block(1, 1), 0).unwrap();
        assert_eq!((file.len().unwrap(), other.len().unwrap()), (4096, 0));
    });
}

#[test]
fn a_lock_excludes_another_and_names_its_holder() {
    for (name, make) in DISKS.into_iter().filter(|(name, _)| *name != "overlay") {
        println!("on {name}");
        let (disk, _scratch) = make();
        let guard = disk.lock().unwrap();
        match disk.lock() {
            Err(LockError::Held(text)) => {
                assert!(
                    text.contains(&format!("pid {}", std::process::id())),
                    "{text}"
                );
            }
            other => panic!("expected that the lock is held, found {other:?}"),
        }
        drop(guard);
        drop(disk.lock().unwrap());
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
