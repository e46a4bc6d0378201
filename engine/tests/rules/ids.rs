//! How documents are identified.

use std::collections::BTreeSet;

use bson::{Bson, doc, rawdoc};
use collection_store::{Database, ErrorKind, OperationContext};

use crate::{all, collection};

#[test]
fn the_primary_key_is_the_id() {
    let (_database, users) = collection(doc! { "primaryKey": "email" });
    let id = users
        .insert_one(doc! { "name": "Ada", "email": "a@b.c" })
        .unwrap();
    assert_eq!(id, Bson::from("a@b.c"));
    let stored = rawdoc! { "_id": "a@b.c", "name": "Ada", "email": "a@b.c" };
    assert_eq!(users.find_by_id("a@b.c").unwrap(), Some(stored));
    assert_eq!(
        users.count(doc! { "email": { "$in": ["a@b.c"] } }).unwrap(),
        1
    );
    let error = users.insert_one(doc! { "email": "a@b.c" }).unwrap_err();
    assert_eq!(error.code(), Some(11000));
    let error = users.insert_one(doc! { "name": "nobody" }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidId);
    for (id, email) in [("x", "y"), ("a@b.c", "z")] {
        let error = users
            .insert_one(doc! { "_id": id, "email": email })
            .unwrap_err();
        assert_eq!(error.code(), Some(66));
    }
    for update in [
        doc! { "$set": { "email": "d@e.f" } },
        doc! { "$unset": { "email": 1 } },
    ] {
        let error = users
            .update_one(doc! { "email": "a@b.c" }, update)
            .unwrap_err();
        assert_eq!(error.code(), Some(66));
    }
    let error = users
        .replace_one(doc! { "email": "a@b.c" }, doc! { "email": "d@e.f" })
        .unwrap_err();
    assert_eq!(error.code(), Some(66));
    users
        .update_one(doc! { "email": "a@b.c" }, doc! { "$set": { "name": "A" } })
        .unwrap();
    assert_eq!(
        users
            .modify(doc! { "primaryKey": "name" })
            .unwrap_err()
            .code(),
        Some(72)
    );
}

#[test]
fn a_primary_key_may_be_within_a_document() {
    let (_database, orders) = collection(doc! { "primaryKey": "order.number" });
    orders
        .insert_one(doc! { "order": { "number": 7, "year": 2026 } })
        .unwrap();
    assert!(orders.find_by_id(7).unwrap().is_some());
    let error = orders
        .insert_one(doc! { "order": { "number": 7.0 } })
        .unwrap_err();
    assert_eq!(error.code(), Some(11000));
}

#[test]
fn ids_are_generated_as_the_options_say() {
    let (_database, items) = collection(doc! { "idGeneration": "uuid" });
    let id = items.insert_one(doc! {}).unwrap();
    assert!(matches!(&id, Bson::Binary(it) if it.subtype == bson::spec::BinarySubtype::Uuid));
    assert_eq!(items.insert_one(doc! { "_id": 1 }).unwrap(), Bson::Int32(1));

    let (_database, items) = collection(doc! { "primaryKey": "key", "idGeneration": "objectId" });
    let id = items.insert_one(doc! { "a": 1 }).unwrap();
    let stored = items.find_by_id(id.clone()).unwrap().unwrap();
    assert_eq!(
        stored.get_object_id("key").unwrap(),
        id.as_object_id().unwrap()
    );

    let (_database, items) =
        collection(doc! { "idGeneration": "autoIncrement", "primaryKey": "id" });
    let made = items
        .insert_many([doc! { "a": 1 }, doc! { "a": 2 }, doc! { "id": 9_i64 }])
        .unwrap();
    assert_eq!(made.ids, [Bson::Int64(1), Bson::Int64(2), Bson::Int64(9)]);
    assert_eq!(
        all(&items)[0],
        rawdoc! { "_id": 1_i64, "a": 1, "id": 1_i64 }
    );
}

