//! The transactions of `contention.rs` over documents, in `Database::with_transaction`.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bson::{RawDocument, RawDocumentBuf, cstr};
use collection_store::{Collection, Database, Durability, Error, TransactionOptions};

use crate::cli;
use crate::engine::refused;
use crate::error::BenchError;
use crate::kv::laps;
use crate::kv::measured::Measured;
use crate::run::documents::Documents;

use super::contention::{READS, Tries, draw, figure, random};
use super::draw::{KEYS, Zipf};
use super::hot::{beside, calls};
use super::plan::Plan;
use super::workload::Workload;

const COLLECTION: &str = "bench";
/// Documents in one call of the load.
const BATCH: u64 = 10_000;

/// A database with counters in its documents.
pub(super) struct Bed {
    database: Database,
    names: Documents,
    filler: String,
    keys: u64,
}

impl Bed {
    /// A new one in `directory`, loaded with the keys of the plan.
    pub(super) fn make(directory: &Path, plan: &Plan) -> Result<Self, BenchError> {
        let mut options = Database::options().durability(match plan.durability {
            cli::Durability::Sync => Durability::Sync,
            cli::Durability::Async => Durability::Async,
            cli::Durability::Memory => Durability::Memory,
        });
        if let Some(bytes) = plan.cache_bytes {
            options = options.cache_bytes(bytes);
        }
        let database = options
            .open(directory)
            .map_err(refused("open the database"))?;
        let bed = Self {
            database,
            names: Documents::new(plan.seed, 0),
            filler: "v".repeat(plan.value_bytes as usize),
            keys: plan.keys,
        };
        let collection = bed.database.collection(COLLECTION);
        let mut next = 0;
        while next < bed.keys {
            let end = bed.keys.min(next + BATCH);
            let several: Vec<_> = (next..end).map(|number| bed.document(number, 0)).collect();
            let loaded = collection.insert_many(several);
            loaded.map_err(refused("load documents"))?;
            next = end;
        }
        bed.database.checkpoint().map_err(refused("checkpoint"))?;
        Ok(bed)
    }

    fn document(&self, number: u64, count: i64) -> RawDocumentBuf {
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("_id"), self.names.key(number));
        document.append(cstr!("n"), count);
        document.append(cstr!("v"), self.filler.as_str());
        document
    }

    fn sum(&self) -> Result<i64, BenchError> {
        let collection = self.database.collection(COLLECTION);
        let cursor = collection.find(bson::doc! {}).run();
        let mut cursor = cursor.map_err(refused("read"))?;
        let mut sum = 0;
        while let Some(document) = cursor.advance().map_err(refused("read"))? {
            sum += count_of(document);
        }
        Ok(sum)
    }

    fn attempt(&self, collection: &Collection, keys: &[u64; KEYS]) -> Result<(), Error> {
        for (at, number) in keys.iter().enumerate() {
            let key = self.names.key(*number);
            let found = collection.find_by_id(key.as_str())?;
            if at >= READS {
                let count = found.as_deref().map_or(0, count_of);
                let filter = bson::doc! { "_id": key };
                collection.replace_one(filter, self.document(*number, count + 1))?;
            }
        }
        Ok(())
    }

    /// `txn-doc-disjoint` and `txn-doc-zipf`.
    pub(super) fn run(
        &self,
        plan: &Plan,
        workload: Workload,
        threads: u64,
    ) -> Result<Measured, BenchError> {
        let zipf = (workload == Workload::DocZipf).then(|| Zipf::new(self.keys));
        let before = self.sum()?;
        // Long enough for the slowest of a crowd: a timeout would be a failed run.
        let patient = TransactionOptions::new().timeout(std::time::Duration::from_secs(600));
        let done = laps::in_threads(threads, plan.time(), |thread, lap| {
            let mut random = random(plan, thread);
            let draw = draw(zipf, thread, threads, self.keys);
            let mut tries = Tries::default();
            lap.begin();
            loop {
                let keys = draw.next(&mut random);
                let from = Instant::now();
                let mut attempts = 0;
                let done = self
                    .database
                    .with_transaction_with(&patient, |transaction| {
                        attempts += 1;
                        self.attempt(&transaction.collection(COLLECTION), &keys)
                    });
                done.map_err(refused("commit a transaction"))?;
                tries.note(attempts - 1);
                if !lap.done(from, 1) {
                    return Ok(tries);
                }
            }
        })?;
        let (row, commits) = figure(workload, threads, &done);
        self.expect_sum(before, commits * (KEYS - READS) as u64)?;
        Ok(row)
    }

    /// `txn-doc-hot`.
    pub(super) fn hot(
        &self,
        plan: &Plan,
        threads: u64,
        turn: u64,
    ) -> Result<Vec<Measured>, BenchError> {
        let collection = self.database.collection(COLLECTION);
        let fresh = AtomicU64::new(self.keys);
        let increments = || {
            let before = self.sum()?;
            let name = "txn-doc-hot: $inc of one document";
            let (row, calls) = calls(plan, threads, name, || {
                let filter = bson::doc! { "_id": self.names.key(0) };
                let update = bson::doc! { "$inc": { "n": 1_i64 } };
                let from = Instant::now();
                let updated = collection.update_one(filter, update);
                updated.map(|_| from).map_err(refused("update a document"))
            })?;
            self.expect_sum(before, calls)?;
            Ok(row)
        };
        let inserts = || {
            let inserted = calls(plan, threads, "txn-doc-hot: inserts", || {
                let document = self.document(fresh.fetch_add(1, Ordering::Relaxed), 0);
                let from = Instant::now();
                let inserted = collection.insert_one(document);
                inserted.map(|_| from).map_err(refused("insert a document"))
            })?;
            Ok(inserted.0)
        };
        beside("txn-doc-hot", turn, increments, inserts)
    }

    /// Fails unless so many increments are there since the sum was `before`.
    fn expect_sum(&self, before: i64, increments: u64) -> Result<(), BenchError> {
        let found = self.sum()? - before;
        if found == increments as i64 {
            return Ok(());
        }
        Err(BenchError::WrongAnswer(format!(
            "{increments} increments were acknowledged, {found} are there"
        )))
    }
}

fn count_of(document: &RawDocument) -> i64 {
    document.get_i64("n").unwrap_or(0)
}
