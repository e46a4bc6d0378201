//! What a transaction reads of its own, against a map.

use std::collections::BTreeMap;
use std::ops::Bound;

use cs_base::TreeId;
use cs_kv::{CommitOptions, Error, KeyRange, Scan, Store, Transaction, system};

use crate::basics::{assert_sound, open, small_options};
use crate::disks::any_disk;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn key(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// Stored are the multiples of four; the transaction has changes before,
/// between, at and behind them.
fn changed(store: &Store) -> (Transaction, TreeId, Map) {
    let mut model = Map::new();
    let mut txn = store.begin().unwrap();
    let tree = txn.create_tree();
    for number in (0..200).step_by(4) {
        txn.put(tree, key(number), b"stored".to_vec()).unwrap();
        model.insert(key(number), b"stored".to_vec());
    }
    let ticket = txn.commit(&CommitOptions::default()).unwrap();
    ticket.wait().unwrap();
    let mut txn = store.begin().unwrap();
    for number in (1..220).step_by(3) {
        if number % 2 == 0 {
            txn.delete(tree, key(number)).unwrap();
            model.remove(&key(number));
        } else {
            txn.put(tree, key(number), b"own".to_vec()).unwrap();
            model.insert(key(number), b"own".to_vec());
        }
    }
    (txn, tree, model)
}

/// The first `enough` entries that a scan shows.
fn scanned(
    txn: &Transaction,
    tree: TreeId,
    range: &KeyRange,
    reverse: bool,
    enough: usize,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut seen = Vec::new();
    txn.scan(tree, range, reverse, |key, value| {
        seen.push((key.to_vec(), value.to_vec()));
        Ok(if seen.len() == enough {
            Scan::Stop
        } else {
            Scan::Continue
        })
    })
    .unwrap();
    seen
}

#[test]
fn a_scan_merges_own_writes_in_and_stops_when_told() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let (txn, tree, model) = changed(&store);
    for (from, to) in [(0, 300), (0, 200), (3, 60), (196, 220), (201, 220), (7, 8)] {
        let range = KeyRange {
            lower: Bound::Included(key(from)),
            upper: Bound::Excluded(key(to)),
        };
        let inside = model.range(key(from)..key(to));
        let mut expected: Vec<_> = inside.map(|(k, v)| (k.clone(), v.clone())).collect();
        for reverse in [false, true] {
            for enough in 1..=expected.len() + 1 {
                let seen = scanned(&txn, tree, &range, reverse, enough);
                assert_eq!(seen, expected[..expected.len().min(enough)]);
            }
            expected.reverse();
        }
    }
    for (key, value) in &model {
        assert_eq!(txn.get(tree, key).unwrap().as_ref(), Some(value));
    }
}

#[test]
fn what_the_visitor_says_ends_the_scan_and_is_passed_on() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let (txn, tree, model) = changed(&store);
    for fails_at in [1, 2, model.len()] {
        let mut seen = 0;
        let result = txn.scan(tree, &KeyRange::all(), false, |_, _| {
            seen += 1;
            if seen == fails_at {
                return Err(Error::Cancelled);
            }
            Ok(Scan::Continue)
        });
        assert!(matches!(result, Err(Error::Cancelled)));
        assert_eq!(seen, fails_at);
    }
}

#[test]
fn ranges_that_no_key_is_in_show_nothing() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let (txn, tree, _) = changed(&store);
    let at = key(25);
    let before = key(24);
    for (lower, upper) in [
        (Bound::Excluded(at.clone()), Bound::Excluded(at.clone())),
        (Bound::Included(at.clone()), Bound::Excluded(at.clone())),
        (Bound::Excluded(at.clone()), Bound::Included(at.clone())),
        (Bound::Included(at.clone()), Bound::Included(before.clone())),
        (Bound::Included(at.clone()), Bound::Excluded(before)),
    ] {
        let range = KeyRange { lower, upper };
        for reverse in [false, true] {
            assert_eq!(scanned(&txn, tree, &range, reverse, 9), []);
        }
    }
    // One key, and all on one side of it, from which 28 was deleted.
    let one = KeyRange {
        lower: Bound::Included(at.clone()),
        upper: Bound::Included(at.clone()),
    };
    assert_eq!(scanned(&txn, tree, &one, true, 9).len(), 1);
    let behind = KeyRange {
        lower: Bound::Excluded(at),
        upper: Bound::Unbounded,
    };
    assert_eq!(scanned(&txn, tree, &behind, false, 1)[0].0, key(31));
}

#[test]
fn a_tree_made_and_dropped_within_one_transaction_never_was() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let mut txn = store.begin().unwrap();
    assert!(txn.is_empty());
    let (kept, dropped) = (txn.create_tree(), txn.create_tree());
    assert!(!txn.is_empty());
    txn.put(kept, key(1), b"x".to_vec()).unwrap();
    txn.put(dropped, key(1), b"x".to_vec()).unwrap();
    assert_eq!(txn.get(kept, &key(2)).unwrap(), None);
    assert_eq!(scanned(&txn, kept, &KeyRange::all(), true, 9).len(), 1);
    txn.drop_tree(dropped).unwrap();
    let unknown = |result: Result<(), Error>| {
        assert!(
            matches!(&result, Err(Error::UnknownTree(tree)) if *tree == dropped),
            "{result:?}"
        );
    };
    unknown(txn.get(dropped, &key(1)).map(drop));
    unknown(txn.put(dropped, key(1), vec![]));
    unknown(txn.delete(dropped, key(1)));
    unknown(txn.drop_tree(dropped));
    unknown(txn.scan(dropped, &KeyRange::all(), false, |_, _| Ok(Scan::Stop)));
    let ticket = txn.commit(&CommitOptions::default()).unwrap();
    ticket.wait().unwrap();
    let snapshot = store.snapshot().unwrap();
    assert!(snapshot.get(kept, &key(1)).unwrap().is_some());
    unknown(snapshot.get(dropped, &key(1)).map(drop));
    assert_sound(&store);
}

#[test]
fn a_tree_of_the_store_itself_cannot_be_dropped() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let mut txn = store.begin().unwrap();
    let error = txn.drop_tree(system::CATALOG).unwrap_err();
    assert_eq!(error.to_string(), "a system tree cannot be dropped");
    let error = txn.drop_tree(TreeId(4_000)).unwrap_err();
    assert_eq!(error.to_string(), "there is no tree 4000");
    assert!(txn.is_empty(), "nothing of that remains");
}

#[test]
fn a_dropped_tree_of_the_snapshot_is_gone_for_the_transaction_and_then_for_all() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let (txn, tree, _) = changed(&store);
    drop(txn);
    let mut txn = store.begin().unwrap();
    txn.put(tree, key(5), b"own".to_vec()).unwrap();
    assert!(!txn.is_empty());
    txn.drop_tree(tree).unwrap();
    assert!(!txn.is_empty());
    assert!(matches!(txn.get(tree, &key(5)), Err(Error::UnknownTree(_))));
    let ticket = txn.commit(&CommitOptions::default()).unwrap();
    ticket.wait().unwrap();
    assert!(store.snapshot().unwrap().get(tree, &key(0)).is_err());
    assert_sound(&store);
}
