use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bson::doc;
use collection_store::io::SimRuntime;
use collection_store::io::memory::MemoryDisk;
use collection_store::{Database, ErrorKind, Subscription, WatchOptions};

use crate::{open, put, told};

/// Long enough for whatever comes.
const PATIENCE: Duration = Duration::from_secs(30);

fn telling(database: &Database) -> (Subscription, Receiver<String>) {
    let (sender, receiver) = channel();
    let hear = move |event: collection_store::Result<&_>| {
        let text = event.map_or_else(|error| format!("{:?}", error.kind()), told);
        let _ = sender.send(text);
    };
    (
        database.listen(WatchOptions::new(), hear).unwrap(),
        receiver,
    )
}

fn next(receiver: &Receiver<String>) -> String {
    receiver.recv_timeout(PATIENCE).unwrap()
}

#[test]
fn listeners_hear_of_each_commit_in_order_until_they_end() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(&directory.path().join("db"));
    let items = database.collection("items");
    let (one, heard_one) = telling(&database);
    let (two, heard_two) = telling(&database);
    for id in 0..200 {
        put(&items, id, id);
    }
    for heard in [&heard_one, &heard_two] {
        assert_eq!(next(heard), "Create items");
        for id in 0..200 {
            assert_eq!(next(heard), format!("Insert items {id} n={id}"));
        }
    }
    drop(one);
    put(&items, 200, 200);
    assert_eq!(next(&heard_two), "Insert items 200 n=200");
    assert!(heard_one.recv().is_err(), "what it held is gone with it");
    assert!(two.is_active());
    database.close().unwrap();
    assert!(!two.is_active());
    assert!(heard_two.recv().is_err());
    let refused = database.listen(WatchOptions::new(), |_| {}).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
}

#[test]
fn a_directory_is_free_when_the_last_handle_is_gone_whoever_still_listens() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let database = open(&path);
    let (subscription, heard) = telling(&database);
    drop(database);
    assert!(!subscription.is_active());
    assert!(heard.recv().is_err());
    drop(open(&path));
}

#[test]
fn one_that_panics_ends_and_the_others_go_on() {
    let database = Database::open_in_memory().unwrap();
    let (sender, dropped) = channel::<()>();
    let panicking = database
        .listen(WatchOptions::new(), move |_| {
            let _held = &sender;
            panic!("a planted panic");
        })
        .unwrap();
    let (_listens, heard) = telling(&database);
    put(&database.collection("items"), 1, 1);
    assert_eq!(next(&heard), "Create items");
    assert_eq!(next(&heard), "Insert items 1 n=1");
    assert!(dropped.recv_timeout(PATIENCE).is_err(), "it is let go");
    assert!(!panicking.is_active());
    put(&database.collection("items"), 2, 2);
    assert_eq!(next(&heard), "Insert items 2 n=2");
}

#[test]
fn a_slow_one_holds_no_writer_up_and_is_told_what_it_lost() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::options()
        .auto_compact(None)
        .feed_log_bytes(1 << 20)
        .open(directory.path().join("db"))
        .unwrap();
    let items = database.collection("items");
    let (sender, heard) = channel();
    let (go, may_go) = channel::<()>();
    let _subscription = items
        .listen(WatchOptions::new(), move |event| {
            let text = event.map_or_else(|error| format!("{:?}", error.kind()), told);
            let _ = sender.send(text);
            let _ = may_go.recv();
        })
        .unwrap();
    put(&items, 0, 0);
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "Create items");
    // It stands still, and writers do not.
    let large = "x".repeat(1 << 20);
    for id in 1..30 {
        items
            .insert_one(doc! { "_id": id, "n": id, "large": &large })
            .unwrap();
        database.checkpoint().unwrap();
    }
    go.send(()).unwrap();
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "Insert items 0 n=0");
    go.send(()).unwrap();
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "ChangesLost");
    go.send(()).unwrap();
    // From then on it hears again; when that is, only what comes can tell.
    for id in 100.. {
        put(&items, id, id);
        if let Ok(text) = heard.recv_timeout(Duration::from_millis(20)) {
            assert!(text.starts_with("Insert items 1"), "{text}");
            break;
        }
    }
    drop(go);
}

#[test]
fn one_that_is_slow_for_a_while_reads_the_log_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(&directory.path().join("db"));
    let items = database.collection("items");
    let (sender, heard) = channel();
    let (go, may_go) = channel::<()>();
    let _subscription = items
        .listen(WatchOptions::new(), move |event| {
            let _ = sender.send(event.map_or_else(|error| error.to_string(), told));
            let _ = may_go.recv();
        })
        .unwrap();
    let large = "x".repeat(1 << 20);
    for id in 0..12 {
        items
            .insert_one(doc! { "_id": id, "n": id, "large": &large })
            .unwrap();
    }
    drop(go);
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "Create items");
    for id in 0..12 {
        let expected = format!("Insert items {id} n={id}");
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), expected);
    }
}

#[test]
fn a_listener_may_write_close_and_end_itself() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(&directory.path().join("db"));
    let (sender, done) = channel();
    let held: Arc<Mutex<Option<Subscription>>> = Arc::default();
    let (writer, inner) = (database.clone(), Arc::clone(&held));
    let subscription = database
        .collection("items")
        .listen(WatchOptions::new(), move |event| {
            let Ok(event) = event else { return };
            writer
                .collection("copies")
                .insert_one(doc! { "of": told(event) })
                .unwrap();
            if event.document_key.is_some() {
                drop(inner.lock().unwrap().take());
                writer.close().unwrap();
                sender.send(()).unwrap();
            }
        })
        .unwrap();
    *held.lock().unwrap() = Some(subscription);
    put(&database.collection("items"), 1, 1);
    done.recv_timeout(PATIENCE).unwrap();
    assert!(done.recv_timeout(PATIENCE).is_err(), "the closure is gone");
}

#[test]
fn in_simulation_the_step_of_the_store_tells_them() {
    let database = Database::options()
        .open_on(MemoryDisk::new(), SimRuntime::new(1))
        .unwrap();
    let (_subscription, heard) = telling(&database);
    put(&database.collection("items"), 1, 1);
    assert!(heard.try_recv().is_err());
    while database.store().step().unwrap() {}
    assert_eq!(
        heard.try_iter().collect::<Vec<_>>(),
        ["Create items", "Insert items 1 n=1"]
    );
}
