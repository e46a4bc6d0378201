//! Files and descriptors, as they are opened.

use super::*;

#[test]
fn what_is_no_regular_file_is_refused_by_its_kind() {
    let place = place(DirectIo::Off);
    fs::create_dir(place.scratch.path().join("folder")).unwrap();
    let refused = place.disk.open("folder", OpenMode::ReadOnly);
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(
        text.starts_with("folder: expected a regular file, found "),
        "{text}"
    );
}

#[test]
fn a_file_that_cannot_be_looked_at_is_not_opened() {
    let place = place(DirectIo::Off);
    let statx = [Refusal::of(libc::SYS_statx, libc::EIO)];
    let opened = within(&statx, || place.disk.open_file("a", OpenMode::ReadWrite));
    assert!(text(opened).starts_with("opening a: "));
    let openat = [Refusal::of(libc::SYS_openat, libc::EMFILE)];
    let opened = within(&openat, || place.disk.open_file("a", OpenMode::ReadWrite));
    assert!(text(opened).starts_with("opening a: "));
}

/// Opens no descriptor for direct I/O: in a thread where that is answered so.
fn without_direct_descriptor(place: &Place, refusal: Refusal) {
    within(&[refusal], || {
        place.file.write_durable(Arc::new(block()), 0).unwrap();
        let mut back = AlignedBuf::zeroed(BLOCK_SIZE);
        assert_eq!(place.file.read_at(&mut back, 0).unwrap(), BLOCK_SIZE);
        assert_eq!(back[..], block()[..]);
    });
    assert!(!place.report().direct_io);
    assert_eq!(place.direct_descriptor(), None, "it is not asked for again");
}

#[test]
fn where_direct_io_is_refused_at_opening_no_file_asks_for_it_again() {
    let place = place(DirectIo::Auto);
    let opening = Refusal::of(libc::SYS_openat, libc::EINVAL);
    without_direct_descriptor(&place, opening.where_any_bit(2, libc::O_DIRECT as u32));
    assert!(!place.disk.shared().direct_allowed());
    let report = place.report();
    assert!(
        report.fallbacks[0].starts_with("direct I/O refused when opening a: "),
        "{report:?}"
    );
}

#[test]
fn a_file_that_gets_no_second_descriptor_is_alone_in_that() {
    let place = place(DirectIo::Auto);
    let opening = Refusal::of(libc::SYS_openat, libc::EMFILE);
    without_direct_descriptor(&place, opening.where_any_bit(2, libc::O_DIRECT as u32));
    assert!(place.disk.shared().direct_allowed(), "others may have one");
    let report = place.report();
    assert!(
        report.fallbacks[0].starts_with("no direct I/O when opening a: "),
        "{report:?}"
    );
}

#[test]
fn a_descriptor_that_is_not_known_to_be_of_the_same_file_is_not_used() {
    let place = place(DirectIo::Auto);
    without_direct_descriptor(&place, Refusal::of(libc::SYS_statx, libc::EIO));
    assert!(place.disk.shared().direct_allowed());
}

#[test]
fn a_read_only_file_reads_directly_and_refuses_every_change() {
    let place = place(DirectIo::Auto);
    place.file.write_at(&block(), 0).unwrap();
    let file = place.disk.open_file("a", OpenMode::ReadOnly).unwrap();
    let mut back = AlignedBuf::zeroed(BLOCK_SIZE);
    assert_eq!(file.read_at(&mut back, 0).unwrap(), BLOCK_SIZE);
    for refused in [
        file.sync(),
        file.set_len(1),
        file.allocate(0, 1),
        file.write_at(b"x", 0),
    ] {
        assert_eq!(text(refused), "a was opened read-only");
    }
}
