//! The document layer over the whole engine, in memory and on files.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers included")]

mod backup;
mod catalog;
mod compression;
mod concurrency;
mod find;
mod limits;
mod many;
mod modify;
mod reopen;
mod snapshots;
mod space;
mod transfer;
mod write;

use collection_store::{Collection, Database};

/// Runs a test on a database in memory, and on one in a directory.
fn on_memory_and_file(test: impl Fn(&Database)) {
    let database = Database::open_in_memory().unwrap();
    test(&database);
    database.close().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(directory.path().join("db")).unwrap();
    test(&database);
    database.close().unwrap();
}

/// The `_id`s that a filter finds, as text.
fn ids(collection: &Collection, filter: bson::Document) -> Vec<String> {
    let cursor = collection.find(filter).run().unwrap();
    cursor
        .map(|document| {
            let document = bson::Document::try_from(&document.unwrap()).unwrap();
            document.get("_id").unwrap().to_string()
        })
        .collect()
}
