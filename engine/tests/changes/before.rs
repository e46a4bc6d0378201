use std::ops::ControlFlow;

use bson::doc;
use collection_store::{
    BulkOptions, Database, Duplicates, ErrorKind, OperationContext, WatchOptions,
};

use crate::{put, shown};

/// Changes of each kind to documents 1 to 4, of n=1, and an insert.
fn change(database: &Database) {
    let items = database.collection("items");
    items
        .replace_one(doc! { "_id": 1 }, doc! { "n": 2 })
        .unwrap();
    items
        .replace_one(doc! { "_id": 2, "n": 1 }, doc! { "n": 2 })
        .unwrap();
    items.delete_one(doc! { "_id": 1 }).unwrap();
    items.delete_many(doc! { "n": 2 }).unwrap();
    database
        .with_transaction(|transaction| {
            let items = transaction.collection("items");
            put(&items, 3, 2);
            items.delete_one(doc! { "_id": 4 })?;
            put(&items, 5, 5);
            Ok(())
        })
        .unwrap();
    let transaction = database.begin().unwrap();
    put(&transaction.collection("items"), 3, 3);
    transaction.prepare("gid").unwrap();
    database.commit_prepared("gid").unwrap();
}

const WITH: [&str; 8] = [
    "Replace items 1 n=2 was n=1",
    "Replace items 2 n=2 was n=1",
    "Delete items 1 was n=2",
    "Delete items 2 was n=2",
    "Replace items 3 n=2 was n=1",
    "Delete items 4 was n=1",
    "Insert items 5 n=5",
    "Replace items 3 n=3 was n=2",
];

fn fresh(options: bson::Document) -> Database {
    let database = Database::open_in_memory().unwrap();
    let items = database.collection("items");
    items
        .create_with(&OperationContext::new(), options)
        .unwrap();
    for id in 1..5 {
        put(&items, id, 1);
    }
    database
}

fn without() -> Vec<String> {
    let short = |line: &&str| line.split(" was").next().unwrap().to_owned();
    WITH.iter().map(short).collect()
}

#[test]
fn what_was_before_is_told_while_somebody_asks() {
    let database = fresh(doc! {});
    let mut plain = database.watch().unwrap();
    let mut wanting = database
        .watch_with(WatchOptions::new().with_before())
        .unwrap();
    change(&database);
    assert_eq!(shown(&mut wanting), WITH);
    assert_eq!(shown(&mut plain), without());
    drop(wanting);
    let mut late = plain;
    put(&database.collection("items"), 3, 7);
    let token = late.token();
    assert_eq!(shown(&mut late), ["Replace items 3 n=7"]);
    let options = WatchOptions::new().resume_after(token).with_before();
    let mut again = database.watch_with(options).unwrap();
    assert_eq!(
        shown(&mut again),
        ["Replace items 3 n=7"],
        "nobody had asked"
    );
}

#[test]
fn one_collection_alone_tells_what_was_before() {
    let database = fresh(doc! {});
    let other = database.collection("other");
    put(&other, 1, 1);
    let options = WatchOptions::new().with_before();
    let wanting = other.watch_with(options.clone()).unwrap();
    let mut plain = database.watch().unwrap();
    let token = plain.token();
    put(&other, 1, 2);
    put(&database.collection("items"), 1, 2);
    assert_eq!(
        shown(&mut plain),
        ["Replace other 1 n=2", "Replace items 1 n=2"]
    );
    drop(wanting);
    let mut both = database.watch_with(options.resume_after(token)).unwrap();
    assert_eq!(
        shown(&mut both),
        ["Replace other 1 n=2 was n=1", "Replace items 1 n=2"]
    );
}

#[test]
fn a_collection_with_the_option_always_tells_what_was_before() {
    let database = fresh(doc! { "changeStreamPreAndPostImages": { "enabled": true } });
    let token = database.watch().unwrap().token();
    let mut plain = database.watch().unwrap();
    change(&database);
    let options = WatchOptions::new().resume_after(token).with_before();
    let mut wanting = database.watch_with(options).unwrap();
    assert_eq!(shown(&mut wanting), WITH);
    assert_eq!(shown(&mut plain), without());
    let database = fresh(doc! { "changeStreamPreAndPostImages": { "enabled": false } });
    let mut wanting = database.watch().unwrap();
    change(&database);
    assert_eq!(shown(&mut wanting), without());
    for wrong in [doc! { "enabled": 1 }, doc! { "on": true }] {
        let options = doc! { "changeStreamPreAndPostImages": wrong };
        let created = database
            .collection("new")
            .create_with(&OperationContext::new(), options);
        assert_eq!(created.unwrap_err().kind(), ErrorKind::BadValue);
    }
}

#[test]
fn a_bulk_load_that_replaces_tells_what_was_before() {
    let load = |database: &Database, ids: &[i32]| {
        let mut options = BulkOptions::default();
        options.duplicates = Duplicates::Replace;
        let documents = ids
            .iter()
            .zip(10..)
            .map(|(id, n)| doc! { "_id": id, "n": n });
        let items = database.collection("items");
        let progress = |_: &_| ControlFlow::Continue(());
        items.bulk_load(documents, &options, progress).unwrap();
    };
    let database = fresh(doc! {});
    let mut plain = database.watch().unwrap();
    let options = WatchOptions::new().with_before();
    let mut wanting = database.watch_with(options).unwrap();
    // Behind the end, twice in one load, and among what is there.
    load(&database, &[5, 6, 6]);
    load(&database, &[2, 4, 7]);
    let told = [
        "Insert items 5 n=10",
        "Insert items 6 n=11",
        "Replace items 6 n=12 was n=11",
        "Replace items 2 n=10 was n=1",
        "Replace items 4 n=11 was n=1",
        "Insert items 7 n=12",
    ];
    assert_eq!(shown(&mut wanting), told);
    drop(wanting);
    let short = |line: &&str| line.split(" was").next().unwrap().to_owned();
    assert_eq!(
        shown(&mut plain),
        told.iter().map(short).collect::<Vec<_>>()
    );
    load(&database, &[2, 8, 8]);
    let told = [
        "Replace items 2 n=10",
        "Insert items 8 n=11",
        "Replace items 8 n=12",
    ];
    assert_eq!(shown(&mut plain), told);
    assert!(database.store().check().unwrap().findings.is_empty());
}
