#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use bson::{RawBsonRef, rawdoc};

use super::*;

#[test]
fn a_reply_of_a_cursor_is_typed_as_drivers_insist() {
    let mut writer = BatchWriter::new("firstBatch");
    for n in 0..12 {
        writer.push(&rawdoc! { "_id": n });
    }
    let reply = writer.finish(5, "a.b", None);
    collection_store::values::validate_document(reply.document.as_bytes()).unwrap();
    let expected: Vec<_> = (0..12).map(|n| bson::doc! { "_id": n }).collect();
    let found = bson::Document::try_from(&reply.document).unwrap();
    let cursor = bson::doc! { "firstBatch": expected, "id": 5_i64, "ns": "a.b" };
    assert_eq!(found, bson::doc! { "cursor": cursor, "ok": 1.0 });
    assert_eq!(reply.cursor, 5);
}

#[test]
fn a_token_follows_the_batch() {
    let token = rawdoc! { "_data": "00" };
    let reply = BatchWriter::new("nextBatch").finish(5, "a.b", Some(&token));
    let cursor = reply.document.get_document("cursor").unwrap();
    assert_eq!(
        cursor.get_document("postBatchResumeToken").unwrap(),
        &*token
    );
}

#[test]
fn ok_is_a_double_and_counts_are_as_small_as_they_can_be() {
    let reply = Reply::new(rawdoc! { "n": count(3), "m": count(1 << 40) });
    assert!(reply.is_ok());
    assert_eq!(
        reply.document.get("ok").unwrap(),
        Some(RawBsonRef::Double(1.0))
    );
    assert_eq!(reply.document.get("n").unwrap(), Some(RawBsonRef::Int32(3)));
    assert_eq!(
        reply.document.get("m").unwrap(),
        Some(RawBsonRef::Int64(1 << 40))
    );
}
