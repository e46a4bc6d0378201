use bson::doc;
use collection_store::{BulkOptions, ErrorKind, InsertManyOptions};

use crate::{all, numbered};

#[test]
fn a_transaction_sees_its_own_writes_and_nobody_else_does() {
    let (database, numbers) = numbered(3);
    let transaction = database.begin().unwrap();
    let inside = transaction.collection("numbers");
    inside.insert_one(doc! { "_id": 9 }).unwrap();
    inside
        .replace_one(doc! { "_id": 1 }, doc! { "n": 5 })
        .unwrap();
    assert!(inside.delete_one(doc! { "n": 0 }).unwrap());
    let seen = [
        doc! { "_id": 1, "n": 5 },
        doc! { "_id": 2, "n": 0 },
        doc! { "_id": 9 },
    ];
    assert_eq!(all(&inside), seen);
    assert_eq!(inside.count(doc! {}).unwrap(), 3);
    assert_eq!(inside.count(doc! { "n": { "$gte": 1 } }).unwrap(), 1);
    assert!(inside.find_by_id(0).unwrap().is_none());
    assert_eq!(numbers.count(doc! { "n": 0 }).unwrap(), 3);
    transaction.commit().unwrap();
    assert_eq!(all(&numbers), seen);
}

#[test]
fn several_collections_of_several_databases_commit_together_or_not_at_all() {
    let (database, numbers) = numbered(1);
    for commit in [false, true] {
        let transaction = database.begin().unwrap();
        transaction
            .collection("new")
            .insert_one(doc! { "_id": 1 })
            .unwrap();
        transaction
            .collection_in("other", "new")
            .insert_one(doc! { "_id": 2 })
            .unwrap();
        transaction
            .collection("numbers")
            .delete_many(doc! {})
            .unwrap();
        assert!(transaction.collection("new").exists_now().unwrap());
        assert!(!database.collection("new").exists_now().unwrap());
        match commit {
            false => transaction.rollback().unwrap(),
            true => transaction.commit().unwrap(),
        }
        assert_eq!(numbers.count(doc! {}).unwrap(), u64::from(!commit));
        assert_eq!(
            database.collection("new").count(doc! {}).unwrap(),
            u64::from(commit)
        );
        let other = database.database("other").collection("new");
        assert_eq!(other.exists_now().unwrap(), commit);
    }
}

#[test]
fn savepoints_nest_also_around_a_new_collection() {
    let (database, _) = numbered(1);
    let transaction = database.begin().unwrap();
    let inside = transaction.collection("numbers");
    inside.insert_one(doc! { "_id": 10 }).unwrap();
    let outer = transaction.set_savepoint().unwrap();
    transaction
        .collection("made")
        .insert_one(doc! { "_id": 1 })
        .unwrap();
    let inner = transaction.set_savepoint().unwrap();
    inside.delete_many(doc! {}).unwrap();
    assert_eq!(inside.count(doc! {}).unwrap(), 0);
    transaction.roll_back_to(inner).unwrap();
    assert_eq!(inside.count(doc! {}).unwrap(), 2);
    transaction.roll_back_to(outer).unwrap();
    assert!(!transaction.collection("made").exists_now().unwrap());
    assert!(transaction.roll_back_to(inner).is_err(), "it is gone");
    transaction.release(outer).unwrap();
    transaction.commit().unwrap();
    assert_eq!(database.collection("numbers").count(doc! {}).unwrap(), 2);
    assert!(!database.collection("made").exists_now().unwrap());
}

#[test]
fn duplicates_are_refused_where_they_are_inserted_and_the_transaction_goes_on() {
    let (database, numbers) = numbered(2);
    let transaction = database.begin().unwrap();
    let inside = transaction.collection("numbers");
    let error = inside.insert_one(doc! { "_id": 1 }).unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::DuplicateKey, Some(11000))
    );
    let documents = [3, 1, 4, 3, 5].map(|id| doc! { "_id": id });
    let unordered = InsertManyOptions::unordered();
    let context = collection_store::OperationContext::new();
    let error = inside
        .insert_many_with(&context, documents, unordered)
        .unwrap_err();
    let places: Vec<u64> = error.write_errors().iter().map(|one| one.index).collect();
    assert_eq!((places, error.written()), (vec![1, 3], 3));
    let ordered = [6, 0, 7].map(|id| doc! { "_id": id });
    assert_eq!(inside.insert_many(ordered).unwrap_err().written(), 1);
    transaction.commit().unwrap();
    let ids: Vec<i32> = all(&numbers)
        .iter()
        .map(|one| one.get_i32("_id").unwrap())
        .collect();
    assert_eq!(ids, [0, 1, 3, 4, 5, 6]);
}

#[test]
fn what_cannot_be_part_of_a_transaction_is_refused() {
    let (database, _) = numbered(1);
    let transaction = database.begin().unwrap();
    let inside = transaction.collection("numbers");
    let refused = [
        inside.drop_collection().unwrap_err(),
        inside.rename("other", false).unwrap_err(),
        inside
            .bulk_load([doc! {}], &BulkOptions::default(), |_| {
                std::ops::ControlFlow::Continue(())
            })
            .unwrap_err(),
        inside.stats().unwrap_err(),
    ];
    for error in refused {
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::NotInTransaction, Some(263))
        );
    }
    inside.create().unwrap_err();
    transaction.collection("made").create().unwrap();
    transaction.commit().unwrap();
    assert!(database.collection("made").exists_now().unwrap());
}
