use std::collections::BTreeMap;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::sim::{CrashKind, Rng, SimDisk, SimOptions};
use cs_io::{Disk, SimRuntime};

use super::Entry;
use crate::error::Error;
use crate::key_range::KeyRange;
use crate::options::{CommitOptions, Durability, StoreOptions};
use crate::snapshot::Snapshot;
use crate::store::Store;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn options() -> StoreOptions {
    StoreOptions {
        page_size: 4096,
        cache_bytes: 1 << 20,
        checkpoint_log_bytes: 256 << 10,
        auto_compact: None,
        ..StoreOptions::default()
    }
}

fn open(disk: &Arc<SimDisk>) -> Store {
    let disk: Arc<dyn Disk> = disk.clone();
    Store::open(disk, SimRuntime::new(1), options()).unwrap()
}

fn contents(snapshot: &Snapshot, tree: TreeId) -> Model {
    let mut cursor = snapshot.cursor(tree, KeyRange::all()).unwrap();
    let mut all = Model::new();
    while let Some((key, value)) = cursor.next().unwrap() {
        all.insert(key.to_vec(), value.to_vec());
    }
    all
}

/// Some changes, values up to several pages.
fn change(store: &Store, tree: TreeId, model: &mut Model, random: &mut Rng) {
    let mut txn = store.begin().unwrap();
    for _ in 0..200 {
        let key = (random.below(2000) as u32).to_be_bytes().to_vec();
        if random.percent(30) {
            model.remove(&key);
            txn.delete(tree, key).unwrap();
        } else {
            let len = [10, 300, 10_000][random.below(3) as usize];
            let value = vec![random.below(256) as u8; len];
            model.insert(key.clone(), value.clone());
            txn.put(tree, key, value).unwrap();
        }
    }
    txn.commit(&CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
}

fn made(disk: &Arc<SimDisk>) -> (Store, TreeId) {
    let store = open(disk);
    let mut txn = store.begin().unwrap();
    let tree = txn.create_tree();
    txn.commit(&CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    (store, tree)
}

#[test]
fn named_snapshots_survive_changes_checkpoints_crashes_and_restarts() {
    for seed in 0..5 {
        let mut random = Rng::new(seed);
        let mut disk = SimDisk::new(seed, SimOptions::default());
        let (mut store, tree) = made(&disk);
        let mut model = Model::new();
        let mut named: BTreeMap<String, Model> = BTreeMap::new();
        for round in 0..40 {
            change(&store, tree, &mut model, &mut random);
            match random.below(8) {
                0 => {
                    let name = format!("round {round}");
                    store.create_snapshot(&name).unwrap();
                    named.insert(name, model.clone());
                }
                1 => {
                    if let Some((name, _)) = named.pop_first() {
                        assert!(store.drop_snapshot(&name).unwrap());
                    }
                }
                2 => store.checkpoint().unwrap(),
                3 => {
                    if random.percent(50) {
                        store.close().unwrap();
                    }
                    let image = disk.crash(&mut random, CrashKind::Machine);
                    drop(store);
                    disk = SimDisk::from_image(&image, seed, SimOptions::default());
                    store = open(&disk);
                }
                _ => {}
            }
            for (name, expected) in &named {
                let snapshot = store.open_snapshot(name).unwrap();
                assert!(
                    contents(&snapshot, tree) == *expected,
                    "seed {seed}, round {round}, {name}"
                );
            }
            let names: Vec<String> = named.keys().cloned().collect();
            let mut listed: Vec<String> = store
                .list_snapshots()
                .unwrap()
                .into_iter()
                .map(|one| one.name)
                .collect();
            listed.sort();
            assert_eq!(listed, names);
        }
        assert!(contents(&store.snapshot().unwrap(), tree) == model);
        let report = store.check().unwrap();
        assert!(report.is_sound(), "seed {seed}: {:?}", report.findings);
    }
}

#[test]
fn what_a_dropped_one_kept_is_free_again() {
    let disk = SimDisk::new(1, SimOptions::default());
    let (store, tree) = made(&disk);
    let mut random = Rng::new(1);
    let mut model = Model::new();
    for _ in 0..10 {
        change(&store, tree, &mut model, &mut random);
    }
    store.create_snapshot("s").unwrap();
    let keys: Vec<Vec<u8>> = model.keys().cloned().collect();
    let mut txn = store.begin().unwrap();
    for key in keys {
        txn.delete(tree, key).unwrap();
    }
    txn.commit(&CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    store.close().unwrap();
    drop(store);
    let store = open(&disk);
    store.checkpoint().unwrap();
    let kept = store.stats().space;
    assert!(kept.pending > 100, "{kept:?}");
    assert!(store.stats().snapshots.retained_bytes > 100 * 4096);
    assert_eq!(contents(&store.open_snapshot("s").unwrap(), tree), model);
    assert!(store.drop_snapshot("s").unwrap());
    assert!(!store.drop_snapshot("s").unwrap());
    for _ in 0..3 {
        change(&store, tree, &mut Model::new(), &mut random);
        store.checkpoint().unwrap();
    }
    let free = store.stats().space;
    assert!(free.pending < kept.pending / 2, "{kept:?} {free:?}");
}

/// Symptom: the check found pages of a named snapshot in use by the newest state.
/// Cause: a tree that was dropped was looked for in the directory alone, and not
/// among those whose pages are still to be freed. Cure: both are looked at.
#[test]
fn a_tree_that_is_dropped_and_not_freed_yet_is_still_shared_with_a_named_snapshot() {
    let disk = SimDisk::new(1, SimOptions::default());
    let (store, tree) = made(&disk);
    let (mut model, mut random) = (Model::new(), Rng::new(1));
    change(&store, tree, &mut model, &mut random);
    store.create_snapshot("s").unwrap();
    let mut txn = store.begin().unwrap();
    txn.drop_tree(tree).unwrap();
    let dropped = txn.commit(&CommitOptions::default()).unwrap();
    dropped.wait().unwrap();
    assert_eq!(store.check().unwrap().findings, []);
    store.checkpoint().unwrap();
    let image = disk.crash(&mut random, CrashKind::Machine);
    drop(store);
    let disk = SimDisk::from_image(&image, 1, SimOptions::default());
    let store = open(&disk);
    assert_eq!(store.check().unwrap().findings, []);
    while store.step().unwrap() {}
    assert_eq!(store.check().unwrap().findings, []);
    assert_eq!(contents(&store.open_snapshot("s").unwrap(), tree), model);
}

/// Symptom: the store did not open. Cause: the drop was in the log, and the meta
/// still told of the name, so opening looked for pages that had been reused since.
/// Cure: such a state is not kept, and what was read of it is forgotten.
#[test]
fn a_store_opens_whose_meta_tells_of_a_dropped_snapshot_with_reused_pages() {
    let mut random = Rng::new(1);
    let disk = SimDisk::new(1, SimOptions::default());
    let (store, tree) = made(&disk);
    let mut model = Model::new();
    for _ in 0..5 {
        change(&store, tree, &mut model, &mut random);
    }
    store.create_snapshot("s").unwrap();
    for _ in 0..3 {
        change(&store, tree, &mut model, &mut random);
        store.checkpoint().unwrap();
    }
    assert!(store.drop_snapshot("s").unwrap());
    // Fewer bytes than make a checkpoint, more pages than are free.
    let checkpoints = store.stats().checkpoints;
    for _ in 0..10 {
        let mut txn = store.begin().unwrap();
        for _ in 0..30 {
            let key = (random.below(2000) as u32).to_be_bytes().to_vec();
            model.insert(key.clone(), vec![1; 300]);
            txn.put(tree, key, vec![1; 300]).unwrap();
        }
        let ticket = txn.commit(&CommitOptions::default()).unwrap();
        ticket.wait().unwrap();
    }
    assert_eq!(store.stats().checkpoints, checkpoints);
    let image = disk.crash(&mut random, CrashKind::Process);
    drop(store);
    let disk = SimDisk::from_image(&image, 1, SimOptions::default());
    let store = open(&disk);
    assert_eq!(store.list_snapshots().unwrap(), []);
    for _ in 0..5 {
        change(&store, tree, &mut model, &mut random);
    }
    assert!(contents(&store.snapshot().unwrap(), tree) == model);
    assert_eq!(store.check().unwrap().findings, []);
}

#[test]
fn names_are_used_once_and_unknown_ones_refused() {
    let disk = SimDisk::new(1, SimOptions::default());
    let (store, _) = made(&disk);
    let info = store.create_snapshot("s").unwrap();
    assert_eq!(store.list_snapshots().unwrap(), [info]);
    assert!(matches!(
        store.create_snapshot("s"),
        Err(Error::SnapshotExists(_))
    ));
    assert!(matches!(
        store.open_snapshot("t"),
        Err(Error::NoSuchSnapshot(_))
    ));
    assert!(store.create_snapshot("").is_err());
    assert!(store.create_snapshot(&"s".repeat(256)).is_err());
}

#[test]
fn a_store_without_a_log_has_named_snapshots_too() {
    let disk = SimDisk::new(1, SimOptions::default());
    let open = |disk: &Arc<SimDisk>| {
        let mut options = options();
        options.durability = Some(Durability::Memory);
        let disk: Arc<dyn Disk> = disk.clone();
        Store::open(disk, SimRuntime::new(1), options).unwrap()
    };
    let store = open(&disk);
    let mut txn = store.begin().unwrap();
    let tree = txn.create_tree();
    txn.commit(&CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    let (mut model, mut random) = (Model::new(), Rng::new(5));
    change(&store, tree, &mut model, &mut random);
    store.create_snapshot("s").unwrap();
    let expected = model.clone();
    change(&store, tree, &mut model, &mut random);
    let image = disk.crash(&mut random, CrashKind::Machine);
    drop(store);
    let disk = SimDisk::from_image(&image, 1, SimOptions::default());
    let store = open(&disk);
    assert_eq!(contents(&store.open_snapshot("s").unwrap(), tree), expected);
}

#[test]
fn an_entry_that_is_cut_or_of_another_version_is_damage() {
    let mut record = cs_pager::RootRecord::empty();
    record.version = cs_base::Version(7);
    let entry = Entry {
        record,
        created_ms: 9,
    };
    let bytes = entry.encode();
    assert_eq!(Entry::decode(&bytes).unwrap(), entry);
    for len in 0..bytes.len() {
        assert!(Entry::decode(&bytes[..len]).unwrap_err().is_corruption());
    }
    let other = [&[2], &bytes[1..]].concat();
    assert!(
        Entry::decode(&other)
            .unwrap_err()
            .to_string()
            .contains("expected version 1")
    );
}
