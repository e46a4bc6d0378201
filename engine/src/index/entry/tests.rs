use bson::{Bson, doc};

use super::{entry, parse_entry};
use crate::index::derive::derive;
use crate::index::{Definition, IndexModel};

fn definition(model: IndexModel) -> Definition {
    Definition::new(model).unwrap().unwrap()
}

fn only(index: &Definition, value: Bson) -> (Vec<u8>, Vec<u8>) {
    let document = bson::RawDocumentBuf::try_from(&doc! { "a": value, "b": 1_i64 }).unwrap();
    let mut derived = derive(index, document.as_bytes()).unwrap();
    entry(index, derived.keys.remove(0), b"\x58").unwrap()
}

#[test]
fn an_entry_tells_the_exact_values() {
    let values = [
        Bson::Int32(7),
        Bson::Int64(7),
        Bson::Int64(i64::MAX),
        Bson::Double(7.0),
        Bson::Double(-0.0),
        Bson::Double(0.5),
        Bson::Double(1e300),
        Bson::Double(f64::INFINITY),
        Bson::Decimal128("7.00".parse().unwrap()),
        Bson::String("x\0y".into()),
        Bson::Symbol("x".into()),
        Bson::Null,
        Bson::Boolean(true),
        Bson::Document(doc! { "x": 1_i64, "y": [2.0] }),
        Bson::MinKey,
        Bson::DateTime(bson::DateTime::from_millis(-5)),
    ];
    for unique in [false, true] {
        for key in [doc! { "a": 1, "b": -1 }, doc! { "a": -1, "b": 1, "c": 1 }] {
            let index = definition(IndexModel::new(key).unique(unique));
            for value in &values {
                let (key, bytes) = only(&index, value.clone());
                let parsed = parse_entry(&index, &key, &bytes).unwrap().unwrap();
                assert_eq!(parsed.primary, b"\x58");
                let found = parsed.values(&index).unwrap();
                assert_eq!(found[0].as_ref(), Some(value));
                assert_eq!(found[1], Some(Bson::Int64(1)));
                assert!(found.get(2).is_none_or(Option::is_none));
            }
        }
    }
}

#[test]
fn a_descending_unique_key_that_begins_another_sorts_behind_it() {
    let index = definition(IndexModel::new(doc! { "a": -1 }).unique(true));
    let key = |text: &str| only(&index, Bson::String(text.into())).0;
    let mut keys = [key(""), key("\0"), key("\0a"), key("a")];
    keys.sort();
    assert_eq!(keys, [key("a"), key("\0a"), key("\0"), key("")]);
}

#[test]
fn junk_is_no_entry_and_a_marker_is_none() {
    let index = definition(IndexModel::new(doc! { "a": 1 }).unique(true));
    assert!(parse_entry(&index, &[0, 3], &[]).unwrap().is_none());
    for (key, value) in [
        (&b"\x58\x80"[..], &b""[..]),
        (b"\x58", b"\x01\x58"),
        (b"\x58\x80", b"\x05\x58"),
    ] {
        let error = parse_entry(&index, key, value).unwrap_err();
        assert!(error.is_corruption(), "{error}");
    }
    let parsed = parse_entry(&index, b"\x03\x80", b"\x01\x58")
        .unwrap()
        .unwrap();
    assert!(parsed.values(&index).unwrap_err().is_corruption());
}
