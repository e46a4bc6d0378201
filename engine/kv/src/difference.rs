//! What two states of a tree have in common: whether they agree on a range of
//! keys, and which pages only one of them has.
//!
//! Trees are copied on write, so a page that both states reach, of the same
//! number and version, holds the same in both, whatever lies above it. The two
//! trees are opened level by level from their roots; at each level, pages that
//! both sides have are left out. What remains in the end are the leaves that
//! one state has and the other has not, and their entries must be the same, in
//! the same order. The work is in proportion to what changed, not to the range.
//!
//! ## Invariants
//! * A list holds the pages of one level that reach into the range and that the
//!   other side lacks, in the order of their keys.
//! * Entries of pages left out are the same on both sides, so leaving them out
//!   of both changes no answer.

use std::collections::HashSet;
use std::ops::Bound;

use cs_base::{PageId, TreeId};
use cs_pager::{PageRef, ReadGuard};

use crate::error::Result;
use crate::key_range::KeyRange;
use crate::node::{Branch, Leaf, OverflowRef, ValueRef, max_inline_key};
use crate::tree::{PageSource, expect_node, load_key, load_value, read_key};
use crate::tree_root::TreeRoot;

/// One state of a tree.
pub(crate) struct Side<'a, S> {
    pub(crate) source: &'a S,
    pub(crate) root: TreeRoot,
}

/// Whether every key of `range` has the same value, or none, in both states.
///
/// # Errors
/// A page could not be read.
pub(crate) fn agree<A: PageSource, B: PageSource>(
    tree: TreeId,
    range: &KeyRange,
    one: &Side<'_, A>,
    other: &Side<'_, B>,
) -> Result<bool> {
    if one.root.page == other.root.page {
        return Ok(true);
    }
    let mut one = Level::top(tree, one);
    let mut other = Level::top(tree, other);
    loop {
        if one.height > other.height {
            one.open(range)?;
        } else if other.height > one.height {
            other.open(range)?;
        } else {
            leave_out_common(&mut one.pages, &mut other.pages);
            if one.pages.is_empty() && other.pages.is_empty() {
                return Ok(true);
            }
            if one.height <= 1 {
                break;
            }
            one.open(range)?;
            other.open(range)?;
        }
    }
    let (mut one, mut other) = (one.entries(range), other.entries(range));
    loop {
        let (here, there) = (one.advance()?, other.advance()?);
        if !here && !there {
            return Ok(true);
        }
        if here != there || one.key != other.key || one.value != other.value {
            return Ok(false);
        }
    }
}

/// The pages, overflow runs included, that the first state of a tree has and the
/// second has not.
///
/// # Errors
/// A page could not be read.
pub(crate) fn only_in_first<A: PageSource, B: PageSource>(
    tree: TreeId,
    one: &Side<'_, A>,
    other: &Side<'_, B>,
) -> Result<Vec<PageRef>> {
    if one.root.page == other.root.page {
        return Ok(Vec::new());
    }
    let all = KeyRange::all();
    let (mut one, mut other) = (Level::top(tree, one), Level::top(tree, other));
    let mut found = Vec::new();
    let (mut runs, mut shared) = (HashSet::new(), HashSet::new());
    loop {
        let (is_high, is_low) = (one.height >= other.height, other.height >= one.height);
        if is_high && is_low {
            leave_out_common(&mut one.pages, &mut other.pages);
        }
        if is_high {
            found.extend(&one.pages);
            one.list_runs(&mut runs)?;
        }
        if is_low {
            other.list_runs(&mut shared)?;
        }
        if one.height == 1 && other.height == 1 {
            break;
        }
        if is_high && one.height > 1 {
            one.open(&all)?;
        }
        if is_low && other.height > 1 {
            other.open(&all)?;
        }
    }
    let own = runs.difference(&shared);
    found.extend(own.flat_map(|&(first, pages)| {
        (0..u64::from(pages)).map(move |offset| PageRef {
            page: PageId(first.page.0 + offset),
            ..first
        })
    }));
    found.sort_unstable();
    Ok(found)
}

fn leave_out_common(one: &mut Vec<PageRef>, other: &mut Vec<PageRef>) {
    let here: HashSet<PageRef> = one.iter().copied().collect();
    let common: HashSet<PageRef> = other
        .iter()
        .copied()
        .filter(|at| here.contains(at))
        .collect();
    if !common.is_empty() {
        one.retain(|at| !common.contains(at));
        other.retain(|at| !common.contains(at));
    }
}

