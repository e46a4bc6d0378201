//! Updates in part are told as such, and what they did where that is known.

use bson::{Document, doc};
use collection_store::{
    ChangeEvent, ChangeOperation, Database, OperationContext, UpdateOptions, WatchOptions,
};

use crate::{all, open};

fn updated(event: &ChangeEvent) -> Option<Document> {
    let update = event.update.as_ref()?;
    Some(Document::try_from(&*update.updated_fields).unwrap())
}

fn operations(events: &[ChangeEvent]) -> Vec<ChangeOperation> {
    events.iter().map(|event| event.operation).collect()
}

use ChangeOperation::{Create, Insert, Replace, Update};

#[test]
fn an_update_says_which_fields_it_changed_where_somebody_asks_for_what_was_before() {
    let database = Database::open_in_memory().unwrap();
    let items = database.collection("items");
    items
        .insert_many((0..4).map(|id| doc! { "_id": id, "n": 1, "a": [1, 2, 3], "x": { "y": 1 } }))
        .unwrap();
    let mut plain = items.watch().unwrap();
    let options = WatchOptions::new().with_before();
    let mut stream = items.watch_with(options).unwrap();
    let by_id = doc! { "_id": 0 };
    items
        .update_one(by_id, doc! { "$inc": { "n": 1 }, "$unset": { "x.y": "" } })
        .unwrap();
    items
        .update_one(doc! { "n": 2 }, doc! { "$pop": { "a": 1 } })
        .unwrap();
    items
        .update_many(doc! { "_id": { "$gte": 2 } }, doc! { "$set": { "a.1": 0 } })
        .unwrap();
    items
        .replace_one(doc! { "_id": 3 }, doc! { "n": 7 })
        .unwrap();
    let upsert = UpdateOptions::upsert();
    let context = OperationContext::new();
    items
        .update_one_with(
            &context,
            doc! { "_id": 9 },
            doc! { "$set": { "n": 3 } },
            &upsert,
        )
        .unwrap();
    let transaction = database.begin().unwrap();
    let within = transaction.collection("items");
    within
        .update_one(doc! { "_id": 1 }, doc! { "$set": { "n": 5 } })
        .unwrap();
    within
        .update_many(doc! { "_id": 1 }, doc! { "$set": { "m": 5 } })
        .unwrap();
    within
        .replace_one(doc! { "_id": 2 }, doc! { "k": 1 })
        .unwrap();
    within
        .update_one(doc! { "_id": 2 }, doc! { "$set": { "k": 2 } })
        .unwrap();
    transaction.commit().unwrap();

    let events = all(&mut stream);
    let expected = [
        Update, Update, Update, Update, Replace, Insert, Update, Replace,
    ];
    assert_eq!(operations(&events), expected);
    let first = events[0].update.as_ref().unwrap();
    assert_eq!(updated(&events[0]), Some(doc! { "n": 2 }));
    assert_eq!(first.removed_fields, ["x.y"]);
    assert_eq!(events[0].before.as_ref().unwrap().get_i32("n").unwrap(), 1);
    let cut = &events[1].update.as_ref().unwrap().truncated_arrays;
    assert_eq!((cut[0].field.as_str(), cut[0].new_size), ("a", 2));
    assert_eq!(updated(&events[3]), Some(doc! { "a.1": 0 }));
    assert_eq!(updated(&events[6]), Some(doc! { "n": 5, "m": 5 }));
    for other in [&events[4], &events[5], &events[7]] {
        assert_eq!(other.update, None);
    }
    // It is in the log by now, whoever asked.
    let others = all(&mut plain);
    assert_eq!(operations(&others), expected);
    assert_eq!(updated(&others[0]), Some(doc! { "n": 2 }));
    assert_eq!(others[0].before, None);
}

#[test]
fn an_update_is_one_also_where_nobody_asked_what_was_before_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let token = {
        let database = open(&path);
        let items = database.collection("items");
        let token = items.watch().unwrap().token();
        items.insert_one(doc! { "_id": 1, "n": 1 }).unwrap();
        items
            .update_one(doc! { "_id": 1 }, doc! { "$set": { "n": 2 } })
            .unwrap();
        let text = "x".repeat(60_000);
        items
            .update_one(doc! { "n": 2 }, doc! { "$set": { "text": text } })
            .unwrap();
        let transaction = database.begin().unwrap();
        let within = transaction.collection("items");
        within
            .update_one(doc! { "_id": 1 }, doc! { "$set": { "n": 3 } })
            .unwrap();
        transaction.prepare("gid").unwrap();
        database.commit_prepared("gid").unwrap();
        items
            .replace_one(doc! { "_id": 1 }, doc! { "n": 4 })
            .unwrap();
        database.flush().unwrap();
        token
    };
    let database = open(&path);
    let options = WatchOptions::new().resume_after(token);
    let mut stream = database.collection("items").watch_with(options).unwrap();
    let events = all(&mut stream);
    assert_eq!(
        operations(&events),
        [Create, Insert, Update, Update, Update, Replace]
    );
    assert!(events.iter().all(|event| event.update.is_none()));
    assert_eq!(
        events[4].document.as_ref().unwrap().get_i32("n").unwrap(),
        3
    );
}

#[test]
fn only_updates_may_be_asked_for() {
    let images = doc! { "changeStreamPreAndPostImages": { "enabled": true } };
    let database = Database::open_in_memory().unwrap();
    let items = database.collection("items");
    items.create_with(&OperationContext::new(), images).unwrap();
    let options = WatchOptions::new().operations([Update]);
    let mut stream = items.watch_with(options).unwrap();
    items.insert_one(doc! { "_id": 1, "n": 1 }).unwrap();
    items
        .replace_one(doc! { "_id": 1 }, doc! { "n": 2 })
        .unwrap();
    items
        .update_one(doc! { "_id": 1 }, doc! { "$mul": { "n": 2 } })
        .unwrap();
    let events = all(&mut stream);
    assert_eq!(operations(&events), [Update]);
    assert_eq!(updated(&events[0]), Some(doc! { "n": 4 }));
}
