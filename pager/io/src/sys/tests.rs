use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::refuse::Refusal;
use crate::refuse::tests::within;
use crate::{AlignedBuf, WriteMode};

fn options() -> SysOptions {
    SysOptions {
        create: true,
        direct: DirectIo::Auto,
    }
}

#[test]
fn directory_and_files_are_the_owners_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a/b");
    let disk = SysDisk::open(&path, options()).unwrap();
    disk.open("data", OpenMode::Create).unwrap();
    let _lock = disk.lock().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("data")), 0o600);
    assert_eq!(mode(&path.join("lock")), 0o600);
}

#[test]
fn descriptors_are_not_inherited_and_links_not_followed() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(scratch.path(), options()).unwrap();
    let file = disk.open_file("data", OpenMode::Create).unwrap();
    file.write_all(&AlignedBuf::zeroed(4096), 0, WriteMode::Durable)
        .unwrap();
    let flags = |fd: i32| fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
    let close_on_exec = |fd: i32| {
        let text = flags(fd);
        let octal = text
            .lines()
            .find_map(|l| l.strip_prefix("flags:"))
            .unwrap()
            .trim();
        i32::from_str_radix(octal, 8).unwrap() & libc::O_CLOEXEC != 0
    };
    assert!(close_on_exec(file.descriptor(false).as_raw_fd()));
    let block = AlignedBuf::zeroed(4096);
    if let Some(direct) = file.direct_for(Part {
        bytes: &block,
        offset: 0,
    }) {
        assert!(close_on_exec(direct.as_raw_fd()));
    }
    assert!(close_on_exec(disk.shared.directory.as_raw_fd()));

    std::os::unix::fs::symlink(scratch.path().join("data"), scratch.path().join("link")).unwrap();
    assert!(disk.open("link", OpenMode::ReadWrite).is_err());
    assert_eq!(disk.list().unwrap(), ["data"]);
}

#[test]
fn a_directory_open_to_everybody_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = SysDisk::open(scratch.path(), SysOptions::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("found mode 777"), "{error}");
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    SysDisk::open(scratch.path(), SysOptions::default()).unwrap();
}

#[test]
fn a_missing_directory_is_not_found_unless_it_is_to_be_created() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("none");
    let error = SysDisk::open(&path, SysOptions::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(SysDisk::open_read_only(&path).is_err());
    assert!(!path.exists());
}

#[test]
fn a_read_only_disk_creates_and_changes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("data"), b"old").unwrap();
    let disk = SysDisk::open_read_only(scratch.path()).unwrap();
    assert!(disk.open("data", OpenMode::ReadWrite).is_err());
    assert!(disk.open("new", OpenMode::Create).is_err());
    assert!(disk.remove("data").is_err());
    assert!(disk.rename("data", "other").is_err());
    assert!(disk.lock().is_err());
    let file = disk.open("data", OpenMode::ReadOnly).unwrap();
    let mut bytes = [0; 8];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 3);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
}

#[test]
fn a_second_lock_in_this_process_is_refused_and_names_the_holder() {
    let scratch = tempfile::tempdir().unwrap();
    let first = SysDisk::open(scratch.path(), options()).unwrap();
    let second = SysDisk::open(scratch.path(), options()).unwrap();
    let guard = first.lock().unwrap();
    let Err(LockError::Held(text)) = second.lock() else {
        panic!("locked twice")
    };
    assert!(
        text.starts_with(&format!("held by pid {} on host ", std::process::id())),
        "{text}"
    );
    assert!(text.contains(" since 20"), "{text}");
    drop(guard);
    second.lock().unwrap();
}

#[test]
fn direct_and_buffered_access_see_each_other() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(scratch.path(), options()).unwrap();
    let file = disk.open("data", OpenMode::Create).unwrap();
    let mut block = AlignedBuf::zeroed(8192);
    block.fill(1);
    file.write_at(&block, 0).unwrap();
    file.write_at(&[2; 100], 50).unwrap();
    let mut back = AlignedBuf::zeroed(8192);
    assert_eq!(file.read_at(&mut back, 0).unwrap(), 8192);
    assert_eq!(back[49..151], [&[1][..], &[2; 100], &[1]].concat()[..]);
    file.write_at(&block, 0).unwrap();
    let mut odd = [0; 33];
    file.read_at(&mut odd, 45).unwrap();
    assert_eq!(odd, [1; 33]);
}

