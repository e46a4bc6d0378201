//! How long it takes to open: after a close, at two sizes (it must not grow),
//! and after a crash with 100,000 inserts in the log.
//!
//! `cargo bench -p cs-benches --bench opening`

use std::path::Path;
use std::time::{Duration, Instant};

use bson::doc;
use collection_store::Database;
use criterion::{Criterion, criterion_group, criterion_main};
use cs_benches::{fill, keys};

/// Copies the flat files of a database, since opening changes them, and syncs
/// the copies: the open that follows is not to pay for that.
fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let copy = to.join(entry.file_name());
        std::fs::copy(entry.path(), &copy).expect("a copy");
        std::fs::File::open(copy)
            .and_then(|file| file.sync_all())
            .expect("a sync");
    }
}

fn open(path: &Path) -> (Database, Duration) {
    let start = Instant::now();
    let database = Database::open(path).expect("a database");
    (database, start.elapsed())
}

fn opening(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name);
    let mut group = criterion.benchmark_group("open");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200));

    for count in [1_000, 100_000] {
        let closed = path(&format!("closed-{count}"));
        fill(&closed, &keys(count), 64 << 20)
            .close()
            .expect("a close");
        group.bench_function(format!("after close, {count} documents"), |bencher| {
            bencher.iter_custom(|rounds| {
                (0..rounds)
                    .map(|_| {
                        copy(&closed, &path("work"));
                        open(&path("work")).1
                    })
                    .sum()
            });
        });
    }

    let crashed = path("crashed");
    // Never closed, and no checkpoint: all of it is in the log.
    drop(fill(&crashed, &keys(100_000), u64::MAX / 8));
    group.bench_function("after a crash, 100000 logged inserts", |bencher| {
        bencher.iter_custom(|rounds| {
            (0..rounds)
                .map(|_| {
                    copy(&crashed, &path("work"));
                    let (database, elapsed) = open(&path("work"));
                    let found = database
                        .collection("bench")
                        .count(doc! {})
                        .expect("a count");
                    assert_eq!(found, 100_000);
                    elapsed
                })
                .sum()
        });
    });
}

criterion_group!(benches, opening);
criterion_main!(benches);
