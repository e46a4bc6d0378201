//! Memory for pages stays within what was allowed, whatever is done.
//!
//! Two counts are looked at: what the pager reckons against its budget, and the
//! arena's own peak, which is what was really in use at some moment: frames
//! that readers may still look at included.
//!
//! A program of its own, one test at a time: when memory comes back from readers
//! depends on every thread of the process that reads, other tests' included.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::ops::ControlFlow;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::sys::DirectIo;
use cs_io::uring::{IoChoice, open_best};
use cs_io::{Disk, RealRuntime};
use cs_kv::{
    Batch, CommitOptions, CompactOptions, Durability, Expect, KeyRange, ReadPath, Store,
    StoreOptions,
};
use parking_lot::{Mutex, MutexGuard};

#[path = "../store/disks.rs"]
mod disks;

use disks::{AnyDisk, any_disk, read_path};

/// One test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const PAGE: u64 = 4096;
const BUDGET: u64 = 4 * 1024 * 1024;
/// What may be in use at most, in percent of the budget.
const ALLOWED: u64 = 115;

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.page_size = PAGE as u32;
    options.read_path = read_path();
    options.log.segment_bytes_min = 64 * 1024;
    options.cache_bytes = BUDGET;
    options.checkpoint_log_bytes = 8 * 1024 * 1024;
    options.checkpoint_log_bytes_max = options.checkpoint_log_bytes;
    options
}

fn open(disk: &Arc<AnyDisk>, options: StoreOptions) -> Store {
    let disk: Arc<dyn Disk> = Arc::clone(disk) as Arc<dyn Disk>;
    Store::open(disk, RealRuntime::new(), options).unwrap()
}

fn new_tree(store: &Store) -> TreeId {
    let tree = store.new_tree_id();
    let mut batch = Batch::new();
    batch.create_tree(tree);
    write(store, &batch, Durability::Sync);
    tree
}

/// Fails if more memory was ever used than allowed.
fn assert_within(store: &Store, when: &str) {
    let pool = store.stats().pool;
    assert!(
        pool.budget_bytes < BUDGET,
        "the rest is for what is no page"
    );
    let most = BUDGET * ALLOWED / 100;
    assert!(pool.resident_bytes <= most, "{when}: {pool:#?}");
    assert!(pool.peak_bytes <= most, "{when}: {pool:#?}");
}

fn next(random: &mut u64) -> u64 {
    *random = random
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    *random >> 16
}

fn write(store: &Store, batch: &Batch, durability: Durability) {
    let options = CommitOptions::with_durability(durability);
    store.write(batch, &options).unwrap().wait().unwrap();
}

/// Three times the budget, in random order and small commits.
fn fill(store: &Store, tree: TreeId) {
    let mut random = 7;
    for round in 0..400 {
        let mut batch = Batch::new();
        for _ in 0..50 {
            let key = next(&mut random).to_be_bytes().to_vec();
            batch.put(tree, key, vec![3; 600], Expect::Any);
        }
        write(store, &batch, Durability::Memory);
        if round % 50 == 0 {
            assert_within(store, "inserts");
        }
    }
    assert_within(store, "inserts");
}

fn filled() -> (MutexGuard<'static, ()>, Arc<AnyDisk>, Store, TreeId) {
    let alone = ALONE.lock();
    let disk = any_disk();
    let store = open(&disk, options());
    let tree = new_tree(&store);
    fill(&store, tree);
    let used = store.stats().space.used * PAGE;
    assert!(used > 3 * BUDGET, "larger than memory: {used}");
    (alone, disk, store, tree)
}

#[test]
fn inserts_and_scans_of_more_than_memory_stay_within_the_budget() {
    let (_alone, disk, store, tree) = filled();
    store.checkpoint().unwrap();
    for _ in 0..2 {
        let mut cursor = store
            .snapshot()
            .unwrap()
            .cursor(tree, KeyRange::all())
            .unwrap();
        let mut count = 0;
        while cursor.next_value().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 400 * 50);
        assert_within(&store, "a scan");
    }
    assert!(store.check().unwrap().is_sound());
    assert_within(&store, "the check");
    store.close().unwrap();
    drop(store);
    let store = open(&disk, options());
    assert_within(&store, "opening");
    drop(store);
}

#[test]
fn long_iterators_and_their_old_versions_stay_within_the_budget() {
    let (_alone, _disk, store, tree) = filled();
    let mut cursors: Vec<_> = (0..8)
        .map(|_| {
            store
                .snapshot()
                .unwrap()
                .cursor(tree, KeyRange::all())
                .unwrap()
        })
        .collect();
    let mut random = 99;
    for _ in 0..60 {
        for cursor in &mut cursors {
            for _ in 0..40 {
                cursor.next().unwrap();
            }
        }
        let mut batch = Batch::new();
        for _ in 0..40 {
            let key = next(&mut random).to_be_bytes().to_vec();
            batch.put(tree, key, vec![4; 500], Expect::Any);
        }
        write(&store, &batch, Durability::Async);
    }
    assert_within(&store, "iterators");
}

