use super::{MAX_NAME_LEN, check_collection, check_database};
use crate::error::ErrorKind;

#[test]
fn ordinary_names_are_allowed() {
    for name in [
        "a",
        "people",
        "Ünïcode",
        "a b",
        "a.b",
        "systematic",
        "a$b",
        "-",
        "1",
    ] {
        check_collection(name).unwrap();
    }
    for name in ["main", "Ünïcode", "a-b"] {
        check_database(name).unwrap();
    }
    check_collection(&"x".repeat(MAX_NAME_LEN)).unwrap();
}

#[test]
fn names_that_could_be_paths_or_operators_are_refused() {
    for name in [
        "",
        "a\0b",
        "a/b",
        "a\\b",
        "..",
        "a..b",
        ".a",
        "a.",
        "$cmd",
        "system.users",
        "system",
    ] {
        let error = check_collection(name).unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::InvalidNamespace, Some(73)),
            "{name:?}"
        );
    }
    for name in ["", "a.b", "a/b", "a\\b", "a b", "a$b", "a\"b", "\0"] {
        assert_eq!(
            check_database(name).unwrap_err().code(),
            Some(73),
            "{name:?}"
        );
    }
    let long = "x".repeat(MAX_NAME_LEN + 1);
    let error = check_database(&long).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has 256 bytes, the limit is 255"),
        "{error}"
    );
    assert!(
        error.to_string().len() < 120,
        "a message does not repeat what is too long"
    );
}

#[test]
fn a_name_of_a_snapshot_is_printable_and_says_why_it_is_not_allowed() {
    for name in ["a", "before the change", "2026-11-20T14:00", "naïve/ß.$"] {
        super::check_snapshot(name).unwrap();
    }
    for (name, fault) in [
        ("", "is empty"),
        ("a\0b", "contains '\\0'"),
        ("a\nb", "contains '\\n'"),
        (" a", "begins or ends with white space"),
        (&"a".repeat(256), "has 256 bytes, the limit is 255"),
    ] {
        let error = super::check_snapshot(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadValue);
        assert!(error.message().ends_with(fault), "{error}");
    }
}
