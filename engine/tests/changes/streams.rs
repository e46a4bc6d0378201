use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use bson::{Bson, doc};
use collection_store::{
    BulkOptions, CancelFlag, ChangeOperation, Compression, CompressionOptions, Database,
    Duplicates, Durability, ErrorKind, OperationContext, WatchOptions,
};

use crate::{all, open, put, shown};

#[test]
fn a_stream_tells_of_each_write_in_order_and_of_what_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(&directory.path().join("db"));
    let items = database.collection("items");
    items.insert_one(doc! { "_id": 0, "n": 0 }).unwrap();
    let mut stream = database.watch().unwrap();
    assert!(
        stream.next().unwrap().is_none(),
        "what was before is not told"
    );
    items
        .insert_many((1..4).map(|id| doc! { "_id": id, "n": id }))
        .unwrap();
    items
        .replace_one(doc! { "_id": 1 }, doc! { "n": 11 })
        .unwrap();
    items
        .replace_one(doc! { "n": 2 }, doc! { "n": 12 })
        .unwrap();
    items.delete_one(doc! { "_id": 3 }).unwrap();
    items.delete_one(doc! { "n": 0 }).unwrap();
    items.delete_many(doc! { "n": { "$gte": 12 } }).unwrap();
    assert!(!items.delete_one(doc! { "_id": 77 }).unwrap());
    let events = all(&mut stream);
    let text: Vec<_> = events.iter().map(crate::told).collect();
    let expected = [
        "Insert items 1 n=1",
        "Insert items 2 n=2",
        "Insert items 3 n=3",
        "Replace items 1 n=11",
        "Replace items 2 n=12",
        "Delete items 3",
        "Delete items 0",
        "Delete items 2",
    ];
    assert_eq!(text, expected);
    assert_eq!(events[0].transaction, events[2].transaction, "one commit");
    let ordered = |pair: &[collection_store::ChangeEvent]| {
        pair[0].transaction <= pair[1].transaction && pair[0].time <= pair[1].time
    };
    assert!(events.windows(2).all(ordered));
    assert_eq!(&*events[0].database, "main");
}

#[test]
fn what_a_transaction_came_to_is_told_and_nothing_else() {
    let database = Database::open_in_memory().unwrap();
    let (one, two) = (database.collection("one"), database.collection("two"));
    put(&one, 1, 1);
    put(&one, 2, 1);
    let mut stream = database.watch().unwrap();
    let transaction = database.begin().unwrap();
    let (inner_one, inner_two) = (transaction.collection("one"), transaction.collection("two"));
    put(&inner_one, 1, 5);
    put(&inner_one, 1, 6);
    inner_one.delete_one(doc! { "_id": 2 }).unwrap();
    put(&inner_one, 2, 7);
    put(&inner_one, 3, 8);
    inner_one.insert_one(doc! { "_id": 4 }).unwrap();
    inner_one.delete_one(doc! { "_id": 4 }).unwrap();
    put(&inner_two, 1, 1);
    inner_two.insert_one(doc! { "_id": 2 }).unwrap();
    inner_two.delete_one(doc! { "_id": 2 }).unwrap();
    assert!(stream.next().unwrap().is_none());
    transaction.commit().unwrap();
    let events = all(&mut stream);
    assert!(
        events
            .iter()
            .all(|event| event.transaction == events[0].transaction)
    );
    let text: Vec<_> = events.iter().map(crate::told).collect();
    let expected = [
        "Create two",
        "Replace one 1 n=6",
        "Replace one 2 n=7",
        "Insert one 3 n=8",
        "Insert two 1 n=1",
    ];
    assert_eq!(text, expected);
    put(&two, 1, 2);
    assert_eq!(shown(&mut stream), ["Replace two 1 n=2"]);
}

#[test]
fn a_prepared_transaction_is_told_when_it_is_decided_and_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let database = open(&path);
    put(&database.collection("items"), 1, 1);
    let mut stream = database.watch().unwrap();
    for (gid, number) in [("a", 2), ("b", 3)] {
        let transaction = database.begin().unwrap();
        let items = transaction.collection("items");
        put(&items, number, number);
        if number == 2 {
            put(&items, 1, 9);
        }
        transaction.prepare(gid).unwrap();
    }
    assert_eq!(shown(&mut stream), [""; 0]);
    let token = stream.token();
    drop(stream);
    drop(database);
    let database = open(&path);
    let options = WatchOptions::new().resume_after(token);
    let mut stream = database.watch_with(options).unwrap();
    database.commit_prepared("a").unwrap();
    database.rollback_prepared("b").unwrap();
    database.commit_prepared("a").unwrap_err();
    assert_eq!(
        shown(&mut stream),
        ["Replace items 1 n=9", "Insert items 2 n=2"]
    );
}

#[test]
fn a_stream_shows_its_scope_and_the_operations_asked_for() {
    let database = Database::open_in_memory().unwrap();
    let other = database.database("other");
    let mut here = database.watch().unwrap();
    let mut everywhere = database
        .watch_with(WatchOptions::new().whole_directory())
        .unwrap();
    let mut items = database.collection("items").watch().unwrap();
    let only = [ChangeOperation::Delete, ChangeOperation::Drop];
    let mut some = database
        .watch_with(WatchOptions::new().operations(only))
        .unwrap();
    put(&database.collection("items"), 1, 1);
    put(&database.collection("more"), 1, 1);
    put(&other.collection("items"), 1, 1);
    database
        .collection("items")
        .delete_one(doc! { "_id": 1 })
        .unwrap();
    assert_eq!(
        shown(&mut here),
        [
            "Create items",
            "Insert items 1 n=1",
            "Create more",
            "Insert more 1 n=1",
            "Delete items 1"
        ]
    );
    assert_eq!(all(&mut everywhere).len(), 7);
    assert_eq!(
        shown(&mut items),
        ["Create items", "Insert items 1 n=1", "Delete items 1"]
    );
    assert_eq!(shown(&mut some), ["Delete items 1"]);
}

