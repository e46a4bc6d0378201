//! Commits that must be refused before anything has changed.

use cs_io::memory::MemoryDisk;
use cs_io::{Disk, RealRuntime};
use cs_kv::{Batch, CommitOptions, Durability, Expect, Store, system};

use super::{assert_refused, assert_sound, commit, get, new_tree, open, put};
use crate::basics::small_options;

/// Symptom: a second `create_tree` under the same id poisoned the store, and
/// the next snapshot never came back. Cause: the mistake was found only while
/// the record, already appended, was carried out. Cure: the plan refuses it.
#[test]
fn a_tree_id_in_use_is_refused_and_the_store_goes_on() {
    let disk = MemoryDisk::new();
    let store = open(&disk, small_options()).unwrap();
    let tree = store.new_tree_id();
    let unsynced = CommitOptions::with_durability(Durability::Async);
    let mut batch = put(tree, b"a", b"1".to_vec());
    batch.create_tree(tree);
    store.write(&batch, &unsynced).unwrap().wait().unwrap();

    assert_refused(store.write(&batch, &unsynced).map(drop));
    let mut twice = Batch::new();
    let other = store.new_tree_id();
    twice.create_tree(other);
    twice.create_tree(other);
    assert_refused(store.write(&twice, &unsynced).map(drop));

    assert_eq!(store.stats().poisoned, None);
    assert_eq!(get(&store, tree, b"a").unwrap(), b"1");
    commit(&store, &put(tree, b"b", b"2".to_vec())).unwrap();
    assert_sound(&store);
}

/// Symptom: a batch that dropped one tree twice poisoned the store. Cause: the
/// second drop failed half way through the do. Cure: the plan refuses it.
/// A drop over a newer write is no mistake: it conflicts with nobody, by design.
#[test]
fn dropping_a_tree_twice_is_refused_and_dropping_it_over_a_newer_write_is_not() {
    let disk = MemoryDisk::new();
    let store = open(&disk, small_options()).unwrap();
    let tree = new_tree(&store);
    commit(&store, &put(tree, b"x", b"y".to_vec())).unwrap();

    let mut twice = Batch::new();
    twice.drop_tree(tree);
    twice.drop_tree(tree);
    assert_refused(commit(&store, &twice));
    assert_eq!(get(&store, tree, b"x").unwrap(), b"y");

    let mut txn = store.begin().unwrap();
    txn.drop_tree(tree).unwrap();
    commit(&store, &put(tree, b"new", b"z".to_vec())).unwrap();
    let dropped = txn.commit(&CommitOptions::default()).unwrap();
    dropped.wait().unwrap();
    while store.step().unwrap() {}
    assert!(store.snapshot().unwrap().get(tree, b"new").is_err());
    assert_sound(&store);
}

/// Symptom: a put into the directory's tree panicked in the middle of the
/// commit. Cause: it was carried out like any other, on a root that lives
/// elsewhere. Cure: the plan refuses what is the store's own.
#[test]
fn the_trees_of_the_store_itself_are_not_written_to() {
    let disk = MemoryDisk::new();
    let store = open(&disk, small_options()).unwrap();
    let tree = new_tree(&store);
    for own in [system::DIRECTORY, system::DROPPED, system::SESSIONS] {
        assert_refused(commit(&store, &put(own, b"zzzz", b"1".to_vec())));
        let mut txn = store.begin().unwrap();
        let outcome = txn
            .put(own, b"zzzz".to_vec(), b"1".to_vec())
            .and_then(|()| txn.commit(&CommitOptions::default()).map(drop));
        assert_refused(outcome);
        let mut batch = Batch::new();
        batch.create_tree(own);
        assert_refused(commit(&store, &batch));
        let mut batch = Batch::new();
        batch.drop_tree(own);
        assert_refused(commit(&store, &batch));
    }
    commit(&store, &put(tree, b"k", b"v".to_vec())).unwrap();
    assert_sound(&store);
}

/// Symptom: after a mistaken batch among busy writers the store could not be
/// opened again. Cause: the record that could not be carried out left with
/// somebody else's group. Cure: refused in the plan; a poisoned log cuts nothing.
#[test]
fn a_mistaken_batch_among_busy_writers_harms_nobody_and_leaves_no_record() {
    const WRITERS: u32 = 3;
    const COMMITS: u32 = 100;
    let disk = MemoryDisk::new();
    let tree = {
        let on_disk = std::sync::Arc::clone(&disk) as std::sync::Arc<dyn Disk>;
        let store = Store::open(on_disk, RealRuntime::new(), small_options()).unwrap();
        let tree = new_tree(&store);
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..COMMITS {
                        let key = (number * WRITERS + writer).to_be_bytes();
                        commit(store, &put(tree, &key, vec![1; 200])).unwrap();
                    }
                });
            }
            for _ in 0..20 {
                // Large, so that the writer's lock is held for a while.
                let mut batch = Batch::new();
                batch.create_tree(store.new_tree_id());
                batch.create_tree(tree);
                for number in 0..1_000_u32 {
                    let key = number.to_be_bytes().to_vec();
                    batch.put(tree, key, b"mistaken".to_vec(), Expect::Any);
                }
                assert_refused(commit(&store, &batch));
            }
        });
        tree
    };
    let store = open(&disk, small_options()).unwrap();
    let stats = store.snapshot().unwrap().tree_stats(tree).unwrap().unwrap();
    assert_eq!(stats.count, u64::from(WRITERS * COMMITS));
    assert_sound(&store);
}
