use bson::doc;
use collection_store::IndexModel;

use crate::{INTERVAL, at, expire_by_at, ids, pass, virtual_time};

#[test]
fn when_documents_expire_by_an_index_can_be_changed() {
    let (database, runtime) = virtual_time();
    let items = database.collection("items");
    expire_by_at(&items, 1_000_000);
    items
        .create_index(IndexModel::new(doc! { "other": 1 }))
        .unwrap();
    let ages = (1..=3).map(|id| doc! { "_id": id, "at": at(&runtime, -100 * i64::from(id)) });
    let documents: Vec<bson::Document> = ages.collect();
    items.insert_many(documents).unwrap();
    pass(&database, &runtime, INTERVAL);
    assert_eq!(ids(&items), "1 2 3");
    items
        .modify(doc! { "index": { "name": "at_1", "expireAfterSeconds": 300 } })
        .unwrap();
    let list = items.list_indexes().unwrap();
    assert_eq!(list[1].expire_after_seconds, Some(300));
    assert_eq!(database.expire_now().unwrap(), 1);
    // One that did not expire anything can begin to.
    items
        .modify(doc! { "index": { "keyPattern": { "other": 1 }, "expireAfterSeconds": 0 } })
        .unwrap();
    let used = doc! { "$set": { "other": at(&runtime, -1) } };
    items.update_one(doc! { "_id": 2 }, used).unwrap();
    assert_eq!(database.expire_now().unwrap(), 1);
    assert_eq!(ids(&items), "1");
    assert!(items.options().unwrap().unwrap().is_empty());
}

#[test]
fn changes_of_indexes_that_make_no_sense_are_refused_by_code() {
    let (database, _) = virtual_time();
    let items = database.collection("items");
    expire_by_at(&items, 60);
    items
        .create_index(IndexModel::new(doc! { "a": 1, "b": 1 }))
        .unwrap();
    for (index, code) in [
        (doc! { "name": "none", "expireAfterSeconds": 1 }, 27),
        (doc! { "keyPattern": { "z": 1 }, "hidden": true }, 27),
        (doc! { "name": "_id_", "hidden": true }, 2),
        (doc! { "name": "a_1_b_1", "expireAfterSeconds": 1 }, 72),
        (doc! { "name": "at_1", "expireAfterSeconds": -1 }, 72),
        (doc! { "name": "at_1", "expireAfterSeconds": 1e300 }, 72),
        (doc! { "name": "at_1", "expireAfterSeconds": "1" }, 14),
        (doc! { "name": "at_1" }, 72),
        (
            doc! { "name": "at_1", "keyPattern": { "at": 1 }, "hidden": true },
            72,
        ),
        (doc! { "expireAfterSeconds": 1 }, 72),
        (doc! { "name": "at_1", "unique": true }, 72),
    ] {
        let text = index.to_string();
        let refused = items.modify(doc! { "index": index }).unwrap_err();
        assert_eq!(refused.code(), Some(code), "{text}: {refused}");
    }
    items
        .modify(doc! { "index": { "name": "at_1", "hidden": true } })
        .unwrap();
    let list = items.list_indexes().unwrap();
    assert!(list[1].hidden && list[1].expire_after_seconds == Some(60));
}