#[test]
fn without_direct_io_a_durable_write_is_a_write_and_a_sync() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(
        scratch.path(),
        SysOptions {
            create: false,
            direct: DirectIo::Off,
        },
    )
    .unwrap();
    let file = disk.open("data", OpenMode::Create).unwrap();
    file.start_write(Arc::new(AlignedBuf::zeroed(4096)), 0, WriteMode::Durable)
        .wait()
        .unwrap();
    let report = disk.report();
    assert!(!report.direct_io);
    assert_eq!(report.syscall_writes, 1);
    assert_eq!(report.fallbacks, Vec::<String>::new());
}

#[test]
fn a_refusal_of_direct_io_is_remembered_once_and_the_write_still_succeeds() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(scratch.path(), options()).unwrap();
    let file = disk.open_file("data", OpenMode::Create).unwrap();
    let refusal = io::Error::from_raw_os_error(libc::EINVAL);
    file.refused(true, true, &refusal);
    file.refused(true, true, &refusal);
    file.write_all(&AlignedBuf::zeroed(4096), 0, WriteMode::Durable)
        .unwrap();
    let report = disk.report();
    assert!(!report.direct_io);
    assert_eq!(report.fallbacks.len(), 1, "{report:?}");
    assert!(report.fallbacks[0].starts_with("direct I/O refused when writing data: "));
}

#[test]
fn a_renamed_directory_stays_ours() {
    let scratch = tempfile::tempdir().unwrap();
    let (old, new) = (scratch.path().join("old"), scratch.path().join("new"));
    let disk = SysDisk::open(&old, options()).unwrap();
    fs::rename(&old, &new).unwrap();
    fs::create_dir(&old).unwrap();
    disk.open("data", OpenMode::Create).unwrap();
    assert!(new.join("data").exists());
    assert!(!old.join("data").exists());
}

/// How the directory of a disk is called in messages.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_file_is_no_directory_and_is_refused_as_one() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("file");
    fs::write(&path, b"").unwrap();
    for error in [
        SysDisk::open(&path, SysOptions::default()).unwrap_err(),
        SysDisk::open_read_only(&path).unwrap_err(),
    ] {
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        assert_eq!(
            error.to_string(),
            format!("{} is not a directory", shown(&path))
        );
    }
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("theirs");
    fs::create_dir(&path).unwrap();
    // Only the superuser may give a directory away.
    if std::os::unix::fs::chown(&path, Some(4_242), None).is_err() {
        return;
    }
    let error = SysDisk::open(&path, SysOptions::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let text = error.to_string();
    assert!(text.contains("found user 4242"), "{text}");
    SysDisk::open_read_only(&path).unwrap();
}

#[test]
fn what_the_system_says_about_a_directory_is_told_with_its_path() {
    let scratch = tempfile::tempdir().unwrap();
    let new = scratch.path().join("new");
    let open = |path: &Path| SysDisk::open(path, options()).map(drop);
    for (call, start) in [
        (
            libc::SYS_mkdir,
            format!("creating directory {}: ", shown(&new)),
        ),
        // Its name is not durable.
        (
            libc::SYS_fsync,
            format!("creating directory {}: ", shown(&new)),
        ),
    ] {
        let error = within(&[Refusal::of(call, libc::EIO)], || open(&new)).unwrap_err();
        assert!(error.to_string().starts_with(&start), "{error}");
    }
    // As if somebody else had made it between the look and the making: that is
    // passed over, and here it is missing after all.
    let other = scratch.path().join("other");
    let made = [Refusal::of(libc::SYS_mkdir, libc::EEXIST)];
    let error = within(&made, || open(&other)).unwrap_err();
    let start = format!("opening directory {}: ", shown(&other));
    assert!(error.to_string().starts_with(&start), "{error}");
    let look = [Refusal::of(libc::SYS_statx, libc::EIO)];
    let error = within(&look, || SysDisk::open_read_only(&new).map(drop)).unwrap_err();
    let start = format!("opening directory {}: ", shown(&new));
    assert!(error.to_string().starts_with(&start), "{error}");
}

#[test]
fn what_the_system_says_about_names_is_told_with_them() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(scratch.path(), options()).unwrap();
    disk.open("a", OpenMode::Create).unwrap();
    let path = shown(scratch.path());
    let calls = [
        libc::SYS_unlinkat,
        libc::SYS_renameat,
        libc::SYS_getdents64,
        libc::SYS_fsync,
    ];
    within(&calls.map(|call| Refusal::of(call, libc::EIO)), || {
        for (result, start) in [
            (disk.remove("a"), "removing a: ".to_owned()),
            (disk.rename("a", "b"), "renaming a to b: ".to_owned()),
            (disk.list().map(drop), format!("listing {path}: ")),
            (disk.sync_directory(), format!("syncing directory {path}: ")),
        ] {
            let error = result.unwrap_err();
            assert!(error.to_string().starts_with(&start), "{error}");
        }
    });
    assert_eq!(disk.list().unwrap(), ["a"]);
    for (call, error) in [
        (libc::SYS_openat, libc::EMFILE),
        (libc::SYS_fcntl, libc::EIO),
    ] {
        let list = || disk.list().unwrap_err();
        let refused = within(&[Refusal::of(call, error)], list);
        assert!(refused.to_string().starts_with("listing "), "{refused}");
    }
}

