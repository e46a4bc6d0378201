use bson::doc;
use collection_store::{Database, Decision, ErrorKind};

use crate::{all, numbered};

#[test]
fn a_prepared_transaction_locks_its_documents_and_collections_until_it_is_decided() {
    let (database, numbers) = numbered(2);
    let transaction = database.begin().unwrap();
    let inside = transaction.collection("numbers");
    inside
        .replace_one(doc! { "_id": 0 }, doc! { "n": 1 })
        .unwrap();
    transaction.prepare("transfer 1").unwrap();
    let held = [
        numbers.insert_one(doc! { "_id": 0 }).map(drop),
        numbers.drop_collection().map(drop),
        numbers.rename("other", false).map(drop),
        database.drop_database().map(drop),
    ];
    for (what, outcome) in held.into_iter().enumerate() {
        let error = outcome.unwrap_err();
        assert!(
            error.is_retryable() || error.kind() == ErrorKind::DuplicateKey,
            "{what}: {error}"
        );
    }
    let held = numbers.delete_one(doc! { "_id": 0 }).unwrap_err();
    assert!(held.to_string().contains("lost to others"), "{held}");
    numbers
        .replace_one(doc! { "_id": 1 }, doc! { "n": 9 })
        .unwrap();
    assert_eq!(numbers.count(doc! { "n": 1 }).unwrap(), 0);
    database.commit_prepared("transfer 1").unwrap();
    assert_eq!(
        all(&numbers),
        [doc! { "_id": 0, "n": 1 }, doc! { "_id": 1, "n": 9 }]
    );
    let again = database.rollback_prepared("transfer 1").unwrap_err();
    assert_eq!(again.kind(), ErrorKind::TransactionEnded);
    let unknown = database.commit_prepared("transfer 2").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NoSuchTransaction);
    numbers.drop_collection().unwrap();
}

#[test]
fn it_waits_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let database = Database::open(&path).unwrap();
    let transaction = database.begin().unwrap();
    transaction
        .collection("orders")
        .insert_one(doc! { "_id": 1 })
        .unwrap();
    transaction.prepare("order 1").unwrap();
    drop(database);
    let database = Database::open(&path).unwrap();
    let waiting = database.list_prepared().unwrap();
    assert_eq!((waiting.len(), waiting[0].gid.as_str()), (1, "order 1"));
    assert!(!database.collection("orders").exists_now().unwrap());
    database.commit_prepared("order 1").unwrap();
    assert_eq!(database.collection("orders").count(doc! {}).unwrap(), 1);
    let decided = database.decision("order 1").unwrap().unwrap();
    assert_eq!(decided.decision, Decision::Committed);
}
