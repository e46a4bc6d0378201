//! Readers beside commits in flight: every snapshot is the state at its index,
//! whatever is applied beyond it.
//!
//! One thread, a simulated clock, commits that nobody waits for: a step of the
//! background work lets some of them become visible, and the snapshot that
//! comes then makes the store take back the rest and do it again.

use std::collections::BTreeMap;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::memory::MemoryDisk;
use cs_io::{Disk, SimRuntime};
use cs_kv::{Batch, CommitOptions, Durability, Expect, KeyRange, SessionStatement, Store};
use proptest::prelude::*;

use crate::basics::{assert_sound, small_options};

type Trees = BTreeMap<TreeId, BTreeMap<Vec<u8>, Vec<u8>>>;

#[derive(Clone, Debug)]
enum Action {
    Commit {
        changes: Vec<(u8, Vec<u8>, Option<Vec<u8>>)>,
        durability: Durability,
        session: bool,
    },
    Create,
    Drop(u8),
    Step(u8),
    Look,
    Checkpoint,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0..60_u16).prop_map(|number| format!("key-{number:05}").into_bytes()),
        1 => (0..3_u8).prop_map(|number| [&[b'k'; 3_000][..], &[number]].concat()),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (any::<u8>(), 0..300_usize).prop_map(|(byte, len)| vec![byte; len]),
        1 => (any::<u8>(), 0..12_000_usize).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let change = (0..3_u8, key(), proptest::option::weighted(0.6, value()));
    let durability = prop_oneof![
        6 => Just(Durability::Sync),
        1 => Just(Durability::Async),
        1 => Just(Durability::Memory),
    ];
    prop_oneof![
        12 => (proptest::collection::vec(change, 1..8), durability, proptest::bool::weighted(0.2))
            .prop_map(|(changes, durability, session)| Action::Commit { changes, durability, session }),
        1 => Just(Action::Create),
        1 => (0..3_u8).prop_map(Action::Drop),
        4 => (1..4_u8).prop_map(Action::Step),
        6 => Just(Action::Look),
        1 => Just(Action::Checkpoint),
    ]
}

/// Every tree as the newest snapshot has it, and the index of that snapshot.
fn look(store: &Store) -> (u64, Trees) {
    let snapshot = store.snapshot().unwrap();
    let mut trees = Trees::new();
    for (tree, stats) in snapshot.trees().unwrap() {
        let mut cursor = snapshot.cursor(tree, KeyRange::all()).unwrap();
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = cursor.next().unwrap() {
            entries.insert(key.to_vec(), value.to_vec());
        }
        assert_eq!(stats.count, entries.len() as u64, "the count is kept up");
        trees.insert(tree, entries);
    }
    (snapshot.index().0, trees)
}

fn run(actions: Vec<Action>) {
    let disk: Arc<dyn Disk> = MemoryDisk::new();
    let mut options = small_options();
    options.log.groups_in_flight = 2;
    let store = Store::open(Arc::clone(&disk), SimRuntime::new(1), options.clone()).unwrap();
    // The state after each index.
    let mut history: BTreeMap<u64, Trees> = BTreeMap::new();
    let mut newest = Trees::new();
    history.insert(look(&store).0, newest.clone());
    let mut number = 0;
    for action in actions {
        let mut batch = Batch::new();
        let mut options = CommitOptions::default();
        match action {
            Action::Commit {
                changes,
                durability,
                session,
            } => {
                options.durability = Some(durability);
                if session {
                    number += 1;
                    options.session = Some(SessionStatement {
                        session: [7; 16],
                        number,
                        results: vec![1; 10],
                    });
                }
                for (which, key, value) in changes {
                    let Some(tree) = newest.keys().nth(usize::from(which)).copied() else {
                        continue;
                    };
                    let entries = newest.get_mut(&tree).unwrap();
                    match value {
                        Some(value) => {
                            batch.put(tree, key.clone(), value.clone(), Expect::Any);
                            entries.insert(key, value);
                        }
                        None => {
                            batch.delete(tree, key.clone(), Expect::Any);
                            entries.remove(&key);
                        }
                    }
                }
            }
            Action::Create => {
                let tree = store.new_tree_id();
                batch.create_tree(tree);
                newest.insert(tree, BTreeMap::new());
            }
            Action::Drop(which) => {
                let Some(tree) = newest.keys().nth(usize::from(which)).copied() else {
                    continue;
                };
                batch.drop_tree(tree);
                newest.remove(&tree);
            }
            Action::Step(times) => {
                for _ in 0..times {
                    store.step().unwrap();
                }
                continue;
            }
            Action::Look => {
                let (index, trees) = look(&store);
                let (_, expected) = history.range(..=index).next_back().unwrap();
                assert!(trees == *expected, "the snapshot at index {index} differs");
                continue;
            }
            Action::Checkpoint => {
                store.checkpoint().unwrap();
                continue;
            }
        }
        let ticket = store.write(&batch, &options).unwrap();
        history.insert(ticket.index().0, newest.clone());
    }
    store.flush().unwrap();
    assert!(look(&store).1 == newest, "after everything became visible");
    assert_sound(&store);
    drop(store);
    let store = Store::open(disk, SimRuntime::new(2), options).unwrap();
    assert!(look(&store).1 == newest, "after opening again");
    assert_sound(&store);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_beside_commits_in_flight_is_the_state_at_its_index(
        actions in proptest::collection::vec(action(), 1..60),
    ) {
        run(actions);
    }
}
