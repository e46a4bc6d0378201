//! All memory that a store takes, pages and everything else, stays within its
//! budget and 15 %, with several times as much data.
//!
//! What the allocator hands out is counted, the test's own batches included, and
//! what the arena of the pages holds is added (regions of it are mappings, and
//! never counted by the allocator). The figure is the most there ever was, taken
//! between any two allocations: so it does not depend on when it is looked at.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod counting;

use std::ops::ControlFlow;

use cs_base::TreeId;
use cs_io::RealRuntime;
use cs_io::sys::DirectIo;
use cs_io::uring::{IoChoice, open_best};
use cs_kv::{
    Batch, BulkOptions, CommitOptions, CompactOptions, Cursor, Durability, Expect, KeyRange, Store,
    StoreOptions,
};

use counting::Counting;

#[global_allocator]
static HEAP: Counting = Counting::new();

const BUDGET: u64 = 16 << 20;
/// What may be in use at most, in percent of the budget.
const ALLOWED: u64 = 115;
/// Four times the budget and more, with keys.
const PAIRS: u64 = 72_000;
const VALUE: usize = 1000;

struct Watched {
    store: Store,
    tree: TreeId,
    /// What the program had before.
    base: u64,
}

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.cache_bytes = BUDGET;
    options.checkpoint_log_bytes = 4 << 20;
    options.checkpoint_log_bytes_max = 16 << 20;
    options
}

fn open(directory: &std::path::Path) -> Store {
    let disk = open_best(directory, true, IoChoice::default(), DirectIo::Auto).unwrap();
    Store::open(disk, RealRuntime::new(), options()).unwrap()
}

fn key(number: u64) -> [u8; 8] {
    // One to one, in no order.
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
}

impl Watched {
    /// Runs `work` and fails if more memory was in use at any moment than allowed.
    fn within(&self, what: &str, work: impl FnOnce(&Store, TreeId)) {
        HEAP.reset_peak();
        let before = HEAP.live() - self.base;
        work(&self.store, self.tree);
        let heap = HEAP.peak().saturating_sub(self.base);
        let pool = self.store.stats().pool;
        let all = heap + pool.arena_bytes;
        let percent = all * 100 / BUDGET;
        println!("{what}: heap {before} to {heap}, {percent} % of the budget with the pages");
        assert!(percent <= ALLOWED, "{what}: {all} bytes; {pool:#?}");
    }
}

fn put(store: &Store, tree: TreeId, numbers: impl Iterator<Item = u64>, durability: Durability) {
    let mut batch = Batch::new();
    for number in numbers {
        let value = vec![number as u8; VALUE];
        batch.put(tree, key(number).to_vec(), value, Expect::Any);
    }
    commit(store, batch, durability);
}

fn commit(store: &Store, batch: Batch, durability: Durability) {
    let options = CommitOptions::with_durability(durability);
    store.write_and_wait(batch, &options).unwrap();
}

fn read_all(cursor: &mut Cursor) -> u64 {
    let mut count = 0;
    while cursor.next_value().unwrap().is_some() {
        count += 1;
    }
    count
}

fn whole(store: &Store, tree: TreeId) -> Cursor {
    let snapshot = store.snapshot().unwrap();
    snapshot.cursor(tree, KeyRange::all()).unwrap()
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn all_memory_of_a_store_stays_within_its_budget_whatever_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let base = HEAP.live();
    let store = open(directory.path());
    let tree = store.new_tree_id();
    let mut batch = Batch::new();
    batch.create_tree(tree);
    commit(&store, batch, Durability::Sync);
    let mut watched = Watched { store, tree, base };

    watched.within("bulk load, out of order", |store, tree| {
        let entries = (0..PAIRS).map(|number| Ok::<_, cs_kv::Error>((key(number), [7; VALUE])));
        let mut progress = |_: &_| ControlFlow::Continue(());
        let options = BulkOptions::default();
        let loaded = store.bulk_load(tree, entries, &options, &mut progress);
        assert_eq!(loaded.unwrap().entries, PAIRS);
    });
    watched.within("random reads by four threads", |store, tree| {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    let reader = store.snapshot().unwrap().tree(tree).unwrap();
                    for number in (thread..PAIRS).step_by(11) {
                        assert!(reader.get(&key(number)).unwrap().is_some());
                    }
                });
            }
        });
    });
    watched.within("a scan", |store, tree| {
        assert_eq!(read_all(&mut whole(store, tree)), PAIRS);
    });
    watched.within("durable commits of 100", |store, tree| {
        for round in 0..60 {
            let numbers = (0..100).map(|place| (round * 100 + place) * 7 % PAIRS);
            put(store, tree, numbers, Durability::Sync);
        }
    });
    watched.within("commits of one that nobody waits for", |store, tree| {
        for number in 0..6_000 {
            put(
                store,
                tree,
                std::iter::once(number * 5 % PAIRS),
                Durability::Async,
            );
        }
    });
    watched.within("many iterators beside a writer", |store, tree| {
        let mut cursors: Vec<_> = (0..64).map(|_| whole(store, tree)).collect();
        for round in 0..50_u64 {
            for (place, cursor) in cursors.iter_mut().enumerate() {
                for _ in 0..place % 7 {
                    cursor.next().unwrap();
                }
            }
            let numbers = (0..40).map(|place| (round * 40 + place) * 13 % PAIRS);
            put(store, tree, numbers, Durability::Async);
        }
    });
    watched.within("transactions", |store, tree| {
        for round in 0..40_u64 {
            let mut transaction = store.begin().unwrap();
            for place in 0..100_u64 {
                let number = (round * 100 + place) * 17 % PAIRS;
                let value = vec![round as u8; VALUE];
                transaction.put(tree, key(number).to_vec(), value).unwrap();
            }
            let options = CommitOptions::default();
            transaction.commit(&options).unwrap().wait().unwrap();
        }
    });
    watched.within("a checkpoint", |store, _| store.checkpoint().unwrap());
    watched.within("the deletion of half", |store, tree| {
        for round in 0..PAIRS / 2 / 150 {
            let mut batch = Batch::new();
            for place in 0..150 {
                let number = (round * 150 + place) * 2;
                batch.delete(tree, key(number).to_vec(), Expect::Any);
            }
            commit(store, batch, Durability::Sync);
        }
    });
    watched.within("compaction", |store, _| {
        let mut progress = |_: &_| ControlFlow::Continue(());
        store
            .compact(&CompactOptions::default(), &mut progress)
            .unwrap();
    });
    watched.within("the check", |store, _| {
        assert!(store.check().unwrap().is_sound());
    });
    // What a crash leaves: a log that has not been checkpointed.
    for round in 0..30 {
        let numbers = (0..100).map(|place| (round * 100 + place) * 2 + 1);
        put(&watched.store, tree, numbers, Durability::Sync);
    }
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "lock" {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    watched.store.close().unwrap();
    drop(watched.store);
    HEAP.reset_peak();
    watched.store = open(copy.path());
    let heap = HEAP.peak().saturating_sub(base);
    let pool = watched.store.stats().pool;
    let all = heap + pool.arena_bytes;
    assert!(all <= BUDGET * ALLOWED / 100, "recovery: {all} bytes");
    assert!(
        watched.store.recovery().records > 0,
        "something was recovered"
    );
    watched.within("a scan after recovery", |store, tree| {
        assert_eq!(read_all(&mut whole(store, tree)), PAIRS / 2);
    });
}
