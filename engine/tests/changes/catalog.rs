use bson::doc;
use collection_store::{ChangeOperation, Database, WatchOptions};

use crate::{all, open, put, shown, told};

#[test]
fn the_stream_of_a_collection_ends_when_it_is_dropped_or_renamed_and_starts_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(&directory.path().join("db"));
    let items = database.collection("items");
    put(&items, 1, 1);
    let mut dropped = items.watch().unwrap();
    items.drop_collection().unwrap();
    put(&items, 2, 2);
    let events = all(&mut dropped);
    let text: Vec<_> = events.iter().map(told).collect();
    assert_eq!(text, ["Drop items", "Invalidate items"]);
    assert!(dropped.has_ended() && dropped.next().unwrap().is_none());
    assert!(dropped.events().next().is_none());
    // Behind the drop only the end is left; behind the end it starts anew.
    let token = events[0].token;
    let mut again = items
        .watch_with(WatchOptions::new().resume_after(token))
        .unwrap();
    assert_eq!(all(&mut again), events[1..]);
    let token = events[1].token.to_string().parse().unwrap();
    let refused = items
        .watch_with(WatchOptions::new().resume_after(token))
        .unwrap_err();
    assert_eq!(refused.code(), Some(260));
    let mut after = items
        .watch_with(WatchOptions::new().start_after(token))
        .unwrap();
    assert_eq!(shown(&mut after), ["Create items", "Insert items 2 n=2"]);
    items.rename("other", false).unwrap();
    assert_eq!(
        shown(&mut after),
        ["Rename items other", "Invalidate items"]
    );
    let mut target = items.watch().unwrap();
    database.collection("other").rename("items", false).unwrap();
    assert_eq!(
        shown(&mut target),
        ["Rename other items", "Invalidate other"]
    );
}

#[test]
fn a_dropped_database_is_told_behind_its_collections_and_ends_its_stream() {
    let database = Database::open_in_memory().unwrap();
    let shop = database.database("shop");
    put(&shop.collection("a"), 1, 1);
    put(&shop.collection("b"), 1, 1);
    put(&database.collection("c"), 1, 1);
    let mut stream = shop.watch().unwrap();
    let only = WatchOptions::new().operations([ChangeOperation::Insert]);
    let mut inserts = shop.watch_with(only).unwrap();
    let mut other = database.watch().unwrap();
    assert_eq!(shop.drop_database().unwrap(), 2);
    assert_eq!(
        shown(&mut stream),
        ["Drop a", "Drop b", "DropDatabase", "Invalidate"]
    );
    assert_eq!(shown(&mut inserts), ["Invalidate"]);
    assert_eq!(shown(&mut other), [""; 0]);
    assert_eq!(database.list_databases().unwrap(), ["main"]);
    // The last collection of a database, dropped by itself, is no dropped database.
    put(&shop.collection("a"), 1, 1);
    let mut stream = shop.watch().unwrap();
    shop.collection("a").drop_collection().unwrap();
    assert_eq!(shown(&mut stream), ["Drop a"]);
}

#[test]
fn creations_are_told_with_and_without_documents() {
    let database = Database::open_in_memory().unwrap();
    let mut stream = database.watch().unwrap();
    database.collection("empty").create().unwrap();
    database.collection("empty").create().unwrap_err();
    database
        .collection("full")
        .insert_one(doc! { "_id": 1 })
        .unwrap();
    assert_eq!(
        shown(&mut stream),
        ["Create empty", "Create full", "Insert full 1"]
    );
}
