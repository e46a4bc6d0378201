//! MongoDB's validators.

use std::io::Cursor;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::{doc, rawdoc};
use collection_store::{
    BulkOptions, Collection, ErrorKind, ImportOptions, IndexModel, InsertManyOptions,
    OperationContext, UpdateOptions,
};

use crate::{all, collection, is_refused};

fn upsert() -> UpdateOptions {
    UpdateOptions {
        upsert: true,
        ..UpdateOptions::default()
    }
}

/// Every path, with a document that is at fault; the collection holds `{ _id: 1, n: 1 }`.
fn refuses_on_every_path(items: &Collection) {
    let context = OperationContext::new();
    is_refused(items.insert_one(doc! { "_id": 2, "n": -1 }));
    let many = items.insert_many([doc! { "_id": 2, "n": 2 }, doc! { "_id": 3, "n": -3 }]);
    let error = many.unwrap_err();
    assert_eq!((error.written(), error.write_errors().len()), (1, 1));
    assert_eq!(error.write_errors()[0].error.code(), Some(121));
    items.delete_one(doc! { "_id": 2 }).unwrap();
    let documents = [
        doc! { "_id": 2, "n": -2 },
        doc! { "_id": 1, "n": -1 },
        doc! { "_id": 3, "n": 3 },
    ];
    let many = items.insert_many_with(&context, documents, InsertManyOptions::unordered());
    let error = many.unwrap_err();
    let codes: Vec<_> = error
        .write_errors()
        .iter()
        .map(|one| one.error.code())
        .collect();
    assert_eq!(
        codes,
        [Some(121), Some(121)],
        "a rule comes before a key that is there"
    );
    items.delete_one(doc! { "_id": 3 }).unwrap();
    let lines = Cursor::new("{\"_id\": 4, \"n\": -4}\n");
    let error = items
        .import_ndjson(lines, &ImportOptions::default(), |_| {})
        .unwrap_err();
    assert_eq!(error.write_errors()[0].error.code(), Some(121));
    let load = [doc! { "_id": 5, "n": -5 }];
    is_refused(items.bulk_load(load, &BulkOptions::default(), |_| ControlFlow::Continue(())));
    // Evaluated at the commit, by another filter, many, and replacements both ways.
    is_refused(items.update_one(doc! { "_id": 1 }, doc! { "$set": { "n": -1 } }));
    is_refused(items.update_one(doc! { "n": 1 }, doc! { "$set": { "n": -1 } }));
    is_refused(items.update_many(doc! {}, doc! { "$inc": { "n": -9 } }));
    is_refused(items.replace_one(doc! { "_id": 1 }, doc! { "n": -1 }));
    is_refused(items.replace_one(doc! { "n": 1 }, doc! { "n": -1 }));
    for filter in [doc! { "_id": 6 }, doc! { "none": true }] {
        let set = doc! { "$set": { "n": -6 } };
        is_refused(items.update_one_with(&context, filter.clone(), set.clone(), &upsert()));
        is_refused(items.update_many_with(&context, filter, set, &upsert()));
    }
    let statement = OperationContext::new().statement([7; 16], 1);
    is_refused(items.update_one_with(
        &statement,
        doc! { "_id": 1 },
        doc! { "$set": { "n": -1 } },
        &UpdateOptions::default(),
    ));
    is_refused(items.insert_one_with(&statement, doc! { "n": -1 }));
}

#[test]
fn a_validator_is_asked_on_every_path() {
    for is_indexed in [false, true] {
        let (database, items) = collection(doc! { "validator": { "n": { "$gte": 0 } } });
        if is_indexed {
            items
                .create_index(IndexModel::new(doc! { "n": 1 }))
                .unwrap();
        }
        items.insert_one(doc! { "_id": 1, "n": 1 }).unwrap();
        refuses_on_every_path(&items);
        let transaction = database.begin().unwrap();
        let within = transaction.collection("c");
        is_refused(within.insert_one(doc! { "_id": 2, "n": -1 }));
        is_refused(within.insert_one(doc! { "_id": 1, "n": -1 }));
        is_refused(within.update_one(doc! { "_id": 1 }, doc! { "$set": { "n": -1 } }));
        is_refused(within.update_many(doc! {}, doc! { "$set": { "n": -1 } }));
        is_refused(within.replace_one(doc! { "_id": 1 }, doc! { "n": -1 }));
        transaction.commit().unwrap();
        assert_eq!(all(&items), [rawdoc! { "_id": 1, "n": 1 }]);
        items
            .update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } })
            .unwrap();
        items
            .replace_one(doc! { "_id": 1 }, doc! { "n": 7 })
            .unwrap();
        let load = [doc! { "_id": 2, "n": 2 }, doc! { "_id": 3, "n": 3 }];
        let report = items.bulk_load(load, &BulkOptions::default(), |_| ControlFlow::Continue(()));
        assert_eq!(report.unwrap().entries, 2);
        assert_eq!(items.count(doc! { "n": { "$gte": 2 } }).unwrap(), 3);
    }
}

