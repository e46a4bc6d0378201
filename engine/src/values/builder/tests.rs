#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn value(document: &bson::RawDocumentBuf) -> RawValue<'_> {
    Elements::new(document.as_bytes()).next().unwrap().value
}

#[test]
fn what_is_open_is_closed_at_the_end() {
    let one = bson::rawdoc! { "": 1 };
    let mut builder = DocumentBuilder::new();
    builder.open_document(b"a");
    builder.open_array(b"b");
    builder.append(b"0", value(&one));
    let bytes = builder.finish();
    assert_eq!(bytes, bson::rawdoc! { "a": { "b": [1] } }.into_bytes());
}

#[test]
fn positions_are_named_by_their_digits() {
    for position in [0, 7, 10, 99, 100, 123_456, usize::MAX] {
        assert_eq!(
            PositionName::new(position).as_bytes(),
            position.to_string().as_bytes()
        );
    }
}

#[test]
fn depth_counts_levels_up_to_its_limit() {
    let flat = bson::rawdoc! { "": 1 };
    assert_eq!(depth(value(&flat), 10), 0);
    let deep = bson::rawdoc! { "": [1, { "a": [] }, 2] };
    assert_eq!(depth(value(&deep), 10), 3);
    assert_eq!(depth(value(&deep), 2), 2);
}
