//! Find-and-modify, bulk writes, updates by pipeline, distinct values.

use std::sync::atomic::{AtomicI32, Ordering};

use bson::{doc, rawdoc};
use collection_store::{
    BulkWriteOptions, Collection, Database, ErrorKind, FindAndModifyOptions, OperationContext,
    ReturnDocument, UpdateOptions, WriteModel,
};

fn jobs() -> (Database, Collection) {
    let database = Database::open_in_memory().unwrap();
    let jobs = database.collection("jobs");
    jobs.insert_many((0..5).map(|n| doc! { "_id": n, "priority": n % 3, "state": "new" }))
        .unwrap();
    (database, jobs)
}

#[test]
fn the_document_comes_back_before_or_after_in_the_order_that_was_asked_for() {
    let (_database, jobs) = jobs();
    let take = doc! { "$set": { "state": "taken" } };
    let options = FindAndModifyOptions::new()
        .sort(doc! { "priority": -1, "_id": 1 })
        .projection(doc! { "state": 1 });
    let before = jobs
        .find_one_and_update(doc! { "state": "new" }, take.clone(), &options)
        .unwrap();
    assert_eq!(before.value, Some(rawdoc! { "_id": 2, "state": "new" }));
    assert!(before.updated_existing);
    let options = options.return_document(ReturnDocument::After);
    let after = jobs
        .find_one_and_update(doc! { "state": "new" }, take, &options)
        .unwrap();
    assert_eq!(after.value, Some(rawdoc! { "_id": 1, "state": "taken" }));
    let gone = jobs
        .find_one_and_delete(doc! { "state": "taken" }, &FindAndModifyOptions::new())
        .unwrap();
    assert_eq!(gone.value.unwrap().get_i32("_id").unwrap(), 1);
    assert_eq!(jobs.count(doc! {}).unwrap(), 4);
    let nothing = jobs
        .find_one_and_delete(doc! { "state": "lost" }, &FindAndModifyOptions::new())
        .unwrap();
    assert_eq!((nothing.value, nothing.count), (None, 0));
}

#[test]
fn each_job_is_taken_once_however_many_take() {
    let (_database, jobs) = jobs();
    let taken = AtomicI32::new(0);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (jobs, taken) = (&jobs, &taken);
            scope.spawn(move || {
                loop {
                    let found = jobs
                        .find_one_and_update(
                            doc! { "state": "new" },
                            doc! { "$set": { "state": "taken", "by": worker } },
                            &FindAndModifyOptions::new().sort(doc! { "priority": 1 }),
                        )
                        .unwrap();
                    if found.value.is_none() {
                        return;
                    }
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(taken.load(Ordering::Relaxed), 5);
}

#[test]
fn a_statement_that_is_sent_again_gives_the_document_that_it_gave() {
    let (_database, jobs) = jobs();
    let statement = |number| OperationContext::new().statement([7; 16], number);
    let take = |number| {
        let filter = doc! { "state": "new" };
        let update = doc! { "$set": { "state": "taken" } };
        let options = FindAndModifyOptions::new().projection(doc! { "priority": 1 });
        jobs.find_one_and_update_with(&statement(number), filter, update, &options)
            .unwrap()
    };
    let first = take(1);
    assert_eq!(first.value, Some(rawdoc! { "_id": 0, "priority": 0 }));
    assert_eq!(take(1), first);
    assert_eq!(jobs.count(doc! { "state": "taken" }).unwrap(), 1);
    assert_ne!(take(2), first);
    let upsert = |number| {
        let options = FindAndModifyOptions::new().upsert(true);
        let (filter, update) = (doc! { "_id": "z" }, doc! { "$inc": { "n": 1 } });
        jobs.find_one_and_update_with(&statement(number), filter, update, &options)
            .unwrap()
    };
    let inserted = upsert(3);
    assert_eq!(inserted.upserted_id, Some("z".into()));
    assert_eq!(upsert(3), inserted);
}

#[test]
fn a_replacement_that_finds_nothing_is_inserted_if_asked() {
    let (_database, jobs) = jobs();
    let options = FindAndModifyOptions::new()
        .upsert(true)
        .return_document(ReturnDocument::After);
    let found = jobs
        .find_one_and_replace(doc! { "_id": "new" }, doc! { "state": "x" }, &options)
        .unwrap();
    assert_eq!(found.value, Some(rawdoc! { "_id": "new", "state": "x" }));
    assert_eq!(found.upserted_id, Some("new".into()));
    let context = collection_store::OperationContext::new();
    let upsert = UpdateOptions::upsert();
    let replaced = jobs
        .replace_one_or_insert(&context, doc! { "_id": 77 }, doc! { "a": 1 }, &upsert)
        .unwrap();
    assert_eq!(replaced.upserted_id, Some(77.into()));
}

#[test]
fn a_pipeline_computes_the_new_document() {
    let (_database, jobs) = jobs();
    let pipeline = [
        doc! { "$set": { "urgent": { "$gte": ["$priority", 2] }, "at": "$$NOW" } },
        doc! { "$unset": "state" },
    ];
    let updated = jobs.update_many(doc! {}, pipeline).unwrap();
    assert_eq!((updated.matched, updated.modified), (5, 5));
    assert_eq!(
        jobs.count(doc! { "urgent": true, "at": { "$type": "date" } })
            .unwrap(),
        1
    );
    let refused = jobs
        .update_one(doc! {}, [doc! { "$match": {} }])
        .unwrap_err();
    assert_eq!(refused.code(), Some(72));
    let refused = jobs
        .update_one(doc! { "_id": 1 }, [doc! { "$set": { "_id": 2 } }])
        .unwrap_err();
    assert_eq!(refused.code(), Some(66));
}

#[test]
fn an_ordered_bulk_write_ends_with_what_fails_and_an_unordered_one_goes_on() {
    let writes = || {
        [
            WriteModel::insert_one(doc! { "_id": 9 }),
            WriteModel::insert_one(doc! { "_id": 1 }),
            WriteModel::update_many(doc! {}, doc! { "$set": { "seen": true } }),
            WriteModel::replace_one(doc! { "_id": 50 }, doc! { "a": 1 })
                .with_options(UpdateOptions::upsert()),
            WriteModel::delete_one(doc! { "_id": 0 }),
        ]
    };
    let (_database, ordered) = jobs();
    let failed = ordered
        .bulk_write(writes(), &BulkWriteOptions::new())
        .unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::BulkWrite);
    assert_eq!((failed.written(), failed.code()), (1, Some(11000)));
    assert_eq!(failed.write_errors()[0].index, 1);
    assert_eq!(ordered.count(doc! { "seen": true }).unwrap(), 0);

    let (_database, unordered) = jobs();
    let failed = unordered
        .bulk_write(writes(), &BulkWriteOptions::unordered())
        .unwrap_err();
    assert_eq!(failed.written(), 1 + 6 + 1 + 1);
    assert_eq!(unordered.count(doc! { "seen": true }).unwrap(), 5);
    assert_eq!(unordered.count(doc! { "_id": 50, "a": 1 }).unwrap(), 1);
}

#[test]
fn distinct_values_are_those_of_elements() {
    let (_database, jobs) = jobs();
    jobs.insert_one(doc! { "_id": 10, "priority": [0, 7, [8]] })
        .unwrap();
    let found = jobs.distinct("priority", doc! {}).unwrap();
    assert_eq!(
        found,
        bson::bson!([0, 1, 2, 7, [8]]).as_array().unwrap().clone()
    );
    assert_eq!(
        jobs.distinct("priority.1", doc! {}).unwrap(),
        [bson::Bson::from(7)]
    );
}
