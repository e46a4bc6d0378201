use std::time::Duration;

use bson::{DateTime, Timestamp, doc};
use collection_store::io::memory::MemoryDisk;
use collection_store::io::{Runtime, SimRuntime};
use collection_store::{ChangeOperation, Database, ErrorKind, IndexModel, WatchOptions};

use crate::{INTERVAL, at, expire_by_at, ids, open, pass, virtual_time};

#[test]
fn documents_are_deleted_by_the_first_pass_after_their_time() {
    let (database, runtime) = virtual_time();
    let items = database.collection("items");
    expire_by_at(&items, 100);
    for (id, seconds) in [(1, -200), (2, -90), (3, 0), (4, 500)] {
        let document = doc! { "_id": id, "at": at(&runtime, seconds) };
        items.insert_one(document).unwrap();
    }
    pass(&database, &runtime, INTERVAL - Duration::from_millis(1));
    assert_eq!(ids(&items), "1 2 3 4", "until then they can be seen");
    pass(&database, &runtime, Duration::from_millis(1));
    assert_eq!(ids(&items), "3 4");
    pass(&database, &runtime, INTERVAL);
    assert_eq!(ids(&items), "4");
    let stats = database.stats().unwrap();
    assert_eq!((stats.expiry.passes, stats.expiry.deleted), (2, 3));
    assert_eq!(stats.operations.deleted, 3);
    assert_eq!((stats.expiry.passed_over, stats.expiry.failures), (0, 0));
}

#[test]
fn a_document_expires_in_the_millisecond_in_which_its_time_is_over() {
    let (database, runtime) = virtual_time();
    let items = database.collection("items");
    expire_by_at(&items, 1);
    items.insert_one(doc! { "at": at(&runtime, 0) }).unwrap();
    runtime.advance(Duration::from_millis(999));
    assert_eq!(database.expire_now().unwrap(), 0);
    runtime.advance(Duration::from_millis(1));
    assert_eq!(database.expire_now().unwrap(), 1);
}

#[test]
fn only_dates_expire_and_of_an_array_the_least() {
    let (database, runtime) = virtual_time();
    let items = database.collection("items");
    for (name, index) in [
        ("up", IndexModel::new(doc! { "a.at": 1 })),
        ("down", IndexModel::new(doc! { "a.at": -1 })),
    ] {
        let items = database.collection(name);
        items.create_index(index.expire_after_seconds(10)).unwrap();
        let (old, new) = (at(&runtime, -11), at(&runtime, -9));
        items
            .insert_many([
                doc! { "_id": 1, "a": { "at": old } },
                doc! { "_id": 2, "a": { "at": new } },
                doc! { "_id": 3, "a": { "at": [new, "x", old] } },
                doc! { "_id": 4, "a": { "at": [new, new] } },
                doc! { "_id": 5, "a": [{ "at": new }, { "at": old }] },
                doc! { "_id": 6, "a": { "at": [] } },
                doc! { "_id": 7, "a": { "at": 5 } },
                doc! { "_id": 8, "a": { "at": null } },
                doc! { "_id": 9, "a": { "at": Timestamp { time: 1, increment: 1 } } },
                doc! { "_id": 10, "a": { "at": "2001-01-01" } },
                doc! { "_id": 11 },
                doc! { "_id": 12, "a": { "at": DateTime::MIN } },
                doc! { "_id": 13, "a": { "at": [[old]] } },
            ])
            .unwrap();
    }
    assert_eq!(database.expire_now().unwrap(), 8);
    for name in ["up", "down"] {
        let left = ids(&database.collection(name));
        assert_eq!(left, "2 4 6 7 8 9 10 11 13", "{name}");
    }
    assert_eq!(items.count(doc! {}).unwrap(), 0);
}

#[test]
fn partial_unique_and_hidden_indexes_expire_what_is_in_them() {
    let (database, runtime) = virtual_time();
    let items = database.collection("items");
    let index = IndexModel::new(doc! { "at": 1 })
        .unique(true)
        .hidden(true)
        .partial_filter(doc! { "kind": "temporary" })
        .expire_after_seconds(0);
    items.create_index(index).unwrap();
    items
        .insert_many([
            doc! { "_id": 1, "at": at(&runtime, -5), "kind": "temporary" },
            doc! { "_id": 2, "at": at(&runtime, -4), "kind": "lasting" },
            doc! { "_id": 3, "at": at(&runtime, 9), "kind": "temporary" },
        ])
        .unwrap();
    assert_eq!(database.expire_now().unwrap(), 1);
    assert_eq!(ids(&items), "2 3");
}

#[test]
fn other_indexes_lose_their_entries_with_the_documents() {
    let (database, runtime) = virtual_time();
    let items = database.collection("items");
    expire_by_at(&items, 0);
    items
        .create_index(IndexModel::new(doc! { "name": 1 }).unique(true))
        .unwrap();
    let (old, new) = (at(&runtime, -1), at(&runtime, 1));
    items.insert_one(doc! { "name": "a", "at": old }).unwrap();
    database.expire_now().unwrap();
    items.insert_one(doc! { "name": "a", "at": new }).unwrap();
    assert_eq!(items.count(doc! { "name": "a" }).unwrap(), 1);
}

#[test]
fn many_documents_go_in_several_commits_in_all_databases() {
    let (database, runtime) = virtual_time();
    for name in ["one", "two"] {
        let items = database.database(name).collection("items");
        expire_by_at(&items, 0);
        let old = at(&runtime, -1);
        items
            .insert_many((0..2500).map(|id| doc! { "_id": id, "at": old }))
            .unwrap();
    }
    let before = database.stats().unwrap().store.commits;
    pass(&database, &runtime, INTERVAL);
    assert_eq!(database.stats().unwrap().expiry.deleted, 5000);
    let commits = database.stats().unwrap().store.commits - before;
    assert!((6..20).contains(&commits), "{commits}");
    assert_eq!(database.stats().unwrap().documents, 0);
}

