//! Bulk load, and long runs of ascending keys however they come.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::Disk;
use cs_io::memory::MemoryDisk;
use cs_kv::{
    Batch, BulkOptions, BulkReport, CommitOptions, Duplicates, Durability, Error, Expect, KeyRange,
    Store, StoreOptions,
};

use crate::basics::{assert_sound, new_tree, open, small_options};

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn options() -> StoreOptions {
    let mut options = small_options();
    options.cache_bytes = 4 << 20;
    options.checkpoint_log_bytes = 4 << 20;
    options
}

/// Entries of 24 and 150 bytes, ascending.
fn ascending(count: u32) -> Entries {
    (0..count)
        .map(|number| {
            let mut key = vec![b'k'; 20];
            key.extend_from_slice(&number.to_be_bytes());
            (key, vec![number as u8; 150])
        })
        .collect()
}

/// The same in no order.
fn shuffled(mut entries: Entries) -> Entries {
    let mut random = 99_u64;
    for last in (1..entries.len()).rev() {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        entries.swap(last, (random >> 33) as usize % (last + 1));
    }
    entries
}

fn load(
    store: &Store,
    tree: TreeId,
    entries: &[(Vec<u8>, Vec<u8>)],
    options: &BulkOptions,
) -> Result<BulkReport, Error> {
    let entries = entries
        .iter()
        .map(|(key, value)| Ok::<_, Error>((key, value)));
    store.bulk_load(tree, entries, options, &mut |_| ControlFlow::Continue(()))
}

fn contents(store: &Store, tree: TreeId) -> Entries {
    let mut cursor = store
        .snapshot()
        .unwrap()
        .cursor(tree, KeyRange::all())
        .unwrap();
    let mut found = Vec::new();
    while let Some((key, value)) = cursor.next().unwrap() {
        found.push((key.to_vec(), value.to_vec()));
    }
    found
}

fn fill(store: &Store, tree: TreeId) -> f64 {
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.findings);
    let shape = report.trees.iter().find(|(id, _)| *id == tree).unwrap().1;
    shape.leaf_fill
}

#[test]
fn a_sorted_load_into_an_empty_tree_makes_full_leaves_and_so_does_its_recovery() {
    let disk = MemoryDisk::new();
    let entries = ascending(50_000);
    let tree = {
        let store = open(&disk, options());
        let tree = new_tree(&store);
        let report = load(&store, tree, &entries, &BulkOptions::default()).unwrap();
        assert_eq!(report.entries, 50_000);
        assert_eq!(report.bytes, 50_000 * 174);
        assert_eq!((report.appended, report.spilled_runs), (report.commits, 0));
        assert!(report.commits > 1, "a chain of commits");
        assert!(fill(&store, tree) > 0.9);
        assert_eq!(contents(&store, tree), entries);
        tree
    };
    let store = open(&disk, options());
    assert!(fill(&store, tree) > 0.9);
    assert_eq!(contents(&store, tree), entries);
}

#[test]
fn what_was_loaded_durably_is_recovered_from_the_log_alone() {
    let disk = MemoryDisk::new();
    let mut options = options();
    options.checkpoint_log_bytes = 1 << 40;
    let entries = ascending(30_000);
    let tree = {
        let store = open(&disk, options.clone());
        let tree = new_tree(&store);
        load(&store, tree, &entries, &BulkOptions::default()).unwrap();
        tree
    };
    let store = open(&disk, options);
    assert!(store.recovery().records > 1);
    assert!(fill(&store, tree) > 0.9);
    assert_eq!(contents(&store, tree), entries);
}

#[test]
fn an_unsorted_load_gives_the_same_tree_with_and_without_a_temporary_file() {
    let entries = ascending(20_000);
    for (sort_memory, spills) in [(64 << 20, false), (0, true)] {
        let disk = MemoryDisk::new();
        let mut options = options();
        // What is sorted in memory is a share of this.
        options.cache_bytes = 1 << 30;
        let store = open(&disk, options);
        let tree = new_tree(&store);
        let mut bulk = BulkOptions::default();
        bulk.sort_memory = sort_memory;
        let report = load(&store, tree, &shuffled(entries.clone()), &bulk).unwrap();
        assert_eq!(report.spilled_runs > 0, spills);
        assert_eq!(report.appended, report.commits);
        assert!(fill(&store, tree) > 0.9);
        assert_eq!(contents(&store, tree), entries);
        let names = disk.list().unwrap();
        assert!(
            names.iter().all(|name| !name.starts_with("bulk")),
            "{names:?}"
        );
    }
}

