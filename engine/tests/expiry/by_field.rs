use std::time::Duration;

use bson::doc;
use bson::oid::ObjectId;
use collection_store::io::Runtime;
use collection_store::{ErrorKind, OperationContext};

use crate::{INTERVAL, at, ids, pass, virtual_time};

#[test]
fn each_document_may_have_seconds_of_its_own() {
    let (database, runtime) = virtual_time();
    let sessions = database.collection("sessions");
    let options = doc! { "ttlField": "ttl", "ttlFrom": "used" };
    sessions
        .create_with(&OperationContext::new(), options)
        .unwrap();
    let now = at(&runtime, 0);
    sessions
        .insert_many([
            doc! { "_id": "short", "ttl": 30, "used": now },
            doc! { "_id": "long", "ttl": 90.5, "used": now },
            doc! { "_id": "for ever", "used": now },
            doc! { "_id": "unused", "ttl": 1 },
        ])
        .unwrap();
    pass(&database, &runtime, INTERVAL);
    assert_eq!(ids(&sessions), "\"for ever\" \"long\" \"unused\"");
    // Using it is a write, and begins its life anew.
    let used = doc! { "$set": { "used": at(&runtime, 0) } };
    sessions.update_one(doc! { "_id": "long" }, used).unwrap();
    pass(&database, &runtime, INTERVAL);
    assert_eq!(ids(&sessions), "\"for ever\" \"long\" \"unused\"");
    pass(&database, &runtime, INTERVAL);
    assert_eq!(ids(&sessions), "\"for ever\" \"unused\"");
}

#[test]
fn without_a_date_the_seconds_count_from_the_object_id() {
    let (database, runtime) = virtual_time();
    let items = database.collection("items");
    items
        .create_with(
            &OperationContext::new(),
            doc! { "ttlField": "life.seconds" },
        )
        .unwrap();
    let mut id = [1; 12];
    let now = u32::try_from(runtime.unix_ms() / 1000).unwrap();
    id[..4].copy_from_slice(&now.to_be_bytes());
    let id = ObjectId::from_bytes(id);
    items
        .insert_one(doc! { "_id": id, "life": { "seconds": 10 } })
        .unwrap();
    runtime.advance(Duration::from_secs(9));
    assert_eq!(database.expire_now().unwrap(), 0);
    runtime.advance(Duration::from_secs(2));
    assert_eq!(database.expire_now().unwrap(), 1);
}

#[test]
fn more_documents_than_one_step_looks_at_are_all_looked_at() {
    let (database, runtime) = virtual_time();
    let items = database.collection("items");
    let options = doc! { "ttlField": "ttl", "ttlFrom": "at" };
    items
        .create_with(&OperationContext::new(), options)
        .unwrap();
    let now = at(&runtime, 0);
    let documents = (0..25_000).map(|id| {
        let ttl = if id % 12_000 == 11_999 { 1 } else { 1_000_000 };
        doc! { "_id": id, "ttl": ttl, "at": now }
    });
    items.insert_many(documents).unwrap();
    pass(&database, &runtime, INTERVAL);
    assert_eq!(database.stats().unwrap().expiry.deleted, 2);
    assert_eq!(items.count(doc! { "ttl": 1 }).unwrap(), 0);
}

#[test]
fn the_option_can_be_set_changed_and_taken_away_later() {
    let (database, runtime) = virtual_time();
    let items = database.collection("items");
    let old = at(&runtime, -100);
    let documents = (1..=3).map(|id| doc! { "_id": id, "ttl": id * 60, "at": old });
    items.insert_many(documents).unwrap();
    items
        .modify(doc! { "ttlField": "ttl", "ttlFrom": "at" })
        .unwrap();
    pass(&database, &runtime, INTERVAL);
    assert_eq!(ids(&items), "3");
    let refused = items.modify(doc! { "ttlField": {} }).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BadValue, "ttlFrom is left alone");
    items
        .modify(doc! { "ttlField": {}, "ttlFrom": {} })
        .unwrap();
    pass(&database, &runtime, Duration::from_secs(1000));
    assert_eq!(ids(&items), "3");
    let context = OperationContext::new();
    let refused = database
        .collection("other")
        .create_with(&context, doc! { "ttlField": 5 })
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BadValue);
}

#[test]
fn a_collection_made_in_a_transaction_expires_too() {
    let (database, runtime) = virtual_time();
    database
        .with_transaction(|transaction| {
            let items = transaction.collection("items");
            let options = doc! { "ttlField": "ttl", "ttlFrom": "at" };
            items.create_with(&OperationContext::new(), options)?;
            items.insert_one(doc! { "_id": 1, "ttl": 1, "at": at(&runtime, 0) })?;
            Ok(())
        })
        .unwrap();
    pass(&database, &runtime, INTERVAL);
    assert_eq!(ids(&database.collection("items")), "");
}
