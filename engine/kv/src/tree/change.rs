//! Changing a tree in the open version.
//!
//! Each change goes down from the root and makes every page on its path
//! changeable (its shadow, or itself where it was born in the open version),
//! so that a parent's pointer can follow its child at once.

use cs_base::TreeId;
use cs_pager::{PageIdentity, PageKind, PageRef, Pager, ReadGuard, Shadow};

use super::overflow::{
    DIGEST, NewValue, free_run, read_digest, read_key, read_packed, write_packed, write_run,
};
use super::read::{OpenSource, expect_node, find, load_value};
use crate::error::Result;
use crate::in_flight::{Undo, UndoStep};
use crate::node::{
    Branch, BranchMut, ChildRef, Full, KeyRef, Leaf, LeafMut, OverflowRef, OwnedKey, Separator,
    ValueRef, max_inline_key, max_inline_value, shortest_separator, split_branch, split_leaf,
};
use crate::tree_root::{TreeRoot, digest};

/// One page on the path from the root, of the open version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) at: PageRef,
    /// The child that the path goes on to.
    pub(super) child: usize,
}

/// What a cell held.
struct OldValue {
    len: u64,
    digest: u128,
    run: Option<OverflowRef>,
}

/// A tree that is being changed.
pub(crate) struct TreeEdit<'a> {
    pub(crate) pager: &'a Pager,
    pub(crate) shadow: &'a mut Shadow,
    pub(crate) tree: TreeId,
    pub(crate) root: &'a mut TreeRoot,
    /// Where the way back is noted down, if it may be needed.
    pub(crate) undo: Option<&'a mut Undo>,
    /// A leaf where the key may belong if nobody knows better: that of the
    /// change before, so that ascending keys go down once for each leaf.
    pub(crate) near: Option<PageRef>,
}

