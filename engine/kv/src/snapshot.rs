//! Snapshots: one state of the whole database, read by whoever holds it.

use std::sync::Arc;

use cs_base::{HybridTime, Index, TreeId, Version};
use cs_pager::{Pager, ReadGuard};

use crate::core::Core;
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::key_range::KeyRange;
use crate::pinned::Pinned;
use crate::root::Root;
use crate::tree::{SealedSource, find, load_value};
use crate::tree_root::{TreeRoot, TreeStats};

/// A consistent state. Cheap to clone; keeps its pages from being reused for
/// as long as a clone or a cursor of it lives.
#[derive(Clone, Debug)]
pub struct Snapshot {
    core: Arc<Core>,
    pinned: Arc<Pinned>,
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
            pinned: Pinned::exempt(&core.pager, &core.live_roots, root),
        }
    }

    /// Of a state that somebody keeps.
    pub(crate) fn of_pinned(core: &Arc<Core>, pinned: Arc<Pinned>) -> Self {
        let core = Arc::clone(core);
        Self { core, pinned }
    }

    /// Whether it was ended by [`SnapshotLimits`](crate::SnapshotLimits): each
    /// further call is an error then.
    #[must_use]
    pub fn is_evicted(&self) -> bool {
        self.pinned.is_evicted()
    }

    /// Refuses to go on with a state whose pages may be in use for something else.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        if self.pinned.is_evicted() {
            return Err(self.evicted());
        }
        Ok(())
    }

    #[cold]
    fn evicted(&self) -> Error {
        Error::SnapshotEvicted {
            index: self.index(),
        }
    }

    /// What went wrong with pages of a state that was ended meanwhile is that.
    #[cold]
    pub(crate) fn explain(&self, error: Error) -> Error {
        match self.check() {
            Ok(()) => error,
            Err(evicted) => evicted,
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn root(&self) -> &Arc<Root> {
        self.pinned.root()
    }

    pub(crate) fn pager(&self) -> &Pager {
        self.pinned.pager()
    }

    pub(crate) fn source(&self) -> SealedSource<'_> {
        SealedSource(self.pinned.pager())
    }

    /// Index of the last commit that it sees.
    #[must_use]
    pub fn index(&self) -> Index {
        self.pinned.root().record.index
    }

    /// Time of the last commit that it sees.
    #[must_use]
    pub fn time(&self) -> HybridTime {
        self.pinned.root().record.time
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.pinned.root().record.version
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
        self.check()?;
        let found = self.pinned.tree_root(tree);
        found.map_err(|error| self.explain(error))
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
        let found = with_value(&self.source(), tree, &root, key, read);
        found.map_err(|error| self.explain(error))
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
        self.snapshot.check()?;
        let source = self.snapshot.source();
        let found = with_value(&source, self.tree, &self.root, key, read);
        found.map_err(|error| self.snapshot.explain(error))
    }

    /// Whether it has this key. The value is not read.
    ///
    /// # Errors
    /// A page could not be read.
    pub fn has(&self, key: &[u8]) -> Result<bool> {
        self.snapshot.check()?;
        let source = self.snapshot.source();
        let guard = ReadGuard::enter();
        let found = find(&source, &guard, self.tree, &self.root, key, |_| {});
        let found = found.map_err(|error| self.snapshot.explain(error))?;
        Ok(found.is_some_and(|position| position.slot.is_ok()))
    }

    /// Which tree it reads.
    pub(crate) fn tree(&self) -> TreeId {
        self.tree
    }

    /// Another tree of the same state.
    ///
    /// # Errors
    /// [`Error::UnknownTree`], or a page could not be read.
    pub fn sibling(&self, tree: TreeId) -> Result<Self> {
        self.snapshot.tree(tree)
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
