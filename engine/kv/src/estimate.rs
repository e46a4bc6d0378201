//! How many pages a record will take: reserved before the first one changes.
//!
//! Invariant: an upper bound, whatever the effects are; near enough that the
//! file does not grow without need.

use cs_base::TreeId;
use cs_pager::Pager;

use crate::bulk::AppendedSize;
use crate::effects::{Effect, Effects};
use crate::error::Result;
use crate::tree::run_pages;
use crate::writer::Writer;

/// What a record does to one tree.
struct Touched {
    tree: TreeId,
    ops: u64,
    /// How many of them may make a page merge with one that no plan read.
    deletes: u64,
    bytes: u64,
    appended: AppendedSize,
}

impl Writer {
    /// An upper bound for the pages that these effects take, and the longest
    /// sum of pages that must lie side by side. `planned` is how many pages the
    /// plan found on the paths of all keys, where there was one.
    pub(crate) fn pages_needed(
        &mut self,
        pager: &Pager,
        payload: &[u8],
        planned: Option<u64>,
    ) -> Result<(u64, u64)> {
        /// New roots, and the top of the directory.
        const OVERHEAD: u64 = 16;
        /// A path of the directory, for each tree whose root changes.
        const DIRECTORY_PATH: u64 = 3;
        /// What a page spends on an entry beside key and value.
        const ENTRY: u64 = 16;
        let page_size = pager.page_size();
        let mut runs = 0;
        let mut touched: Vec<Touched> = Vec::new();
        let mut effects = Effects::of(payload)?;
        // So many effects from here on go to the builder of leaves.
        let mut appended = 0;
        loop {
            let here = effects.clone();
            let Some(effect) = effects.next() else { break };
            let effect = effect?;
            if matches!(effect, Effect::Before { .. }) {
                continue;
            }
            // Effects come tree by tree, so the last one is mostly it.
            let tree = effect.tree();
            let known = touched.iter().rposition(|touched| touched.tree == tree);
            let at = match known {
                Some(at) => at,
                None => {
                    appended = self.count_appended(pager, &here)?;
                    touched.push(Touched {
                        tree,
                        ops: 0,
                        deletes: 0,
                        bytes: 0,
                        appended: AppendedSize::default(),
                    });
                    touched.len() - 1
                }
            };
            let (key, value) = match effect {
                Effect::Put { key, value, .. } => (key.len(), value.len()),
                Effect::PutPacked { key, block, .. } => {
                    // In a run, however short the block is.
                    runs += u64::from(run_pages(block.len() + crate::tree::DIGEST, page_size));
                    (key.len(), 0)
                }
                Effect::Delete { key, .. } => (key.len(), 0),
                _ => (0, 0),
            };
            for large in [key, value].into_iter().filter(|&len| len > page_size / 8) {
                runs += u64::from(run_pages(large + crate::tree::DIGEST, page_size));
            }
            let in_leaf = (key.min(page_size / 4) + value.min(page_size / 4)) as u64 + 32;
            if appended > 0 {
                appended -= 1;
                touched[at].appended.add(in_leaf);
                continue;
            }
            touched[at].ops += 1;
            let is_put = matches!(effect, Effect::Put { .. } | Effect::PutPacked { .. });
            touched[at].deletes += u64::from(!is_put);
            touched[at].bytes += in_leaf;
        }
        let mut pages = OVERHEAD + runs + 2 * self.shadow.map_size();
        pages += DIRECTORY_PATH * touched.len() as u64 + planned.unwrap_or_default();
        for one in touched {
            let Touched { tree, bytes, .. } = one;
            pages += one.appended.pages(page_size, self.fill_percent);
            let root = self.tree(pager, tree)?.unwrap_or_default();
            // A page that shrinks below a third is merged if it can be.
            let held = root.stats.bytes + ENTRY * root.stats.count;
            let size = (3 * held / page_size as u64 + 8).min(self.shadow.used_pages());
            let height = u64::from(root.height) + 1;
            // Where the paths are known, a delete adds the neighbour of its leaf
            // at most; merges higher up are few.
            let copied = match planned {
                Some(_) => one.deletes + 2 * height,
                None => one.ops * height,
            };
            pages += copied.min(size) + 4 * bytes / page_size as u64 + height + 2;
        }
        Ok((pages, runs))
    }
}
