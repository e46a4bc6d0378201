//! Bulk loads under way: they write documents without looking at indexes.
//!
//! ## Invariants
//! * No index is begun on a collection while something is loaded into it, and a load that
//!   begins sees the indexes that there are.

use std::collections::HashMap;

use cs_kv::base::TreeId;
use parking_lot::{Mutex, MutexGuard};

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Loads(Mutex<HashMap<TreeId, usize>>);

/// A load into one collection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Loading<'l> {
    loads: &'l Loads,
    tree: TreeId,
}

/// No load begins while this is held.
#[derive(Debug)]
pub(crate) struct NoLoads<'l>(MutexGuard<'l, HashMap<TreeId, usize>>);

impl Loads {
    /// A load begins. Which indexes there are is to be looked up after this.
    pub(crate) fn begin(&self, tree: TreeId) -> Loading<'_> {
        *self.0.lock().entry(tree).or_default() += 1;
        Loading { loads: self, tree }
    }

    /// Keeps loads from beginning.
    pub(crate) fn pause(&self) -> NoLoads<'_> {
        NoLoads(self.0.lock())
    }
}

impl NoLoads<'_> {
    /// Whether something is being loaded into this collection.
    pub(crate) fn is_loading(&self, tree: TreeId) -> bool {
        self.0.contains_key(&tree)
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let mut loads = self.loads.0.lock();
        if let Some(count) = loads.get_mut(&self.tree) {
            *count -= 1;
            if *count == 0 {
                loads.remove(&self.tree);
            }
        }
    }
}
