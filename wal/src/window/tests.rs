use cs_io::Disk;
use cs_io::sim::{Fault, FaultPlan, SimDisk, SimOptions};

use super::*;
use crate::log::tests::*;

#[test]
fn a_window_gives_what_the_file_has() {
    let disk = memory();
    let file = disk.open("some", cs_io::OpenMode::Create).unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8).collect();
    file.write_at(&content, 0).unwrap();
    let mut window = Window::default();
    let mut get = |offset: u64, len: usize| {
        window
            .get_of(file.as_ref(), &|| "some".to_owned(), offset, len)
            .unwrap()
            .to_vec()
    };
    for (offset, len) in [
        (5, 10),
        (1_048_570, 20),
        (10, 2_500_000),
        (0, 1),
        (2_999_990, 10),
    ] {
        assert_eq!(
            get(offset, len),
            content[offset as usize..offset as usize + len]
        );
    }
    assert_eq!(get(2_999_995, 10).len(), 5);
    assert!(get(9_000_000, 10).is_empty());
}

/// Symptom: after a read that failed, the next one brought bytes of another
/// place. Cause: the window had moved before the read, and kept its length.
/// Cure: a window that could not be filled holds nothing.
#[test]
fn a_read_that_failed_leaves_nothing_of_another_place_behind() {
    let disk = SimDisk::new(1, SimOptions::default());
    let file = disk.open("some", cs_io::OpenMode::Create).unwrap();
    file.write_at(&vec![1; WINDOW_BYTES], 0).unwrap();
    let far = 2 * WINDOW_BYTES as u64;
    file.write_at(&vec![2; WINDOW_BYTES], far).unwrap();
    let mut window = Window::default();
    let mut get = |offset| {
        let name = || "some".to_owned();
        let bytes = window.get_of(file.as_ref(), &name, offset, 10);
        bytes.map(<[u8]>::to_vec)
    };
    assert_eq!(get(0).unwrap(), [1; 10]);
    disk.plan_fault(Some(FaultPlan {
        at_operation: disk.operations(),
        fault: Fault::ReadEio,
    }));
    let error = get(far).unwrap_err();
    assert!(error.to_string().starts_with("read some: "), "{error}");
    assert_eq!(get(far).unwrap(), [2; 10]);
}
