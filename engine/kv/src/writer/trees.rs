//! Trees that come and go.
//!
//! A dropped tree leaves the directory at once; its pages are freed later, bit
//! by bit, so that the commit itself does no more than it does for one key.

use cs_base::TreeId;
use cs_pager::{PageRef, Pager, ReadGuard};

use super::Writer;
use crate::error::{Error, Result};
use crate::in_flight::{Undo, UndoStep};
use crate::root::is_system;
use crate::tree::{find, load_value};
use crate::tree_root::{TreeRoot, directory_key, system};

impl Writer {
    pub(super) fn create_tree(&mut self, pager: &Pager, tree: TreeId) -> Result<()> {
        if is_system(tree) || self.tree(pager, tree)?.is_some() {
            return Err(Error::Damaged(format!("tree {tree} is created twice")));
        }
        self.set_root(tree, TreeRoot::default());
        self.next_tree = self.next_tree.max(tree.0 + 1);
        Ok(())
    }

    /// The tree leaves the directory at once; its pages are freed later, by
    /// [`reclaim_dropped`](Self::reclaim_dropped), so that the work here is bounded.
    pub(super) fn drop_tree(
        &mut self,
        pager: &Pager,
        tree: TreeId,
        undo: Option<&mut Undo>,
    ) -> Result<()> {
        let Some(root) = self.tree(pager, tree)? else {
            return Err(Error::UnknownTree(tree));
        };
        if let Some(undo) = undo {
            undo.push(UndoStep::Undrop { tree, root });
        }
        let key = directory_key(tree);
        if root.height > 0 {
            self.edit(pager, system::DROPPED, None, |edit| {
                edit.put(&key, &root.encode())
            })?;
        }
        self.edit_directory(pager, |edit| edit.delete(&key, None).map(drop))?;
        self.trees.insert(tree, None);
        Ok(())
    }

    /// The trees that were dropped and still have pages.
    pub(crate) fn dropped(&mut self, pager: &Pager) -> Result<Option<(TreeId, TreeRoot)>> {
        let Some(root) = self.tree(pager, system::DROPPED)? else {
            return Ok(None);
        };
        let source = self.source(pager);
        let guard = ReadGuard::enter();
        let Some(first) = find(&source, &guard, system::DROPPED, &root, &[], |_| {})? else {
            return Ok(None);
        };
        if first.leaf.is_empty() {
            return Ok(None);
        }
        let mut key = Vec::new();
        first.leaf.key(0, &mut key);
        let Ok(raw) = <[u8; 4]>::try_from(key.as_slice()) else {
            return Err(Error::Damaged("key of a dropped tree".into()));
        };
        let tree = TreeId(u32::from_be_bytes(raw));
        let value = load_value(&source, system::DROPPED, first.leaf.value(0))?;
        Ok(Some((tree, TreeRoot::decode(tree, &value)?)))
    }

    /// Frees the pages of a dropped tree, which the caller has listed, and forgets it.
    pub(crate) fn reclaim_dropped(
        &mut self,
        pager: &Pager,
        tree: TreeId,
        pages: &[PageRef],
    ) -> Result<()> {
        self.dirty = true;
        for &at in pages {
            self.shadow.free(pager, at);
        }
        self.edit(pager, system::DROPPED, None, |edit| {
            edit.delete(&directory_key(tree), None).map(drop)
        })
    }
}
