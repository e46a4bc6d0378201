//! Snapshots: one state of the whole database, read by whoever holds it.

use std::sync::{Arc, OnceLock};

use cs_base::{HybridTime, Index, TreeId, Version};
use cs_pager::{Pager, ReadGuard};

use crate::core::Core;
use crate::cursor::{Cursor, KeyRange};
use crate::error::{Error, Result};
use crate::root::Root;
use crate::tree::{SealedSource, find, load_value};
use crate::tree_root::{TreeRoot, TreeStats};
use crate::writer::lookup_tree;

/// A consistent state. Cheap to clone; keeps its pages from being reused for
/// as long as a clone or a cursor of it lives.
#[derive(Clone, Debug)]
pub struct Snapshot {
    core: Arc<Core>,
    pinned: Arc<Pinned>,
}

/// A root whose pages are kept from being reused. The visible one is shared by
/// all who read it, so that taking a snapshot is two reference counts.
#[derive(Debug)]
pub(crate) struct Pinned {
    pager: Arc<Pager>,
    root: Arc<Root>,
    /// Roots of trees looked up before, each in the place that its id says.
    trees: [OnceLock<(TreeId, Option<TreeRoot>)>; KNOWN_TREES],
}

/// Trees whose roots a snapshot remembers: the working set of a query.
const KNOWN_TREES: usize = 16;

impl Pinned {
    pub(crate) fn new(pager: &Arc<Pager>, root: Arc<Root>) -> Arc<Self> {
        pager.pin_version(root.record.version);
        Arc::new(Self {
            pager: Arc::clone(pager),
            root,
            trees: [const { OnceLock::new() }; KNOWN_TREES],
        })
    }

    pub(crate) fn root(&self) -> &Arc<Root> {
        &self.root
    }

    #[inline]
    fn tree_root(&self, tree: TreeId) -> Result<Option<TreeRoot>> {
        let known = &self.trees[tree.0 as usize % KNOWN_TREES];
        if let Some((of, root)) = known.get()
            && *of == tree
        {
            return Ok(*root);
        }
        let root = lookup_tree(&SealedSource(&self.pager), &self.root.directory, tree)?;
        // Taken by another tree already: that one stays.
        let _ = known.set((tree, root));
        Ok(root)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.pager.unpin(self.root.record.version);
    }
}

impl Snapshot {
    pub(crate) fn visible(core: &Arc<Core>) -> Result<Self> {
        let pinned = core.pin_visible()?;
        Ok(Self {
            core: Arc::clone(core),
            pinned,
        })
    }

    /// Of a state that the caller has just sealed, with the writer's lock held:
    /// it may be ahead of what is visible.
    pub(crate) fn of(core: &Arc<Core>, root: Arc<Root>) -> Self {
        Self {
            core: Arc::clone(core),
            pinned: Pinned::new(&core.pager, root),
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn root(&self) -> &Arc<Root> {
        &self.pinned.root
    }

    pub(crate) fn pager(&self) -> &Pager {
        &self.pinned.pager
    }

    pub(crate) fn source(&self) -> SealedSource<'_> {
        SealedSource(&self.pinned.pager)
    }

    /// Index of the last commit that it sees.
    #[must_use]
    pub fn index(&self) -> Index {
        self.pinned.root.record.index
    }

    /// Time of the last commit that it sees.
    #[must_use]
    pub fn time(&self) -> HybridTime {
        self.pinned.root.record.time
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.pinned.root.record.version
    }

    /// Finds a tree once, for many reads.
    ///
    /// # Errors
    /// [`Error::UnknownTree`], or the directory could not be read.
    pub fn tree(&self, tree: TreeId) -> Result<TreeReader> {
        let root = self.tree_root(tree)?.ok_or(Error::UnknownTree(tree))?;
        Ok(TreeReader {
            snapshot: self.clone(),
            tree,
            root,
        })
    }

    pub(crate) fn tree_root(&self, tree: TreeId) -> Result<Option<TreeRoot>> {
        self.pinned.tree_root(tree)
    }

    /// The value of a key.
    ///
    /// # Errors
    /// As [`tree`](Self::tree), or a page could not be read.
    pub fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.with_value(tree, key, <[u8]>::to_vec)
    }

    /// What `read` makes of the value of a key, without a copy of it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn with_value<R>(
        &self,
        tree: TreeId,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        let root = self.tree_root(tree)?.ok_or(Error::UnknownTree(tree))?;
        with_value(&self.source(), tree, &root, key, read)
    }

    /// A cursor over the keys in `range`.
    ///
    /// # Errors
    /// As [`tree`](Self::tree).
    pub fn cursor(&self, tree: TreeId, range: KeyRange) -> Result<Cursor> {
        Ok(self.tree(tree)?.cursor(range))
    }

    /// How many entries a tree has and what they amount to, or `None` if there
    /// is no such tree.
    ///
    /// # Errors
    /// The directory could not be read.
    pub fn tree_stats(&self, tree: TreeId) -> Result<Option<TreeStats>> {
        Ok(self.tree_root(tree)?.map(|root| root.stats))
    }

    /// All trees that are not the system's, by id.
    ///
    /// # Errors
    /// The directory could not be read.
    pub fn trees(&self) -> Result<Vec<(TreeId, TreeStats)>> {
        let mut trees = Vec::new();
        let mut cursor = self.cursor(crate::system::DIRECTORY, KeyRange::all())?;
        while let Some((key, value)) = cursor.next()? {
            let Ok(raw) = <[u8; 4]>::try_from(key) else {
                return Err(Error::Damaged("key of the directory".into()));
            };
            let tree = TreeId(u32::from_be_bytes(raw));
            if !crate::root::is_system(tree) {
                trees.push((tree, TreeRoot::decode(tree, value)?.stats));
            }
        }
        Ok(trees)
    }
}

/// One tree of a snapshot.
#[derive(Clone, Debug)]
pub struct TreeReader {
    snapshot: Snapshot,
    tree: TreeId,
    root: TreeRoot,
}

impl TreeReader {
    /// The value of a key.
    ///
    /// # Errors
    /// A page could not be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.with_value(key, <[u8]>::to_vec)
    }

    /// What `read` makes of the value of a key, without a copy of it.
    ///
    /// # Errors
    /// A page could not be read.
    pub fn with_value<R>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        with_value(&self.snapshot.source(), self.tree, &self.root, key, read)
    }

    /// How many entries it has and what they amount to.
    #[must_use]
    pub fn stats(&self) -> TreeStats {
        self.root.stats
    }

    /// A cursor over the keys in `range`.
    #[must_use]
    pub fn cursor(&self, range: KeyRange) -> Cursor {
        Cursor::new(self.snapshot.clone(), self.tree, self.root, range)
    }
}

fn with_value<R>(
    source: &SealedSource<'_>,
    tree: TreeId,
    root: &TreeRoot,
    key: &[u8],
    read: impl FnOnce(&[u8]) -> R,
) -> Result<Option<R>> {
    let guard = ReadGuard::enter();
    let Some(position) = find(source, &guard, tree, root, key, |_| {})? else {
        return Ok(None);
    };
    let Ok(slot) = position.slot else {
        return Ok(None);
    };
    let value = load_value(source, tree, position.leaf.value(slot))?;
    Ok(Some(read(&value)))
}
