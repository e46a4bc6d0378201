//! Finding a key.

use std::borrow::Cow;

use cs_base::TreeId;
use cs_pager::{PageHeader, PageKind, PageRef, Pager, PagerError, ReadGuard, Shadow};

use super::overflow::{read_key, read_value};
use crate::error::Result;
use crate::node::{Branch, Leaf, ValueRef, max_inline_key};
use crate::tree_root::TreeRoot;

/// Where pages come from.
pub(crate) trait PageSource {
    /// All bytes of a page that was verified.
    fn page<'a>(&'a self, guard: &'a ReadGuard, at: PageRef) -> Result<&'a [u8]>;
    /// Bytes a page.
    fn page_size(&self) -> usize;
}

/// Sealed versions, from the pool.
#[derive(Clone, Copy)]
pub(crate) struct SealedSource<'p>(pub(crate) &'p Pager);

impl PageSource for SealedSource<'_> {
    #[inline]
    fn page<'a>(&'a self, guard: &'a ReadGuard, at: PageRef) -> Result<&'a [u8]> {
        Ok(self.0.get(guard, at)?.bytes())
    }

    fn page_size(&self) -> usize {
        self.0.page_size()
    }
}

/// The open version.
#[derive(Clone, Copy)]
pub(crate) struct OpenSource<'p> {
    pub(crate) pager: &'p Pager,
    pub(crate) shadow: &'p Shadow,
}

impl PageSource for OpenSource<'_> {
    #[inline]
    fn page<'a>(&'a self, guard: &'a ReadGuard, at: PageRef) -> Result<&'a [u8]> {
        Ok(self.shadow.view(self.pager, guard, at)?)
    }

    fn page_size(&self) -> usize {
        self.pager.page_size()
    }
}

/// Checks that a page is what its parent implies: whose, and how high.
#[inline]
pub(crate) fn expect_node(bytes: &[u8], at: PageRef, tree: TreeId, level: u8) -> Result<()> {
    let header = PageHeader::of(bytes);
    let kind = if level == 0 {
        PageKind::Leaf
    } else {
        PageKind::Branch
    };
    if header.kind == kind as u8 && header.level == level && header.tree.get() == tree.0 {
        return Ok(());
    }
    Err(wrong_node(header, at, tree, level))
}

#[cold]
fn wrong_node(header: &PageHeader, at: PageRef, tree: TreeId, level: u8) -> crate::Error {
    let expected = format!("tree {tree}, level {level}");
    let found = format!(
        "tree {}, level {}, kind {}",
        header.tree.get(),
        header.level,
        header.kind
    );
    PagerError::Corrupt {
        page: at.page,
        what: "place in its tree",
        expected,
        found,
    }
    .into()
}

/// A leaf, and where a key is in it (`Ok`) or would be (`Err`).
pub(crate) struct Position<'a> {
    pub(crate) at: PageRef,
    pub(crate) leaf: Leaf<'a>,
    pub(crate) slot: Result<usize, usize>,
}

/// Goes down to the leaf in whose range `key` is; `None` in an empty tree.
/// `visit` sees each page on the way.
#[inline]
pub(crate) fn find<'a, S: PageSource>(
    source: &'a S,
    guard: &'a ReadGuard,
    tree: TreeId,
    root: &TreeRoot,
    key: &[u8],
    mut visit: impl FnMut(PageRef),
) -> Result<Option<Position<'a>>> {
    let Some(at) = find_leaf(source, guard, tree, root, key, &mut visit)? else {
        return Ok(None);
    };
    let bytes = source.page(guard, at)?;
    expect_node(bytes, at, tree, 0)?;
    visit(at);
    let leaf = Leaf::new(bytes);
    let slot = if key.len() > max_inline_key(source.page_size()) {
        leaf.search_with(key, &mut |run| read_key(source, tree, run))?
    } else {
        leaf.search(key)
    };
    Ok(Some(Position { at, leaf, slot }))
}

/// The same as far as the branches go: which leaf it is, not yet looked at.
#[inline]
pub(crate) fn find_leaf<S: PageSource>(
    source: &S,
    guard: &ReadGuard,
    tree: TreeId,
    root: &TreeRoot,
    key: &[u8],
    mut visit: impl FnMut(PageRef),
) -> Result<Option<PageRef>> {
    if root.height == 0 {
        return Ok(None);
    }
    let long = key.len() > max_inline_key(source.page_size());
    let mut at = root.page;
    for level in (1..root.height).rev() {
        let bytes = source.page(guard, at)?;
        expect_node(bytes, at, tree, level)?;
        visit(at);
        let branch = Branch::new(bytes);
        let child = if long {
            branch.find_child_with(key, &mut |run| read_key(source, tree, run))?
        } else {
            branch.find_child(key)
        };
        at = branch.child(child).into();
    }
    Ok(Some(at))
}

/// The whole value of a cell; a large one is put together from its run.
pub(crate) fn load_value<'a>(
    source: &impl PageSource,
    tree: TreeId,
    value: ValueRef<'a>,
) -> Result<Cow<'a, [u8]>> {
    match value {
        ValueRef::Inline(bytes) => Ok(Cow::Borrowed(bytes)),
        ValueRef::Overflow(run) => Ok(Cow::Owned(read_value(source, tree, &run)?)),
    }
}

/// Puts the whole key of entry `slot` into `into`.
pub(crate) fn load_key(
    source: &impl PageSource,
    tree: TreeId,
    leaf: Leaf<'_>,
    slot: usize,
    into: &mut Vec<u8>,
) -> Result<()> {
    match leaf.key_overflow(slot) {
        None => leaf.key(slot, into),
        Some(run) => *into = read_key(source, tree, &run)?,
    }
    Ok(())
}

/// The whole key of child `child` of a branch.
pub(crate) fn read_whole_key(
    source: &impl PageSource,
    tree: TreeId,
    branch: &Branch<'_>,
    child: usize,
) -> Result<Vec<u8>> {
    match branch.key_overflow(child) {
        Some(run) => read_key(source, tree, &run),
        None => {
            let mut key = Vec::new();
            branch.key(child, &mut key);
            Ok(key)
        }
    }
}
