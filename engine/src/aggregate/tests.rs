use std::sync::Arc;

use bson::{Document, RawDocumentBuf, doc, rawdoc};
use cs_kv::io::memory::MemoryDisk;
use cs_kv::io::{Disk, RealRuntime};

use crate::{AggregateOptions, Collection, Database, Error, OperationContext};

fn numbers(count: i32) -> (Database, Collection) {
    let database = Database::open_in_memory().unwrap();
    let numbers = database.collection("numbers");
    let documents = (0..count).map(|n| doc! { "_id": n, "k": n % 7, "text": "x".repeat(100) });
    numbers.insert_many(documents).unwrap();
    (database, numbers)
}

fn run(collection: &Collection, pipeline: &[Document]) -> Result<Vec<RawDocumentBuf>, Error> {
    collection.aggregate(pipeline)?.collect()
}

fn code(collection: &Collection, pipeline: &[Document]) -> Option<i32> {
    run(collection, pipeline).unwrap_err().code()
}

#[test]
fn a_group_beyond_its_memory_goes_on_on_disk_with_the_same_result() {
    let disk = MemoryDisk::new();
    let database = Database::options()
        .open_on(Arc::clone(&disk) as Arc<dyn Disk>, RealRuntime::new())
        .unwrap();
    let numbers = database.collection("numbers");
    let documents = (0..6_000_i32).map(|n| {
        doc! { "_id": n, "k": n.wrapping_mul(7_919) % 1_500, "t": format!("{n:0100}") }
    });
    numbers.insert_many(documents).unwrap();
    let pipeline = [
        doc! { "$group": {
            "_id": "$k",
            "all": { "$push": "$t" },
            "sum": { "$sum": "$_id" },
            "first": { "$first": "$_id" },
            "few": { "$minN": { "input": "$_id", "n": 2 } },
        } },
        doc! { "$sort": { "_id": 1 } },
    ];
    let expected = run(&numbers, &pipeline).unwrap();
    let small = OperationContext::new().memory_limit(300_000);
    let options = AggregateOptions::new();
    let found: Vec<_> = numbers
        .aggregate_with(&small, &pipeline, &options)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(found.len(), 1_500);
    assert_eq!(found, expected);
    let left = disk.list().unwrap().into_iter();
    let left: Vec<String> = left.filter(|name| name.contains("sort")).collect();
    assert!(left.is_empty(), "{left:?}");
    let refused = numbers
        .aggregate_with(&small, &pipeline, &options.allow_disk_use(false))
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap_err();
    assert_eq!(refused.code(), Some(292));
}

#[test]
fn what_no_stage_asks_for_is_not_read() {
    let (_database, numbers) = numbers(1_000);
    let pipeline = [
        doc! { "$set": { "e": { "$divide": [1, { "$subtract": ["$_id", 3] }] } } },
        doc! { "$limit": 3 },
    ];
    // The fourth document would fail.
    assert_eq!(run(&numbers, &pipeline).unwrap().len(), 3);
    assert_eq!(code(&numbers, &pipeline[..1]), Some(2));
}

#[test]
fn a_lookup_finds_the_same_by_table_by_id_and_by_pipeline() {
    let (database, numbers) = numbers(20);
    let others = database.collection("others");
    others
        .insert_many((0..10).map(|n| doc! { "_id": n, "of": [n, n + 1] }))
        .unwrap();
    let by_table = [
        doc! { "$lookup": { "from": "others", "localField": "k", "foreignField": "of", "as": "o" } },
        doc! { "$project": { "o._id": 1 } },
    ];
    let by_pipeline = [
        doc! { "$lookup": {
            "from": "others",
            "let": { "k": "$k" },
            "pipeline": [{ "$match": { "$expr": { "$in": ["$$k", "$of"] } } }],
            "as": "o",
        } },
        doc! { "$project": { "o._id": 1 } },
    ];
    let found = run(&numbers, &by_table).unwrap();
    assert_eq!(found, run(&numbers, &by_pipeline).unwrap());
    assert_eq!(
        found[1],
        rawdoc! { "_id": 1, "o": [{ "_id": 0 }, { "_id": 1 }] }
    );
    others
        .create_index(crate::IndexModel::new(doc! { "of": 1 }))
        .unwrap();
    assert_eq!(found, run(&numbers, &by_table).unwrap());
    let by_id = [
        doc! { "$lookup": { "from": "others", "localField": "k", "foreignField": "_id", "as": "o" } },
        doc! { "$match": { "o": { "$size": 1 } } },
        doc! { "$count": "n" },
    ];
    assert_eq!(run(&numbers, &by_id).unwrap(), [rawdoc! { "n": 20 }]);
}