#[test]
fn names_that_no_disk_could_have_made_are_not_listed() {
    use std::os::unix::ffi::OsStrExt;

    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(scratch.path(), options()).unwrap();
    disk.open("a", OpenMode::Create).unwrap();
    for name in [&b"\xff\xfe"[..], b".hidden", b"a b"] {
        let name = std::ffi::OsStr::from_bytes(name);
        fs::write(scratch.path().join(name), b"").unwrap();
    }
    fs::create_dir(scratch.path().join("folder")).unwrap();
    assert_eq!(disk.list().unwrap(), ["a"]);
}

#[test]
fn what_is_refused_again_and_again_is_reported_once() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(scratch.path(), options()).unwrap();
    let file = disk.open_file("a", OpenMode::Create).unwrap();
    let refusals = [Refusal::of(libc::SYS_fallocate, libc::EOPNOTSUPP)];
    within(&refusals, || {
        file.allocate(0, 4096).unwrap();
        file.allocate(4096, 4096).unwrap();
    });
    let unknown = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
    for _ in 0..2 {
        file.refused(true, false, &unknown);
        file.refused(false, true, &unknown);
    }
    let fallbacks = disk.report().fallbacks;
    let starts = ["no fallocate", "RWF_DSYNC refused", "direct I/O refused"];
    assert_eq!(fallbacks.len(), starts.len(), "{fallbacks:?}");
    for (fallback, start) in fallbacks.iter().zip(starts) {
        assert!(fallback.starts_with(start), "{fallbacks:?}");
    }
}

#[test]
fn a_lock_that_the_system_refuses_is_an_error_and_nobody_holds_it() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(scratch.path(), options()).unwrap();
    for (call, error) in [
        (libc::SYS_openat, libc::EMFILE),
        (libc::SYS_fcntl, libc::ENOLCK),
        (libc::SYS_ftruncate, libc::EIO),
        (libc::SYS_lseek, libc::EIO),
        (libc::SYS_write, libc::ENOSPC),
    ] {
        let refused = within(&[Refusal::of(call, error)], || disk.lock());
        let Err(LockError::Io(found)) = refused else {
            panic!("expected error {error}, found {refused:?}");
        };
        assert_eq!(found.raw_os_error(), Some(error));
    }
    drop(disk.lock().unwrap());
}

#[test]
fn a_taken_lock_is_known_by_either_answer_of_the_system() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(scratch.path(), options()).unwrap();
    for error in [libc::EAGAIN, libc::EACCES] {
        let refused = within(&[Refusal::of(libc::SYS_fcntl, error)], || disk.lock());
        assert!(matches!(refused, Err(LockError::Held(_))), "{refused:?}");
    }
}

#[test]
fn a_machine_without_a_name_is_unknown_in_the_lock() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(scratch.path(), options()).unwrap();
    let uname = [Refusal::of(libc::SYS_uname, libc::EFAULT)];
    let _lock = within(&uname, || disk.lock()).unwrap();
    let Err(LockError::Held(text)) = disk.lock() else {
        panic!("locked twice")
    };
    assert!(text.contains(" on host unknown since "), "{text}");
}

#[test]
fn an_offset_beyond_what_the_kernel_can_say_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let file = fs::File::create(scratch.path().join("a")).unwrap();
    let invalid = Some(io::ErrorKind::InvalidInput);
    let kind = |error: io::Error| error.kind();
    assert_eq!(
        calls::write_dsync(&file, b"x", u64::MAX).err().map(kind),
        invalid
    );
    assert_eq!(calls::allocate(&file, u64::MAX, 1).err().map(kind), invalid);
    assert_eq!(calls::allocate(&file, 0, u64::MAX).err().map(kind), invalid);
    let directory: OwnedFd = fs::File::open(scratch.path()).unwrap().into();
    assert_eq!(
        calls::unlink_at(&directory, "a\0b").err().map(kind),
        invalid,
        "a name that would be cut short"
    );
    assert_eq!(file.metadata().unwrap().len(), 0);
}
