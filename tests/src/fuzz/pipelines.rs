//! Aggregation pipelines over documents, and as updates of one.

use bson::{DateTime, RawDocument, RawDocumentBuf, Timestamp, rawdoc};
use collection_store::values::{Elements, Kind, validate_document};
use collection_store::{
    AggregateOptions, Applied, Database, OperationContext, Update, UpdateContext, UpdateOptions,
};

/// Results that are looked at, at most.
const MAX_RESULTS: usize = 200;
/// What a pipeline may hold.
const MEMORY: u64 = 4 << 20;

/// The stages in the array `p` of the input, over all its documents in the array `d`.
pub(super) fn pipeline(input: &[u8]) {
    if validate_document(input).is_err() {
        return;
    }
    let (Some(stages), Some(documents)) = (documents(input, b"p"), documents(input, b"d")) else {
        return;
    };
    as_update(&stages, &documents);
    let Ok(database) = Database::open_in_memory() else {
        return;
    };
    let collection = database.collection("c");
    for document in documents {
        // Not every document can be stored.
        let _ = collection.insert_one(document);
    }
    let context = OperationContext::new().memory_limit(MEMORY);
    let options = AggregateOptions::new();
    let Ok(results) = collection.aggregate_with(&context, stages, &options) else {
        return;
    };
    for result in results.take(MAX_RESULTS) {
        let Ok(result) = result else { return };
        if let Err(error) = validate_document(result.as_bytes()) {
            panic!("a pipeline made a document that is not valid: {error}");
        }
    }
}

fn as_update(stages: &[RawDocumentBuf], documents: &[RawDocumentBuf]) {
    let Ok(update) = Update::parse_pipeline(stages, &UpdateOptions::default()) else {
        return;
    };
    let context = UpdateContext {
        position: None,
        now: DateTime::from_millis(1),
        timestamp: Timestamp {
            time: 1,
            increment: 1,
        },
        is_upsert_insert: false,
    };
    for document in documents {
        if let Ok(Applied::Changed(new)) = update.apply(document, &context)
            && let Err(error) = validate_document(&new)
        {
            panic!("an update made a document that is not valid: {error}");
        }
    }
}

fn documents(input: &[u8], name: &[u8]) -> Option<Vec<RawDocumentBuf>> {
    let array = Elements::new(input).find_name(name)?.elements()?;
    let documents = array.filter(|element| element.value.kind() == Kind::Document);
    let document = |bytes| RawDocument::from_bytes(bytes).ok().map(ToOwned::to_owned);
    documents
        .map(|element| document(element.value.bytes()))
        .collect()
}

pub(super) fn pipeline_seeds() -> Vec<Vec<u8>> {
    let documents = [
        rawdoc! { "_id": 1, "k": "x", "n": 5, "a": [1, 2.5, { "b": 3 }] },
        rawdoc! { "_id": 2, "k": "y", "n": 7_i64, "a": [], "o": { "x": 1 } },
        rawdoc! { "_id": 3, "n": null, "a": "odd", "o": { "x": 4.5 } },
    ];
    let pipelines = [
        vec![
            rawdoc! { "$match": { "n": { "$gte": 0 } } },
            rawdoc! { "$group": { "_id": "$k", "s": { "$sum": "$n" }, "p": { "$push": "$$ROOT" }, "t": { "$topN": { "n": 2, "sortBy": { "n": -1 }, "output": "$a" } } } },
            rawdoc! { "$sort": { "s": -1, "_id": 1 } },
        ],
        vec![
            rawdoc! { "$unwind": { "path": "$a", "includeArrayIndex": "i.j", "preserveNullAndEmptyArrays": true } },
            rawdoc! { "$set": { "o.y": { "$ifNull": ["$a.b", "$n"] } } },
            rawdoc! { "$project": { "o": 1, "a.b": 1, "e": { "$concat": ["$k", "!"] } } },
            rawdoc! { "$skip": 1 },
            rawdoc! { "$limit": 3 },
        ],
        vec![
            rawdoc! { "$lookup": { "from": "c", "localField": "n", "foreignField": "o.x", "let": { "k": "$k" }, "pipeline": [{ "$match": { "$expr": { "$ne": ["$k", "$$k"] } } }], "as": "l.m" } },
            rawdoc! { "$unset": ["l.m.a", "k"] },
            rawdoc! { "$replaceRoot": { "newRoot": { "$mergeObjects": ["$o", { "id": "$_id" }] } } },
        ],
        vec![
            rawdoc! { "$facet": {
                "b": [{ "$bucket": { "groupBy": "$n", "boundaries": [0, 6, 10], "default": "other" } }],
                "c": [{ "$bucketAuto": { "groupBy": "$o.x", "buckets": 2 } }, { "$count": "n" }],
                "d": [{ "$sortByCount": "$k" }],
            } },
            rawdoc! { "$unionWith": { "coll": "c", "pipeline": [{ "$sample": { "size": 2 } }] } },
        ],
        vec![
            rawdoc! { "$set": { "a": { "$slice": ["$a", 1] }, "n": "$$NOW" } },
            rawdoc! { "$unset": "o" },
            rawdoc! { "$replaceWith": { "_id": "$_id", "all": "$$ROOT" } },
        ],
    ];
    let seeds = pipelines.into_iter().map(|stages| {
        let (mut all, mut held) = (bson::RawArrayBuf::new(), bson::RawArrayBuf::new());
        for stage in stages {
            all.push(stage);
        }
        for document in &documents {
            held.push(document.clone());
        }
        rawdoc! { "p": all, "d": held }.into_bytes()
    });
    seeds.collect()
}
