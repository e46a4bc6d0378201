#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use bson::{Document, doc};
use collection_store::Database;

use super::*;

#[test]
fn a_reply_has_code_name_and_labels() {
    let error = CommandError::new(112, "lost").with_label("TransientTransactionError");
    let reply = Document::try_from(&error.to_reply()).unwrap();
    let expected = doc! {
        "ok": 0.0, "errmsg": "lost", "code": 112, "codeName": "WriteConflict",
        "errorLabels": ["TransientTransactionError"],
    };
    assert_eq!(reply, expected);
    assert_eq!(code_name(4242), "Location4242");
}

#[test]
fn a_duplicate_key_tells_pattern_and_value() {
    let database = Database::open_in_memory().unwrap();
    let people = database.collection("people");
    people.insert_one(doc! { "_id": 1 }).unwrap();
    let error = CommandError::from(people.insert_one(doc! { "_id": 1 }).unwrap_err());
    assert!(error.message.starts_with("E11000 "), "{}", error.message);
    let told = Document::try_from(&error.to_write_error(3)).unwrap();
    assert_eq!(
        (
            told.get_i32("index").unwrap(),
            told.get_i32("code").unwrap()
        ),
        (3, 11000)
    );
    assert_eq!(told.get_document("keyPattern").unwrap(), &doc! { "_id": 1 });
    assert_eq!(told.get_document("keyValue").unwrap(), &doc! { "_id": 1 });
}

#[test]
fn every_code_of_the_table_has_a_name() {
    let codes = [
        2, 9, 14, 20, 26, 27, 28, 40, 43, 47, 48, 52, 53, 54, 56, 59, 61, 66, 67, 68, 72, 73, 85,
        86, 96, 112, 115, 121, 136, 165, 166, 171, 197, 211, 225, 238, 241, 251, 263, 286, 291,
        292, 11000, 17280,
    ];
    for code in codes {
        assert!(!code_name(code).starts_with("Location"), "{code}");
    }
}
