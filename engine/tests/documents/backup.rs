//! Backups of databases: documents, names and numbers come back.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::doc;
use collection_store::{BackupOptions, BackupProgress, Database, Durability, ErrorKind};

fn go_on(_: &BackupProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn read_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_backup_beside_writers_is_one_state_of_all_collections() {
    let scratch = tempfile::tempdir().unwrap();
    let options = Database::options().durability(Durability::Async);
    let database = options.open(scratch.path().join("db")).unwrap();
    let (left, right) = (
        database.collection("left"),
        database.database("other").collection("right"),
    );
    database.collection("empty").create().unwrap();
    left.insert_many((0..2000).map(|id| doc! { "_id": id, "text": "x".repeat(200) }))
        .unwrap();
    let stop = AtomicBool::new(false);
    let file = scratch.path().join("db.csb");
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut id = 0;
            while !stop.load(Ordering::Relaxed) {
                // Right follows left: whoever sees the second sees the first.
                left.insert_one(doc! { "_id": format!("w{id}") }).unwrap();
                right.insert_one(doc! { "_id": id }).unwrap();
                id += 1;
            }
        });
        // Some of what is written concurrently is there before the backup begins.
        while right.stats().unwrap().documents < 3 {
            std::thread::yield_now();
        }
        let report = database
            .backup_to(&file, &BackupOptions::default(), go_on)
            .unwrap();
        stop.store(true, Ordering::Relaxed);
        report
    });
    assert_eq!(
        Database::verify_backup(&file, read_on).unwrap(),
        report.summary
    );
    let copy = scratch.path().join("copy");
    Database::restore(&file, &copy).unwrap();
    let copy = Database::open(&copy).unwrap();
    let names: Vec<_> = copy
        .list_collections()
        .unwrap()
        .into_iter()
        .map(|info| info.name)
        .collect();
    assert_eq!(names, ["empty", "left"]);
    let followers = copy
        .database("other")
        .collection("right")
        .count(doc! {})
        .unwrap();
    let leaders = copy.collection("left").count(doc! {}).unwrap() - 2000;
    assert!(
        leaders == followers || leaders == followers + 1,
        "{leaders} and {followers}"
    );
    // What is made later is a collection of its own, with a number of its own.
    copy.collection("new")
        .insert_one(doc! { "_id": 1 })
        .unwrap();
    let mut ids: Vec<_> = copy
        .list_collections()
        .unwrap()
        .iter()
        .map(|info| info.id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let mut bytes = Vec::new();
    copy.backup_into(&mut bytes, &BackupOptions::default(), go_on)
        .unwrap();
    assert_eq!(&bytes[..6], b"CSBACK");
}

#[test]
fn what_cannot_be_done_is_refused_with_its_kind_and_changes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let database = Database::open(scratch.path().join("db")).unwrap();
    database
        .collection("c")
        .insert_one(doc! { "_id": 1 })
        .unwrap();
    let file = scratch.path().join("db.csb");
    let options = BackupOptions::default();
    let stopped = database.backup_to(&file, &options, |_| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
    assert!(!file.exists());
    database.backup_to(&file, &options, go_on).unwrap();
    let again = database.backup_to(&file, &options, go_on);
    assert_eq!(again.unwrap_err().kind(), ErrorKind::BadValue);
    let nameless = database.backup_to(scratch.path().join(".."), &options, go_on);
    assert_eq!(nameless.unwrap_err().kind(), ErrorKind::BadValue);
    let into_itself = database.backup_to(scratch.path().join("db/x"), &options, go_on);
    assert_eq!(into_itself.unwrap_err().kind(), ErrorKind::BadValue);
    let occupied = Database::restore(&file, scratch.path().join("db"));
    assert_eq!(occupied.unwrap_err().kind(), ErrorKind::Locked);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let damaged = Database::verify_backup(&file, read_on).unwrap_err();
    assert!(damaged.is_corruption(), "{damaged}");
    let new = scratch.path().join("new");
    assert!(Database::restore(&file, &new).unwrap_err().is_corruption());
    assert!(!new.exists());
    database.close().unwrap();
    let closed = database.backup_to(scratch.path().join("late.csb"), &options, go_on);
    assert_eq!(closed.unwrap_err().kind(), ErrorKind::Closed);
}
