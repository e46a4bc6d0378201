//! What collections demand of their documents, on every path by which one is written.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod crashes;
mod ids;
mod migrations;
mod schemas;
mod validators;

use bson::{Document, RawDocumentBuf, doc};
use collection_store::{Collection, Database, Error, ErrorKind, OperationContext};

/// A new database with a collection that has these options.
fn collection(options: Document) -> (Database, Collection) {
    let database = Database::open_in_memory().unwrap();
    let collection = database.collection("c");
    collection
        .create_with(&OperationContext::new(), options)
        .unwrap();
    (database, collection)
}

/// It is a refusal by rules, and says why.
fn is_refused<T: std::fmt::Debug>(result: Result<T, Error>) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DocumentValidation, "{error:?}");
    assert_eq!(error.code(), Some(121));
    assert!(error.details().is_some(), "{error:?}");
    error
}

fn all(collection: &Collection) -> Vec<RawDocumentBuf> {
    let found = collection.find(doc! {}).run().unwrap();
    found.map(|document| document.unwrap()).collect()
}
