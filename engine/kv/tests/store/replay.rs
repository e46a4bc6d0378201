//! Recovery carries out many records at a time: what comes of it is what would
//! have come of each by itself.

use std::collections::BTreeMap;

use cs_base::TreeId;
use cs_io::memory::MemoryDisk;
use cs_kv::{Batch, CommitOptions, Expect, Store, StoreOptions};

use crate::basics::{assert_sound, new_tree, open, small_options};

/// No checkpoint comes by itself, and so much is joined at a time.
fn options(joined_bytes: u64) -> StoreOptions {
    let mut options = small_options();
    options.cache_bytes = 32 * joined_bytes;
    options.checkpoint_log_bytes = 1 << 40;
    options.checkpoint_log_bytes_max = 1 << 40;
    options
}

fn write(store: &Store, batch: &Batch) {
    let ticket = store.write(batch, &CommitOptions::default()).unwrap();
    ticket.wait().unwrap();
}

fn key(number: u64) -> Vec<u8> {
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 700;
    format!("key {scattered:04}").into_bytes()
}

#[test]
fn joined_records_leave_the_last_word_on_each_key() {
    for joined_bytes in [8 << 10, 4 << 20] {
        let disk = MemoryDisk::new();
        let mut model: [BTreeMap<Vec<u8>, Vec<u8>>; 2] = Default::default();
        let trees = {
            let store = open(&disk, options(joined_bytes));
            let trees = [new_tree(&store), new_tree(&store)];
            for number in 0..4_000_u64 {
                let which = (number % 2) as usize;
                let mut batch = Batch::new();
                if number % 5 == 3 {
                    batch.delete(trees[which], key(number), Expect::Any);
                    model[which].remove(&key(number));
                } else {
                    // Some in overflow runs.
                    let len = if number.is_multiple_of(97) { 9_000 } else { 40 };
                    let value = vec![number as u8; len];
                    batch.put(trees[which], key(number), value.clone(), Expect::Any);
                    model[which].insert(key(number), value);
                }
                write(&store, &batch);
            }
            trees
        };
        let store = open(&disk, options(joined_bytes));
        assert_eq!(store.recovery().records, 4_002);
        let snapshot = store.snapshot().unwrap();
        for (tree, model) in trees.into_iter().zip(&model) {
            for number in 0..4_000 {
                let found = snapshot.get(tree, &key(number)).unwrap();
                assert_eq!(found.as_ref(), model.get(&key(number)));
            }
            let stats = snapshot.tree_stats(tree).unwrap().unwrap();
            assert_eq!(stats.count, model.len() as u64);
        }
        assert_sound(&store);
    }
}

#[test]
fn trees_that_come_and_go_between_joined_records_are_as_they_were() {
    let disk = MemoryDisk::new();
    let put = |store: &Store, tree: TreeId, name: &str| {
        let mut batch = Batch::new();
        let key = name.as_bytes().to_vec();
        batch.put(tree, key.clone(), key, Expect::Any);
        write(store, &batch);
    };
    let (kept, gone, late) = {
        let store = open(&disk, options(1 << 20));
        let (kept, gone) = (new_tree(&store), new_tree(&store));
        put(&store, kept, "before");
        put(&store, gone, "lost");
        let mut batch = Batch::new();
        batch.drop_tree(gone);
        write(&store, &batch);
        put(&store, kept, "after");
        let late = new_tree(&store);
        put(&store, late, "late");
        (kept, gone, late)
    };
    let store = open(&disk, options(1 << 20));
    let snapshot = store.snapshot().unwrap();
    let has = |tree: TreeId, name: &str| {
        let found = snapshot.get(tree, name.as_bytes()).unwrap();
        found == Some(name.as_bytes().to_vec())
    };
    assert!(has(kept, "before") && has(kept, "after") && has(late, "late"));
    assert_eq!(snapshot.tree_stats(gone).unwrap(), None);
    assert_sound(&store);
}
