use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use super::*;
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
