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
