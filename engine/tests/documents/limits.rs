//! What an operation may take, and what its errors promise.

use std::sync::Arc;
use std::time::Duration;

use bson::{doc, rawdoc};
use collection_store::io::sim::{CrashKind, Fault, FaultPlan, Rng, SimDisk, SimOptions};
use collection_store::io::{Runtime, SimRuntime};
use collection_store::{
    CancelFlag, Collection, Database, Error, ErrorKind, ImportOptions, InsertManyOptions,
    MAX_BATCH_DOCUMENTS, OperationContext,
};

use crate::on_memory_and_file;

const BATCH: i64 = MAX_BATCH_DOCUMENTS as i64;

fn open_on(disk: &Arc<SimDisk>) -> Database {
    let runtime: Arc<dyn Runtime> = SimRuntime::new(7);
    Database::options().open_on(disk.clone(), runtime).unwrap()
}

/// Runs a write that fails half way, cuts the power at once, and returns the
/// count that the error states and what is there after the crash.
fn crash_after(write: impl Fn(&Collection) -> Error, seed: u64) -> (u64, u64) {
    let disk = SimDisk::new(seed, SimOptions::default());
    let database = open_on(&disk);
    let c = database.collection("c");
    let written = write(&c).written();
    let image = disk.crash(&mut Rng::new(seed), CrashKind::Machine);
    let after = SimDisk::from_image(&image, seed, SimOptions::default());
    let count = open_on(&after).collection("c").count(doc! {}).unwrap();
    (written, count)
}

/// Documents of which the last raises the flag.
fn documents_until(flag: &CancelFlag, count: i64) -> impl Iterator<Item = bson::Document> {
    let flag = flag.clone();
    (0..count).map(move |n| {
        if n == count - 1 {
            flag.cancel();
        }
        doc! { "_id": n }
    })
}

#[test]
fn what_a_failed_insertion_counts_survives_a_crash() {
    for seed in 0..12 {
        let insert = |c: &Collection| {
            let flag = CancelFlag::new();
            let context = OperationContext::new().cancel_flag(flag.clone());
            let documents = documents_until(&flag, 2 * BATCH + 50);
            c.insert_many_with(&context, documents, InsertManyOptions::default())
                .unwrap_err()
        };
        let (written, present) = crash_after(insert, seed);
        assert_eq!((written, present), (2000, 2000), "seed {seed}");
    }
}

#[test]
fn what_a_failed_import_counts_survives_a_crash() {
    for seed in 0..12 {
        let import = |c: &Collection| {
            let flag = CancelFlag::new();
            let context = OperationContext::new().cancel_flag(flag.clone());
            let text: String = (0..BATCH + 50)
                .map(|n| format!("{{\"_id\":{n}}}\n"))
                .collect();
            c.import_ndjson_with(&context, text.as_bytes(), &ImportOptions::default(), |_| {
                flag.cancel();
            })
            .unwrap_err()
        };
        let (written, present) = crash_after(import, seed);
        assert_eq!((written, present), (1000, 1000), "seed {seed}");
    }
}

#[test]
fn what_a_failed_deletion_counts_survives_a_crash() {
    for seed in 0..12 {
        let delete = |c: &Collection| {
            c.insert_many((0..BATCH).map(|n| doc! { "_id": n }))
                .unwrap();
            c.insert_one(doc! { "_id": "x".repeat(10_000) }).unwrap();
            // The long key is in the second batch, and has no room.
            let context = OperationContext::new().memory_limit(9_000);
            c.delete_many_with(&context, doc! {}).unwrap_err()
        };
        let (written, present) = crash_after(delete, seed);
        assert_eq!((written, present), (1000, 1), "seed {seed}");
    }
}

#[test]
fn what_could_not_be_made_durable_is_not_counted() {
    let disk = SimDisk::new(1, SimOptions::default());
    let database = open_on(&disk);
    let c = database.collection("c");
    c.insert_one(doc! { "_id": -1 }).unwrap();
    let flag = CancelFlag::new();
    let context = OperationContext::new().cancel_flag(flag.clone());
    // The next write is that of the log, for which the error waits.
    disk.plan_fault(Some(FaultPlan {
        at_operation: disk.operations(),
        fault: Fault::ShortWrite,
    }));
    let documents = documents_until(&flag, BATCH + 50);
    let error = c
        .insert_many_with(&context, documents, InsertManyOptions::default())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert_eq!(error.written(), 0);
    assert_eq!(database.stats().unwrap().operations.inserted, 1);
}

