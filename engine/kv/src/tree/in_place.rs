//! The short way: a change inside a leaf that is of the open version already.
//!
//! The plan of a commit has gone down to the leaf of each key; where there was no
//! plan, the leaf of the change before is as good a guess as any, and right for
//! ascending keys. Where that leaf is of the open version, all pages above it are
//! too, and as long as the key lies between two that are in it, it belongs there
//! and nowhere else. Then the leaf is changed without going down again.
//!
//! Invariant: whatever this does not do, the long way does; nothing is half done.

use cs_pager::{PageHeader, PageKind, PageRef};

use super::change::TreeEdit;
use super::overflow::NewValue;
use crate::error::Result;
use crate::in_flight::UndoStep;
use crate::node::{KeyRef, Leaf, LeafMut, ValueRef, max_inline_key, max_inline_value};
use crate::tree_root::digest;

impl TreeEdit<'_> {
    /// Puts `key` into `leaf` if that is the short way; says whether it was.
    pub(super) fn put_in_place(&mut self, leaf: PageRef, key: &[u8], value: &NewValue<'_>) -> bool {
        let page_size = self.pager.page_size();
        let is_long = value.is_packed || value.bytes.len() > max_inline_value(page_size);
        if is_long || key.len() > max_inline_key(page_size) {
            return false;
        }
        let tree = self.tree;
        let Some(bytes) = self.shadow.open_page_mut(leaf) else {
            return false;
        };
        let Some(slot) = place_in(bytes, tree.0, key) else {
            return false;
        };
        let mut node = LeafMut::new(bytes);
        let new = ValueRef::Inline(value.bytes);
        match slot {
            Ok(slot) => {
                let ValueRef::Inline(old) = node.as_leaf().value(slot) else {
                    return false;
                };
                let (old_len, old_sum) = (old.len() as u64, digest(key, old));
                if let Some(undo) = &mut self.undo {
                    // Noted once more if the long way follows: that is harmless.
                    undo.push(UndoStep::Restore {
                        tree,
                        key,
                        value: old,
                    });
                }
                if node.replace_value(slot, new).is_err() {
                    return false;
                }
                self.root.stats.subtract(key, old_len, old_sum);
            }
            Err(slot) => {
                if node.insert(slot, KeyRef::inline(key), new).is_err() {
                    return false;
                }
                if let Some(undo) = &mut self.undo {
                    undo.push(UndoStep::Remove { tree, key });
                }
            }
        }
        self.root.stats.add(key, value.len, value.digest);
        true
    }

    /// Removes `key` from `leaf` if that is the short way; says whether it was
    /// there, or nothing if the long way must be taken.
    pub(super) fn delete_in_place(&mut self, leaf: PageRef, key: &[u8]) -> Result<Option<bool>> {
        if key.len() > max_inline_key(self.pager.page_size()) {
            return Ok(None);
        }
        let tree = self.tree;
        let Some(bytes) = self.shadow.open_page_mut(leaf) else {
            return Ok(None);
        };
        let slot = match place_in(bytes, tree.0, key) {
            None => return Ok(None),
            Some(Err(_)) => return Ok(Some(false)),
            Some(Ok(slot)) => slot,
        };
        let mut node = LeafMut::new(bytes);
        let ValueRef::Inline(old) = node.as_leaf().value(slot) else {
            return Ok(None);
        };
        let (old_len, old_sum) = (old.len() as u64, digest(key, old));
        if let Some(undo) = &mut self.undo {
            undo.push(UndoStep::Restore {
                tree,
                key,
                value: old,
            });
        }
        node.remove(slot);
        let is_underfull = node.as_leaf().is_underfull();
        self.root.stats.subtract(key, old_len, old_sum);
        if is_underfull {
            let (path, leaf) = self.descend(key)?;
            self.shrink(path, leaf)?;
        }
        Ok(Some(true))
    }
}

/// Where `key` is or belongs in the leaf, if it is surely this one: it is in
/// it, or between two that are.
fn place_in(bytes: &[u8], tree: u32, key: &[u8]) -> Option<Result<usize, usize>> {
    let header = PageHeader::of(bytes);
    if header.kind != PageKind::Leaf as u8 || header.tree.get() != tree {
        return None;
    }
    let leaf = Leaf::new(bytes);
    let slot = leaf.search(key);
    match slot {
        Err(slot) if slot == 0 || slot == leaf.len() => None,
        sure => Some(sure),
    }
}
