use std::collections::BTreeMap;
use std::ops::Bound;

use cs_base::TreeId;
use cs_io::RealRuntime;
use cs_io::memory::MemoryDisk;
use cs_io::sim::Rng;

use crate::error::Error;
use crate::key_range::KeyRange;
use crate::options::{CommitOptions, StoreOptions};
use crate::store::Store;
use crate::transaction::{Isolation, Transaction, TransactionOptions};

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn store() -> (Store, TreeId) {
    let store = Store::open(
        MemoryDisk::new(),
        RealRuntime::new(),
        StoreOptions::default(),
    );
    let store = store.unwrap();
    let mut txn = store.begin().unwrap();
    let tree = txn.create_tree();
    for number in 0..50_u8 {
        txn.put(tree, vec![number * 2], vec![number]).unwrap();
    }
    commit(txn).unwrap();
    (store, tree)
}

fn commit(txn: Transaction) -> Result<(), Error> {
    txn.commit(&CommitOptions::default())?.wait()
}

fn all(txn: &Transaction, tree: TreeId, range: &KeyRange, reverse: bool) -> Entries {
    let mut entries = txn.entries(tree, range.clone(), reverse).unwrap();
    let mut list = Entries::new();
    while let Some((key, value)) = entries.next().unwrap() {
        list.push((key.to_vec(), value.to_vec()));
    }
    list
}

#[test]
fn own_changes_lie_among_the_stored_entries_both_ways() {
    let (store, tree) = store();
    let mut random = Rng::new(3);
    for _ in 0..100 {
        let mut txn = store.begin().unwrap();
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = (0..50_u8)
            .map(|number| (vec![number * 2], vec![number]))
            .collect();
        for _ in 0..random.below(30) {
            let key = vec![random.below(110) as u8];
            if random.percent(40) {
                model.remove(&key);
                txn.delete(tree, key).unwrap();
            } else {
                model.insert(key.clone(), vec![255]);
                txn.put(tree, key, vec![255]).unwrap();
            }
        }
        let bound = |random: &mut Rng| match random.below(3) {
            0 => Bound::Unbounded,
            1 => Bound::Included(vec![random.below(110) as u8]),
            _ => Bound::Excluded(vec![random.below(110) as u8]),
        };
        let range = KeyRange {
            lower: bound(&mut random),
            upper: bound(&mut random),
        };
        let in_range = model.iter().filter(|(key, _)| range.contains(key));
        let mut expected: Entries = in_range
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(all(&txn, tree, &range, false), expected, "{range:?}");
        assert_eq!(txn.count(tree, &range).unwrap(), expected.len() as u64);
        expected.reverse();
        assert_eq!(all(&txn, tree, &range, true), expected, "{range:?}");
        assert_eq!(
            txn.count(tree, &KeyRange::all()).unwrap(),
            model.len() as u64
        );
    }
}

#[test]
fn what_is_changed_while_it_is_read_is_not_seen() {
    let (store, tree) = store();
    let mut txn = store.begin().unwrap();
    let mut entries = txn.entries(tree, KeyRange::all(), false).unwrap();
    let mut count = 0;
    while let Some((key, _)) = entries.next().unwrap() {
        let next = vec![key[0] + 1];
        txn.put(tree, next, vec![0]).unwrap();
        count += 1;
    }
    assert_eq!(count, 50);
    assert_eq!(txn.count(tree, &KeyRange::all()).unwrap(), 100);
}

/// Whether a serializable transaction that scanned as `scan` says may commit
/// after another has put the key.
fn survives(reverse: bool, steps: usize, put: u8) -> bool {
    let (store, tree) = store();
    let options = TransactionOptions::with_isolation(Isolation::Serializable);
    let mut txn = store.begin_with(options).unwrap();
    let range = KeyRange {
        lower: Bound::Included(vec![10]),
        upper: Bound::Excluded(vec![30]),
    };
    let mut entries = txn.entries(tree, range, reverse).unwrap();
    for _ in 0..steps {
        entries.next().unwrap();
    }
    drop(entries);
    txn.put(tree, vec![200], vec![]).unwrap();
    let mut other = store.begin().unwrap();
    other.put(tree, vec![put], vec![99]).unwrap();
    commit(other).unwrap();
    match commit(txn) {
        Ok(()) => true,
        Err(Error::Conflict { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_phantom_is_a_conflict_where_it_was_looked_for_and_nowhere_else() {
    // Forward: 10, 12, 14 were shown.
    assert!(!survives(false, 3, 11));
    assert!(!survives(false, 3, 14));
    assert!(survives(false, 3, 15) && survives(false, 3, 9) && survives(false, 3, 31));
    // To the end: all of it.
    assert!(!survives(false, 20, 29) && survives(false, 20, 31));
    // Backward: 28, 26 were shown.
    assert!(!survives(true, 2, 29) && !survives(true, 2, 27));
    assert!(survives(true, 2, 25) && survives(true, 2, 30));
    assert!(!survives(true, 20, 11) && survives(true, 20, 9));
    // Nothing was looked at.
    assert!(survives(false, 0, 11));
}

#[test]
fn write_skew_is_a_conflict_under_serializable_alone() {
    for (isolation, expected) in [
        (Isolation::Snapshot, true),
        (Isolation::Serializable, false),
    ] {
        let (store, tree) = store();
        let options = TransactionOptions::with_isolation(isolation);
        let mut one = store.begin_with(options).unwrap();
        let mut other = store.begin_with(options).unwrap();
        one.get(tree, &[2]).unwrap();
        other.get(tree, &[4]).unwrap();
        one.put(tree, vec![4], vec![1]).unwrap();
        other.put(tree, vec![2], vec![1]).unwrap();
        commit(one).unwrap();
        assert_eq!(commit(other).is_ok(), expected, "{isolation:?}");
    }
}

#[test]
fn a_serializable_reader_that_changes_nothing_is_never_refused() {
    let (store, tree) = store();
    let options = TransactionOptions::with_isolation(Isolation::Serializable);
    let txn = store.begin_with(options).unwrap();
    all(&txn, tree, &KeyRange::all(), false);
    assert!(txn.footprint().0 > 0);
    let mut other = store.begin().unwrap();
    other.put(tree, vec![3], vec![]).unwrap();
    commit(other).unwrap();
    commit(txn).unwrap();
}