#[test]
fn large_transactions_and_values_stay_within_the_budget() {
    let (_alone, _disk, store, tree) = filled();
    // A megabyte each, a quarter of all memory: in order, scattered, in one piece.
    for round in 0..6_u64 {
        let mut batch = Batch::new();
        for number in 0..1_000_u64 {
            let key = (u64::MAX / 2 + round * 1_000 + number)
                .to_be_bytes()
                .to_vec();
            batch.put(tree, key, vec![5; 600], Expect::Any);
        }
        write(&store, &batch, Durability::Sync);
        assert_within(&store, "a transaction in order");
    }
    let mut random = 1234;
    for _ in 0..10 {
        let mut batch = Batch::new();
        for _ in 0..100 {
            let key = next(&mut random).to_be_bytes().to_vec();
            batch.put(tree, key, vec![6; 600], Expect::Any);
        }
        write(&store, &batch, Durability::Sync);
        assert_within(&store, "a scattered transaction");
    }
    for number in 0..6_u64 {
        let mut batch = Batch::new();
        let value = vec![number as u8; 700_000];
        batch.put(tree, number.to_be_bytes().to_vec(), value, Expect::Any);
        write(&store, &batch, Durability::Sync);
        let read = store.snapshot().unwrap().get(tree, &number.to_be_bytes());
        assert_eq!(read.unwrap().unwrap().len(), 700_000);
        assert_within(&store, "a large value");
    }
}

#[test]
fn readers_side_by_side_stay_within_the_budget() {
    let (_alone, _disk, store, tree) = filled();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let store = &store;
            scope.spawn(move || {
                let reader = store.snapshot().unwrap().tree(tree).unwrap();
                let mut random = thread;
                for _ in 0..3_000 {
                    reader.get(&next(&mut random).to_be_bytes()).unwrap();
                }
            });
        }
    });
    assert_within(&store, "readers");
}

#[test]
fn an_empty_store_takes_next_to_nothing() {
    let _alone = ALONE.lock();
    let disk = any_disk();
    let mut options = StoreOptions::default();
    options.read_path = read_path();
    let store = open(&disk, options);
    let tree = new_tree(&store);
    let mut batch = Batch::new();
    batch.put(tree, b"k".to_vec(), b"v".to_vec(), Expect::Any);
    write(&store, &batch, Durability::Sync);
    let pool = store.stats().pool;
    assert!(pool.arena_bytes <= 128 * 1024, "{pool:#?}");
}

/// Symptom: a file system was busy after its database had been closed and dropped.
/// Cause: frames that had left the table waited for the end of an epoch, which
/// comes when somebody reads, and kept the data file mapped. Cure: the table
/// helps epochs to their end when it goes.
#[test]
fn a_store_that_is_gone_maps_nothing() {
    let _alone = ALONE.lock();
    let directory = tempfile::tempdir().unwrap();
    let disk = open_best(directory.path(), true, IoChoice::Auto, DirectIo::Auto).unwrap();
    let mut options = StoreOptions::default();
    options.page_size = PAGE as u32;
    options.read_path = ReadPath::Map;
    options.cache_bytes = 256 << 10;
    let store = Store::open(disk, RealRuntime::new(), options).unwrap();
    let tree = new_tree(&store);
    for round in 0..40_u32 {
        let mut batch = Batch::new();
        for number in 0..50 {
            let key = (round * 50 + number).to_be_bytes().to_vec();
            batch.put(tree, key, vec![1; 300], Expect::Any);
        }
        write(&store, &batch, Durability::Sync);
    }
    store.checkpoint().unwrap();
    store.check().unwrap();
    store
        .compact(&CompactOptions::default(), &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
    store.check().unwrap();
    store.close().unwrap();
    drop(store);
    let name = directory.path().to_str().unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let left: Vec<_> = maps.lines().filter(|line| line.contains(name)).collect();
    assert_eq!(left, [""; 0]);
}

/// Scans both ways ask for what comes next, on disks where that gains something,
/// and see the same as without.
#[test]
fn scans_read_ahead_where_the_disk_can() {
    let (_alone, _disk, store, tree) = filled();
    store.checkpoint().unwrap();
    let overlaps = store.stats().io.name == "io_uring" || read_path() == ReadPath::Map;
    let cursor = || {
        store
            .snapshot()
            .unwrap()
            .cursor(tree, KeyRange::all())
            .unwrap()
    };
    let (mut forth, mut back) = (Vec::new(), Vec::new());
    let (mut there, mut here) = (cursor(), cursor());
    while let Some((key, _)) = there.next().unwrap() {
        forth.push(key.to_vec());
    }
    while let Some((key, _)) = here.prev().unwrap() {
        back.push(key.to_vec());
    }
    back.reverse();
    assert!(forth == back && forth.is_sorted());
    assert_eq!(forth.len(), 400 * 50);
    let pool = store.stats().pool;
    assert_eq!(pool.pages_read_ahead > 0, overlaps, "{pool:#?}");
    assert_within(&store, "reading ahead");
}
