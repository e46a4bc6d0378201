//! Walking all pages of a tree, root first.

use cs_base::{PageId, TreeId};
use cs_pager::{PageRef, ReadGuard};

use super::overflow::{expect_overflow, start};
use super::read::{PageSource, expect_node, load_key, load_value};
use crate::error::Result;
use crate::node::{Branch, Leaf, OverflowRef, ValueRef};
use crate::tree_root::TreeRoot;

/// Sees a node, its level and its bytes.
pub(crate) type Inspect<'a> = dyn FnMut(PageRef, u8, &[u8]) -> Result<()> + 'a;

/// Visits each page of a tree once, depth first and in key order.
pub(crate) struct Walker<'s, S> {
    source: &'s S,
    tree: TreeId,
    /// Pages to come, with their level; the next one last.
    stack: Vec<(PageRef, u8)>,
}

/// A page that a [`Walker`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Visited {
    pub(crate) at: PageRef,
    /// Height above the leaves; `None` for overflow.
    pub(crate) level: Option<u8>,
}

impl<'s, S: PageSource> Walker<'s, S> {
    pub(crate) fn new(source: &'s S, tree: TreeId, root: &TreeRoot) -> Self {
        let stack = match root.height {
            0 => Vec::new(),
            height => vec![(root.page, height - 1)],
        };
        Self {
            source,
            tree,
            stack,
        }
    }

    /// Goes on to the next node, and lists it and its overflow pages in
    /// `pages`; `inspect` sees its bytes. False when all were visited.
    pub(crate) fn step(
        &mut self,
        pages: &mut Vec<Visited>,
        inspect: &mut Inspect<'_>,
    ) -> Result<bool> {
        let Some((at, level)) = self.stack.pop() else {
            return Ok(false);
        };
        let mut runs: Vec<OverflowRef> = Vec::new();
        {
            let guard = ReadGuard::enter();
            let bytes = self.source.page(&guard, at)?;
            expect_node(bytes, at, self.tree, level)?;
            inspect(at, level, bytes)?;
            pages.push(Visited {
                at,
                level: Some(level),
            });
            if level == 0 {
                let leaf = Leaf::new(bytes);
                for slot in 0..leaf.len() {
                    runs.extend(leaf.key_overflow(slot));
                    if let ValueRef::Overflow(run) = leaf.value(slot) {
                        runs.push(run);
                    }
                }
            } else {
                let branch = Branch::new(bytes);
                for child in (0..branch.len()).rev() {
                    runs.extend(branch.key_overflow(child));
                    self.stack.push((branch.child(child).into(), level - 1));
                }
            }
        }
        for run in &runs {
            self.list_run(run, pages)?;
        }
        Ok(true)
    }

    fn list_run(&self, run: &OverflowRef, pages: &mut Vec<Visited>) -> Result<()> {
        for offset in 0..u64::from(run.pages) {
            let first = start(run);
            let at = PageRef {
                page: PageId(first.page.0 + offset),
                ..first
            };
            let guard = ReadGuard::enter();
            expect_overflow(self.source.page(&guard, at)?, at, self.tree)?;
            pages.push(Visited { at, level: None });
        }
        Ok(())
    }
}

/// A key and its value.
pub(crate) type OwnedEntry = (Vec<u8>, Vec<u8>);

/// All entries of a tree, in order: for small ones.
///
/// # Errors
/// A page could not be read.
pub(crate) fn all_entries(
    source: &impl PageSource,
    tree: TreeId,
    root: &TreeRoot,
) -> Result<Vec<OwnedEntry>> {
    let mut entries = Vec::new();
    let mut list = |_, level, bytes: &[u8]| {
        if level > 0 {
            return Ok(());
        }
        let leaf = Leaf::new(bytes);
        for slot in 0..leaf.len() {
            let mut key = Vec::new();
            load_key(source, tree, leaf, slot, &mut key)?;
            let value = load_value(source, tree, leaf.value(slot))?;
            entries.push((key, value.into_owned()));
        }
        Ok(())
    };
    let mut walker = Walker::new(source, tree, root);
    let mut pages = Vec::new();
    while walker.step(&mut pages, &mut list)? {
        pages.clear();
    }
    Ok(entries)
}
