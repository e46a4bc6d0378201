use super::*;

#[test]
fn written_bytes_are_read_from_the_texts_of_the_system() {
    let io = "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4096\n";
    assert_eq!(by_process_in(io), Some(4096));
    assert_eq!(by_process_in("rchar: 1\n"), None);
    let disks = " 7 0 loop0 1 2 3 4 5 6 7 8\n 254 0 vda 9 9 9 9 50 6 700 8 0\n";
    assert_eq!(to_device_in(disks, 254, 0), Some(700 * 512));
    assert_eq!(to_device_in(disks, 254, 1), None);
}