#[test]
fn a_bulk_load_is_told_as_inserts_and_what_it_replaces_as_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(&directory.path().join("db"));
    let items = database.collection("items");
    let mut stream = items.watch().unwrap();
    let mut options = BulkOptions::default();
    let load = |range: std::ops::Range<i32>, options: &BulkOptions| {
        let documents = range.map(|id| doc! { "_id": id, "n": 1 });
        items
            .bulk_load(documents, options, |_| ControlFlow::Continue(()))
            .unwrap();
    };
    load(0..100, &options);
    options.duplicates = Duplicates::Replace;
    load(90..110, &options);
    let text = shown(&mut stream);
    let count = |what: &str| text.iter().filter(|line| line.starts_with(what)).count();
    assert_eq!(
        (count("Insert"), count("Replace"), text.len()),
        (110, 10, 121)
    );
}

#[test]
fn large_documents_and_compressed_ones_come_back_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let database = Database::options()
        .compression(CompressionOptions::of(Compression::Lz4))
        .open(&path)
        .unwrap();
    let items = database.collection("items");
    let mut stream = items.watch_with(WatchOptions::new().with_before()).unwrap();
    let token = stream.token();
    let text = "collection ".repeat(100_000);
    items
        .insert_one(doc! { "_id": 1, "n": 1, "text": text.as_str() })
        .unwrap();
    items
        .replace_one(doc! { "_id": 1 }, doc! { "n": 2 })
        .unwrap();
    // Several parts of the log.
    database
        .with_transaction(|transaction| {
            for id in 2..10 {
                let noise: String = (0..400_000)
                    .map(|at| char::from((at * id * 31 % 97) as u8 + 32))
                    .collect();
                transaction
                    .collection("items")
                    .insert_one(doc! { "_id": id, "n": 1, "text": noise })?;
            }
            Ok(())
        })
        .unwrap();
    let events = all(&mut stream);
    assert_eq!(
        events[1]
            .document
            .as_ref()
            .unwrap()
            .get_str("text")
            .unwrap(),
        text
    );
    assert_eq!(
        events[2].before.as_ref().unwrap().get_str("text").unwrap(),
        text
    );
    assert_eq!(events.len(), 11);
    // The same from the log, and in its middle.
    for (seen, event) in events.iter().enumerate() {
        let options = WatchOptions::new().resume_after(event.token).with_before();
        assert_eq!(
            all(&mut items.watch_with(options).unwrap()),
            events[seen + 1..]
        );
    }
    let options = WatchOptions::new().resume_after(token).with_before();
    assert_eq!(all(&mut items.watch_with(options).unwrap()), events);
}

#[test]
fn the_key_of_a_deleted_document_is_told_without_the_document() {
    let database = Database::open_in_memory().unwrap();
    let items = database.collection("items");
    let ids = [
        Bson::Int32(-5),
        Bson::Int64(1 << 40),
        Bson::Double(0.25),
        Bson::String("a\0b".into()),
        Bson::ObjectId(bson::oid::ObjectId::from_bytes([7; 12])),
        Bson::Boolean(true),
        Bson::DateTime(bson::DateTime::from_millis(-3)),
        bson::bson!({ "a": 1, "b": ["x", null] }),
    ];
    for id in &ids {
        items.insert_one(doc! { "_id": id.clone() }).unwrap();
    }
    let mut stream = items.watch().unwrap();
    for id in &ids {
        assert!(items.delete_one(doc! { "_id": id.clone() }).unwrap());
    }
    let keys: Vec<_> = all(&mut stream)
        .into_iter()
        .map(|event| event.document_key.unwrap())
        .collect();
    assert_eq!(keys, ids);
}

#[test]
fn waiting_ends_with_an_event_a_deadline_a_cancel_or_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(&directory.path().join("db"));
    let items = database.collection("items");
    let mut stream = items.watch().unwrap();
    assert!(!stream.wait(Duration::from_millis(1)).unwrap());
    thread::scope(|scope| {
        scope.spawn(|| put(&items, 1, 1));
        let mut events = stream.events();
        assert_eq!(
            events.next().unwrap().unwrap().operation,
            ChangeOperation::Create
        );
        assert_eq!(
            events.next().unwrap().unwrap().operation,
            ChangeOperation::Insert
        );
    });
    // What was acknowledged before it was durable is told once it is.
    let lazy = OperationContext::new().durability(Durability::Async);
    items.insert_one_with(&lazy, doc! { "_id": 2 }).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| database.flush().unwrap());
        assert!(stream.events().next().unwrap().is_ok());
    });
    let with = |context: OperationContext| WatchOptions::new().context(context);
    let brief = OperationContext::new().timeout(Duration::from_millis(5));
    let mut late = items.watch_with(with(brief)).unwrap();
    let error = late.events().next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let flag = CancelFlag::new();
    let mut stopped = items
        .watch_with(with(OperationContext::new().cancel_flag(flag.clone())))
        .unwrap();
    thread::scope(|scope| {
        scope.spawn(|| flag.cancel());
        let error = stopped.events().next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    });
    thread::scope(|scope| {
        scope.spawn(|| database.close().unwrap());
        let error = stream.events().next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    });
    assert_eq!(stream.next().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(items.watch().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_collection_in_a_transaction_is_not_watched() {
    let database = Database::open_in_memory().unwrap();
    let transaction = database.begin().unwrap();
    let refused = transaction.collection("items").watch().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotInTransaction);
}
