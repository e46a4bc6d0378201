use bson::doc;
use collection_store::{ErrorKind, OperationContext, UpdateOptions};

use crate::{all, numbered};

#[test]
fn many_clients_update_one_document_and_none_is_lost_or_refused() {
    let (database, numbers) = numbered(1);
    let before = database.stats().unwrap().store.conflicts;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let updated =
                        numbers.update_one(doc! { "_id": 0 }, doc! { "$inc": { "n": 1 } });
                    assert_eq!(updated.unwrap().modified, 1);
                }
            });
        }
    });
    assert_eq!(all(&numbers), [doc! { "_id": 0, "n": 800 }]);
    assert_eq!(database.stats().unwrap().store.conflicts, before);
}

#[test]
fn an_update_by_id_is_judged_on_the_document_that_is_there_by_then() {
    let (_, numbers) = numbered(1);
    let filter = doc! { "_id": 0, "n": { "$lt": 10 } };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    numbers
                        .update_one(filter.clone(), doc! { "$inc": { "n": 1 } })
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(
        all(&numbers),
        [doc! { "_id": 0, "n": 10 }],
        "and never beyond"
    );
    let nothing = numbers
        .update_one(filter, doc! { "$inc": { "n": 1 } })
        .unwrap();
    assert_eq!((nothing.matched, nothing.modified), (0, 0));
    let same = numbers
        .update_one(doc! { "_id": 0 }, doc! { "$set": { "n": 10 } })
        .unwrap();
    assert_eq!((same.matched, same.modified), (1, 0));
    let wrong = numbers
        .update_one(doc! { "_id": 0 }, doc! { "$push": { "n": 1 } })
        .unwrap_err();
    assert_eq!(wrong.code(), Some(2));
    let replacement = numbers.update_one(doc! {}, doc! { "n": 1 }).unwrap_err();
    assert_eq!(replacement.kind(), ErrorKind::FailedToParse);
}

#[test]
fn many_documents_are_updated_each_atomically() {
    let (_, numbers) = numbered(2500);
    let updated = numbers.update_many(doc! { "_id": { "$gte": 100 } }, doc! { "$set": { "n": 1 } });
    let updated = updated.unwrap();
    assert_eq!((updated.matched, updated.modified), (2400, 2400));
    let again = numbers
        .update_many(doc! {}, doc! { "$set": { "n": 1 } })
        .unwrap();
    assert_eq!((again.matched, again.modified), (2500, 100));
    let none = numbers
        .update_many(doc! { "n": 7 }, doc! { "$set": { "n": 1 } })
        .unwrap();
    assert_eq!(
        (none.matched, none.modified, none.upserted_id),
        (0, 0, None)
    );
}

#[test]
fn an_upsert_inserts_once_whoever_comes_first() {
    let (database, _) = numbered(0);
    let hits = database.collection("hits");
    let (context, options) = (OperationContext::new(), UpdateOptions::upsert());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for page in 0..10 {
                    let (filter, update) = (doc! { "_id": page }, doc! { "$inc": { "n": 1 } });
                    hits.update_one_with(&context, filter, update, &options)
                        .unwrap();
                }
            });
        }
    });
    let expected: Vec<_> = (0..10).map(|page| doc! { "_id": page, "n": 8 }).collect();
    assert_eq!(all(&hits), expected);
    let update = doc! { "$set": { "n": 1 }, "$setOnInsert": { "new": true } };
    let made = hits
        .update_many_with(&context, doc! { "kind": "x" }, update, &options)
        .unwrap();
    assert!(made.upserted_id.is_some());
    assert_eq!(
        hits.count(doc! { "kind": "x", "n": 1, "new": true })
            .unwrap(),
        1
    );
}

#[test]
fn updates_are_part_of_a_transaction() {
    let (database, numbers) = numbered(3);
    let transaction = database.begin().unwrap();
    let inside = transaction.collection("numbers");
    inside
        .update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 5 } })
        .unwrap();
    let many = inside
        .update_many(doc! { "n": { "$gte": 0 } }, doc! { "$inc": { "n": 1 } })
        .unwrap();
    assert_eq!(many.modified, 3);
    let (context, options) = (OperationContext::new(), UpdateOptions::upsert());
    let update = doc! { "$set": { "n": 9 } };
    inside
        .update_one_with(&context, doc! { "_id": 7 }, update, &options)
        .unwrap();
    assert_eq!(numbers.count(doc! { "n": 0 }).unwrap(), 3);
    transaction.commit().unwrap();
    let expected = [(0, 1), (1, 6), (2, 1), (7, 9)].map(|(id, n)| doc! { "_id": id, "n": n });
    assert_eq!(all(&numbers), expected);
}
