//! Writes and syncs that fail, and panics: a failure stays a failure.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cs_io::memory::MemoryDisk;
use cs_io::{Disk, OpenMode, RealRuntime};
use cs_kv::{CommitOptions, Error, Store};

use super::{
    assert_sound, commit, eventually, get, new_tree, open, options_without_checkpoints, put,
};
use crate::faulty::{Fate, FaultyDisk, Latch, Operation};

/// Turns given to a thread that is on its way to a lock.
const ON_ITS_WAY: u32 = 2_000;

/// Symptom: damage after a clean close; an early write of pages had failed.
/// Cause: background work let its error go, and the pages, taken for written,
/// were in no later checkpoint. Cure: it poisons, and the log has it all.
#[test]
fn an_early_write_that_fails_later_is_not_forgotten() {
    let memory = MemoryDisk::new();
    let disk = FaultyDisk::over(Arc::clone(&memory) as Arc<dyn Disk>);
    let options = options_without_checkpoints();
    let mut acknowledged = 0_u32;
    let tree = {
        // With threads: it is the background thread that finds the failure.
        let on_disk = Arc::clone(&disk) as Arc<dyn Disk>;
        let store = Store::open(on_disk, RealRuntime::new(), options.clone()).unwrap();
        let tree = new_tree(&store);
        disk.set(Operation::WritePages, || Fate::FailsLater);
        while !disk.has_sprung() {
            let key = acknowledged.to_be_bytes();
            let outcome = commit(&store, &put(tree, &key, vec![1; 900]));
            // The last may come too late: the thread is quick.
            assert!(outcome.is_ok() || disk.has_sprung(), "{outcome:?}");
            acknowledged += u32::from(outcome.is_ok());
            assert!(acknowledged < 10_000, "no page was written early");
        }
        eventually("the store is poisoned", || store.stats().poisoned);
        assert!(matches!(store.close(), Err(Error::Poisoned(_))));
        tree
    };
    let store = open(&memory, options).unwrap();
    for number in 0..acknowledged {
        let value = get(&store, tree, &number.to_be_bytes());
        assert_eq!(value, Some(vec![1; 900]), "key {number}");
    }
    assert_sound(&store);
}

/// Symptom: a checkpoint succeeded whose data had failed to sync. Cause: a
/// second caller, waiting for the lock meanwhile, went on with the first one's
/// run behind the failed sync. Cure: each step asks first whether all is well.
#[test]
fn whoever_waited_behind_a_failed_sync_does_not_finish_that_checkpoint() {
    let memory = MemoryDisk::new();
    let disk = FaultyDisk::over(Arc::clone(&memory) as Arc<dyn Disk>);
    let store = open(&disk, options_without_checkpoints()).unwrap();
    let tree = new_tree(&store);
    commit(&store, &put(tree, b"k", vec![1; 100])).unwrap();
    let metas = || {
        let mut metas = vec![0; 8192];
        let file = memory.open("data.cs", OpenMode::ReadOnly).unwrap();
        file.read_at(&mut metas, 0).unwrap();
        metas
    };
    let before = metas();

    let latch = Arc::new(Latch::default());
    let held = Arc::clone(&latch);
    disk.set(Operation::SyncData, move || Fate::FailsAfter(held));
    let second_comes = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| store.checkpoint());
        eventually("the sync", || disk.has_sprung().then_some(()));
        let second = scope.spawn(|| {
            second_comes.store(true, Ordering::Release);
            store.checkpoint()
        });
        eventually("the second", || {
            second_comes.load(Ordering::Acquire).then_some(())
        });
        // Nothing shows that it stands at the lock. Should it not have come so
        // far, it is refused for another reason, and the test is the weaker.
        for _ in 0..ON_ITS_WAY {
            std::thread::yield_now();
        }
        latch.release();
        first.join().unwrap().unwrap_err();
        second.join().unwrap().unwrap_err();
    });
    assert!(store.stats().poisoned.is_some());
    assert!(before == metas(), "a meta was written after a failed sync");
    drop(store);
    let store = open(&memory, options_without_checkpoints()).unwrap();
    assert_eq!(get(&store, tree, b"k").unwrap(), vec![1; 100]);
    assert_sound(&store);
}

/// Symptom: after a commit panicked, others went on building on what it left.
/// Cause: the writer's lock knew nothing of panics. Cure: a panic under that
/// lock poisons before anybody else gets it.
#[test]
fn a_panic_in_the_middle_of_a_change_poisons_the_store() {
    let memory = MemoryDisk::new();
    let disk = FaultyDisk::over(Arc::clone(&memory) as Arc<dyn Disk>);
    let store = open(&disk, options_without_checkpoints()).unwrap();
    let tree = new_tree(&store);
    commit(&store, &put(tree, b"x", b"y".to_vec())).unwrap();

    disk.set(Operation::GrowData, || panic!("on purpose"));
    let large = put(tree, b"large", vec![1; 1_000_000]);
    let outcome = catch_unwind(AssertUnwindSafe(|| commit(&store, &large)));
    assert!(outcome.is_err(), "the file had to be grown");

    assert!(store.stats().poisoned.is_some());
    let next = commit(&store, &put(tree, b"x2", b"y".to_vec()));
    assert!(matches!(next, Err(Error::Poisoned(_))), "{next:?}");
    drop(store);
    let store = open(&memory, options_without_checkpoints()).unwrap();
    assert_eq!(get(&store, tree, b"x").unwrap(), b"y");
    assert_eq!(get(&store, tree, b"large"), None);
    assert_eq!(get(&store, tree, b"x2"), None);
    assert_sound(&store);
}

/// Symptom: a check reported leaks and lost pages that were none, while others
/// wrote. Cause: it compared the newest allocation with the visible root, which
/// is behind while a record is not durable. Cure: it walks what it sealed.
#[test]
fn a_check_finds_nothing_wrong_in_a_commit_that_is_not_durable_yet() {
    let disk = FaultyDisk::over(MemoryDisk::new());
    let store = open(&disk, options_without_checkpoints()).unwrap();
    let tree = new_tree(&store);
    for number in 0..200_u32 {
        commit(&store, &put(tree, &number.to_be_bytes(), vec![1; 200])).unwrap();
    }
    let options = CommitOptions::default();
    let before = put(tree, b"before", vec![2; 200]);
    let before = store.write(&before, &options).unwrap();
    // The check makes the first durable; the second comes while it does.
    let during = store.clone();
    disk.set(Operation::WriteLog, move || {
        let batch = put(tree, &7_u32.to_be_bytes(), vec![3; 200]);
        let _ = during.write(&batch, &CommitOptions::default()).unwrap();
        Fate::Passes
    });
    let report = store.check().unwrap();
    assert!(disk.has_sprung());
    assert!(before.is_complete());
    assert!(report.is_sound(), "{:#?}", report.findings);
    assert_eq!(
        get(&store, tree, &7_u32.to_be_bytes()).unwrap(),
        vec![1; 200]
    );
    store.flush().unwrap();
    assert_eq!(
        get(&store, tree, &7_u32.to_be_bytes()).unwrap(),
        vec![3; 200]
    );
    assert_sound(&store);
}
