//! Ascending entries behind the last key of a tree: each leaf is built once,
//! full, and hung in at the right edge.
//!
//! ## Invariants
//! * What is appended is above every key of the tree; the caller has seen to it
//!   with [`last_key`].
//! * The right edge of the tree is of the open version while entries come.

use cs_base::TreeId;
use cs_pager::{PageRef, ReadGuard};

use super::change::{Step, TreeEdit};
use super::overflow::NewValue;
use super::read::{PageSource, expect_node, load_key};
use crate::error::Result;
use crate::in_flight::UndoStep;
use crate::node::{Branch, Leaf, LeafBuilder, LeafMut, OwnedKey, shortest_separator, usable_bytes};
use crate::tree_root::TreeRoot;

/// Where the keys of a tree end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LastKey {
    /// There are none.
    Empty,
    /// The highest.
    Key(Vec<u8>),
    /// The last leaf was left empty: it would take a search.
    Unknown,
}

impl LastKey {
    /// Whether `key` is above all keys of the tree, for certain.
    pub(crate) fn is_below(&self, key: &[u8]) -> bool {
        match self {
            Self::Empty => true,
            Self::Key(last) => last.as_slice() < key,
            Self::Unknown => false,
        }
    }
}

/// Finds the end of a tree; `visit` sees each page on the way.
pub(crate) fn last_key(
    source: &impl PageSource,
    tree: TreeId,
    root: &TreeRoot,
    mut visit: impl FnMut(PageRef),
) -> Result<LastKey> {
    if root.height == 0 {
        return Ok(LastKey::Empty);
    }
    let guard = ReadGuard::enter();
    let mut at = root.page;
    for level in (1..root.height).rev() {
        let bytes = source.page(&guard, at)?;
        expect_node(bytes, at, tree, level)?;
        visit(at);
        let branch = Branch::new(bytes);
        at = branch.child(branch.len() - 1).into();
    }
    let bytes = source.page(&guard, at)?;
    expect_node(bytes, at, tree, 0)?;
    visit(at);
    let leaf = Leaf::new(bytes);
    let Some(last) = leaf.len().checked_sub(1) else {
        return Ok(LastKey::Unknown);
    };
    let mut key = Vec::new();
    load_key(source, tree, leaf, last, &mut key)?;
    Ok(LastKey::Key(key))
}

impl TreeEdit<'_> {
    /// Appends entries in strictly ascending order, all above the last key.
    /// New leaves are filled to `fill_percent`.
    pub(crate) fn append<'k>(
        &mut self,
        fill_percent: usize,
        entries: impl Iterator<Item = Result<(&'k [u8], NewValue<'k>)>>,
    ) -> Result<()> {
        let page_size = self.pager.page_size();
        let limit = usable_bytes(page_size) * fill_percent.clamp(1, 100) / 100;
        let mut builder = LeafBuilder::new(page_size, fill_percent);
        // The leaf at the edge takes what it has room for.
        let mut edge: Option<PageRef> = None;
        let mut last: Option<&[u8]> = None;
        // Parts the leaf in the builder from the one before it.
        let mut separator: Option<OwnedKey> = None;
        for entry in entries {
            let (key, value) = entry?;
            if last.is_none() && self.root.height > 0 {
                edge = Some(self.descend(key)?.1);
            }
            self.note(|tree| UndoStep::Remove { tree, key });
            let run = self.key_run(key);
            let cell = self.new_value_cell(&value);
            let cell_key = self.key_cell(key, run);
            let mut done = false;
            if let Some(at) = edge {
                let mut leaf = LeafMut::new(self.shadow.page_mut(at));
                let (slot, used) = (leaf.as_leaf().len(), leaf.as_leaf().used_bytes());
                done = used < limit
                    && leaf
                        .insert(slot, cell_key, cell.as_value(value.bytes))
                        .is_ok();
                if !done {
                    let before = match last {
                        Some(last) => last.to_vec(),
                        None => self.whole_key(at, slot - 1)?,
                    };
                    separator = Some(self.separator_between(&before, key));
                    edge = None;
                }
            }
            if !done && builder.push(cell_key, cell.as_value(value.bytes)).is_err() {
                self.attach(&mut builder, separator.take())?;
                separator = last.map(|last| self.separator_between(last, key));
                let pushed = builder.push(cell_key, cell.as_value(value.bytes));
                pushed
                    .map_err(|_| crate::Error::Damaged("a new leaf has no room for one".into()))?;
            }
            self.root.stats.add(key, value.len, value.digest);
            last = Some(key);
        }
        if builder.is_empty() {
            return Ok(());
        }
        self.attach(&mut builder, separator)
    }

    /// Writes the leaf in the builder and hangs it in at the right edge.
    fn attach(&mut self, builder: &mut LeafBuilder, separator: Option<OwnedKey>) -> Result<()> {
        let leaf = self.allocate(0);
        builder.finish(self.shadow.page_mut(leaf));
        let Some(separator) = separator else {
            (self.root.page, self.root.height) = (leaf, 1);
            return Ok(());
        };
        let mut path = Vec::with_capacity(usize::from(self.root.height));
        let mut at = self.root.page;
        for _ in 1..self.root.height {
            let branch = Branch::new(self.shadow.page_mut(at));
            let child = branch.len() - 1;
            let below = branch.child(child).into();
            path.push(Step { at, child });
            at = below;
        }
        self.insert_child(&path, at, separator, leaf)
    }

    /// The shortest key that parts two whole keys, for a branch.
    pub(super) fn separator_between(&mut self, below: &[u8], above: &[u8]) -> OwnedKey {
        let whole = shortest_separator(below, above);
        let overflow = self.key_run(whole);
        OwnedKey {
            inline: self.key_cell(whole, overflow).inline.to_vec(),
            overflow,
        }
    }
}
