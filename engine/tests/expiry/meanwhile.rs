//! What is written while documents expire.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bson::{DateTime, doc};
use collection_store::{Database, IndexModel, TransactionOptions};

use crate::{at, expire_by_at, ids, virtual_time};

#[test]
fn a_document_that_a_prepared_transaction_holds_is_left_to_another_pass() {
    let (database, runtime) = virtual_time();
    let items = database.collection("items");
    expire_by_at(&items, 0);
    let old = at(&runtime, -1);
    let documents = (0..50).map(|id| doc! { "_id": id, "at": old });
    items.insert_many(documents).unwrap();
    let transaction = database.begin_with(&TransactionOptions::new()).unwrap();
    let used = doc! { "$set": { "at": at(&runtime, 1000) } };
    let filter = doc! { "_id": 7 };
    transaction
        .collection("items")
        .update_one(filter, used)
        .unwrap();
    transaction.prepare("later").unwrap();
    assert_eq!(database.expire_now().unwrap(), 49);
    assert_eq!(ids(&items), "7");
    assert_eq!(database.stats().unwrap().expiry.passed_over, 1);
    database.commit_prepared("later").unwrap();
    assert_eq!(database.expire_now().unwrap(), 0);
    assert_eq!(ids(&items), "7");
}

/// Each session is used again and again, just when it expires. None may be gone that was
/// used: an update that finds its document puts its end an hour away.
#[test]
fn what_was_used_just_in_time_is_never_deleted() {
    let database = Database::options()
        .expire_interval(Some(Duration::from_micros(50)))
        .open_in_memory()
        .unwrap();
    let sessions = database.collection("sessions");
    let index = IndexModel::new(doc! { "end": 1 }).expire_after_seconds(0);
    sessions.create_index(index).unwrap();
    let is_over = AtomicBool::new(false);
    let (mut kept, mut lost) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                database.expire_now().unwrap();
            }
        });
        for id in 0..500 {
            sessions
                .insert_one(doc! { "_id": id, "end": DateTime::MIN })
                .unwrap();
            let later = DateTime::from_millis(DateTime::now().timestamp_millis() + 3_600_000);
            let updated = sessions
                .update_one(doc! { "_id": id }, doc! { "$set": { "end": later } })
                .unwrap();
            let is_there = sessions.count(doc! { "_id": id }).unwrap();
            match updated.matched {
                1 => kept += 1,
                _ => lost += 1,
            }
            if updated.matched != is_there {
                is_over.store(true, Ordering::Relaxed);
                panic!("session {id} was used and is gone, or was gone and is there");
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    database.expire_now().unwrap();
    assert_eq!(sessions.count(doc! {}).unwrap(), kept);
    assert_eq!(kept + lost, 500);
}
