//! Find by `_id` and scan from a warm database; with the feature `peers`, LMDB
//! on the same keys and values beside it.
//!
//! `cargo bench -p cs-benches --features peers --bench reads`

use std::hint::black_box;

use bson::doc;
use collection_store::Database;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use cs_benches::{SIZES, fill, keys};

fn reads(criterion: &mut Criterion) {
    for documents in SIZES {
        reads_of(criterion, documents);
    }
}

fn reads_of(criterion: &mut Criterion, documents: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let keys = keys(documents);
    let database = fill(&directory.path().join("cs"), &keys, u64::MAX / 8);
    database.checkpoint().expect("a checkpoint");
    let mut order = keys.clone();
    // The keys are random in their first half: this is a shuffle.
    order.sort_unstable_by(|one, two| one[8..].cmp(&two[8..]));

    find(criterion, &database, &order);
    scan(criterion, &database, documents);
    #[cfg(feature = "peers")]
    lmdb::both(criterion, &directory.path().join("lmdb"), &keys, &order);
}

fn find(criterion: &mut Criterion, database: &Database, order: &[String]) {
    let collection = database.collection("bench");
    let mut next = order.iter().cycle();
    criterion
        .benchmark_group(format!("find-id of {}", order.len()))
        .bench_function("collection-store", |bencher| {
            bencher.iter_batched(
                || next.next().expect("a cycle has no end").as_str(),
                |key| {
                    black_box(
                        collection
                            .find_by_id(key)
                            .expect("a read")
                            .expect("a document"),
                    )
                },
                BatchSize::SmallInput,
            );
        });
}

/// What a reader does with a value at the least: both ends of it are read, so
/// that no engine gets away with handing out a pointer.
fn looked_at(value: &[u8]) -> usize {
    let ends = value.first().zip(value.last());
    value.len() + ends.map_or(0, |(&first, &last)| usize::from(first ^ last))
}

fn scan(criterion: &mut Criterion, database: &Database, documents: usize) {
    let collection = database.collection("bench");
    let mut group = criterion.benchmark_group(format!("scan of {documents}"));
    group
        .throughput(Throughput::Elements(documents as u64))
        .sample_size(20);
    group.bench_function("collection-store", |bencher| {
        bencher.iter(|| {
            let mut cursor = collection.find(doc! {}).run().expect("a cursor");
            let mut bytes = 0;
            while let Some(document) = cursor.advance().expect("a read") {
                bytes += looked_at(document.as_bytes());
            }
            black_box(bytes)
        });
    });
}

#[cfg(feature = "peers")]
mod lmdb {
    use std::path::Path;

    use cs_benches::document;
    use heed::types::Bytes;
    use heed::{CommitOrAbort, EnvOpenOptions};

    use super::{BatchSize, Criterion, Throughput, black_box};

    pub(super) fn both(criterion: &mut Criterion, path: &Path, keys: &[String], order: &[String]) {
        std::fs::create_dir_all(path).expect("a directory");
        #[expect(unsafe_code, reason = "LMDB maps a file; nobody else touches this one")]
        // SAFETY: the directory is ours alone and its file is not changed by others.
        let environment = unsafe { EnvOpenOptions::new().map_size(4 << 30).open(path) };
        let environment = environment.expect("an environment");
        let txn = environment.write_txn().expect("a transaction");
        let database = environment
            .create_databases_and_commit(txn, |opener, txn| {
                let database = opener.create_database::<Bytes, Bytes>(txn, None)?;
                Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(database))
            })
            .expect("a database")
            .unwrap_commit();
        let mut txn = environment.write_txn().expect("a transaction");
        for key in keys {
            let value = document(key);
            database
                .put(&mut txn, key.as_bytes(), value.as_bytes())
                .expect("a put");
        }
        txn.commit().expect("a commit");

        let mut next = order.iter().cycle();
        criterion
            .benchmark_group(format!("find-id of {}", order.len()))
            .bench_function("lmdb", |bencher| {
                bencher.iter_batched(
                    || next.next().expect("a cycle has no end").as_bytes(),
                    |key| {
                        // A transaction for each find and a copy of the value, as ours does.
                        let txn = environment.read_txn().expect("a transaction");
                        let value = database.get(&txn, key).expect("a read").expect("a value");
                        black_box(value.to_vec())
                    },
                    BatchSize::SmallInput,
                );
            });
        let mut group = criterion.benchmark_group(format!("scan of {}", keys.len()));
        group
            .throughput(Throughput::Elements(keys.len() as u64))
            .sample_size(20);
        group.bench_function("lmdb", |bencher| {
            bencher.iter(|| {
                let txn = environment.read_txn().expect("a transaction");
                let entries = database.iter(&txn).expect("a cursor");
                let bytes: usize = entries
                    .map(|entry| super::looked_at(entry.expect("a read").1))
                    .sum();
                black_box(bytes)
            });
        });
    }
}

criterion_group!(benches, reads);
criterion_main!(benches);
