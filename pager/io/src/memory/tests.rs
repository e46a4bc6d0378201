use super::*;

#[test]
#[cfg_attr(miri, ignore = "the interpreter ends where an allocation is refused")]
fn more_than_the_machine_has_is_no_space_and_takes_none() {
    let disk = MemoryDisk::with_capacity(1 << 60);
    let file = disk.open("a", OpenMode::Create).unwrap();
    file.write_at(b"abc", 0).unwrap();
    for result in [file.set_len(1 << 59), file.allocate(0, 1 << 59)] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("a: no space for "), "{error}");
    }
    assert_eq!(file.len().unwrap(), 3);
    assert_eq!(disk.space.used.load(Ordering::Relaxed), 3, "as before");
}

#[test]
fn a_read_only_handle_of_a_file_with_bytes_allocates_nothing() {
    let disk = MemoryDisk::new();
    disk.open("a", OpenMode::Create).unwrap();
    let file = disk.open("a", OpenMode::ReadOnly).unwrap();
    assert!(file.allocate(0, 10).is_err());
    assert!(file.is_empty().unwrap());
}
