use bson::{Bson, doc};

use super::{Elements, cstring_len};
use crate::values::Kind;

fn bytes() -> Vec<u8> {
    let document = doc! {
        "double": 1.5, "a name of more than eight bytes": "text", "": { "x": 1 }, "array": [1, 2],
        "binary": bson::Binary { subtype: 5.into(), bytes: vec![1, 2, 3] },
        "regex": bson::Regex { pattern: "a.*".try_into().unwrap(), options: "i".try_into().unwrap() },
        "scoped": bson::JavaScriptCodeWithScope { code: "f()".into(), scope: doc! { "v": 1 } },
        "eight by": Bson::MinKey, "last": Bson::Null,
    };
    document.to_vec().unwrap()
}

#[test]
fn elements_are_seen_in_order_with_kind_and_bytes() {
    let bytes = bytes();
    let kinds: Vec<Kind> = Elements::new(&bytes)
        .map(|element| element.value.kind())
        .collect();
    assert_eq!(
        kinds,
        [
            Kind::Double,
            Kind::String,
            Kind::Document,
            Kind::Array,
            Kind::Binary,
            Kind::Regex,
            Kind::CodeWithScope,
            Kind::MinKey,
            Kind::Null
        ]
    );
}

#[test]
fn every_field_is_found_by_its_name_and_no_other() {
    let bytes = bytes();
    for element in Elements::new(&bytes) {
        let found = Elements::new(&bytes).find_name(element.name).unwrap();
        assert_eq!(
            (found.kind(), found.bytes()),
            (element.value.kind(), element.value.bytes())
        );
    }
    for name in [
        "a",
        "doubl",
        "double2",
        "eight by2",
        "x",
        "a name of more than eight bytes!",
    ] {
        assert!(
            Elements::new(&bytes).find_name(name.as_bytes()).is_none(),
            "{name}"
        );
    }
}

#[test]
fn values_are_read_by_their_kind_alone() {
    let bytes = bytes();
    let value = |name: &str| Elements::new(&bytes).find_name(name.as_bytes()).unwrap();
    assert_eq!(value("double").double(), Some(1.5));
    assert_eq!(value("double").integer(), None);
    assert_eq!(value("binary").binary(), Some((5, &[1, 2, 3][..])));
    assert_eq!(value("regex").regex(), Some((&b"a.*"[..], &b"i"[..])));
    assert_eq!(value("scoped").code_with_scope().unwrap().0, b"f()");
    assert_eq!(value("array").elements().unwrap().count(), 2);
    assert!(value("last").elements().is_none());
    assert!(!value("last").is_truthy() && value("double").is_truthy());
}

#[test]
fn the_first_nul_is_found_wherever_it_is() {
    for len in 0..40 {
        for filler in [1, 0x7F, 0x80, 0xFF] {
            let mut bytes = vec![filler; len];
            assert_eq!(cstring_len(&bytes), None);
            bytes.extend([0, 1, 0]);
            assert_eq!(cstring_len(&bytes), Some(len));
        }
    }
}

#[test]
fn bytes_that_make_no_sense_end_the_scan() {
    let whole = bytes();
    for len in 0..whole.len() {
        assert!(Elements::new(&whole[..len]).count() <= 9);
        assert!(Elements::new(&whole[..len]).find_name(b"absent").is_none());
    }
}