#[test]
fn deletions_are_told_to_those_who_follow_changes() {
    let (database, runtime) = virtual_time();
    let items = database.collection("items");
    expire_by_at(&items, 0);
    let mut stream = items.watch_with(WatchOptions::new().with_before()).unwrap();
    items
        .insert_one(doc! { "_id": 1, "at": at(&runtime, -1), "name": "a" })
        .unwrap();
    database.expire_now().unwrap();
    // What a crash could take back is not told.
    database.flush().unwrap();
    assert_eq!(
        stream.next().unwrap().unwrap().operation,
        ChangeOperation::Insert
    );
    let deleted = stream.next().unwrap().unwrap();
    assert_eq!(deleted.operation, ChangeOperation::Delete);
    assert_eq!(deleted.before.unwrap().get_str("name").unwrap(), "a");
}

#[test]
fn passes_go_on_after_a_reopening_and_the_first_comes_after_an_interval() {
    let runtime = SimRuntime::new(7);
    let disk = MemoryDisk::new();
    let database = open(Database::options(), &disk, &runtime);
    let items = database.collection("items");
    expire_by_at(&items, 0);
    items
        .insert_one(doc! { "_id": 1, "at": at(&runtime, 3600) })
        .unwrap();
    drop((items, database));
    runtime.advance(Duration::from_secs(7200));

    let database = open(Database::options(), &disk, &runtime);
    let items = database.collection("items");
    pass(&database, &runtime, INTERVAL / 2);
    assert_eq!(ids(&items), "1");
    pass(&database, &runtime, INTERVAL / 2);
    assert_eq!(ids(&items), "");
}

#[test]
fn the_interval_is_an_option_and_may_be_never() {
    let runtime = SimRuntime::new(7);
    let disk = MemoryDisk::new();
    let options = Database::options().expire_interval(Some(Duration::ZERO));
    let refused = options.open_on(disk.clone(), runtime.clone()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BadValue);

    let options = Database::options().expire_interval(Some(Duration::from_secs(5)));
    let database = open(options, &disk, &runtime);
    let items = database.collection("items");
    expire_by_at(&items, 0);
    let expired = |id: i32| doc! { "_id": id, "at": at(&runtime, -1) };
    items.insert_one(expired(1)).unwrap();
    pass(&database, &runtime, Duration::from_secs(5));
    assert_eq!(ids(&items), "");
    items.insert_one(expired(2)).unwrap();
    drop((items, database));

    let database = open(Database::options().expire_interval(None), &disk, &runtime);
    let items = database.collection("items");
    pass(&database, &runtime, Duration::from_secs(1_000_000));
    assert_eq!(ids(&items), "2");
    assert_eq!(database.expire_now().unwrap(), 1);
}

#[test]
fn a_thread_does_it_where_there_are_threads_and_ends_with_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let options = || Database::options().expire_interval(Some(Duration::from_millis(1)));
    let database = options().open(&path).unwrap();
    let items = database.collection("items");
    expire_by_at(&items, 0);
    let (sender, heard) = std::sync::mpsc::channel();
    let wanted = WatchOptions::new().operations([ChangeOperation::Delete]);
    let _subscription = items
        .listen(wanted, move |event| {
            let _ = sender.send(event.is_ok());
        })
        .unwrap();
    for _ in 0..3 {
        items.insert_one(doc! { "at": DateTime::MIN }).unwrap();
        assert!(heard.recv().unwrap());
    }
    drop((items, database));

    // Nobody has the directory any more, and whoever opens it goes on.
    for _ in 0..20 {
        let database = options().open(&path).unwrap();
        let items = database.collection("items");
        items.insert_one(doc! { "at": DateTime::MIN }).unwrap();
    }
    let database = options().open(&path).unwrap();
    let items = database.collection("items");
    database.expire_now().unwrap();
    assert_eq!(items.count(doc! {}).unwrap(), 0);
    database.close().unwrap();
    assert!(database.expire_now().is_err());
}

#[test]
fn nothing_expires_in_a_database_that_is_read_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let database = Database::open(&path).unwrap();
    let items = database.collection("items");
    expire_by_at(&items, 0);
    items.insert_one(doc! { "at": DateTime::MIN }).unwrap();
    let snapshot = database.create_snapshot("then").map(|_| ());
    snapshot.unwrap();
    drop((items, database));
    let options = Database::options().expire_interval(Some(Duration::from_millis(1)));
    let database = options.open_read_only(&path).unwrap();
    let refused = database.expire_now().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    assert_eq!(database.collection("items").count(doc! {}).unwrap(), 1);
    assert_eq!(database.stats().unwrap().expiry.passes, 0);
}

#[test]
fn an_index_that_is_dropped_or_a_collection_that_went_away_expires_nothing() {
    let (database, runtime) = virtual_time();
    let items = database.collection("items");
    expire_by_at(&items, 0);
    items.insert_one(doc! { "at": at(&runtime, -1) }).unwrap();
    items.drop_index("at_1").unwrap();
    assert_eq!(database.expire_now().unwrap(), 0);
    expire_by_at(&items, 0);
    items.drop_collection().unwrap();
    assert_eq!(database.expire_now().unwrap(), 0);
    assert!(runtime.unix_ms() > 0);
}