#[test]
fn every_operation_heeds_flag_and_deadline() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        c.insert_one(doc! { "_id": 1, "a": 1 }).unwrap();
        let flag = CancelFlag::new();
        flag.cancel();
        let stopped = OperationContext::new().cancel_flag(flag);
        let late = OperationContext::new().timeout(Duration::ZERO);
        let options = ImportOptions::default();
        let many = InsertManyOptions::default();
        let form = collection_store::json::Form::Canonical;
        for (context, code) in [(&stopped, 11601), (&late, 50)] {
            let errors = [
                c.count_with(context, doc! {}).err(),
                c.count_with(context, doc! { "a": 1 }).err(),
                c.find_by_id_with(context, 1).err(),
                c.find_one_with(context, doc! {}).err(),
                c.find(doc! {}).context(context.clone()).run().err(),
                c.insert_one_with(context, doc! {}).err(),
                c.insert_many_with(context, [doc! {}], many).err(),
                c.replace_one_with(context, doc! {}, doc! {}).err(),
                c.delete_one_with(context, doc! {}).err(),
                c.delete_many_with(context, doc! {}).err(),
                c.import_ndjson_with(context, &b"{}"[..], &options, |_| {})
                    .err(),
                c.export_ndjson_with(context, Vec::new(), form, |_| {})
                    .err(),
                c.create_with(context, doc! {}).err(),
                c.drop_collection_with(context).err(),
                c.rename_with(context, "d", false).err(),
                c.exists_now_with(context).err(),
                c.options_with(context).err(),
                c.stats_with(context).err(),
            ];
            for (position, error) in errors.into_iter().enumerate() {
                let found = error.and_then(|error| error.code());
                assert_eq!(found, Some(code), "operation {position}");
            }
        }
        assert_eq!(c.find_by_id(1).unwrap().unwrap().get_i32("a").unwrap(), 1);
        assert_eq!(c.count(doc! {}).unwrap(), 1);
    });
}

#[test]
fn whatever_an_operation_holds_counts_against_its_memory() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        let large = rawdoc! { "_id": 1, "a": "x".repeat(5000) };
        let small = OperationContext::new().memory_limit(1000);
        let errors = [c.insert_one_with(&small, &large).err()];
        c.insert_one(&large).unwrap();
        c.insert_one(doc! { "_id": 2 }).unwrap();
        c.insert_one(doc! { "_id": "y".repeat(5000) }).unwrap();
        let long_key = doc! { "_id": { "$type": "string" } };
        let form = collection_store::json::Form::Canonical;
        let replacement = doc! { "a": "x".repeat(5000) };
        let ids = (0..300).map(|n| doc! { "_id": format!("{n:0>500}") });
        let unordered = InsertManyOptions::unordered();
        let kept = OperationContext::new().memory_limit(100_000);
        let more = [
            c.find_by_id_with(&small, 1).err(),
            c.find_one_with(&small, doc! {}).err(),
            c.count_with(&small, doc! { "a": { "$exists": true } })
                .err(),
            c.replace_one_with(&small, doc! { "_id": 1 }, doc! {}).err(),
            c.replace_one_with(&small, doc! { "_id": 2 }, &replacement)
                .err(),
            c.delete_one_with(&small, doc! { "_id": 1 }).err(),
            c.delete_many_with(&small, long_key).err(),
            c.export_ndjson_with(&small, Vec::new(), form, |_| {}).err(),
            c.insert_many_with(&kept, ids, unordered).err(),
        ];
        for (position, error) in errors.into_iter().chain(more).enumerate() {
            let found = error.and_then(|error| error.code());
            assert_eq!(found, Some(146), "operation {position}");
        }
        assert_eq!(c.count(doc! {}).unwrap(), 3);
        // What is passed by is not held.
        let mut cursor = c.find(doc! {}).skip(1).limit(1).context(small).run();
        let next = cursor.as_mut().unwrap().next().unwrap().unwrap();
        assert_eq!(next.get_i32("_id").unwrap(), 2);
    });
}
