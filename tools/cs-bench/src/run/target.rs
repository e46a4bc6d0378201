//! What a workload needs of a database: all that this program knows of one.

use bson::Bson;
use bson::raw::{RawDocument, RawDocumentBuf};

use crate::error::BenchError;

/// A database under load. Shared by the threads of a run.
pub(crate) trait Target: Send + Sync {
    /// Inserts one document in a commit of its own.
    fn insert(&self, document: &RawDocument) -> Result<(), BenchError>;

    /// Inserts several in one call.
    fn insert_many(&self, documents: &[RawDocumentBuf]) -> Result<(), BenchError>;

    /// Finds the document with this `_id`; its length in bytes.
    fn find(&self, id: &Bson) -> Result<Option<usize>, BenchError>;

    /// Shows every document to `each`, which may end the scan with an error.
    fn scan(
        &self,
        each: &mut dyn FnMut(&RawDocument) -> Result<(), BenchError>,
    ) -> Result<(), BenchError>;

    /// Deletes the document with this `_id`; whether there was one.
    fn delete(&self, id: &Bson) -> Result<bool, BenchError>;

    /// Number of documents.
    fn count(&self) -> Result<u64, BenchError>;

    /// How the database does its I/O.
    fn backend(&self) -> Backend;

    /// Closes it cleanly.
    fn close(self: Box<Self>) -> Result<(), BenchError>;
}

/// How a database does its I/O.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backend {
    /// `io_uring`, `syscalls`, …
    pub(crate) name: String,
    /// Why something better is not used; empty where nothing fell back.
    pub(crate) fallbacks: Vec<String>,
    /// Whether durable writes go past the page cache.
    pub(crate) direct_io: bool,
    /// Durable writes through the ring so far, loading included.
    pub(crate) ring_writes: u64,
    /// Durable writes by system call so far, loading included.
    pub(crate) syscall_writes: u64,
}
