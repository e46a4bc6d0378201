//! Documents that expire, through the public surface and in virtual time.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod by_field;
mod crash;
mod meanwhile;
mod options;
mod passes;

use std::sync::Arc;
use std::time::Duration;

use bson::{DateTime, doc};
use collection_store::io::memory::MemoryDisk;
use collection_store::io::{Runtime, SimRuntime};
use collection_store::{Collection, Database, DatabaseOptions, IndexModel};

/// As often as it is looked for expired documents unless told.
const INTERVAL: Duration = Duration::from_secs(60);

/// A database in virtual time.
fn virtual_time() -> (Database, Arc<SimRuntime>) {
    let runtime = SimRuntime::new(7);
    let database = open(Database::options(), &MemoryDisk::new(), &runtime);
    (database, runtime)
}

fn open(options: DatabaseOptions, disk: &Arc<MemoryDisk>, runtime: &Arc<SimRuntime>) -> Database {
    let options = options.auto_compact(None);
    options.open_on(disk.clone(), runtime.clone()).unwrap()
}

/// So many seconds from now.
fn at(runtime: &SimRuntime, seconds: i64) -> DateTime {
    let now_ms = i64::try_from(runtime.unix_ms()).unwrap();
    DateTime::from_millis(now_ms + seconds * 1000)
}

/// Lets time pass, and all background work be done.
fn pass(database: &Database, runtime: &SimRuntime, time: Duration) {
    runtime.advance(time);
    while database.store().step().unwrap() {}
}

/// Documents live so long after the date in `at`.
fn expire_by_at(collection: &Collection, seconds: i32) {
    let index = IndexModel::new(doc! { "at": 1 }).expire_after_seconds(seconds);
    collection.create_index(index).unwrap();
}

/// The `_id`s there are, as text, in their order.
fn ids(collection: &Collection) -> String {
    let cursor = collection.find(doc! {}).run().unwrap();
    let ids = cursor.map(|document| {
        let document = bson::Document::try_from(&document.unwrap()).unwrap();
        document.get("_id").unwrap().to_string()
    });
    ids.collect::<Vec<_>>().join(" ")
}
