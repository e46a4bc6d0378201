//! Sealing: the open version becomes a root.
//!
//! Invariant: a root's directory has the newest root of every tree.

use std::sync::Arc;

use cs_base::Version;
use cs_pager::{Pager, RootRecord};

use super::Writer;
use crate::error::Result;
use crate::root::{LogPosition, Root};
use crate::tree_root::directory_key;

impl Writer {
    /// The newest sealed state; seals what came after it, if anything did.
    pub(crate) fn seal(&mut self, pager: &Pager) -> Result<Arc<Root>> {
        if self.dirty {
            self.flush_directory(pager)?;
            self.seal_version(pager);
        } else if self.position != LogPosition::of(&self.sealed.record) {
            // Only the log went on (a seal, a hard state): same pages, same version.
            let mut record = self.sealed.record;
            self.position.write(&mut record);
            self.sealed = Root::seal(record, self.directory, self.next_tree);
        }
        self.shadow.finish_seal(pager);
        Ok(Arc::clone(&self.sealed))
    }

    /// Begins to seal a state whose allocation map on disk will be right: what
    /// a checkpoint may name. Nobody may read it before
    /// [`adopt_some`](Self::adopt_some) says so.
    pub(crate) fn seal_for_checkpoint(&mut self, pager: &Pager) -> Result<Arc<Root>> {
        self.flush_directory(pager)?;
        self.shadow.write_map(pager)?;
        self.seal_version(pager);
        Ok(Arc::clone(&self.sealed))
    }

    /// Ends the version without a root, so that its pages can be written early:
    /// nobody will ever see or name it.
    pub(crate) fn seal_partly(&mut self, pager: &Pager) -> Version {
        self.shadow.seal(pager)
    }

    /// The same bit by bit: [`adopt_some`](Self::adopt_some) goes on with it.
    ///
    /// # Errors
    /// The open version is left half changed: who calls this poisons the database.
    pub(crate) fn begin_seal_partly(&mut self, pager: &Pager) -> Result<()> {
        // Its pages are at hand now, and may not be later.
        self.flush_directory(pager)?;
        self.shadow.begin_seal(pager);
        Ok(())
    }

    /// Goes on with sealing, for a bounded piece; true when there is nothing
    /// left to do.
    pub(crate) fn adopt_some(&mut self, pager: &Pager) -> bool {
        /// Some ten microseconds: a fraction of what a sync takes.
        const PAGES: usize = 128;
        self.shadow.adopt_some(pager, PAGES)
    }

    /// Whether this is the newest sealed state.
    pub(crate) fn is_newest(&self, root: &Arc<Root>) -> bool {
        Arc::ptr_eq(&self.sealed, root)
    }

    fn flush_directory(&mut self, pager: &Pager) -> Result<()> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        for &tree in &changed {
            // One that was dropped since has left the directory already, and
            // one that came back after that is listed twice.
            let Some(mut open) = self.trees.get(&tree).copied().flatten() else {
                continue;
            };
            if !open.changed {
                continue;
            }
            self.edit_directory(pager, |edit| {
                edit.put(&directory_key(tree), &open.root.encode())
            })?;
            open.changed = false;
            self.trees.insert(tree, Some(open));
        }
        changed.clear();
        self.changed = changed;
        Ok(())
    }

    fn seal_version(&mut self, pager: &Pager) {
        let mut record = RootRecord::empty();
        self.shadow.describe(&mut record);
        self.position.write(&mut record);
        self.sealed = Root::seal(record, self.directory, self.next_tree);
        self.shadow.begin_seal(pager);
        self.dirty = false;
    }

    /// There is something to seal, whatever the trees say.
    pub(crate) fn touch(&mut self) {
        self.dirty = true;
    }

    /// Whether the open version has something that no sealed one has.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Forgets tree roots that can be looked up again, when there are many.
    pub(crate) fn trim(&mut self) {
        /// Enough for the working set of any one burst; about 100 bytes each.
        const KEPT: usize = 4096;
        if self.trees.len() > KEPT {
            self.trees
                .retain(|_, open| open.is_some_and(|open| open.changed));
        }
    }

    /// The next tree id that was never given.
    pub(crate) fn next_tree(&self) -> u32 {
        self.next_tree
    }
}
