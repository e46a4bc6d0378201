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
