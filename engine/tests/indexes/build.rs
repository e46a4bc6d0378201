//! Making indexes beside writers, over interruptions, and taking them away.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::doc;
use collection_store::{Database, ErrorKind, IndexModel, OperationContext};

use crate::agrees;

#[test]
fn an_index_made_beside_writers_has_all_documents() {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    let document = |n: i32| doc! { "_id": n, "k": n % 7, "tags": [n % 3, n % 5] };
    c.insert_many((0..3000).map(document)).unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for client in 0..3 {
            let (c, ended) = (c.clone(), &ended);
            scope.spawn(move || {
                for round in 0..400 {
                    let id = (client * 1009 + round * 37) % 3000;
                    c.update_one(doc! { "_id": id }, doc! { "$inc": { "k": 1 } })
                        .unwrap();
                    c.delete_one(doc! { "_id": (id + 1) % 3000 }).unwrap();
                    c.insert_one(document(10_000 * (client + 1) + round))
                        .unwrap();
                    c.update_many(
                        doc! { "_id": { "$lt": 5 } },
                        doc! { "$set": { "tags": [round] } },
                    )
                    .unwrap();
                    if ended.load(Ordering::Relaxed) && round > 100 {
                        break;
                    }
                }
            });
        }
        for key in [doc! { "k": 1 }, doc! { "tags": -1, "k": 1 }] {
            c.create_index(IndexModel::new(key)).unwrap();
        }
        ended.store(true, Ordering::Relaxed);
    });
    assert!(c.list_indexes().unwrap().iter().all(|index| index.is_ready));
    agrees(&c);
}

