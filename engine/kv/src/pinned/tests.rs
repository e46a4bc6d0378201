use std::time::Duration;

use cs_base::TreeId;
use cs_io::memory::MemoryDisk;
use cs_io::{RealRuntime, Runtime, SimRuntime};
use std::sync::Arc;

use super::{Pinned, SnapshotLimits};
use crate::error::Error;
use crate::key_range::KeyRange;
use crate::options::{CommitOptions, Durability, StoreOptions};
use crate::store::Store;
use crate::transaction::Transaction;

fn open(runtime: Arc<dyn Runtime>, limits: SnapshotLimits) -> (Store, TreeId) {
    let options = StoreOptions {
        snapshot_limits: limits,
        page_size: 4096,
        cache_bytes: 1 << 20,
        auto_compact: None,
        ..StoreOptions::default()
    };
    let store = Store::open(MemoryDisk::new(), runtime, options).unwrap();
    let mut txn = store.begin().unwrap();
    let tree = txn.create_tree();
    commit(txn);
    (store, tree)
}

fn commit(txn: Transaction) {
    let options = CommitOptions::with_durability(Durability::Memory);
    txn.commit(&options).unwrap().wait().unwrap();
}

/// Gives all of a thousand keys another value.
fn rewrite(store: &Store, tree: TreeId, fill: u8) {
    let mut txn = store.begin().unwrap();
    for number in 0..1000_u32 {
        let key = number.to_be_bytes().to_vec();
        txn.put(tree, key, vec![fill; 100]).unwrap();
    }
    commit(txn);
    store.snapshot().unwrap();
}

fn is_evicted<T: std::fmt::Debug>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::SnapshotEvicted { .. }))
}

#[test]
fn the_oldest_snapshot_and_what_it_keeps_are_in_the_figures() {
    let (store, tree) = open(RealRuntime::new(), SnapshotLimits::default());
    rewrite(&store, tree, 1);
    assert_eq!(store.stats().snapshots.states, 0, "the newest is no burden");
    let held = store.snapshot().unwrap();
    for fill in 2..6 {
        rewrite(&store, tree, fill);
    }
    let stats = store.stats().snapshots;
    assert_eq!(stats.states, 1);
    assert_eq!(stats.oldest_index, Some(held.index()));
    assert!(stats.retained_bytes >= 100_000, "{stats:?}");
    assert_eq!(stats.retained_bytes, stats.oldest_retained_bytes);
    drop(held);
    rewrite(&store, tree, 7);
    let stats = store.stats().snapshots;
    assert_eq!((stats.states, stats.retained_bytes), (0, 0));
}

#[test]
fn snapshots_that_keep_too_much_are_ended_and_say_so() {
    let limits = SnapshotLimits {
        max_retained_bytes: Some(1 << 20),
        ..SnapshotLimits::default()
    };
    let (store, tree) = open(SimRuntime::new(1), limits);
    rewrite(&store, tree, 0);
    let held = store.snapshot().unwrap();
    let reader = held.tree(tree).unwrap();
    let mut cursor = held.cursor(tree, KeyRange::all()).unwrap();
    cursor.next().unwrap();
    let mut txn = store.begin().unwrap();
    txn.put(tree, vec![1], vec![1]).unwrap();
    let mut others = Vec::new();
    for fill in 1..60 {
        rewrite(&store, tree, fill);
        others.push(store.snapshot().unwrap());
        while store.step().unwrap() {}
        assert!(store.stats().snapshots.retained_bytes <= 1 << 20);
    }
    assert!(held.is_evicted());
    assert!(is_evicted(held.get(tree, &[0; 4])));
    assert!(is_evicted(held.trees()));
    assert!(is_evicted(reader.get(&[0; 4])));
    assert!(is_evicted(cursor.next().map(|entry| entry.is_some())));
    assert!(is_evicted(txn.get(tree, &[0; 4])));
    assert!(is_evicted(txn.commit(&CommitOptions::default()).map(drop)));
    let stats = store.stats();
    assert!(stats.snapshots.evicted >= 1 && stats.poisoned.is_none());
    let newest = others.last().unwrap();
    assert_eq!(newest.get(tree, &[0; 4]).unwrap(), Some(vec![59; 100]));
    assert!(stats.space.capacity * 4096 < 8 << 20, "{:?}", stats.space);
}

#[test]
fn snapshots_that_are_held_too_long_are_ended() {
    let limits = SnapshotLimits {
        max_age: Some(Duration::from_secs(10)),
        ..SnapshotLimits::default()
    };
    let runtime = SimRuntime::new(1);
    let (store, tree) = open(runtime.clone(), limits);
    rewrite(&store, tree, 0);
    let held = store.snapshot().unwrap();
    runtime.advance(Duration::from_secs(60));
    while store.step().unwrap() {}
    assert!(!held.is_evicted(), "it is still the newest");
    rewrite(&store, tree, 1);
    runtime.advance(Duration::from_secs(9));
    while store.step().unwrap() {}
    assert_eq!(held.get(tree, &[0; 4]).unwrap(), Some(vec![0; 100]));
    assert!(store.stats().snapshots.oldest_age >= Duration::from_secs(9));
    runtime.advance(Duration::from_secs(2));
    while store.step().unwrap() {}
    assert!(is_evicted(held.get(tree, &[0; 4])));
    drop(held);
    rewrite(&store, tree, 2);
}

#[test]
fn a_snapshot_that_nobody_reads_takes_little_memory_and_one_that_is_read_knows_its_trees() {
    assert!(size_of::<Pinned>() <= 128, "{}", size_of::<Pinned>());
    let (store, tree) = open(RealRuntime::new(), SnapshotLimits::default());
    rewrite(&store, tree, 1);
    let snapshot = store.snapshot().unwrap();
    let pinned = store.core().published();
    assert!(pinned.trees.get().is_none(), "nobody has read");
    assert!(snapshot.get(tree, &0_u32.to_be_bytes()).unwrap().is_some());
    let known = pinned.trees.get().unwrap();
    assert_eq!(known.iter().filter_map(|place| place.get()).count(), 1);
}
