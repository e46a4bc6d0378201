//! Promises that were broken once: budgets, flushing, refusals, the check.

use std::sync::Arc;

use cs_io::{Disk, RealRuntime};
use cs_kv::{Batch, CommitOptions, Durability, Error, Expect, Store};

use crate::basics::{assert_sound, new_tree, open, small_options};
use crate::disks::any_disk;

/// Symptom: a program hung that asked for figures while a checkpoint began.
/// Cause: `stats` held the writer's lock while it asked for the maintenance
/// lock, against the order of locks. Cure: one lock at a time.
#[test]
fn figures_may_be_asked_for_at_any_time() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let tree = new_tree(&store);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            while store.stats().commits < 400 {
                std::thread::yield_now();
            }
        });
        for number in 0..400_u32 {
            let mut batch = Batch::new();
            batch.put(
                tree,
                number.to_be_bytes().to_vec(),
                vec![1; 500],
                Expect::Absent,
            );
            store
                .write(&batch, &CommitOptions::default())
                .unwrap()
                .wait()
                .unwrap();
            store.checkpoint().unwrap();
        }
        asking.join().unwrap();
    });
}

/// Symptom: what was acknowledged under `Async` was gone though nothing had
/// crashed. Cause: the last handle went, and with it whoever would have flushed.
/// Cure: the last handle flushes.
#[test]
fn what_was_not_synced_yet_is_flushed_when_the_last_handle_goes() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let tree = new_tree(&store);
    for number in 0..100_u8 {
        let mut batch = Batch::new();
        batch.put(tree, vec![number], vec![7; 10], Expect::Absent);
        let unsynced = CommitOptions::with_durability(Durability::Async);
        store.write(&batch, &unsynced).unwrap().wait().unwrap();
    }
    drop(store);
    let store = open(&disk, small_options());
    assert_eq!(
        store
            .snapshot()
            .unwrap()
            .tree_stats(tree)
            .unwrap()
            .unwrap()
            .count,
        100
    );
}

/// Symptom: memory for pages grew far beyond the budget under large commits.
/// Cause: a commit wrote at most 256 dirty pages early, whatever it had
/// dirtied. Cure: it writes until there is room, and large versions are sealed.
#[test]
fn dirty_pages_stay_within_the_budget_whatever_a_commit_dirties() {
    let disk = any_disk();
    let mut options = small_options();
    options.cache_bytes = 1024 * 1024;
    options.checkpoint_log_bytes = 1 << 40;
    let store = open(&disk, options);
    let tree = new_tree(&store);
    let mut random = 1_u64;
    for _ in 0..200 {
        let mut batch = Batch::new();
        for _ in 0..100 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            batch.put(
                tree,
                random.to_be_bytes().to_vec(),
                vec![3; 300],
                Expect::Any,
            );
        }
        store
            .write(&batch, &CommitOptions::default())
            .unwrap()
            .wait()
            .unwrap();
        let pool = store.stats().pool;
        // What one commit reads and dirties comes on top until the next.
        assert!(pool.resident_bytes < 3 * pool.budget_bytes, "{pool:?}");
    }
    assert_sound(&store);
}

#[test]
fn options_are_checked_before_anything_is_made() {
    let disk = any_disk();
    let mut options = small_options();
    options.page_size = 5000;
    let refused = Store::open(
        Arc::clone(&disk) as Arc<dyn Disk>,
        RealRuntime::new(),
        options,
    );
    assert!(matches!(refused, Err(Error::InvalidOption(_))));
    let mut options = small_options();
    options.create = false;
    let refused = Store::open(
        Arc::clone(&disk) as Arc<dyn Disk>,
        RealRuntime::new(),
        options,
    );
    assert!(matches!(refused, Err(Error::InvalidOption(_))));
    assert!(disk.list().unwrap().is_empty());
}

/// Symptom: a check found nothing, and a search missed keys that were there.
/// Cause: a wrong separator leaves every page sound and the keys in order.
/// Cure: the check looks each key up.
#[test]
fn the_check_finds_a_separator_that_leads_astray() {
    use cs_io::OpenMode;
    use cs_kv::node::{BranchMut, KeyRef};
    use cs_pager::format::seal_checksum;
    use cs_pager::{PageHeader, PageKind};

    let disk = any_disk();
    let store = open(&disk, small_options());
    let mut txn = store.begin().unwrap();
    let tree = txn.create_tree();
    for number in 0..2_000_u32 {
        txn.put(tree, number.to_be_bytes().to_vec(), vec![1; 50])
            .unwrap();
    }
    txn.commit(&CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    store.close().unwrap();
    drop(store);
    let file = disk.open("data.cs", OpenMode::ReadWrite).unwrap();
    let mut raised = 0;
    for page in 2..file.len().unwrap() / 4096 {
        let mut bytes = vec![0; 4096];
        file.read_at(&mut bytes, page * 4096).unwrap();
        if PageHeader::of(&bytes).kind == PageKind::Branch as u8 {
            let mut branch = BranchMut::new(&mut bytes);
            let (mut key, child) = (Vec::new(), branch.as_branch().child(1));
            branch.as_branch().key(1, &mut key);
            branch.remove(1);
            *key.last_mut().unwrap() += 1;
            branch.insert(1, KeyRef::inline(&key), child).unwrap();
            seal_checksum(&mut bytes);
            file.write_at(&bytes, page * 4096).unwrap();
            raised += 1;
        }
    }
    assert!(raised > 0);
    let report = open(&disk, small_options()).check().unwrap();
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.code == "out-of-order"),
        "{report:?}"
    );
}

/// Symptom: writers that wait for no sync filled the memory with what the log
/// had gathered. Cause: the log bounds it only for whoever asks for room, and
/// the store never did. Cure: it asks before each commit.
#[test]
fn writers_that_wait_for_no_sync_do_not_outrun_the_log_for_ever() {
    const BOUND: u64 = 128 * 1024;
    const RECORD: u64 = 8 * 1024;
    let disk = any_disk();
    let mut options = small_options();
    options.cache_bytes = 16 << 20;
    options.checkpoint_log_bytes = 1 << 40;
    options.log.undurable_bytes_max = BOUND;
    let store = open(&disk, options);
    let tree = new_tree(&store);
    store.flush().unwrap();
    let stats = store.stats();
    // Where the log would begin if all of it counted.
    let origin = stats.durable_lsn.0 - stats.log_bytes;
    let unsynced = CommitOptions::with_durability(Durability::Memory);
    for number in 0..1000_u32 {
        let mut batch = Batch::new();
        let value = vec![1; RECORD as usize / 2];
        batch.put(tree, number.to_be_bytes().to_vec(), value, Expect::Absent);
        store.write(&batch, &unsynced).unwrap().wait().unwrap();
        let stats = store.stats();
        let undurable = (origin + stats.log_bytes).saturating_sub(stats.durable_lsn.0);
        assert!(undurable <= BOUND + RECORD, "{undurable} at {number}");
    }
    assert_sound(&store);
}
