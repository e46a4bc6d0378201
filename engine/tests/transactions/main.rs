//! Transactions over documents, through the public surface.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers included")]

mod atomicity;
mod endings;
mod isolation;
mod statement_crashes;
mod statements;
mod two_phase;
mod updates;

use bson::{Document, doc};
use collection_store::{Collection, Database};

/// A database with a collection of numbered documents.
fn numbered(count: i32) -> (Database, Collection) {
    let database = Database::open_in_memory().unwrap();
    let numbers = database.collection("numbers");
    numbers
        .insert_many((0..count).map(|id| doc! { "_id": id, "n": 0 }))
        .unwrap();
    (database, numbers)
}

/// All documents, in order.
fn all(collection: &Collection) -> Vec<Document> {
    let found = collection.find(doc! {}).run().unwrap();
    found
        .map(|document| Document::try_from(&*document.unwrap()).unwrap())
        .collect()
}
