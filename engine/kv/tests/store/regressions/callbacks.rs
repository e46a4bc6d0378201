//! What a callback may do.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use cs_io::memory::MemoryDisk;
use cs_io::{Disk, SimRuntime};
use cs_kv::{Batch, CommitOptions, Error, Store};

use super::{assert_sound, eventually, get, new_tree, open, options_without_checkpoints, put};
use crate::basics::small_options;
use crate::faulty::{Fate, FaultyDisk, Operation};

/// With threads: these defects need one that completes.
fn open_with_threads(disk: &Arc<MemoryDisk>) -> Store {
    crate::basics::open(disk, small_options())
}

/// What was sent, or a failed test where it never will be.
fn received<T>(receiver: &Receiver<T>) -> T {
    eventually("a message", || match receiver.try_recv() {
        Ok(message) => Some(message),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Disconnected) => panic!("nobody is left to send"),
    })
}

/// Symptom: a callback that committed and waited hung, and everybody with it.
/// Cause: it ran on the leader's stack, and waited for the leader. Cure: a wait
/// inside a callback is refused; the commit itself goes its way.
#[test]
fn a_callback_that_waits_is_told_so_and_its_commit_happens() {
    let disk = MemoryDisk::new();
    let store = open_with_threads(&disk);
    let tree = store.new_tree_id();
    let mut batch = Batch::new();
    batch.create_tree(tree);
    let ticket = store.write(&batch, &CommitOptions::default()).unwrap();
    let (sender, receiver) = channel();
    let inner = store.clone();
    ticket.on_complete(move |outcome| {
        outcome.unwrap();
        let batch = put(tree, b"x", b"y".to_vec());
        let second = inner.write(&batch, &CommitOptions::default()).unwrap();
        let waited = second.wait();
        sender.send((second, waited)).unwrap();
    });
    // On a thread of its own, so that a hang fails this test and no other.
    std::thread::spawn(move || ticket.wait());
    let (second, waited) = received(&receiver);
    let refused = waited.unwrap_err();
    assert!(refused.to_string().contains("callback"), "{refused}");
    second.wait().unwrap();
    assert_eq!(get(&store, tree, b"x").unwrap(), b"y");
    assert_sound(&store);
}

/// Symptom: a callback that dropped the last handle took the background thread
/// with it in a panic. Cause: closing joined that thread from within itself.
/// Cure: a thread that closes what it serves is left to end on its own.
#[test]
fn the_last_handle_may_go_in_a_callback_on_the_stores_own_thread() {
    let disk = MemoryDisk::new();
    let store = open_with_threads(&disk);
    let tree = store.new_tree_id();
    let mut batch = put(tree, b"a", b"1".to_vec());
    batch.create_tree(tree);
    let ticket = store.write(&batch, &CommitOptions::default()).unwrap();
    let (sender, receiver) = channel();
    // Nobody waits: the background thread makes it durable when it finds the
    // store idle, and calls.
    ticket.on_complete(move |outcome| {
        drop(store);
        sender.send(outcome.is_ok()).unwrap();
    });
    assert!(received(&receiver));
    assert!(ticket.is_complete());
    drop(ticket);
    // Nothing was left behind that holds the directory.
    let store = eventually("the lock's end", || {
        let disk: Arc<dyn Disk> = Arc::clone(&disk) as Arc<dyn Disk>;
        match Store::open(disk, SimRuntime::new(1), small_options()) {
            Err(Error::Locked(_)) => None,
            opened => Some(opened.unwrap()),
        }
    });
    assert_eq!(get(&store, tree, b"a").unwrap(), b"1");
    assert_sound(&store);
}

/// Symptom: a callback that asked for figures hung when the store was poisoned.
/// Cause: poisoning ran the callbacks under the writer's lock, which figures
/// need. Cure: waiters are told under it, callbacks run when it is let go.
#[test]
fn a_callback_may_ask_for_figures_when_the_store_is_poisoned() {
    let (sender, receiver) = channel();
    let told = sender.clone();
    // On a thread of its own, so that a hang fails this test and no other.
    std::thread::spawn(move || {
        let disk = FaultyDisk::over(MemoryDisk::new());
        let store = open(&disk, options_without_checkpoints()).unwrap();
        let tree = new_tree(&store);
        let options = CommitOptions::default();
        let first = store.write(&put(tree, b"k", vec![0; 100]), &options);
        let asking = store.clone();
        first.unwrap().on_complete(move |outcome| {
            let unknown = matches!(outcome, Err(Error::OutcomeUnknown(_)));
            told.send((unknown, asking.stats().poisoned)).unwrap();
        });
        // The log needs its next segment while the writer's lock is held.
        disk.set(Operation::Create, || Fate::Fails);
        let batch = put(tree, b"k", vec![1; 1_000]);
        let failed = (0..1_000).find_map(|_| store.write(&batch, &options).err());
        sender
            .send((failed.is_some(), store.stats().poisoned))
            .unwrap();
    });
    for who in ["the callback", "the committer"] {
        let (failed, poisoned) = received(&receiver);
        assert!(failed && poisoned.is_some(), "{who}: {poisoned:?}");
    }
}
