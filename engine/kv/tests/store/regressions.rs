//! Defects that were found and mended. Each test tells symptom, cause and cure.
//!
//! Where nothing says otherwise the store runs in simulation: no thread but the
//! test's own, and background work only when the test steps.

mod callbacks;
mod failures;
mod recovery;
mod refusals;
mod space;

use std::sync::Arc;

use cs_base::TreeId;
use cs_io::{Disk, SimRuntime};
use cs_kv::{Batch, CommitOptions, Error, Expect, Result, Store, StoreOptions};

use crate::basics::{new_tree, small_options};

/// Turns after which what was to happen is taken not to happen any more: many
/// seconds, which only a test that fails ever spends.
const PATIENCE: u32 = 20_000_000;

/// A store without threads.
fn open<D: Disk + 'static>(disk: &Arc<D>, options: StoreOptions) -> Result<Store> {
    let disk: Arc<dyn Disk> = Arc::clone(disk) as Arc<dyn Disk>;
    Store::open(disk, SimRuntime::new(1), options)
}

/// The same with options under which no checkpoint begins by itself.
fn options_without_checkpoints() -> StoreOptions {
    let mut options = small_options();
    options.checkpoint_log_bytes = 1 << 40;
    options
}

/// Commits and waits.
fn commit(store: &Store, batch: &Batch) -> Result<()> {
    store.write(batch, &CommitOptions::default())?.wait()
}

fn put(tree: TreeId, key: &[u8], value: Vec<u8>) -> Batch {
    let mut batch = Batch::new();
    batch.put(tree, key.to_vec(), value, Expect::Any);
    batch
}

fn get(store: &Store, tree: TreeId, key: &[u8]) -> Option<Vec<u8>> {
    store.snapshot().unwrap().get(tree, key).unwrap()
}

/// The store is healthy in all that can be asked of it.
fn assert_sound(store: &Store) {
    assert_eq!(store.stats().poisoned, None);
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.findings);
}

fn assert_refused(outcome: Result<()>) {
    assert!(matches!(outcome, Err(Error::Refused(_))), "{outcome:?}");
}

/// Gives others the processor until `poll` has something.
fn eventually<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    for _ in 0..PATIENCE {
        if let Some(found) = poll() {
            return found;
        }
        std::thread::yield_now();
    }
    panic!("it did not happen: {what}")
}
