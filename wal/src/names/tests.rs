use super::*;

#[test]
fn names_read_back_what_was_written() {
    assert_eq!(parse(&segment_name(7)), Some(FileName::Segment(7)));
    assert_eq!(
        parse(&segment_name(12_345_678_901)),
        Some(FileName::Segment(12_345_678_901))
    );
    assert_eq!(parse(&spare_name(3)), Some(FileName::Spare(3)));
    assert_eq!(parse(&temporary_name(3)), Some(FileName::Temporary));
}

#[test]
fn foreign_names_are_left_alone() {
    for name in [
        "data",
        "lock",
        "wal-.log",
        "wal-x.log",
        "wal-1.log.bak",
        "spare-.log",
        "spare-+1.log",
    ] {
        assert_eq!(parse(name), None, "{name}");
    }
}
