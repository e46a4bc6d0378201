//! Creating, dropping, renaming, listing.

use bson::{doc, rawdoc};
use collection_store::{ErrorKind, OperationContext};

use crate::on_memory_and_file;

#[test]
fn the_first_insert_creates_the_collection() {
    on_memory_and_file(|database| {
        let people = database.collection("people");
        assert!(!people.exists_now().unwrap());
        assert_eq!(people.count(doc! {}).unwrap(), 0);
        assert!(people.find_by_id(1).unwrap().is_none());
        people.insert_one(doc! { "_id": 1 }).unwrap();
        assert!(people.exists_now().unwrap());
        let listed = database.list_collections().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].name, "people");
    });
}

#[test]
fn creation_keeps_options_and_happens_once() {
    on_memory_and_file(|database| {
        let logs = database.collection("logs");
        let options = rawdoc! { "note": "kept", "nested": { "a": [1] } };
        logs.create_with(&OperationContext::new(), &options)
            .unwrap();
        assert_eq!(logs.options().unwrap().unwrap(), options);
        let error = logs.create().unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::NamespaceExists, Some(48))
        );
        assert_eq!(logs.count(doc! {}).unwrap(), 0);
    });
}

#[test]
fn dropping_takes_documents_and_name_and_a_new_one_has_a_new_number() {
    on_memory_and_file(|database| {
        let items = database.collection("items");
        assert!(!items.drop_collection().unwrap());
        items.insert_one(doc! { "_id": 1 }).unwrap();
        let first = database.list_collections().unwrap()[0].id;
        assert!(items.drop_collection().unwrap());
        assert!(database.list_collections().unwrap().is_empty());
        assert_eq!(items.count(doc! {}).unwrap(), 0);
        items.insert_one(doc! { "_id": 1, "again": true }).unwrap();
        assert_ne!(database.list_collections().unwrap()[0].id, first);
        assert_eq!(items.count(doc! {}).unwrap(), 1);
    });
}

#[test]
fn renaming_keeps_documents_and_number() {
    on_memory_and_file(|database| {
        let old = database.collection("old");
        old.insert_one(doc! { "_id": 1, "from": "old" }).unwrap();
        let id = database.list_collections().unwrap()[0].id;
        let new = old.rename("new", false).unwrap();
        assert_eq!(new.name(), "new");
        assert_eq!(
            new.find_by_id(1).unwrap().unwrap().get_str("from").unwrap(),
            "old"
        );
        assert!(old.find_by_id(1).unwrap().is_none());
        assert_eq!(database.list_collections().unwrap()[0].id, id);
        // The old name is free, and what it gets now is not in the new one.
        old.insert_one(doc! { "_id": 2 }).unwrap();
        assert_eq!(new.count(doc! {}).unwrap(), 1);
    });
}

#[test]
fn renaming_onto_another_needs_to_be_told_to_drop_it() {
    on_memory_and_file(|database| {
        let (a, b) = (database.collection("a"), database.collection("b"));
        a.insert_one(doc! { "_id": "a" }).unwrap();
        b.insert_one(doc! { "_id": "b" }).unwrap();
        assert_eq!(a.rename("b", false).unwrap_err().code(), Some(48));
        a.rename("b", true).unwrap();
        assert!(b.find_by_id("a").unwrap().is_some());
        assert!(b.find_by_id("b").unwrap().is_none());
        assert_eq!(a.rename("c", false).unwrap_err().code(), Some(26));
        assert_eq!(b.rename("b", true).unwrap_err().code(), Some(20));
    });
}

#[test]
fn databases_are_apart_and_main_is_the_default() {
    on_memory_and_file(|database| {
        assert_eq!(database.name(), "main");
        let other = database.database("other");
        database
            .collection("c")
            .insert_one(doc! { "_id": 1 })
            .unwrap();
        other.collection("c").insert_one(doc! { "_id": 2 }).unwrap();
        other.collection("d").insert_one(doc! { "_id": 3 }).unwrap();
        assert_eq!(database.list_databases().unwrap(), ["main", "other"]);
        assert!(database.collection("c").find_by_id(2).unwrap().is_none());
        assert_eq!(other.drop_database().unwrap(), 2);
        assert_eq!(database.list_databases().unwrap(), ["main"]);
        assert_eq!(other.collection("c").count(doc! {}).unwrap(), 0);
        assert_eq!(database.collection("c").count(doc! {}).unwrap(), 1);
    });
}

#[test]
fn names_that_are_not_allowed_are_errors_of_each_operation() {
    on_memory_and_file(|database| {
        for name in ["", "a/b", "a\0b", "..", "$cmd", "system.views"] {
            let collection = database.collection(name);
            for error in [
                collection.insert_one(doc! {}).unwrap_err(),
                collection.find(doc! {}).run().unwrap_err(),
                collection.create().unwrap_err(),
                collection.drop_collection().unwrap_err(),
            ] {
                assert_eq!(error.code(), Some(73), "{name:?}");
            }
        }
        let error = database
            .database("a b")
            .collection("c")
            .insert_one(doc! {})
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidNamespace);
        database.collection("fine").create().unwrap();
        assert_eq!(
            database
                .collection("fine")
                .rename("system.x", false)
                .unwrap_err()
                .code(),
            Some(73)
        );
    });
}

#[test]
fn stats_count_collections_documents_and_operations() {
    on_memory_and_file(|database| {
        database
            .collection("a")
            .insert_many((0..5).map(|n| doc! { "_id": n }))
            .unwrap();
        database
            .database("b")
            .collection("c")
            .insert_one(doc! {})
            .unwrap();
        database.collection("a").count(doc! { "x": 1 }).unwrap();
        let stats = database.stats().unwrap();
        assert_eq!((stats.collections, stats.documents), (2, 6));
        assert_eq!(stats.operations.inserted, 6);
        assert_eq!(
            (stats.operations.queries, stats.operations.examined),
            (1, 5)
        );
        assert_eq!(stats.operations.returned, 0);
    });
}
