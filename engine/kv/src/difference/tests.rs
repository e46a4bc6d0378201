use std::ops::Bound;

use cs_base::TreeId;
use cs_io::RealRuntime;
use cs_io::memory::MemoryDisk;
use cs_io::sim::Rng;

use super::{Side, agree};
use crate::key_range::KeyRange;
use crate::options::{CommitOptions, Durability, StoreOptions};
use crate::snapshot::Snapshot;
use crate::store::Store;

fn store() -> (Store, TreeId) {
    let options = StoreOptions {
        page_size: 4096,
        ..StoreOptions::default()
    };
    let store = Store::open(MemoryDisk::new(), RealRuntime::new(), options).unwrap();
    let mut txn = store.begin().unwrap();
    let tree = txn.create_tree();
    commit(txn);
    (store, tree)
}

fn commit(txn: crate::transaction::Transaction) {
    let options = CommitOptions::with_durability(Durability::Memory);
    txn.commit(&options).unwrap().wait().unwrap();
}

fn same(tree: TreeId, range: &KeyRange, one: &Snapshot, other: &Snapshot) -> bool {
    let (here, there) = (one.source(), other.source());
    let root = |snapshot: &Snapshot| snapshot.tree_root(tree).unwrap().unwrap();
    let one = Side {
        source: &here,
        root: root(one),
    };
    let other = Side {
        source: &there,
        root: root(other),
    };
    let answer = agree(tree, range, &one, &other).unwrap();
    assert_eq!(
        answer,
        agree(tree, range, &other, &one).unwrap(),
        "both ways"
    );
    answer
}

fn contents(snapshot: &Snapshot, tree: TreeId, range: &KeyRange) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut cursor = snapshot.cursor(tree, range.clone()).unwrap();
    let mut all = Vec::new();
    while let Some((key, value)) = cursor.next().unwrap() {
        all.push((key.to_vec(), value.to_vec()));
    }
    all
}

fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes()[4..].to_vec()
}

#[test]
fn an_answer_agrees_with_comparing_all_entries() {
    let seed = 11;
    let mut random = Rng::new(seed);
    let (store, tree) = store();
    let before = |states: &Vec<Snapshot>, random: &mut Rng| {
        states[random.below(states.len() as u64) as usize].clone()
    };
    let mut states = vec![store.snapshot().unwrap()];
    for round in 0..120 {
        let mut txn = store.begin().unwrap();
        // From now and then a whole stretch, to single keys; values from none
        // to several pages; towards the end everything goes.
        let first = random.below(2000);
        let count = [1, 3, 40, 400][random.below(4) as usize];
        for number in first..first + count {
            let gone = random.below(if round > 90 { 2 } else { 5 }) == 0;
            if gone {
                txn.delete(tree, key(number)).unwrap();
            } else {
                let len = [0, 20, 300, 9000][random.below(4) as usize];
                let fill = random.below(3) as u8;
                txn.put(tree, key(number), vec![fill; len]).unwrap();
            }
        }
        commit(txn);
        states.push(store.snapshot().unwrap());
        for _ in 0..4 {
            let (one, other) = (before(&states, &mut random), before(&states, &mut random));
            let low = random.below(2400);
            let high = low + [1, 5, 100, 3000][random.below(4) as usize];
            let range = match random.below(4) {
                0 => KeyRange::all(),
                1 => KeyRange {
                    lower: Bound::Excluded(key(low)),
                    upper: Bound::Unbounded,
                },
                _ => KeyRange {
                    lower: Bound::Included(key(low)),
                    upper: Bound::Included(key(high)),
                },
            };
            let expected = contents(&one, tree, &range) == contents(&other, tree, &range);
            let found = same(tree, &range, &one, &other);
            assert_eq!(found, expected, "seed {seed}, round {round}, {range:?}");
        }
    }
}

#[test]
fn pages_that_both_states_have_are_not_read() {
    let (store, tree) = store();
    let mut txn = store.begin().unwrap();
    for number in 0..20_000 {
        txn.put(tree, key(number), vec![7; 100]).unwrap();
    }
    commit(txn);
    let before = store.snapshot().unwrap();
    let mut txn = store.begin().unwrap();
    txn.put(tree, key(10_000), vec![8; 100]).unwrap();
    commit(txn);
    let now = store.snapshot().unwrap();
    let counting = Counting(before.source(), std::cell::Cell::new(0));
    let newer = now.source();
    let range = KeyRange {
        lower: Bound::Unbounded,
        upper: Bound::Excluded(key(10_000)),
    };
    let one = Side {
        source: &counting,
        root: before.tree_root(tree).unwrap().unwrap(),
    };
    let other = Side {
        source: &newer,
        root: now.tree_root(tree).unwrap().unwrap(),
    };
    assert!(agree(tree, &range, &one, &other).unwrap());
    let height = usize::from(one.root.height);
    assert!(height > 2, "the tree is too low to prove anything");
    // One path, and the leaf once for each of its entries.
    assert!(
        counting.1.get() < height + 100,
        "{} pages",
        counting.1.get()
    );
}

/// Counts the pages that are asked for.
struct Counting<'p>(crate::tree::SealedSource<'p>, std::cell::Cell<usize>);

impl crate::tree::PageSource for Counting<'_> {
    fn page<'a>(
        &'a self,
        guard: &'a cs_pager::ReadGuard,
        at: cs_pager::PageRef,
    ) -> crate::Result<&'a [u8]> {
        self.1.set(self.1.get() + 1);
        self.0.page(guard, at)
    }

    fn page_size(&self) -> usize {
        self.0.page_size()
    }
}
