//! What outlives the process, and looking without touching.

use std::collections::BTreeMap;
use std::path::Path;

use bson::doc;
use collection_store::{Database, Durability, ErrorKind, OperationContext};

fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), bytes)
        })
        .collect()
}

#[test]
fn documents_catalog_and_options_are_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    for closed in [true, false] {
        let database = Database::open(&path).unwrap();
        let c = database.collection("c");
        c.drop_collection().unwrap();
        c.create_with(&OperationContext::new(), doc! { "note": 1 })
            .unwrap();
        c.insert_many((0..100).map(|n| doc! { "_id": n })).unwrap();
        c.delete_one(doc! { "_id": 50 }).unwrap();
        if closed {
            database.close().unwrap();
        }
        drop((c, database));

        let database = Database::open(&path).unwrap();
        let c = database.collection("c");
        assert_eq!(c.count(doc! {}).unwrap(), 99);
        assert_eq!(c.count(doc! { "_id": { "$gte": 0 } }).unwrap(), 99);
        assert_eq!(c.options().unwrap().unwrap().get_i32("note").unwrap(), 1);
        assert!(c.find_by_id(50).unwrap().is_none());
    }
}

#[test]
fn numbers_of_collections_are_never_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let mut seen = Vec::new();
    for _ in 0..3 {
        let database = Database::open(&path).unwrap();
        let c = database.collection("c");
        c.create().unwrap();
        seen.push(database.list_collections().unwrap()[0].id);
        c.drop_collection().unwrap();
        database.close().unwrap();
    }
    seen.dedup();
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn reading_only_sees_the_log_and_changes_no_byte() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let database = Database::open(&path).unwrap();
    database
        .collection("c")
        .insert_one(doc! { "_id": 1 })
        .unwrap();
    database.checkpoint().unwrap();
    database
        .collection("c")
        .insert_one(doc! { "_id": 2 })
        .unwrap();
    drop(database);

    let before = files(&path);
    let database = Database::open_read_only(&path).unwrap();
    assert!(database.is_read_only());
    let c = database.collection("c");
    assert_eq!(c.count(doc! {}).unwrap(), 2);
    for error in [
        c.insert_one(doc! {}).unwrap_err(),
        c.replace_one(doc! {}, doc! {}).unwrap_err(),
        c.delete_many(doc! {}).unwrap_err(),
        c.create().unwrap_err(),
        c.drop_collection().unwrap_err(),
        c.rename("d", false).unwrap_err(),
        database.drop_database().unwrap_err(),
        database.checkpoint().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::ReadOnly);
    }
    database.close().unwrap();
    drop((c, database));
    assert_eq!(files(&path), before);
}

#[test]
fn looking_at_what_is_not_there_makes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none");
    assert_eq!(
        Database::open_read_only(&path).unwrap_err().kind(),
        ErrorKind::Io
    );
    assert!(Database::options().create(false).open(&path).is_err());
    assert!(!path.exists());
    assert_eq!(
        Database::open_read_only(directory.path())
            .unwrap_err()
            .kind(),
        ErrorKind::Io
    );
}

#[test]
fn a_second_writer_is_refused_and_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let first = Database::open(&path).unwrap();
    assert_eq!(Database::open(&path).unwrap_err().kind(), ErrorKind::Locked);
    drop(first);
    Database::open(&path).unwrap();
}

#[test]
fn a_closed_database_refuses_every_operation() {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    c.insert_many((0..5).map(|n| doc! { "_id": n })).unwrap();
    let cursor = c.find(doc! {}).run().unwrap();
    database.close().unwrap();
    database.close().unwrap();
    for error in [
        c.insert_one(doc! {}).unwrap_err(),
        c.find_by_id(1).unwrap_err(),
        c.count(doc! {}).unwrap_err(),
        c.delete_one(doc! {}).unwrap_err(),
        database.list_collections().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
    assert_eq!(cursor.count(), 5, "cursors go on");
}

#[test]
fn a_database_without_sync_still_keeps_what_was_closed() {
    for durability in [Durability::Async, Durability::Memory] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let options = Database::options().durability(durability);
        let database = options.clone().open(&path).unwrap();
        database.collection("c").insert_one(doc! {}).unwrap();
        database.close().unwrap();
        drop(database);
        let database = options.open(&path).unwrap();
        assert_eq!(
            database.collection("c").count(doc! {}).unwrap(),
            1,
            "{durability:?}"
        );
    }
}

#[test]
fn where_none_is_to_be_made_nothing_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let empty = directory.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for path in [&missing, &empty] {
        let error = Database::options().create(false).open(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    }
    assert!(!missing.exists());
    assert!(files(&empty).is_empty());
    Database::open(&empty).unwrap().close().unwrap();
    Database::options().create(false).open(&empty).unwrap();
}

#[test]
fn options_that_make_no_sense_are_refused_before_a_directory_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    for options in [
        Database::options().page_size(5000),
        Database::options().cache_bytes(0),
    ] {
        let error = options.open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadValue, "{error}");
        assert!(!path.exists());
    }
}

#[test]
fn a_database_without_a_log_opens_without_being_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let options = Database::options().durability(Durability::Memory);
    let database = options.open(&path).unwrap();
    database
        .collection("c")
        .insert_one(doc! { "_id": 1 })
        .unwrap();
    database.close().unwrap();
    drop(database);
    let database = Database::open(&path).unwrap();
    assert_eq!(database.collection("c").count(doc! {}).unwrap(), 1);
    drop(database);
    let options = Database::options().durability(Durability::Sync);
    let error = options.open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadValue);
}

/// Changes the data file of a new database, and opens it again.
fn opened_after(change: impl Fn(&mut Vec<u8>)) -> ErrorKind {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    Database::open(&path).unwrap().close().unwrap();
    let name = files(&path)
        .into_keys()
        .find(|name| name.contains("data"))
        .unwrap();
    let mut bytes = std::fs::read(path.join(&name)).unwrap();
    change(&mut bytes);
    std::fs::write(path.join(&name), bytes).unwrap();
    Database::open(&path).unwrap_err().kind()
}

#[test]
fn a_damaged_data_file_is_corruption_and_no_refusal_of_the_system() {
    assert_eq!(
        opened_after(|bytes| bytes.truncate(100)),
        ErrorKind::Corruption
    );
    assert_eq!(opened_after(|bytes| bytes.fill(0)), ErrorKind::Corruption);
    assert_eq!(
        opened_after(|bytes| bytes.fill(0x5A)),
        ErrorKind::Corruption
    );
}

#[test]
fn direct_io_may_be_switched_off() {
    let directory = tempfile::tempdir().unwrap();
    let options = Database::options().direct_io(collection_store::io::sys::DirectIo::Off);
    let database = options.open(directory.path().join("db")).unwrap();
    database.collection("c").insert_one(doc! {}).unwrap();
    assert!(!database.stats().unwrap().store.io.direct_io);
}
