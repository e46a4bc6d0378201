//! Ten thousand collections, with two more trees each as indexes will take:
//! what opening reads, what a commit writes, and what an idle one costs. Counts
//! of pages, not times: those are the same on any machine.

use std::sync::Arc;

use bson::doc;
use collection_store::{Database, io};
use cs_kv::{Batch, CommitOptions};
use io::memory::MemoryDisk;

const TREES_BESIDE: usize = 2;

fn open(disk: &Arc<MemoryDisk>) -> Database {
    let options = Database::options();
    options
        .open_on(disk.clone(), io::RealRuntime::new())
        .unwrap()
}

/// A closed database with so many empty collections.
fn with_collections(count: usize) -> Arc<MemoryDisk> {
    let disk = MemoryDisk::new();
    let database = open(&disk);
    for number in 0..count {
        let name = format!("collection-{number:05}");
        database.collection(&name).create().unwrap();
    }
    let store = database.store();
    for _ in 0..count.div_ceil(1000) {
        let mut batch = Batch::new();
        for _ in 0..TREES_BESIDE * count.min(1000) {
            batch.create_tree(store.new_tree_id());
        }
        let ticket = store.write(&batch, &CommitOptions::default()).unwrap();
        ticket.wait().unwrap();
    }
    database.close().unwrap();
    disk
}

#[derive(Debug)]
struct Costs {
    read_to_open: u64,
    read_to_insert: u64,
    written_for_insert: u64,
    log_for_insert: u64,
    bytes_in_use: u64,
}

fn costs(disk: &Arc<MemoryDisk>) -> Costs {
    let database = open(disk);
    let stats = || database.store().stats();
    let opened = stats();
    let collection = database.collection("collection-00007");
    collection.insert_one(doc! { "_id": 1 }).unwrap();
    let first = stats();
    database.checkpoint().unwrap();
    let before = stats();
    collection.insert_one(doc! { "_id": 2 }).unwrap();
    let after = stats();
    database.checkpoint().unwrap();
    Costs {
        read_to_open: opened.pool.pages_read,
        read_to_insert: first.pool.pages_read - opened.pool.pages_read,
        written_for_insert: stats().pool.pages_written - before.pool.pages_written,
        log_for_insert: after.log_bytes - before.log_bytes,
        bytes_in_use: database.space().unwrap().used_bytes,
    }
}

#[test]
fn ten_thousand_collections_open_and_commit_like_ten() {
    let few = costs(&with_collections(10));
    let many = costs(&with_collections(10_000));
    // The maps of both metas, whatever the number of collections.
    assert!(
        many.read_to_open <= few.read_to_open + 2,
        "{few:?} {many:?}"
    );
    assert!(many.read_to_open <= 4, "{many:?}");
    // A path of catalog and directory: a level or two more.
    assert!(
        many.read_to_insert <= few.read_to_insert + 4,
        "{few:?} {many:?}"
    );
    assert!(
        many.written_for_insert <= few.written_for_insert + 2,
        "{few:?} {many:?}"
    );
    assert_eq!(many.log_for_insert, few.log_for_insert);
    let each = (many.bytes_in_use - few.bytes_in_use) / 10_000;
    assert!(each < 512, "{each} bytes for a collection, {many:?}");
}
