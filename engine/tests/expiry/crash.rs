//! Passes that a crash of the machine cuts short.

use std::sync::Arc;
use std::time::Duration;

use bson::doc;
use collection_store::io::sim::{CrashKind, Rng, SimDisk, SimOptions};
use collection_store::io::{Runtime, SimRuntime};
use collection_store::{Database, IndexModel};

use crate::{INTERVAL, at};

fn open(disk: &Arc<SimDisk>, runtime: &Arc<SimRuntime>) -> Database {
    Database::options()
        .checkpoint_log_bytes(64 << 10)
        .auto_compact(None)
        .open_on(disk.clone(), runtime.clone())
        .unwrap()
}

/// Lives of a database whose documents expire, each ended by a crash.
fn live(seed: u64) {
    let mut rng = Rng::new(seed);
    let runtime = SimRuntime::new(seed);
    let mut disk = SimDisk::new(seed, SimOptions::default());
    let began = at(&runtime, 0);
    let (mut next, mut lasting) = (0, Vec::new());
    for _ in 0..4 {
        let database = open(&disk, &runtime);
        let items = database.collection("items");
        let index = IndexModel::new(doc! { "end": 1 }).expire_after_seconds(0);
        items.create_index(index).unwrap();
        let other = IndexModel::new(doc! { "n": -1 }).unique(true);
        items.create_index(other).unwrap();
        for _ in 0..rng.below(200) {
            let is_lasting = rng.below(3) == 0;
            let seconds = if is_lasting {
                1_000_000
            } else {
                rng.below(90) as i64
            };
            let end = at(&runtime, seconds);
            items
                .insert_one(doc! { "_id": next, "n": next, "end": end })
                .unwrap();
            lasting.extend(is_lasting.then_some(next));
            next += 1;
        }
        // So many steps of a pass, or of several.
        runtime.advance(INTERVAL + Duration::from_secs(rng.below(120)));
        for _ in 0..rng.below(60) {
            database.store().step().unwrap();
        }
        let image = disk.crash(&mut rng, CrashKind::Machine);
        drop((items, database));
        disk = SimDisk::from_image(&image, rng.draw(), SimOptions::default());

        let database = open(&disk, &runtime);
        let items = database.collection("items");
        let expired = items
            .count(doc! { "end": { "$lte": at(&runtime, 0) } })
            .unwrap();
        assert_eq!(database.expire_now().unwrap(), expired, "seed {seed}");
        let left = |filter| items.count(filter).unwrap();
        let gone = left(doc! { "end": { "$gte": began, "$lte": at(&runtime, 0) } });
        assert_eq!(gone, 0, "seed {seed}");
        assert!(left(doc! {}) >= lasting.len() as u64, "seed {seed}");
        for id in &lasting {
            assert_eq!(left(doc! { "n": *id }), 1, "seed {seed}, document {id}");
        }
        database.close().unwrap();
        assert!(runtime.unix_ms() > 0);
    }
}

#[test]
fn a_pass_that_a_crash_cut_short_is_made_again_and_nothing_else_is_lost() {
    for seed in 0..12 {
        live(seed);
    }
}