#[test]
fn a_bulk_load_keeps_indexes() {
    let (_database, items) = collection(doc! {});
    items
        .create_index(IndexModel::new(doc! { "n": 1 }).unique(true))
        .unwrap();
    let load = (0..2500).map(|n| doc! { "_id": n, "n": n });
    items
        .bulk_load(load, &BulkOptions::default(), |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(items.find(doc! { "n": 77 }).hint("n_1").count().unwrap(), 1);
    let again = [doc! { "_id": 9000, "n": 77 }];
    let error = items.bulk_load(
        again,
        &BulkOptions::default(),
        |_| ControlFlow::Continue(()),
    );
    assert_eq!(error.unwrap_err().code(), Some(11000));
}

#[test]
fn options_change_and_decide_from_then_on() {
    let (database, items) = collection(doc! { "note": 1 });
    items.insert_one(doc! { "_id": 1, "n": -1 }).unwrap();
    items
        .modify(doc! { "validator": { "n": { "$gte": 0 } }, "validationLevel": "moderate" })
        .unwrap();
    is_refused(items.insert_one(doc! { "n": -1 }));
    items
        .update_one(doc! { "_id": 1 }, doc! { "$set": { "n": -2 } })
        .unwrap();
    items.modify(doc! { "validationLevel": "strict" }).unwrap();
    is_refused(items.update_one(doc! { "_id": 1 }, doc! { "$set": { "n": -3 } }));
    items.modify(doc! { "validationAction": "warn" }).unwrap();
    items
        .update_one(doc! { "_id": 1 }, doc! { "$set": { "n": -4 } })
        .unwrap();
    assert_eq!(database.stats().unwrap().operations.validation_warnings, 1);
    items
        .modify(doc! { "validationAction": "error", "validationLevel": "off" })
        .unwrap();
    items.insert_one(doc! { "_id": 2, "n": -1 }).unwrap();
    items.modify(doc! { "validator": {} }).unwrap();
    items.modify(doc! { "validationLevel": "strict" }).unwrap();
    items.insert_one(doc! { "_id": 3, "n": -1 }).unwrap();
    let options = items.options().unwrap().unwrap();
    let kept = rawdoc! { "note": 1, "validationAction": "error", "validationLevel": "strict" };
    assert_eq!(options, kept);
    let error = items.modify(doc! { "capped": true }).unwrap_err();
    assert_eq!(error.code(), Some(72));
    let error = items
        .modify(doc! { "validator": { "$bad": 1 } })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadValue);
    let error = database.collection("none").modify(doc! {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NamespaceNotFound);
}

#[test]
fn a_typed_validator_sees_the_time() {
    let (_database, items) = collection(doc! {
        "validator": { "$expr": { "$lte": ["$at", "$$NOW"] } },
    });
    items
        .insert_one(doc! { "at": bson::DateTime::from_millis(0) })
        .unwrap();
    is_refused(items.insert_one(doc! { "at": bson::DateTime::MAX }));
}

#[test]
fn no_write_slips_by_a_validator_that_changes_beside_it() {
    let (_database, items) = collection(doc! {});
    items.insert_one(doc! { "_id": 0, "n": 0 }).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for worker in 1..4 {
            let (items, stop) = (&items, &stop);
            scope.spawn(move || {
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    let id = worker * 1_000_000 + turn;
                    let _ = items.insert_one(doc! { "_id": id, "n": -1 });
                    let _ = items.update_one(doc! { "_id": 0 }, doc! { "$set": { "n": -turn } });
                    let _ = items.update_many(doc! { "n": 5 }, doc! { "$set": { "n": -turn } });
                    let _ = items.delete_one(doc! { "_id": id });
                }
            });
        }
        for _ in 0..50 {
            items
                .modify(doc! { "validator": { "n": { "$gte": 0 } }, "validationLevel": "moderate" })
                .unwrap();
            // All that is at fault from before goes; whatever is at fault then slipped by.
            items.delete_many(doc! { "n": { "$lt": 0 } }).unwrap();
            items.insert_one(doc! { "_id": 0, "n": 5 }).ok();
            assert_eq!(items.count(doc! { "n": { "$lt": 0 } }).unwrap(), 0);
            items.modify(doc! { "validator": {} }).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_validator_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let options = doc! { "validator": { "$jsonSchema": { "required": ["name"] } } };
    {
        let database = collection_store::Database::open(directory.path()).unwrap();
        let people = database.collection("people");
        people
            .create_with(&OperationContext::new(), options)
            .unwrap();
        people.insert_one(doc! { "name": "Ada" }).unwrap();
    }
    let database = collection_store::Database::open(directory.path()).unwrap();
    let error = is_refused(database.collection("people").insert_one(doc! { "age": 1 }));
    let details = bson::Document::try_from(&**error.details().unwrap()).unwrap();
    assert!(
        details.to_string().contains("missingProperties"),
        "{details}"
    );
}
