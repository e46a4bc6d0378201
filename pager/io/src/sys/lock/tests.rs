use super::{holder, utc};

#[test]
fn times_are_shown_in_utc() {
    assert_eq!(utc(0), "1970-01-01T00:00:00Z");
    assert_eq!(utc(951_782_400_000), "2000-02-29T00:00:00Z");
    assert_eq!(utc(1_767_225_599_999), "2025-12-31T23:59:59Z");
}

#[test]
fn a_damaged_lock_file_still_gives_a_sentence() {
    assert_eq!(
        holder(""),
        "held by pid unknown on host unknown since unknown"
    );
    assert_eq!(
        holder("pid 12\nhost a\nstarted x\n"),
        "held by pid 12 on host a since unknown"
    );
}
