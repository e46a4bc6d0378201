//! Indexes: what is in them, what they find, and what they refuse.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers included")]
#![allow(clippy::expect_used, reason = "a test may panic, helpers included")]

mod build;
mod definitions;
mod generate;
mod model;
mod plans;
mod unique;

use collection_store::Collection;

/// Every index has exactly the entries that its documents make: each document is found
/// through it once, and nothing else is.
fn agrees(collection: &Collection) {
    let report = collection.check_indexes().unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}