/// The pages of one level.
struct Level<'a, S> {
    source: &'a S,
    tree: TreeId,
    /// Of the pages: 1 is a leaf.
    height: u8,
    pages: Vec<PageRef>,
}

impl<'a, S: PageSource> Level<'a, S> {
    fn top(tree: TreeId, side: &Side<'a, S>) -> Self {
        let pages = match side.root.height {
            0 => Vec::new(),
            _ => vec![side.root.page],
        };
        Self {
            source: side.source,
            tree,
            // An empty tree is one without leaves.
            height: side.root.height.max(1),
            pages,
        }
    }

    /// Goes down to the children that reach into the range.
    fn open(&mut self, range: &KeyRange) -> Result<()> {
        let pages = std::mem::take(&mut self.pages);
        self.height -= 1;
        for at in pages {
            let guard = ReadGuard::enter();
            let bytes = self.source.page(&guard, at)?;
            expect_node(bytes, at, self.tree, self.height)?;
            let branch = Branch::new(bytes);
            let first = match &range.lower {
                Bound::Unbounded => 0,
                Bound::Included(key) | Bound::Excluded(key) => self.child_of(&branch, key)?,
            };
            let last = match &range.upper {
                Bound::Unbounded => branch.len() - 1,
                Bound::Included(key) | Bound::Excluded(key) => self.child_of(&branch, key)?,
            };
            let children = (first..=last).map(|child| PageRef::from(branch.child(child)));
            self.pages.extend(children);
        }
        Ok(())
    }

    /// The first page and the length of each run that these pages refer to.
    fn list_runs(&self, runs: &mut HashSet<(PageRef, u32)>) -> Result<()> {
        for &at in &self.pages {
            let guard = ReadGuard::enter();
            let bytes = self.source.page(&guard, at)?;
            expect_node(bytes, at, self.tree, self.height - 1)?;
            let mut list = |run: OverflowRef| {
                let (page, version) = (run.first, run.version);
                runs.insert((PageRef { page, version }, run.pages));
            };
            if self.height == 1 {
                let leaf = Leaf::new(bytes);
                for slot in 0..leaf.len() {
                    leaf.key_overflow(slot).into_iter().for_each(&mut list);
                    if let ValueRef::Overflow(run) = leaf.value(slot) {
                        list(run);
                    }
                }
            } else {
                let branch = Branch::new(bytes);
                let keys = (0..branch.len()).filter_map(|child| branch.key_overflow(child));
                keys.for_each(&mut list);
            }
        }
        Ok(())
    }

    fn child_of(&self, branch: &Branch<'_>, key: &[u8]) -> Result<usize> {
        if key.len() <= max_inline_key(self.source.page_size()) {
            return Ok(branch.find_child(key));
        }
        branch.find_child_with(key, &mut |run| read_key(self.source, self.tree, run))
    }

    fn entries<'r>(self, range: &'r KeyRange) -> Entries<'a, 'r, S> {
        Entries {
            level: self,
            range,
            page: 0,
            slot: 0,
            key: Vec::new(),
            value: Vec::new(),
        }
    }
}

/// The entries of a list of leaves that are in the range, in order.
struct Entries<'a, 'r, S> {
    level: Level<'a, S>,
    range: &'r KeyRange,
    page: usize,
    slot: usize,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<S: PageSource> Entries<'_, '_, S> {
    /// Goes on to the next entry; false behind the last.
    fn advance(&mut self) -> Result<bool> {
        let Level { source, tree, .. } = self.level;
        while let Some(&at) = self.level.pages.get(self.page) {
            let guard = ReadGuard::enter();
            let bytes = source.page(&guard, at)?;
            expect_node(bytes, at, tree, 0)?;
            let leaf = Leaf::new(bytes);
            while self.slot < leaf.len() {
                let slot = self.slot;
                self.slot += 1;
                load_key(source, tree, leaf, slot, &mut self.key)?;
                if !self.range.contains(&self.key) {
                    continue;
                }
                self.value.clear();
                match leaf.value(slot) {
                    ValueRef::Inline(bytes) => self.value.extend_from_slice(bytes),
                    large => self
                        .value
                        .extend_from_slice(&load_value(source, tree, large)?),
                }
                return Ok(true);
            }
            self.page += 1;
            self.slot = 0;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
