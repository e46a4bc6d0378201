//! The tests of compaction can fail: a data file that is cut although a pinned
//! version reaches pages beyond is noticed. Only with `--features mutants`.
#![cfg(feature = "mutants")]
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cs_base::mutants::{Mutant, plant};
use cs_io::Disk;
use cs_io::memory::MemoryDisk;
use cs_kv::{
    Batch, CommitOptions, CompactOptions, Durability, Error, Expect, KeyRange, Result, Store,
    StoreOptions,
};

/// A compaction while a snapshot is held; whether the snapshot reads what it did.
fn snapshot_survives() -> Result<bool> {
    let disk: Arc<dyn Disk> = MemoryDisk::new();
    let mut options = StoreOptions::default();
    options.page_size = 4096;
    options.cache_bytes = 64 * 1024;
    options.auto_compact = None;
    let store = Store::open(disk, cs_io::SimRuntime::new(1), options)?;
    let mut txn = store.begin()?;
    let tree = txn.create_tree();
    txn.commit(&CommitOptions::default())?.wait()?;
    let unsynced = CommitOptions::with_durability(Durability::Memory);
    let change = |value: Option<Vec<u8>>| {
        for part in 0..20_u32 {
            let mut batch = Batch::new();
            for number in 0..200_u32 {
                let key = (part * 200 + number).to_be_bytes().to_vec();
                match &value {
                    Some(value) => batch.put(tree, key, value.clone(), Expect::Any),
                    None => batch.delete(tree, key, Expect::Any),
                }
            }
            store.write(&batch, &unsynced)?.wait()?;
            store.checkpoint()?;
        }
        Ok::<_, Error>(())
    };
    change(Some(vec![7; 200]))?;
    let snapshot = store.snapshot()?;
    change(None)?;
    store.compact(&CompactOptions::default(), &mut |_| {
        ControlFlow::Continue(())
    })?;
    change(Some(vec![9; 200]))?;
    let mut cursor = snapshot.cursor(tree, KeyRange::all())?;
    let mut count = 0;
    while let Some((_, value)) = cursor.next()? {
        count += u32::from(value == [7; 200]);
    }
    Ok(count == 4000)
}

#[test]
fn a_cut_below_a_pinned_version_is_noticed() {
    plant(None);
    assert!(
        snapshot_survives().unwrap(),
        "without the bug nothing is wrong"
    );
    plant(Some(Mutant::CutBelowPinned));
    // A wrong answer, an error or a panic of an invariant: any of them will do.
    let outcome = catch_unwind(AssertUnwindSafe(snapshot_survives));
    plant(None);
    assert!(
        !matches!(outcome, Ok(Ok(true))),
        "the planted bug went unnoticed"
    );
}