#[test]
fn an_interrupted_build_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let model = || IndexModel::new(doc! { "k": 1 });
    {
        let database = Database::open(&path).unwrap();
        let c = database.collection("c");
        c.insert_many((0..3500).map(|n| doc! { "_id": n, "k": n % 10 }))
            .unwrap();
        let context = OperationContext::new();
        let error = c
            .create_index_with(&context, model(), |progress| {
                match progress.documents >= 2000 {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            })
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        let index = &c.list_indexes().unwrap()[1];
        assert!(!index.is_ready);
        // It is maintained, and not used.
        c.insert_one(doc! { "_id": 5000, "k": 3 }).unwrap();
        c.delete_one(doc! { "_id": 3 }).unwrap();
        let explain = c.find(doc! { "k": 3 }).explain().unwrap();
        assert_eq!(explain.steps[0].index, None);
        let error = c.find(doc! {}).hint("k_1").run().unwrap_err();
        assert_eq!(error.code(), Some(2));
    }
    let database = Database::open(&path).unwrap();
    let c = database.collection("c");
    let mut seen = 0;
    let context = OperationContext::new();
    let names = c
        .resume_index_builds(&context, |progress| {
            seen = progress.documents;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(names, ["k_1"]);
    assert!(seen < 2000, "what was done is not done again: {seen}");
    assert_eq!(c.find(doc! { "k": 3 }).hint("k_1").count().unwrap(), 350);
    agrees(&c);
    assert_eq!(c.create_index(model()).unwrap(), "k_1", "it is there");
}

#[test]
fn a_unique_index_over_clashing_documents_is_refused_and_leaves_nothing() {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    c.insert_many((0..2500).map(|n| doc! { "_id": n, "k": n % 2400 }))
        .unwrap();
    let unique = || IndexModel::new(doc! { "k": -1 }).unique(true);
    let error = c.create_index(unique()).unwrap_err();
    assert_eq!(error.code(), Some(11000));
    let key = &error.duplicate_key().unwrap().key_value;
    assert_eq!(
        key.get_i32("k").unwrap(),
        99,
        "the first in the index's order"
    );
    assert_eq!(c.list_indexes().unwrap().len(), 1);
    c.delete_many(doc! { "_id": { "$gte": 2400 } }).unwrap();
    c.create_index(unique()).unwrap();
    agrees(&c);
}

#[test]
fn an_index_that_is_dropped_while_it_is_made_ends_its_making() {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    c.insert_many((0..2500).map(|n| doc! { "_id": n, "k": n }))
        .unwrap();
    let context = OperationContext::new();
    let error = c
        .create_index_with(&context, IndexModel::new(doc! { "k": 1 }), |_| {
            if c.list_indexes().unwrap().len() > 1 {
                c.drop_index("k_1").unwrap();
            }
            ControlFlow::Continue(())
        })
        .unwrap_err();
    assert_eq!(error.code(), Some(276), "{error}");
    assert_eq!(c.list_indexes().unwrap().len(), 1);
    c.update_many(doc! {}, doc! { "$inc": { "k": 1 } }).unwrap();
}

#[test]
fn a_writer_clashing_in_a_unique_index_that_is_being_made_is_refused() {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    c.insert_many((0..1500).map(|n| doc! { "_id": n, "k": n }))
        .unwrap();
    let context = OperationContext::new();
    let unique = IndexModel::new(doc! { "k": 1 }).unique(true);
    c.create_index_with(&context, unique, |_| {
        // Of a document that the build has passed, and of one that writers have.
        let error = c.insert_one(doc! { "_id": 9000, "k": 3 }).unwrap_err();
        assert_eq!(error.code(), Some(11000));
        c.update_one(doc! { "_id": 3 }, doc! { "$inc": { "k": 0 } })
            .unwrap();
        c.update_one(doc! { "_id": 1499 }, doc! { "$set": { "k": 1499 } })
            .unwrap();
        c.delete_one(doc! { "_id": 1498 }).unwrap();
        c.insert_one(doc! { "_id": 1498, "k": 1498 }).unwrap();
        ControlFlow::Continue(())
    })
    .unwrap();
    agrees(&c);
}

#[test]
fn no_index_is_begun_while_something_is_loaded_and_a_load_maintains_those_there_are() {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    let options = collection_store::BulkOptions::default();
    let mut tried = false;
    let documents = (0..100).map(|n| {
        if !tried {
            tried = true;
            let error = c
                .create_index(IndexModel::new(doc! { "k": 1 }))
                .unwrap_err();
            assert_eq!(error.code(), Some(12587), "{error}");
        }
        doc! { "_id": n, "k": n }
    });
    c.bulk_load(documents, &options, |_| ControlFlow::Continue(()))
        .unwrap();
    c.create_index(IndexModel::new(doc! { "k": 1 }).unique(true))
        .unwrap();
    let more = (100..3000).map(|n| doc! { "_id": n, "k": n });
    let report = c
        .bulk_load(more, &options, |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(report.entries, 2900);
    let clashing = [
        doc! { "_id": 5000, "k": 5000 },
        doc! { "_id": 5001, "k": 7 },
    ];
    let error = c
        .bulk_load(clashing, &options, |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert_eq!((error.code(), error.written()), (Some(11000), 1));
    agrees(&c);
}

#[test]
fn a_transaction_that_began_before_an_index_loses_to_it() {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    c.insert_one(doc! { "_id": 1, "k": 1 }).unwrap();
    let (writer, reader) = (database.begin().unwrap(), database.begin().unwrap());
    writer
        .collection("c")
        .insert_one(doc! { "_id": 2, "k": 2 })
        .unwrap();
    assert_eq!(reader.collection("c").count(doc! {}).unwrap(), 1);
    c.create_index(IndexModel::new(doc! { "k": 1 })).unwrap();
    assert!(writer.commit().unwrap_err().is_retryable());
    reader.commit().unwrap();
    agrees(&c);
    let dropped = database.begin().unwrap();
    dropped
        .collection("c")
        .insert_one(doc! { "_id": 3, "k": 3 })
        .unwrap();
    c.drop_index("k_1").unwrap();
    assert!(dropped.commit().unwrap_err().is_retryable());
}

#[test]
fn what_is_dropped_or_renamed_takes_its_indexes_along() {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    c.insert_one(doc! { "_id": 1, "k": 1 }).unwrap();
    c.create_index(IndexModel::new(doc! { "k": 1 })).unwrap();
    let trees = || database.store().snapshot().unwrap().trees().unwrap().len();
    assert_eq!(trees(), 2);
    let renamed = c.rename("d", false).unwrap();
    assert_eq!(
        renamed.find(doc! { "k": 1 }).hint("k_1").count().unwrap(),
        1
    );
    renamed.drop_collection().unwrap();
    assert_eq!(trees(), 0);
}

#[test]
fn a_key_that_a_unique_build_adds_while_its_document_is_deleted_is_a_conflict() {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    c.insert_many((0..200).map(|n| doc! { "_id": n, "k": n }))
        .unwrap();
    let context = OperationContext::new();
    let stop = |_: &_| ControlFlow::Break(());
    let unique = IndexModel::new(doc! { "k": 1 }).unique(true);
    let error = c.create_index_with(&context, unique, stop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    // A document that the first batch did not reach: the transaction finds no key of it.
    let transaction = database.begin().unwrap();
    let within = transaction.collection("c");
    assert!(within.delete_one(doc! { "_id": 20 }).unwrap());
    let error = c.resume_index_builds(&context, stop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let error = transaction.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(c.delete_one(doc! { "_id": 20 }).unwrap());
    c.resume_index_builds(&context, |_| ControlFlow::Continue(()))
        .unwrap();
    agrees(&c);
}
