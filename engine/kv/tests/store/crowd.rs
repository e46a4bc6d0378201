//! A crowd of committers, of whom one commits for all that come meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cs_io::memory::MemoryDisk;
use cs_io::{Disk, RealRuntime};
use cs_kv::{Batch, CommitOptions, Error, Expect, Store};

use crate::basics::{assert_sound, new_tree, open, small_options};
use crate::faulty::{Fate, FaultyDisk, Operation};

const THREADS: u64 = 16;

fn key(thread: u64, number: u64) -> Vec<u8> {
    [thread.to_be_bytes(), number.to_be_bytes()].concat()
}

#[test]
fn each_of_a_crowd_hears_of_its_own_commit_when_readers_see_it() {
    const EACH: u64 = 200;
    let disk = MemoryDisk::new();
    let store = open(&disk, small_options());
    let tree = new_tree(&store);
    let refused = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, refused) = (&store, &refused);
            scope.spawn(move || {
                for number in 0..EACH {
                    let mut batch = Batch::new();
                    let value = vec![thread as u8; 20 + (number % 300) as usize];
                    batch.put(tree, key(thread, number), value, Expect::Absent);
                    // Every tenth asks for what cannot be.
                    let is_mistaken = number % 10 == 9;
                    if is_mistaken {
                        batch.put(tree, key(thread, 0), vec![0], Expect::Absent);
                    }
                    let outcome = store.write_and_wait(batch, &CommitOptions::default());
                    match outcome {
                        Ok(index) => {
                            assert!(!is_mistaken, "a mistaken batch was accepted");
                            let snapshot = store.snapshot().unwrap();
                            assert!(snapshot.index() >= index, "not visible yet");
                            let value = snapshot.get(tree, &key(thread, number)).unwrap();
                            assert!(value.is_some(), "acknowledged and not seen");
                        }
                        Err(Error::Expectation { position, .. }) => {
                            assert!(is_mistaken && position == 1);
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
    });
    assert_eq!(refused.into_inner(), THREADS * EACH / 10);
    let stats = store.snapshot().unwrap().tree_stats(tree).unwrap().unwrap();
    assert_eq!(stats.count, THREADS * EACH * 9 / 10);
    assert_sound(&store);
}

#[test]
fn a_failed_sync_in_a_crowd_leaves_nobody_waiting_and_loses_nothing_acknowledged() {
    let memory = MemoryDisk::new();
    let faulty = FaultyDisk::over(Arc::clone(&memory) as Arc<dyn Disk>);
    let disk: Arc<dyn Disk> = faulty.clone();
    let store = Store::open(disk, RealRuntime::new(), small_options()).unwrap();
    let tree = new_tree(&store);
    let acknowledged: Vec<u64> = std::thread::scope(|scope| {
        let crowd: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (store, faulty) = (&store, &faulty);
                scope.spawn(move || {
                    let mut number = 0;
                    loop {
                        let mut batch = Batch::new();
                        batch.put(tree, key(thread, number), vec![1; 50], Expect::Absent);
                        match store.write_and_wait(batch, &CommitOptions::default()) {
                            Ok(_) => number += 1,
                            Err(_) => return number,
                        }
                        if thread == 0 && number == 50 {
                            faulty.set(Operation::WriteLog, || Fate::Fails);
                        }
                    }
                })
            })
            .collect();
        crowd.into_iter().map(|one| one.join().unwrap()).collect()
    });
    // Readers go on, and see what was acknowledged.
    let check = |store: &Store| {
        let snapshot = store.snapshot().unwrap();
        for (thread, &count) in acknowledged.iter().enumerate() {
            for number in 0..count {
                let value = snapshot.get(tree, &key(thread as u64, number)).unwrap();
                assert!(value.is_some(), "thread {thread} lost number {number}");
            }
        }
    };
    check(&store);
    drop(store);
    let store = open(&memory, small_options());
    check(&store);
    assert_sound(&store);
}

/// Large batches are nobody else's work; they go their own way between the rest.
#[test]
fn large_and_small_batches_of_a_crowd_are_all_there() {
    const EACH: u64 = 30;
    let disk = MemoryDisk::new();
    let mut options = small_options();
    options.cache_bytes = 8 << 20;
    let store = open(&disk, options);
    let tree = new_tree(&store);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                for number in 0..EACH {
                    let len = if number % 3 == 0 { 40_000 } else { 40 };
                    let mut batch = Batch::new();
                    batch.put(tree, key(thread, number), vec![7; len], Expect::Absent);
                    let options = CommitOptions::default();
                    let index = store.write_and_wait(batch, &options).unwrap();
                    let snapshot = store.snapshot().unwrap();
                    assert!(snapshot.index() >= index);
                    let value = snapshot.get(tree, &key(thread, number)).unwrap();
                    assert_eq!(value.map(|value| value.len()), Some(len));
                }
            });
        }
    });
    let stats = store.snapshot().unwrap().tree_stats(tree).unwrap().unwrap();
    assert_eq!(stats.count, THREADS * EACH);
    assert_sound(&store);
}

/// Each hears for himself that there is no space, also where another carried
/// his commit out; what was acknowledged is there, and deleting makes room.
#[test]
fn a_crowd_on_a_full_disk_loses_nothing_and_poisons_nothing() {
    let disk = MemoryDisk::with_capacity(6 << 20);
    let store = open(&disk, small_options());
    let tree = new_tree(&store);
    let acknowledged = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, acknowledged) = (&store, &acknowledged);
            scope.spawn(move || {
                for number in 0.. {
                    let mut batch = Batch::new();
                    batch.put(tree, key(thread, number), vec![7; 3_000], Expect::Absent);
                    match store.write_and_wait(batch, &CommitOptions::default()) {
                        Ok(_) => acknowledged.fetch_add(1, Ordering::Relaxed),
                        Err(error) if error.is_no_space() => break,
                        Err(error) => panic!("{error}"),
                    };
                }
            });
        }
    });
    assert_eq!(store.stats().poisoned, None);
    let stats = store.snapshot().unwrap().tree_stats(tree).unwrap().unwrap();
    assert_eq!(stats.count, acknowledged.into_inner());
    let mut batch = Batch::new();
    for thread in 0..THREADS {
        batch.delete(tree, key(thread, 0), Expect::Any);
    }
    store
        .write_and_wait(batch, &CommitOptions::default())
        .unwrap();
    assert_sound(&store);
}