#[test]
fn a_load_behind_the_end_goes_on_where_the_tree_ends() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let tree = new_tree(&store);
    let entries = ascending(9_000);
    for part in entries.chunks(777) {
        let report = load(&store, tree, part, &BulkOptions::default()).unwrap();
        assert_eq!(report.appended, report.commits);
    }
    assert!(fill(&store, tree) > 0.9);
    assert_eq!(contents(&store, tree), entries);
}

#[test]
fn a_load_among_keys_that_are_there_merges_them_in() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let tree = new_tree(&store);
    let entries = ascending(20_000);
    let (old, new): (Vec<_>, Vec<_>) = entries
        .iter()
        .cloned()
        .enumerate()
        .partition(|(number, _)| number % 3 == 0);
    let plain = |part: Vec<(usize, _)>| part.into_iter().map(|(_, entry)| entry).collect();
    let (old, new): (Entries, Entries) = (plain(old), plain(new));
    load(&store, tree, &old, &BulkOptions::default()).unwrap();
    let report = load(&store, tree, &shuffled(new), &BulkOptions::default()).unwrap();
    assert_eq!(report.appended, 0);
    assert_eq!(contents(&store, tree), entries);
    assert_sound(&store);
}

#[test]
fn duplicates_are_refused_by_their_position_or_the_last_one_counts() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let entry = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    let sorted = vec![
        entry("a", "1"),
        entry("b", "2"),
        entry("b", "3"),
        entry("c", "4"),
    ];
    let unsorted = vec![
        entry("b", "2"),
        entry("c", "4"),
        entry("a", "1"),
        entry("b", "3"),
    ];
    let expected = vec![entry("a", "1"), entry("b", "3"), entry("c", "4")];
    for (entries, position_expected) in [(sorted, 2), (unsorted, 3)] {
        let tree = new_tree(&store);
        let refused = load(&store, tree, &entries, &BulkOptions::default()).unwrap_err();
        assert!(
            matches!(refused, Error::DuplicateEntry { position } if position == position_expected),
            "{refused}"
        );
        let mut replace = BulkOptions::default();
        replace.duplicates = Duplicates::Replace;
        load(&store, tree, &entries, &replace).unwrap();
        assert_eq!(contents(&store, tree), expected);
        // Against what is in the tree, too.
        let again = vec![entry("aa", "new"), entry("c", "5")];
        let refused = load(&store, tree, &again, &BulkOptions::default()).unwrap_err();
        assert!(
            matches!(refused, Error::DuplicateEntry { position: 1 }),
            "{refused}"
        );
        assert_eq!(
            contents(&store, tree),
            expected,
            "the chunk is refused as a whole"
        );
        load(&store, tree, &again, &replace).unwrap();
        assert_eq!(contents(&store, tree).len(), 4);
    }
    assert_sound(&store);
}

#[test]
fn an_atomic_load_is_one_commit_and_leaves_nothing_when_it_fails() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let tree = new_tree(&store);
    let mut atomic = BulkOptions::default();
    atomic.atomic = true;
    // More than one part record.
    let entries = ascending(40_000);
    let mut bad = entries.clone();
    bad.push(bad.last().unwrap().clone());
    assert!(load(&store, tree, &bad, &atomic).is_err());
    assert_eq!(contents(&store, tree), Entries::new());
    let report = load(&store, tree, &entries, &atomic).unwrap();
    assert_eq!(report.commits, 1);
    drop(store);
    let store = open(&disk, options());
    assert_eq!(contents(&store, tree), entries);
    assert_sound(&store);
}

