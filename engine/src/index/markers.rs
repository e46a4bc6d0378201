//! Which multikey markers are known to be written.
//!
//! ## Invariants
//! * What is known here was committed: markers are never taken away, and trees have ids
//!   that are not used again.

use std::collections::HashSet;

use cs_kv::base::TreeId;
use parking_lot::RwLock;

/// See the module's text. A writer that does not find a marker here writes it once more.
#[derive(Debug, Default)]
pub(crate) struct Markers(RwLock<HashSet<(TreeId, Vec<u8>)>>);

impl Markers {
    /// Most that are remembered: beyond, all are forgotten.
    const MOST: usize = 100_000;

    pub(crate) fn has(&self, tree: TreeId, key: &[u8]) -> bool {
        let known = self.0.read();
        !known.is_empty() && known.contains(&(tree, key.to_vec()))
    }

    /// These were committed.
    pub(crate) fn add(&self, markers: Vec<(TreeId, Vec<u8>)>) {
        if markers.is_empty() {
            return;
        }
        let mut known = self.0.write();
        if known.len() + markers.len() > Self::MOST {
            known.clear();
        }
        known.extend(markers);
    }
}
