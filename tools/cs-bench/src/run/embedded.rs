//! Collection Store behind [`Target`]: the only file here that knows its API.

use std::path::Path;

use bson::Bson;
use bson::raw::{RawDocument, RawDocumentBuf};
use collection_store::filter::Filter;
use collection_store::{Collection, Database, Error};

use crate::cli::{self, DocumentArgs};
use crate::error::BenchError;

use super::target::{Backend, Target};

/// Name of the collection that the workloads fill.
const COLLECTION: &str = "bench";

/// Opens a fresh database at `path`, as the arguments say.
pub(super) fn open(path: &Path, arguments: &DocumentArgs) -> Result<Box<dyn Target>, BenchError> {
    let mut options = Database::options().durability(match arguments.durability {
        cli::Durability::Sync => collection_store::Durability::Sync,
        cli::Durability::Async => collection_store::Durability::Async,
        cli::Durability::Memory => collection_store::Durability::Memory,
    });
    if let Some(bytes) = arguments.cache_bytes {
        options = options.cache_bytes(bytes);
    }
    let database = options.open(path).map_err(failed("open the database"))?;
    let collection = database.collection(COLLECTION);
    // So that no timed insert pays for making it.
    collection
        .create()
        .map_err(failed("create the collection"))?;
    Ok(Box::new(Embedded {
        database,
        collection,
    }))
}

/// For `map_err`: the database refused `what`.
fn failed(what: &'static str) -> impl FnOnce(Error) -> BenchError {
    move |error| BenchError::Database {
        what,
        reason: error.to_string(),
    }
}

/// A database in this process.
#[derive(Debug)]
struct Embedded {
    database: Database,
    collection: Collection,
}

impl Target for Embedded {
    fn insert(&self, document: &RawDocument) -> Result<(), BenchError> {
        let inserted = self.collection.insert_one(document);
        inserted.map(drop).map_err(failed("insert a document"))
    }

    fn insert_many(&self, documents: &[RawDocumentBuf]) -> Result<(), BenchError> {
        let inserted = self.collection.insert_many(documents);
        inserted.map(drop).map_err(failed("insert documents"))
    }

    fn find(&self, id: &Bson) -> Result<Option<usize>, BenchError> {
        let found = self.collection.find_by_id(id.clone());
        let found = found.map_err(failed("find a document"))?;
        Ok(found.map(|document| document.as_bytes().len()))
    }

    fn scan(
        &self,
        each: &mut dyn FnMut(&RawDocument) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let all = self.collection.find(Filter::all()).run();
        let mut cursor = all.map_err(failed("begin a scan"))?;
        while let Some(document) = cursor.advance().map_err(failed("scan"))? {
            each(document)?;
        }
        Ok(())
    }

    fn delete(&self, id: &Bson) -> Result<bool, BenchError> {
        let filter = bson::doc! { "_id": id.clone() };
        let deleted = self.collection.delete_one(filter);
        deleted.map_err(failed("delete a document"))
    }

    fn count(&self) -> Result<u64, BenchError> {
        let stats = self.collection.stats();
        Ok(stats.map_err(failed("count documents"))?.documents)
    }

    fn backend(&self) -> Backend {
        let io = self.database.store().stats().io;
        Backend {
            name: io.name.to_owned(),
            fallbacks: io.fallbacks,
            direct_io: io.direct_io,
            ring_writes: io.ring_writes,
            syscall_writes: io.syscall_writes,
        }
    }

    fn close(self: Box<Self>) -> Result<(), BenchError> {
        self.database.close().map_err(failed("close the database"))
    }
}