#[test]
fn out_replaces_a_collection_and_merge_writes_into_it() {
    let (database, numbers) = numbers(30);
    let target = database.collection("target");
    target.insert_one(doc! { "_id": "old" }).unwrap();
    let unique = crate::IndexModel::new(doc! { "_id": 1, "n": 1 }).unique(true);
    target.create_index(unique).unwrap();
    let group = doc! { "$group": { "_id": "$k", "n": { "$sum": 1 } } };
    let written = run(&numbers, &[group.clone(), doc! { "$out": "target" }]).unwrap();
    assert!(written.is_empty());
    assert_eq!(target.count(doc! {}).unwrap(), 7);
    assert_eq!(target.count(doc! { "_id": "old" }).unwrap(), 0);
    let names: Vec<String> = database
        .list_collections()
        .unwrap()
        .into_iter()
        .map(|collection| collection.name)
        .collect();
    assert_eq!(names, ["numbers", "target"], "nothing temporary is left");
    let indexes = target.list_indexes().unwrap();
    assert!(indexes.len() == 2 && indexes[1].unique, "{indexes:?}");
    let merge = doc! { "$merge": {
        "into": "target",
        "whenMatched": [{ "$set": { "n": { "$add": ["$n", "$$new.n"] } } }],
        "whenNotMatched": "discard",
    } };
    run(
        &numbers,
        &[doc! { "$match": { "k": { "$lt": 3 } } }, group, merge],
    )
    .unwrap();
    let counts: Vec<i32> = target
        .find(doc! {})
        .run()
        .unwrap()
        .map(|one| one.unwrap().get_i32("n").unwrap())
        .collect();
    assert_eq!(counts, [10, 10, 8, 4, 4, 4, 4]);
    let fail = doc! { "$merge": { "into": "target", "whenMatched": "fail" } };
    assert_eq!(code(&numbers, &[fail]), Some(11000));
}

#[test]
fn all_collections_are_read_in_one_state() {
    let (database, numbers) = numbers(3);
    let mut cursor = numbers
        .aggregate([doc! { "$unionWith": "others" }])
        .unwrap();
    assert!(cursor.next().is_some());
    let others = database.collection("others");
    others.insert_one(doc! { "_id": "new" }).unwrap();
    assert_eq!(cursor.count(), 2, "it was not there when the query began");
}

