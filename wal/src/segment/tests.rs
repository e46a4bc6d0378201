use cs_io::memory::MemoryDisk;

use super::*;

#[test]
fn a_spare_is_full_size_and_zero() {
    let disk = MemoryDisk::new();
    let spare = make_spare(disk.as_ref(), 3, 2 << 20).unwrap();
    assert_eq!(disk.list().unwrap(), std::slice::from_ref(&spare.name));
    assert_eq!(spare.file.len().unwrap(), (2 << 20) + 4096);
    let again = open_spare(disk.as_ref(), &spare.name).unwrap().unwrap();
    assert_eq!(again.capacity, 2 << 20);
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    let disk = MemoryDisk::with_capacity(100_000);
    let error = make_spare(disk.as_ref(), 3, 2 << 20).unwrap_err();
    assert!(
        matches!(error, LogError::NoSpace { wanted, .. } if wanted == 2 << 20),
        "{error}"
    );
    assert!(disk.list().unwrap().is_empty());
}

#[test]
fn a_spare_of_odd_size_is_not_used() {
    let disk = MemoryDisk::new();
    disk.open("spare-1.log", OpenMode::Create)
        .unwrap()
        .set_len(5000)
        .unwrap();
    assert!(open_spare(disk.as_ref(), "spare-1.log").unwrap().is_none());
}

#[test]
fn a_file_left_under_the_temporary_name_is_made_anew() {
    let disk = MemoryDisk::new();
    let left = disk.open(&temporary_name(3), OpenMode::Create).unwrap();
    left.write_at(&[7; 100_000], 0).unwrap();
    let spare = make_spare(disk.as_ref(), 3, 8192).unwrap();
    let mut bytes = vec![1; 20_000];
    assert_eq!(spare.file.read_at(&mut bytes, 0).unwrap(), 4096 + 8192);
    assert!(bytes[..12_288].iter().all(|&byte| byte == 0));
    assert_eq!(disk.list().unwrap(), [spare.name]);
}

#[test]
fn a_spare_without_room_for_a_record_is_not_used() {
    let disk = MemoryDisk::new();
    let file = disk.open("spare-1.log", OpenMode::Create).unwrap();
    for len in [0, 100, 4096] {
        file.set_len(len).unwrap();
        assert!(open_spare(disk.as_ref(), "spare-1.log").unwrap().is_none());
    }
}
