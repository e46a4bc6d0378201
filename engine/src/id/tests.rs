use bson::{Bson, bson, doc, oid::ObjectId, rawdoc};

use super::identify;
use crate::error::ErrorKind;
use crate::values::{MAX_DOCUMENT_LEN, validate_document};

fn stored(document: &bson::Document) -> bson::Document {
    let bytes = document.to_vec().unwrap();
    let identified = identify(bytes, || ObjectId::from_bytes([7; 12])).unwrap();
    validate_document(&identified.document).unwrap();
    bson::Document::from_reader(&*identified.document).unwrap()
}

#[test]
fn a_missing_id_is_generated_and_put_first() {
    let id = ObjectId::from_bytes([7; 12]);
    assert_eq!(stored(&doc! { "a": 1 }), doc! { "_id": id, "a": 1 });
    assert_eq!(stored(&doc! {}), doc! { "_id": id });
}

#[test]
fn an_id_is_moved_to_the_front() {
    assert_eq!(
        stored(&doc! { "a": 1, "_id": 2, "b": 3 }),
        doc! { "_id": 2, "a": 1, "b": 3 }
    );
    assert_eq!(
        stored(&doc! { "a": 1, "_id": 2 })
            .keys()
            .collect::<Vec<_>>(),
        ["_id", "a"],
        "order matters to equality of documents"
    );
}

#[test]
fn a_document_that_is_as_stored_is_not_copied() {
    let bytes = rawdoc! { "_id": 1, "a": 1 }.into_bytes();
    let address = bytes.as_ptr();
    let identified = identify(bytes, ObjectId::new).unwrap();
    assert_eq!(identified.document.as_ptr(), address);
    assert!(!identified.generated);
}

#[test]
fn ids_of_forbidden_types_are_refused() {
    let regex = bson::Regex {
        pattern: "a".try_into().unwrap(),
        options: "".try_into().unwrap(),
    };
    for (value, code) in [
        (bson!([1]), 53),
        (Bson::RegularExpression(regex), 53),
        (Bson::Undefined, 53),
        (bson!({ "$a": 1 }), 52),
        (bson!({ "a": [{ "$b": 1 }] }), 52),
    ] {
        let bytes = doc! { "_id": value }.to_vec().unwrap();
        let error = identify(bytes, ObjectId::new).unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::InvalidId, Some(code))
        );
    }
    for value in [Bson::Null, Bson::MinKey, bson!({ "a": [1] }), bson!(1.5)] {
        let bytes = doc! { "_id": value }.to_vec().unwrap();
        identify(bytes, ObjectId::new).unwrap();
    }
}

#[test]
fn two_ids_are_refused() {
    let mut document = bson::RawDocumentBuf::new();
    document.append(bson::raw::cstr!("_id"), 1);
    document.append(bson::raw::cstr!("_id"), 2);
    let error = identify(document.into_bytes(), ObjectId::new).unwrap_err();
    assert_eq!(error.code(), Some(2));
}

#[test]
fn a_generated_id_counts_towards_the_limit() {
    let text = |len| doc! { "a": "x".repeat(len) }.to_vec().unwrap();
    let full = text(MAX_DOCUMENT_LEN - text(0).len());
    assert_eq!(full.len(), MAX_DOCUMENT_LEN);
    assert_eq!(
        identify(full, ObjectId::new).unwrap_err().kind(),
        ErrorKind::TooLarge
    );
}

#[test]
fn a_replacement_keeps_the_stored_id() {
    let stored = doc! { "_id": 1, "old": true }.to_vec().unwrap();
    let id = super::id_of(&stored).unwrap();
    let replaced = |replacement: bson::Document| {
        super::with_stored_id(&replacement.to_vec().unwrap(), id)
            .map(|bytes| bson::Document::from_reader(&*bytes).unwrap())
    };
    assert_eq!(
        replaced(doc! { "a": 2 }).unwrap(),
        doc! { "_id": 1, "a": 2 }
    );
    assert_eq!(
        replaced(doc! { "a": 2, "_id": 1.0 }).unwrap(),
        doc! { "_id": 1, "a": 2 }
    );
    assert_eq!(replaced(doc! { "_id": 2 }).unwrap_err().code(), Some(66));
}