#[test]
fn a_transaction_aggregates_what_it_wrote() {
    let (database, _numbers) = numbers(3);
    database
        .with_transaction(|transaction| {
            let numbers = transaction.collection("numbers");
            numbers.insert_one(doc! { "_id": 100, "k": 1 })?;
            let count = numbers
                .aggregate([doc! { "$count": "n" }])?
                .next()
                .unwrap()?;
            assert_eq!(count, rawdoc! { "n": 4 });
            let refused = numbers.aggregate([doc! { "$out": "x" }]).unwrap_err();
            assert_eq!(refused.code(), Some(263));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_match_goes_before_what_it_does_not_depend_on() {
    let (_database, numbers) = numbers(10);
    // The division fails for the document that does not match.
    let divide = doc! { "$set": { "e": { "$divide": [1, "$k"] } } };
    let pipeline = [divide.clone(), doc! { "$match": { "k": { "$gt": 0 } } }];
    assert_eq!(run(&numbers, &pipeline).unwrap().len(), 8);
    let depends = [divide, doc! { "$match": { "e": { "$gt": 0 } } }];
    assert_eq!(code(&numbers, &depends), Some(2));
}

#[test]
fn malformed_pipelines_are_refused_with_mongodb_codes() {
    let (_database, numbers) = numbers(1);
    assert_eq!(code(&numbers, &[doc! { "$nope": 1 }]), Some(40324));
    assert_eq!(
        code(&numbers, &[doc! { "$setWindowFields": {} }]),
        Some(40324)
    );
    assert_eq!(code(&numbers, &[doc! {}]), Some(40323));
    assert_eq!(code(&numbers, &[doc! { "$limit": 0 }]), Some(15958));
    assert_eq!(code(&numbers, &[doc! { "$group": {} }]), Some(15955));
    let out = [doc! { "$out": "x" }, doc! { "$limit": 1 }];
    assert_eq!(code(&numbers, &out), Some(40601));
    let nested = [doc! { "$facet": { "a": [{ "$out": "x" }] } }];
    assert_eq!(code(&numbers, &nested), Some(40600));
}

#[test]
fn a_document_is_redacted_level_by_level() {
    let database = Database::open_in_memory().unwrap();
    let files = database.collection("files");
    let document = doc! {
        "_id": 1, "level": 1,
        "parts": [{ "level": 1, "text": "a" }, { "level": 9, "text": "b" }, "plain"],
        "deep": { "level": 2, "secret": { "level": 9 } },
    };
    files.insert_one(document).unwrap();
    files.insert_one(doc! { "_id": 2, "level": 9 }).unwrap();
    let condition = doc! { "$cond": [{ "$lte": ["$level", 2] }, "$$DESCEND", "$$PRUNE"] };
    assert_eq!(
        run(&files, &[doc! { "$redact": condition }]).unwrap(),
        [rawdoc! {
            "_id": 1, "level": 1,
            "parts": [{ "level": 1, "text": "a" }, "plain"],
            "deep": { "level": 2 },
        }]
    );
    assert_eq!(code(&files, &[doc! { "$redact": "$level" }]), Some(17053));
}

#[test]
fn a_deadline_ends_a_pipeline() {
    let (_database, numbers) = numbers(10);
    let flag = crate::CancelFlag::new();
    let context = OperationContext::new().cancel_flag(flag.clone());
    let pipeline = [doc! { "$unwind": "$k" }];
    let options = AggregateOptions::new();
    let mut cursor = numbers
        .aggregate_with(&context, pipeline, &options)
        .unwrap();
    assert!(cursor.next().unwrap().is_ok());
    flag.cancel();
    assert_eq!(cursor.next().unwrap().unwrap_err().code(), Some(11601));
    assert!(cursor.next().is_none());
}

/// A fuzzer found it: such a name cannot be in a document, so making one ended in a panic.
#[test]
fn a_path_with_nul_in_it_is_refused() {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    c.insert_one(doc! { "_id": 1, "a": [1] }).unwrap();
    let lookup = |field: &str| {
        let mut lookup = doc! { "from": "c", "localField": "a", "foreignField": "a", "as": "o" };
        lookup.insert(field, "\0.m");
        doc! { "$lookup": lookup }
    };
    for stage in [
        lookup("as"),
        lookup("localField"),
        doc! { "$unwind": { "path": "$a", "includeArrayIndex": "n.\0" } },
        doc! { "$unset": "a\0b" },
    ] {
        assert_eq!(
            code(&c, std::slice::from_ref(&stage)),
            Some(16411),
            "{stage}"
        );
    }
    assert_eq!(
        c.distinct("a.\0", doc! { "a": 1 }).unwrap_err().code(),
        Some(16411)
    );
}
