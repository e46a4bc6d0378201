use super::*;
use crate::refuse::Refusal;
use crate::refuse::tests::within;
use crate::sys::{SysDisk, SysOptions};
use crate::uring::ring::set_up;
use crate::{OpenMode, PageArena};

#[test]
fn a_read_that_nobody_answers_is_made_again_into_other_memory() {
    let Ok(uring) = set_up() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(scratch.path(), SysOptions::default()).unwrap();
    let file = disk.open_file("a", OpenMode::Create).unwrap();
    file.write_at(&[7; 8192], 0).unwrap();
    let arena = PageArena::new(8192, 1 << 20);
    let page = Arc::new(arena.zeroed());
    let ring = Arc::new(Ring::new(uring));
    let mut read = Box::new(ReadOperation {
        file: Arc::clone(&file),
        offset: 4096,
        page: Arc::clone(&page),
        flight: Flight {
            ring: Arc::clone(&ring),
            completion: Arc::default(),
        },
    });
    assert!(!read.is_finished());
    let refusal = [Refusal::of(libc::SYS_io_uring_enter, libc::EPERM)];
    let (other, count) = within(&refusal, || read.wait()).unwrap();
    assert_eq!(count, 4096, "to the end of the file");
    assert_eq!(other[..4096], [7; 4096]);
    // The kernel could still write here.
    assert_eq!(page[..], [0; 8192]);
    assert!(ring.failure().is_some());
}
