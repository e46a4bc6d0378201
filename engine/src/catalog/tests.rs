use bson::rawdoc;
use cs_kv::base::TreeId;

use super::{Entry, key_of};
use crate::error::ErrorKind;
use crate::names::Namespace;

fn namespace(database: &str, collection: &str) -> Namespace {
    Namespace {
        database: database.into(),
        collection: collection.into(),
    }
}

#[test]
fn an_entry_is_read_as_it_was_written() {
    let entry = Entry::new(TreeId(77), rawdoc! { "note": "x" }).unwrap();
    let read = Entry::decode(b"a\0b\0", &entry.encode(), 0).unwrap();
    assert_eq!(read.tree, TreeId(77));
    assert_eq!(*read.options, rawdoc! { "note": "x" });
}

#[test]
fn an_entry_of_another_format_or_with_unknown_fields_is_refused_by_name() {
    let bytes = rawdoc! { "format": 4, "tree": 1_i64, "options": {} };
    let error = Entry::decode(b"a\0b\0", bytes.as_bytes(), 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "catalog entry 'a b': format 4, expected 1 to 3"
    );
    for bytes in [
        rawdoc! { "format": 1, "tree": 1_i64, "options": {}, "sharded": true },
        rawdoc! { "format": 1, "tree": "1", "options": {} },
        rawdoc! { "format": 1, "tree": -1_i64, "options": {} },
        rawdoc! { "tree": 1_i64, "options": {} },
    ] {
        let error = Entry::decode(b"a\0b\0", bytes.as_bytes(), 0).unwrap_err();
        assert!(error.is_corruption(), "{error}");
    }
    assert!(
        Entry::decode(b"a\0b\0", b"junk", 0)
            .unwrap_err()
            .is_corruption()
    );
}

#[test]
fn keys_of_one_database_are_together_and_in_order_of_name() {
    let mut keys = vec![
        key_of(&namespace("a", "z")),
        key_of(&namespace("ab", "a")),
        key_of(&namespace("a", "b")),
        key_of(&namespace("a", "bb")),
    ];
    keys.sort();
    assert_eq!(keys, [&b"a\0b\0"[..], b"a\0bb\0", b"a\0z\0", b"ab\0a\0"]);
}
