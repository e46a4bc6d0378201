//! Write transactions: a snapshot and a list of changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use cs_base::TreeId;

use crate::batch::{Batch, Expect};
use crate::commit::Commit;
use crate::core::Core;
use crate::cursor::KeyRange;
use crate::error::{Error, Result};
use crate::options::CommitOptions;
use crate::snapshot::Snapshot;
use crate::ticket::Ticket;

/// Changes to one tree: `None` deletes.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Reads a snapshot and its own writes; commits all of them or, when dropped,
/// none. The first committer of a key wins; the other gets a conflict.
#[derive(Debug)]
pub struct Transaction {
    snapshot: Snapshot,
    changes: BTreeMap<TreeId, Changes>,
    created: BTreeSet<TreeId>,
    dropped: BTreeSet<TreeId>,
}

/// What a scan's closure answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The next one.
    Continue,
    /// Enough.
    Stop,
}

impl Transaction {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            changes: BTreeMap::new(),
            created: BTreeSet::new(),
            dropped: BTreeSet::new(),
        }
    }

    /// The state that it reads.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The value of a key, own writes included.
    ///
    /// # Errors
    /// [`Error::UnknownTree`], or a page could not be read.
    pub fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.check_tree(tree)?;
        match self.changes.get(&tree).and_then(|changes| changes.get(key)) {
            Some(change) => Ok(change.clone()),
            None if self.created.contains(&tree) => Ok(None),
            None => self.snapshot.get(tree, key),
        }
    }

    /// Shows `visit` the entries in `range`, own writes included, ascending or
    /// (with `reverse`) descending.
    ///
    /// # Errors
    /// As [`get`](Self::get), or what `visit` said.
    pub fn scan(
        &self,
        tree: TreeId,
        range: &KeyRange,
        reverse: bool,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<Scan>,
    ) -> Result<()> {
        self.check_tree(tree)?;
        let none = Changes::new();
        let changes = self.changes.get(&tree).unwrap_or(&none);
        let bounds = (range.lower.as_ref(), range.upper.as_ref());
        let mine = if is_empty_range(range) {
            none.range::<Vec<u8>, _>(..)
        } else {
            changes.range::<Vec<u8>, _>(bounds)
        };
        let mut mine: Box<dyn Iterator<Item = _>> = if reverse {
            Box::new(mine.rev())
        } else {
            Box::new(mine)
        };
        let mut own = mine.next();
        if !self.created.contains(&tree) {
            let mut cursor = self.snapshot.cursor(tree, range.clone())?;
            loop {
                let stored = if reverse {
                    cursor.prev()?
                } else {
                    cursor.next()?
                };
                let Some((key, value)) = stored else { break };
                // Own writes that come before the stored entry.
                while let Some((own_key, change)) = own
                    && (if reverse {
                        own_key.as_slice() > key
                    } else {
                        own_key.as_slice() < key
                    })
                {
                    if let Some(value) = change
                        && visit(own_key, value)? == Scan::Stop
                    {
                        return Ok(());
                    }
                    own = mine.next();
                }
                let answer = match own {
                    Some((own_key, change)) if own_key == key => {
                        own = mine.next();
                        change
                            .as_ref()
                            .map_or(Ok(Scan::Continue), |value| visit(key, value))?
                    }
                    _ => visit(key, value)?,
                };
                if answer == Scan::Stop {
                    return Ok(());
                }
            }
        }
        while let Some((key, change)) = own {
            if let Some(value) = change
                && visit(key, value)? == Scan::Stop
            {
                return Ok(());
            }
            own = mine.next();
        }
        Ok(())
    }

    /// Gives a key a value.
    ///
    /// # Errors
    /// [`Error::UnknownTree`].
    pub fn put(&mut self, tree: TreeId, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.check_tree(tree)?;
        self.changes
            .entry(tree)
            .or_default()
            .insert(key, Some(value));
        Ok(())
    }

    /// Removes a key; it need not be there.
    ///
    /// # Errors
    /// [`Error::UnknownTree`].
    pub fn delete(&mut self, tree: TreeId, key: Vec<u8>) -> Result<()> {
        self.check_tree(tree)?;
        self.changes.entry(tree).or_default().insert(key, None);
        Ok(())
    }

    /// Makes a new, empty tree.
    pub fn create_tree(&mut self) -> TreeId {
        let tree = self.core().new_tree_id();
        self.created.insert(tree);
        tree
    }

    /// Removes a tree with all it holds.
    ///
    /// # Errors
    /// [`Error::UnknownTree`], or it is a system tree.
    pub fn drop_tree(&mut self, tree: TreeId) -> Result<()> {
        self.check_tree(tree)?;
        if crate::root::is_system(tree) {
            return Err(Error::Refused("a system tree cannot be dropped"));
        }
        self.changes.remove(&tree);
        if !self.created.remove(&tree) {
            self.dropped.insert(tree);
        }
        Ok(())
    }

    /// Whether it has changed nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.values().all(BTreeMap::is_empty)
            && self.created.is_empty()
            && self.dropped.is_empty()
    }

    /// Commits; wait for the ticket to have it acknowledged.
    ///
    /// # Errors
    /// [`Error::Conflict`] (try again with a new transaction), or why it could
    /// not be done. Nothing has changed then.
    pub fn commit(self, options: &CommitOptions) -> Result<Ticket> {
        let core = self.core().clone();
        let mut batch = Batch::new();
        batch.created = self.created.into_iter().collect();
        batch.dropped = self.dropped.into_iter().collect();
        for (tree, changes) in self.changes {
            for (key, value) in changes {
                match value {
                    Some(value) => batch.put(tree, key, value, Expect::Any),
                    None => batch.delete(tree, key, Expect::Any),
                }
            }
        }
        let snapshot = Some(self.snapshot.root().as_ref());
        core.commit(&Commit {
            batch: &batch,
            options,
            snapshot,
        })
    }

    fn core(&self) -> &std::sync::Arc<Core> {
        self.snapshot.core()
    }

    fn check_tree(&self, tree: TreeId) -> Result<()> {
        let gone = self.dropped.contains(&tree);
        let known = self.created.contains(&tree)
            || (!gone
                && (self.changes.contains_key(&tree) || self.snapshot.tree_root(tree)?.is_some()));
        if known {
            Ok(())
        } else {
            Err(Error::UnknownTree(tree))
        }
    }
}

/// Whether no key can be in it; `BTreeMap::range` would panic on some of these.
fn is_empty_range(range: &KeyRange) -> bool {
    match (&range.lower, &range.upper) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
        (
            Bound::Included(lower) | Bound::Excluded(lower),
            Bound::Included(upper) | Bound::Excluded(upper),
        ) => lower >= upper,
    }
}
