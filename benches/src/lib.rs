//! What the benches share: the same documents for every engine.
#![forbid(unsafe_code)]

pub mod documents;

use std::path::Path;

use bson::RawDocumentBuf;
use bson::raw::cstr;
use collection_store::{Database, Durability};

/// Documents of the read benches: about as many as the processor's caches
/// hold, and three times as many; both well within the page cache.
pub const SIZES: [usize; 2] = [100_000, 300_000];
/// Bytes of each document's value.
pub const VALUE: usize = 150;

/// Unique keys of 24 characters, in random order, the same at every call.
#[must_use]
pub fn keys(count: usize) -> Vec<String> {
    let mut random = oorandom::Rand64::new(42);
    (0..count)
        .map(|number| format!("{:016x}{:08x}", random.rand_u64(), number))
        .collect()
}

/// The document of a key.
#[must_use]
pub fn document(key: &str) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), key);
    document.append(cstr!("value"), "v".repeat(VALUE));
    document
}

/// Fills a new database with the documents of `keys`, one commit each but not
/// synced one by one.
///
/// # Panics
/// If anything fails: a bench has nobody to tell.
#[must_use]
pub fn fill(directory: &Path, keys: &[String], checkpoint_log_bytes: u64) -> Database {
    let database = Database::options()
        .durability(Durability::Async)
        .checkpoint_log_bytes(checkpoint_log_bytes)
        .open(directory)
        .expect("a database in an empty directory");
    let collection = database.collection("bench");
    for key in keys {
        collection.insert_one(document(key)).expect("an insert");
    }
    database.flush().expect("a flush");
    database
}