#[test]
fn a_cancelled_load_leaves_a_first_part_in_order() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let tree = new_tree(&store);
    let entries = ascending(60_000);
    let items = entries
        .iter()
        .map(|(key, value)| Ok::<_, Error>((key, value)));
    let mut calls = 0;
    let mut progress = |progress: &cs_kv::BulkProgress| {
        calls += 1;
        if progress.committed > 20_000 {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let bulk = BulkOptions::default();
    let error = store
        .bulk_load(tree, items, &bulk, &mut progress)
        .unwrap_err();
    assert!(matches!(error, Error::Cancelled) && calls > 2);
    let found = contents(&store, tree);
    assert!(found.len() > 20_000 && found.len() < 60_000);
    assert_eq!(found[..], entries[..found.len()]);
    assert_sound(&store);
}

#[test]
fn a_load_refuses_what_no_commit_would_take() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let tree = new_tree(&store);
    let bulk = BulkOptions::default();
    let long = vec![(vec![0; 70_000], vec![])];
    let refused = load(&store, tree, &long, &bulk).unwrap_err();
    assert!(
        matches!(refused, Error::TooLarge { what: "key", .. }),
        "{refused}"
    );
    let refused = load(&store, TreeId(999), &ascending(3), &bulk).unwrap_err();
    assert!(matches!(refused, Error::UnknownTree(_)), "{refused}");
    let refused = load(&store, TreeId(0), &ascending(3), &bulk).unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");
    assert_eq!(
        load(&store, tree, &[], &bulk).unwrap(),
        BulkReport::default()
    );
    store.close().unwrap();
    let refused = load(&store, tree, &ascending(3), &bulk).unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");
}

#[test]
fn long_keys_and_large_values_are_appended_too() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let tree = new_tree(&store);
    let mut model = BTreeMap::new();
    for number in 0..600_u32 {
        // Keys that differ only behind what a page keeps of them.
        let mut key = vec![b'x'; 1 + (number as usize % 7) * 700];
        key.extend_from_slice(&number.to_be_bytes());
        model.insert(key, vec![number as u8; (number as usize * 37) % 9000]);
    }
    let entries: Entries = model.into_iter().collect();
    let (first, second) = entries.split_at(333);
    let report = load(&store, tree, first, &BulkOptions::default()).unwrap();
    assert_eq!(report.appended, report.commits);
    load(&store, tree, second, &BulkOptions::default()).unwrap();
    assert_eq!(contents(&store, tree), entries);
    assert_sound(&store);
    drop(store);
    let store = open(&disk, options());
    assert_eq!(contents(&store, tree), entries);
    assert_sound(&store);
}

#[test]
fn a_large_sorted_batch_and_single_ascending_inserts_fill_their_pages() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let (batched, single) = (new_tree(&store), new_tree(&store));
    let entries = ascending(100_000);
    for part in entries.chunks(10_000) {
        let mut batch = Batch::new();
        for (key, value) in part {
            batch.put(batched, key.clone(), value.clone(), Expect::Absent);
        }
        store
            .write(&batch, &CommitOptions::default())
            .unwrap()
            .wait()
            .unwrap();
    }
    let unsynced = CommitOptions::with_durability(Durability::Memory);
    for (key, value) in &entries {
        let mut batch = Batch::new();
        batch.put(single, key.clone(), value.clone(), Expect::Any);
        store.write(&batch, &unsynced).unwrap().wait().unwrap();
    }
    let fills = [fill(&store, batched), fill(&store, single)];
    assert!(fills.iter().all(|&fill| fill > 0.9), "{fills:?}");
    assert_eq!(contents(&store, batched), entries);
    assert_eq!(contents(&store, single), entries);
}

#[test]
fn a_run_in_flight_is_not_seen_and_is_whole_when_it_is() {
    let disk = MemoryDisk::new();
    let disk: Arc<dyn Disk> = disk;
    let store = Store::open(disk, cs_io::SimRuntime::new(1), options()).unwrap();
    let tree = new_tree(&store);
    let entries = ascending(3_000);
    for part in entries.chunks(1_000) {
        let before = contents(&store, tree);
        let mut batch = Batch::new();
        for (key, value) in part {
            batch.put(tree, key.clone(), value.clone(), Expect::Absent);
        }
        let ticket = store.write(&batch, &CommitOptions::default()).unwrap();
        assert_eq!(contents(&store, tree), before, "not synced yet");
        ticket.wait().unwrap();
        assert_eq!(contents(&store, tree).len(), before.len() + 1_000);
    }
    assert_eq!(contents(&store, tree), entries);
    assert_sound(&store);
}