#[test]
fn a_number_that_came_with_a_document_is_passed_over() {
    let (_database, items) = collection(doc! { "idGeneration": "autoIncrement" });
    for id in [1, 2, 3, 50] {
        items.insert_one(doc! { "_id": id }).unwrap();
    }
    assert_eq!(items.insert_one(doc! {}).unwrap(), Bson::Int64(51));
    items.insert_one(doc! { "_id": 52 }).unwrap();
    let made = items
        .insert_many([doc! { "a": 1 }, doc! { "a": 2 }])
        .unwrap();
    let numbers: BTreeSet<i64> = made.ids.iter().map(|id| id.as_i64().unwrap()).collect();
    assert_eq!(numbers.len(), 2);
    assert!(numbers.iter().all(|number| *number > 51), "{numbers:?}");
    assert_eq!(items.count(doc! {}).unwrap(), 8);
}

#[test]
fn many_threads_never_get_the_same_number() {
    let (_database, items) = collection(doc! { "idGeneration": "autoIncrement" });
    let mut given = BTreeSet::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let one = |_| items.insert_one(doc! {}).unwrap().as_i64().unwrap();
                    (0..300).map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        for worker in workers {
            let numbers = worker.join().unwrap();
            assert!(numbers.is_sorted(), "they ascend for each");
            given.extend(numbers);
        }
    });
    assert_eq!(given.len(), 1200);
    assert_eq!(items.count(doc! {}).unwrap(), 1200);
    assert_eq!(*given.last().unwrap(), 1200, "nothing was left out");
}

#[test]
fn numbers_go_on_after_a_restart_and_a_drop_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let options = doc! { "idGeneration": "autoIncrement" };
    let mut last = 0;
    for _ in 0..4 {
        let database = Database::open(directory.path()).unwrap();
        let items = database.collection("items");
        items
            .create_with(&OperationContext::new(), options.clone())
            .ok();
        for _ in 0..5 {
            let number = items.insert_one(doc! {}).unwrap().as_i64().unwrap();
            assert!(number > last, "{number} after {last}");
            last = number;
        }
    }
    let database = Database::open(directory.path()).unwrap();
    let items = database.collection("items");
    assert_eq!(items.count(doc! {}).unwrap(), 20);
    items.drop_collection().unwrap();
    items
        .create_with(&OperationContext::new(), options)
        .unwrap();
    assert_eq!(items.insert_one(doc! {}).unwrap(), Bson::Int64(1));
}

#[test]
fn transactions_number_their_documents_also_in_a_collection_that_they_make() {
    let database = Database::open_in_memory().unwrap();
    let transaction = database.begin().unwrap();
    let items = transaction.collection("items");
    let options = doc! { "idGeneration": "autoIncrement" };
    items
        .create_with(&OperationContext::new(), options)
        .unwrap();
    assert_eq!(items.insert_one(doc! {}).unwrap(), Bson::Int64(1));
    assert_eq!(items.insert_one(doc! {}).unwrap(), Bson::Int64(2));
    transaction.commit().unwrap();
    assert_eq!(
        database.collection("items").insert_one(doc! {}).unwrap(),
        Bson::Int64(3)
    );
    let transaction = database.begin().unwrap();
    transaction.collection("items").insert_one(doc! {}).unwrap();
    transaction.rollback().unwrap();
    let next = database.collection("items").insert_one(doc! {}).unwrap();
    assert!(next.as_i64().unwrap() >= 4);
}

#[test]
fn options_of_ids_that_make_no_sense_are_refused() {
    let database = Database::open_in_memory().unwrap();
    for (options, code) in [
        (doc! { "idGeneration": "random" }, 2),
        (doc! { "idGeneration": 1 }, 14),
        (doc! { "primaryKey": 1 }, 14),
        (doc! { "primaryKey": "a..b" }, 2),
        (doc! { "primaryKey": "$a" }, 2),
        (doc! { "primaryKey": "a.b", "idGeneration": "uuid" }, 2),
    ] {
        let made = database
            .collection("x")
            .create_with(&OperationContext::new(), options.clone());
        assert_eq!(made.unwrap_err().code(), Some(code), "{options}");
    }
}
