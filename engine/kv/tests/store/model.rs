//! The store against a `BTreeMap`, through random transactions, reopenings and
//! checkpoints.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use cs_kv::{BulkOptions, CommitOptions, CompactOptions, Duplicates, Error, KeyRange, Store};
use proptest::prelude::*;

use crate::basics::{new_tree, open, small_options};
use crate::disks::any_disk;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug)]
enum Action {
    /// Puts and deletes in one transaction; dropped instead of committed if false.
    Transaction(Vec<(Vec<u8>, Option<Vec<u8>>)>, bool),
    Reopen {
        close: bool,
    },
    Checkpoint,
    Compact,
    /// A bulk load; in order if true.
    Bulk(Vec<(Vec<u8>, Vec<u8>)>, bool),
    Scan {
        lower: Vec<u8>,
        upper: Vec<u8>,
        reverse: bool,
    },
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0..400_u16).prop_map(|number| format!("key-{number:05}").into_bytes()),
        2 => proptest::collection::vec(0..4_u8, 0..6),
        1 => (0..6_u8).prop_map(|number| {
            let mut long = vec![b'k'; 3_000];
            long.push(number);
            long
        }),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (any::<u8>(), 0..200_usize).prop_map(|(byte, len)| vec![byte; len]),
        1 => (any::<u8>(), 0..20_000_usize).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let change = (key(), proptest::option::weighted(0.6, value()));
    prop_oneof![
        12 => (proptest::collection::vec(change, 1..40), proptest::bool::weighted(0.9))
            .prop_map(|(changes, commits)| Action::Transaction(changes, commits)),
        1 => any::<bool>().prop_map(|close| Action::Reopen { close }),
        1 => Just(Action::Checkpoint),
        1 => Just(Action::Compact),
        1 => (proptest::collection::vec((key(), value()), 1..150), any::<bool>())
            .prop_map(|(entries, sorted)| Action::Bulk(entries, sorted)),
        3 => (key(), key(), any::<bool>())
            .prop_map(|(lower, upper, reverse)| Action::Scan { lower, upper, reverse }),
    ]
}

fn contents(
    store: &Store,
    tree: cs_base::TreeId,
    range: KeyRange,
    reverse: bool,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut cursor = store.snapshot().unwrap().cursor(tree, range).unwrap();
    let mut found = Vec::new();
    loop {
        let entry = if reverse {
            cursor.prev()
        } else {
            cursor.next()
        };
        let Some((key, value)) = entry.unwrap() else {
            break;
        };
        found.push((key.to_vec(), value.to_vec()));
    }
    found
}

fn run(actions: Vec<Action>) {
    let disk = any_disk();
    let mut store = open(&disk, small_options());
    let tree = new_tree(&store);
    let mut model = Model::new();
    for action in actions {
        match action {
            Action::Transaction(changes, commits) => {
                let mut txn = store.begin().unwrap();
                let mut next = model.clone();
                for (key, value) in changes {
                    assert_eq!(txn.get(tree, &key).unwrap(), next.get(&key).cloned());
                    match value {
                        Some(value) => {
                            txn.put(tree, key.clone(), value.clone()).unwrap();
                            next.insert(key, value);
                        }
                        None => {
                            txn.delete(tree, key.clone()).unwrap();
                            next.remove(&key);
                        }
                    }
                }
                if commits {
                    txn.commit(&CommitOptions::default())
                        .unwrap()
                        .wait()
                        .unwrap();
                    model = next;
                }
            }
            Action::Reopen { close } => {
                if close {
                    store.close().unwrap();
                }
                drop(store);
                store = open(&disk, small_options());
            }
            Action::Checkpoint => store.checkpoint().unwrap(),
            Action::Compact => {
                let mut options = CompactOptions::default();
                options.pages_per_step = 4;
                let mut progress = |_: &_| ControlFlow::Continue(());
                store.compact(&options, &mut progress).unwrap();
            }
            Action::Bulk(mut entries, sorted) => {
                if sorted {
                    entries.sort_by(|one, two| one.0.cmp(&two.0));
                }
                let mut options = BulkOptions::default();
                options.duplicates = Duplicates::Replace;
                let load = entries
                    .iter()
                    .map(|(key, value)| Ok::<_, Error>((key, value)));
                let mut progress = |_: &_| ControlFlow::Continue(());
                let report = store
                    .bulk_load(tree, load, &options, &mut progress)
                    .unwrap();
                assert_eq!(report.entries, entries.len() as u64);
                model.extend(entries);
            }
            Action::Scan {
                lower,
                upper,
                reverse,
            } => {
                let range = KeyRange {
                    lower: Bound::Included(lower.clone()),
                    upper: Bound::Excluded(upper.clone()),
                };
                let mut expected: Vec<_> = if lower < upper {
                    model
                        .range(lower..upper)
                        .map(|(key, value)| (key.clone(), value.clone()))
                        .collect()
                } else {
                    Vec::new()
                };
                if reverse {
                    expected.reverse();
                }
                assert_eq!(contents(&store, tree, range, reverse), expected);
            }
        }
    }
    let all: Vec<_> = model.into_iter().collect();
    assert_eq!(contents(&store, tree, KeyRange::all(), false), all);
    let mut backwards = contents(&store, tree, KeyRange::all(), true);
    backwards.reverse();
    assert_eq!(backwards, all);
    let stats = store.snapshot().unwrap().tree_stats(tree).unwrap().unwrap();
    assert_eq!(stats.count, all.len() as u64);
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.findings);
    drop(Arc::clone(&disk));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_a_map(actions in proptest::collection::vec(action(), 1..60)) {
        run(actions);
    }
}