impl TreeEdit<'_> {
    pub(super) fn source(&self) -> OpenSource<'_> {
        OpenSource {
            pager: self.pager,
            shadow: self.shadow,
        }
    }

    /// Gives `key` this value, whatever it had.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.put_value(key, &NewValue::plain(key, value), None)
    }

    /// The same with a value that may be packed. `leaf` is where the plan found
    /// that the key belongs.
    pub(crate) fn put_value(
        &mut self,
        key: &[u8],
        value: &NewValue<'_>,
        leaf: Option<PageRef>,
    ) -> Result<()> {
        let near = leaf.or(self.near);
        if near.is_some_and(|leaf| self.put_in_place(leaf, key, value)) {
            return Ok(());
        }
        if self.root.height == 0 {
            let leaf = self.allocate(0);
            let _ = LeafMut::init(self.shadow.page_mut(leaf));
            (self.root.page, self.root.height) = (leaf, 1);
        }
        let (path, leaf) = self.descend(key)?;
        self.near = Some(leaf);
        match self.search(leaf, key)? {
            Ok(slot) => {
                self.note_old(key, leaf, slot)?;
                let old = self.old_value(key, leaf, slot)?;
                if let Some(run) = old.run {
                    free_run(self.pager, self.shadow, &run);
                }
                let new = self.new_value_cell(value);
                self.replace(&path, leaf, slot, key, new.as_value(value.bytes))?;
                self.root.stats.subtract(key, old.len, old.digest);
            }
            Err(slot) => {
                self.note(|tree| UndoStep::Remove { tree, key });
                let run = self.key_run(key);
                let new = self.new_value_cell(value);
                let cell_key = self.key_cell(key, run);
                self.insert(&path, leaf, slot, cell_key, new.as_value(value.bytes))?;
            }
        }
        self.root.stats.add(key, value.len, value.digest);
        Ok(())
    }

    /// Removes `key`; says whether it was there. `leaf` as for
    /// [`put_value`](Self::put_value).
    pub(crate) fn delete(&mut self, key: &[u8], leaf: Option<PageRef>) -> Result<bool> {
        if let Some(leaf) = leaf.or(self.near)
            && let Some(was_there) = self.delete_in_place(leaf, key)?
        {
            return Ok(was_there);
        }
        {
            let source = self.source();
            let guard = ReadGuard::enter();
            let found = find(&source, &guard, self.tree, self.root, key, |_| {})?;
            if found.is_none_or(|position| position.slot.is_err()) {
                return Ok(false);
            }
        }
        let (path, leaf) = self.descend(key)?;
        self.near = Some(leaf);
        if let Ok(slot) = self.search(leaf, key)? {
            self.note_old(key, leaf, slot)?;
            let old = self.old_value(key, leaf, slot)?;
            let key_run = Leaf::new(self.shadow.page_mut(leaf)).key_overflow(slot);
            for run in old.run.iter().chain(&key_run) {
                free_run(self.pager, self.shadow, run);
            }
            LeafMut::new(self.shadow.page_mut(leaf)).remove(slot);
            self.root.stats.subtract(key, old.len, old.digest);
            self.shrink(path, leaf)?;
        }
        Ok(true)
    }

    // ---- the way back ----

    pub(super) fn note<'u>(&mut self, step: impl FnOnce(TreeId) -> UndoStep<'u>) {
        let tree = self.tree;
        if let Some(undo) = &mut self.undo {
            undo.push(step(tree));
        }
    }

    /// Notes down the value that an entry has now.
    fn note_old(&mut self, key: &[u8], at: PageRef, slot: usize) -> Result<()> {
        let Some(undo) = &mut self.undo else {
            return Ok(());
        };
        let source = OpenSource {
            pager: self.pager,
            shadow: self.shadow,
        };
        let guard = ReadGuard::enter();
        let leaf = Leaf::new(self.shadow.view(self.pager, &guard, at)?);
        let tree = self.tree;
        if let ValueRef::Overflow(run) = leaf.value(slot)
            && run.is_packed()
        {
            // As it lies: going back takes no more pages than it had.
            let (digest, block) = read_packed(&source, tree, &run)?;
            undo.push(UndoStep::RestorePacked {
                tree,
                key,
                digest,
                block: &block,
            });
            return Ok(());
        }
        let value = load_value(&source, self.tree, leaf.value(slot))?;
        undo.push(UndoStep::Restore {
            tree: self.tree,
            key,
            value: &value,
        });
        Ok(())
    }

    // ---- the way down ----

    /// Makes the path to `key`'s leaf changeable.
    pub(super) fn descend(&mut self, key: &[u8]) -> Result<(Vec<Step>, PageRef)> {
        let mut path = Vec::with_capacity(usize::from(self.root.height));
        let mut at = self.shadow.shadow(self.pager, self.root.page)?;
        self.root.page = at;
        for level in (0..self.root.height).rev() {
            expect_node(self.shadow.page_mut(at), at, self.tree, level)?;
            if level == 0 {
                break;
            }
            let child = self.find_child(at, key)?;
            let old: PageRef = Branch::new(self.shadow.page_mut(at)).child(child).into();
            let new = self.shadow.shadow(self.pager, old)?;
            if new != old {
                BranchMut::new(self.shadow.page_mut(at)).set_child(child, new.into());
            }
            path.push(Step { at, child });
            at = new;
        }
        Ok((path, at))
    }

    fn find_child(&self, at: PageRef, key: &[u8]) -> Result<usize> {
        let guard = ReadGuard::enter();
        let source = self.source();
        let branch = Branch::new(self.shadow.view(self.pager, &guard, at)?);
        if key.len() > max_inline_key(self.pager.page_size()) {
            branch.find_child_with(key, &mut |run| read_key(&source, self.tree, run))
        } else {
            Ok(branch.find_child(key))
        }
    }

    fn search(&self, at: PageRef, key: &[u8]) -> Result<Result<usize, usize>> {
        let guard = ReadGuard::enter();
        let source = self.source();
        let leaf = Leaf::new(self.shadow.view(self.pager, &guard, at)?);
        if key.len() > max_inline_key(self.pager.page_size()) {
            leaf.search_with(key, &mut |run| read_key(&source, self.tree, run))
        } else {
            Ok(leaf.search(key))
        }
    }

    fn old_value(&self, key: &[u8], at: PageRef, slot: usize) -> Result<OldValue> {
        let guard = ReadGuard::enter();
        let leaf = Leaf::new(self.shadow.view(self.pager, &guard, at)?);
        Ok(match leaf.value(slot) {
            ValueRef::Inline(bytes) => OldValue {
                len: bytes.len() as u64,
                digest: digest(key, bytes),
                run: None,
            },
            ValueRef::Overflow(run) => {
                let (len, digest) = read_digest(&self.source(), self.tree, &run)?;
                OldValue {
                    len,
                    digest,
                    run: Some(run),
                }
            }
        })
    }

    // ---- cells ----

    pub(super) fn allocate(&mut self, level: u8) -> PageRef {
        let kind = if level == 0 {
            PageKind::Leaf
        } else {
            PageKind::Branch
        };
        self.shadow.allocate(
            self.pager,
            PageIdentity {
                kind,
                level,
                tree: self.tree,
            },
        )
    }

    /// Writes the run of a value that does not fit into a leaf.
    fn value_cell(&mut self, value: &[u8], sum: u128) -> ValueCell {
        if value.len() <= max_inline_value(self.pager.page_size()) {
            return ValueCell(None);
        }
        let head: [u8; DIGEST] = sum.to_le_bytes();
        ValueCell(Some(write_run(
            self.pager,
            self.shadow,
            self.tree,
            [&head, value],
        )))
    }

    /// The same for a value that may be packed, and then always has a run.
    pub(super) fn new_value_cell(&mut self, value: &NewValue<'_>) -> ValueCell {
        if value.is_packed {
            let run = write_packed(self.pager, self.shadow, self.tree, value);
            return ValueCell(Some(run));
        }
        self.value_cell(value.bytes, value.digest)
    }

    pub(super) fn key_run(&mut self, key: &[u8]) -> Option<OverflowRef> {
        (key.len() > max_inline_key(self.pager.page_size()))
            .then(|| write_run(self.pager, self.shadow, self.tree, [key, &[]]))
    }

    pub(super) fn key_cell<'k>(&self, key: &'k [u8], run: Option<OverflowRef>) -> KeyRef<'k> {
        let inline = key.len().min(max_inline_key(self.pager.page_size()));
        KeyRef {
            inline: &key[..inline],
            overflow: run,
        }
    }

    fn replace(
        &mut self,
        path: &[Step],
        at: PageRef,
        slot: usize,
        key: &[u8],
        value: ValueRef<'_>,
    ) -> Result<()> {
        let mut leaf = LeafMut::new(self.shadow.page_mut(at));
        if leaf.replace_value(slot, value).is_ok() {
            return Ok(());
        }
        let run = leaf.as_leaf().key_overflow(slot);
        leaf.remove(slot);
        let key = self.key_cell(key, run);
        self.insert(path, at, slot, key, value)
    }

    fn insert(
        &mut self,
        path: &[Step],
        at: PageRef,
        slot: usize,
        key: KeyRef<'_>,
        value: ValueRef<'_>,
    ) -> Result<()> {
        let done = LeafMut::new(self.shadow.page_mut(at)).insert(slot, key, value);
        if done.is_ok() {
            return Ok(());
        }
        let right = self.allocate(0);
        let (left_page, right_page) = self.shadow.two_pages_mut(at, right);
        let split = split_leaf(left_page, right_page, slot, key, value);
        let separator = self.separator(split.separator, at, right)?;
        self.insert_child(path, at, separator, right)
    }

    /// The key that parts two leaves, for their parent.
    fn separator(&mut self, found: Separator, left: PageRef, right: PageRef) -> Result<OwnedKey> {
        let whole = match found {
            Separator::Key(inline) => {
                return Ok(OwnedKey {
                    inline,
                    overflow: None,
                });
            }
            Separator::NeedsWholeKeys => {
                let last = Leaf::new(self.shadow.page_mut(left)).len() - 1;
                let (last, first) = (self.whole_key(left, last)?, self.whole_key(right, 0)?);
                shortest_separator(&last, &first).to_vec()
            }
        };
        let overflow = self.key_run(&whole);
        Ok(OwnedKey {
            inline: self.key_cell(&whole, overflow).inline.to_vec(),
            overflow,
        })
    }

    pub(super) fn whole_key(&self, at: PageRef, slot: usize) -> Result<Vec<u8>> {
        let guard = ReadGuard::enter();
        let source = self.source();
        let leaf = Leaf::new(self.shadow.view(self.pager, &guard, at)?);
        let mut key = Vec::new();
        super::load_key(&source, self.tree, leaf, slot, &mut key)?;
        Ok(key)
    }

    // ---- the way up ----

    /// Tells the parent of `left` that `right` came to stand behind it.
    pub(super) fn insert_child(
        &mut self,
        path: &[Step],
        left: PageRef,
        separator: OwnedKey,
        right: PageRef,
    ) -> Result<()> {
        let mut separator = separator;
        let (mut left, mut right) = (left, right);
        for (above, step) in path.iter().rev().enumerate() {
            let child = ChildRef::from(right);
            let mut branch = BranchMut::new(self.shadow.page_mut(step.at));
            match branch.insert(step.child + 1, separator.as_key(), child) {
                Ok(()) => return Ok(()),
                Err(Full) => {
                    let level = above as u8 + 1;
                    let new = self.allocate(level);
                    let (left_page, right_page) = self.shadow.two_pages_mut(step.at, new);
                    let key = separator.as_key();
                    let split = split_branch(left_page, right_page, step.child + 1, key, child);
                    separator = split.separator;
                    (left, right) = (step.at, new);
                }
            }
        }
        let root = self.allocate(self.root.height);
        let mut branch = BranchMut::init(self.shadow.page_mut(root), left.into());
        branch
            .insert(1, separator.as_key(), right.into())
            .map_err(|Full| crate::Error::Damaged("a new root has no room for two".into()))?;
        self.root.page = root;
        self.root.height += 1;
        Ok(())
    }
}

/// The run of a value, if it needs one.
pub(super) struct ValueCell(Option<OverflowRef>);

impl ValueCell {
    pub(super) fn as_value<'v>(&self, value: &'v [u8]) -> ValueRef<'v> {
        self.0.map_or(ValueRef::Inline(value), ValueRef::Overflow)
    }
}

impl From<ChildRef> for PageRef {
    fn from(child: ChildRef) -> Self {
        Self {
            page: child.page,
            version: child.version,
        }
    }
}

impl From<PageRef> for ChildRef {
    fn from(at: PageRef) -> Self {
        Self {
            page: at.page,
            version: at.version,
        }
    }
}
