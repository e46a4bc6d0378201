use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bson::doc;
use collection_store::io::SimRuntime;
use collection_store::io::memory::MemoryDisk;
use collection_store::{Database, Error, ErrorKind, SnapshotLimits, TransactionOptions};

use crate::{all, numbered};

#[test]
fn a_closure_commits_on_ok_and_rolls_back_on_error_and_panic() {
    let (database, numbers) = numbered(1);
    let kept = database.with_transaction(|transaction| {
        transaction
            .collection("numbers")
            .insert_one(doc! { "_id": 1 })
    });
    assert_eq!(kept.unwrap(), bson::Bson::Int32(1));
    let refused = database.with_transaction(|transaction| {
        transaction
            .collection("numbers")
            .insert_one(doc! { "_id": 2 })?;
        Err::<(), _>(Error::new(ErrorKind::BadValue, "the caller's own reason"))
    });
    assert_eq!(refused.unwrap_err().to_string(), "the caller's own reason");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        database.with_transaction(|transaction| {
            transaction
                .collection("numbers")
                .insert_one(doc! { "_id": 3 })?;
            if numbers.count(doc! {})? == 2 {
                panic!("a bug of the caller's");
            }
            Ok(())
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(numbers.count(doc! {}).unwrap(), 2);
    assert!(database.list_transactions().unwrap().is_empty());
    assert_eq!(
        database.store().stats().snapshots.states,
        0,
        "nothing is held"
    );
}

#[test]
fn closures_that_conflict_are_tried_again_until_all_are_through() {
    let (database, numbers) = numbered(1);
    let attempts = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    database
                        .with_transaction(|transaction| {
                            attempts.fetch_add(1, Ordering::Relaxed);
                            let inside = transaction.collection("numbers");
                            let found = inside.find_by_id(0)?.expect("it is there");
                            let n = found.get_i32("n").unwrap() + 1;
                            inside.replace_one(doc! { "_id": 0 }, doc! { "n": n })
                        })
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(all(&numbers), [doc! { "_id": 0, "n": 100 }]);
    assert!(attempts.into_inner() >= 100);
}

#[test]
fn a_transaction_is_found_by_its_id_from_any_handle_once_it_is_detached() {
    let (database, numbers) = numbered(0);
    let transaction = database.begin().unwrap();
    transaction
        .collection("numbers")
        .insert_one(doc! { "_id": 1 })
        .unwrap();
    let id = transaction.detach();
    let listed = database.list_transactions().unwrap();
    assert_eq!((listed[0].id, listed.len()), (id, 1));
    assert!(listed[0].bytes > 0);
    let twin = database.clone();
    twin.transaction(id)
        .unwrap()
        .collection("numbers")
        .insert_one(doc! { "_id": 2 })
        .unwrap();
    database.transaction(id).unwrap().commit().unwrap();
    assert_eq!(numbers.count(doc! {}).unwrap(), 2);
    let gone = database.transaction(id).unwrap_err();
    assert_eq!(
        (gone.kind(), gone.code()),
        (ErrorKind::NoSuchTransaction, Some(251))
    );
    let id = database.begin().unwrap().detach();
    let handle = database.transaction(id).unwrap();
    database.transaction(id).unwrap().rollback().unwrap();
    let ended = handle.collection("numbers").count(doc! {}).unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::TransactionEnded);
    assert!(ended.to_string().contains("rolled back"), "{ended}");
}

#[test]
fn one_that_takes_too_long_is_rolled_back_and_what_it_held_is_free() {
    let (database, numbers) = numbered(1);
    let options = TransactionOptions::new().timeout(Duration::ZERO);
    let transaction = database.begin_with(&options).unwrap();
    let inside = transaction.collection("numbers");
    for error in [
        inside.insert_one(doc! { "_id": 5 }).unwrap_err(),
        inside.count(doc! {}).unwrap_err(),
        transaction.set_savepoint().unwrap_err(),
        transaction.commit().unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::TransactionTimedOut, Some(290))
        );
    }
    let id = database.begin_with(&options).unwrap().detach();
    numbers.insert_one(doc! {}).unwrap();
    drop(database.begin().unwrap());
    assert!(database.list_transactions().unwrap().is_empty());
    assert!(database.transaction(id).is_err());
    numbers.insert_one(doc! {}).unwrap();
    assert_eq!(database.store().stats().snapshots.states, 0);
}

#[test]
fn a_cursor_goes_on_after_its_transaction_has_ended() {
    let (database, _) = numbered(3);
    let transaction = database.begin().unwrap();
    let inside = transaction.collection("numbers");
    inside.insert_one(doc! { "_id": 3 }).unwrap();
    let cursor = inside.find(doc! {}).run().unwrap();
    transaction.rollback().unwrap();
    assert_eq!(cursor.count(), 4, "it shows what the transaction saw");
}

#[test]
fn a_closed_database_begins_and_commits_nothing() {
    let (database, _) = numbered(1);
    let transaction = database.begin().unwrap();
    transaction
        .collection("numbers")
        .insert_one(doc! {})
        .unwrap();
    database.close().unwrap();
    assert_eq!(transaction.commit().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(database.begin().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn cursors_and_transactions_that_keep_too_much_are_ended_by_name() {
    let limits = SnapshotLimits {
        max_retained_bytes: Some(1),
        ..SnapshotLimits::default()
    };
    let options = Database::options().snapshot_limits(limits);
    let database = options
        .open_on(MemoryDisk::new(), SimRuntime::new(1))
        .unwrap();
    let numbers = database.collection("numbers");
    numbers
        .insert_many((0..10).map(|id| doc! { "_id": id }))
        .unwrap();
    let mut cursor = numbers.find(doc! {}).run().unwrap();
    assert!(cursor.next().unwrap().is_ok());
    let transaction = database.begin().unwrap();
    numbers
        .update_many(doc! {}, doc! { "$set": { "n": 1 } })
        .unwrap();
    assert_eq!(numbers.count(doc! { "n": 1 }).unwrap(), 10);
    while database.store().step().unwrap() {}
    let inside = transaction.collection("numbers");
    for error in [
        cursor.next().unwrap().unwrap_err(),
        inside.count(doc! { "n": 1 }).unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::SnapshotEvicted, Some(239))
        );
    }
    assert!(cursor.next().is_none(), "nothing follows an error");
    assert_eq!(database.stats().unwrap().store.snapshots.evicted, 1);
}
