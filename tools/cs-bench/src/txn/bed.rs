//! A store with counters under its keys, for the workloads to change.
//!
//! Invariant: a value begins with a counter, zero at first; so the sum of all counters is
//! the number of increments that were acknowledged, or something was lost.

use std::path::Path;

use cs_kv::base::TreeId;
use cs_kv::io::RealRuntime;
use cs_kv::io::sys::DirectIo;
use cs_kv::io::uring::{IoChoice, open_best};
use cs_kv::{Batch, BulkOptions, CommitOptions, Durability, Error, KeyRange, Store, StoreOptions};

use crate::cli;
use crate::engine::refused;
use crate::error::BenchError;
use crate::run::documents::Documents;

use super::plan::Plan;
use super::workload::Workload;

/// A value of `len` bytes that begins with `counter`.
pub(super) fn value(counter: u64, len: usize) -> Vec<u8> {
    let mut value = vec![0x5a; len.max(8)];
    value[..8].copy_from_slice(&counter.to_le_bytes());
    value
}

/// The counter at the head of a value; zero where there is none.
pub(super) fn counter(value: &[u8]) -> u64 {
    let head = value.first_chunk::<8>();
    head.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// See the module's text.
pub(super) struct Bed {
    pub(super) store: Store,
    pub(super) tree: TreeId,
    pub(super) options: CommitOptions,
    pub(super) value_bytes: usize,
    /// Keys that were loaded: numbers below this.
    pub(super) keys: u64,
    names: Documents,
}

impl Bed {
    /// A new store in `directory`, loaded with the keys of the plan.
    pub(super) fn make(
        directory: &Path,
        plan: &Plan,
        workload: Workload,
    ) -> Result<Self, BenchError> {
        let disk = open_best(directory, true, IoChoice::default(), DirectIo::Auto)
            .map_err(refused("open the directory"))?;
        let mut options = StoreOptions::default();
        if plan.durability == cli::Durability::Memory {
            options.durability = Some(Durability::Memory);
        }
        options.cache_bytes = plan.cache_bytes_of(workload).unwrap_or(options.cache_bytes);
        let store = Store::open(disk, RealRuntime::new(), options);
        let store = store.map_err(refused("open the store"))?;
        let tree = store.new_tree_id();
        let mut batch = Batch::new();
        batch.create_tree(tree);
        let made = store.write_and_wait(batch, &CommitOptions::default());
        made.map_err(refused("make a tree"))?;
        let bed = Self {
            store,
            tree,
            options: CommitOptions::with_durability(match plan.durability {
                cli::Durability::Sync => Durability::Sync,
                cli::Durability::Async => Durability::Async,
                cli::Durability::Memory => Durability::Memory,
            }),
            value_bytes: plan.value_bytes as usize,
            keys: plan.keys,
            names: Documents::new(plan.seed, 0),
        };
        bed.load()?;
        Ok(bed)
    }

    fn load(&self) -> Result<(), BenchError> {
        let mut keys: Vec<Vec<u8>> = (0..self.keys).map(|number| self.key(number)).collect();
        keys.sort_unstable();
        let entries = keys
            .into_iter()
            .map(|key| Ok::<_, Error>((key, value(0, self.value_bytes))));
        let mut progress = |_: &_| std::ops::ControlFlow::Continue(());
        let options = BulkOptions::default();
        let loaded = self
            .store
            .bulk_load(self.tree, entries, &options, &mut progress);
        loaded.map_err(refused("load"))?;
        self.store.checkpoint().map_err(refused("checkpoint"))
    }

    /// Key `number`; from `keys` on it was not loaded.
    pub(super) fn key(&self, number: u64) -> Vec<u8> {
        self.names.key(number).into_bytes()
    }

    /// The sum of all counters.
    pub(super) fn sum(&self) -> Result<u64, BenchError> {
        let snapshot = self.store.snapshot().map_err(refused("take a snapshot"))?;
        let cursor = snapshot.cursor(self.tree, KeyRange::all());
        let mut cursor = cursor.map_err(refused("read"))?;
        let mut sum = 0;
        while let Some((_, value)) = cursor.next().map_err(refused("read"))? {
            sum += counter(value);
        }
        Ok(sum)
    }

    /// Fails unless so many increments are there since the sum was `before`.
    pub(super) fn expect_sum(&self, before: u64, increments: u64) -> Result<(), BenchError> {
        let found = self.sum()? - before;
        if found == increments {
            return Ok(());
        }
        Err(BenchError::WrongAnswer(format!(
            "{increments} increments were acknowledged, {found} are there"
        )))
    }
}
