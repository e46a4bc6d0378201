//! Write transactions: a snapshot, a list of changes, and what was read.
//!
//! | file | what |
//! |---|---|
//! | `transaction.rs` | reading the snapshot through the own changes; committing |
//! | `entries.rs` | the entries of a range, one by one |
//! | `changes.rs` | the own changes, and savepoints among them |
//! | `footprint.rs` | what a serializable transaction has read |
//!
//! ## Isolation
//! Under [`Isolation::Snapshot`] a commit is refused if a key that it writes was
//! changed by another since the snapshot: the first committer wins. Under
//! [`Isolation::Serializable`] the keys and ranges that it read are judged too,
//! where the commit is (backward validation, as in Kung and Robinson, *On
//! Optimistic Methods for Concurrency Control*): what it read is what it would
//! read now, so all serializable transactions are as if carried out one by one,
//! in the order of their commits. One that changes nothing is never refused.

mod changes;
mod entries;
mod footprint;

use std::sync::Arc;

use cs_base::mutants::{Mutant, planted};
use cs_base::{Lsn, TreeId};
use parking_lot::Mutex;

use crate::batch::Batch;
use crate::commit::{Basis, Commit, Stage};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::key_range::KeyRange;
use crate::options::CommitOptions;
use crate::snapshot::{Snapshot, TreeReader};
use crate::ticket::Ticket;

use changes::Changes;
pub(crate) use footprint::Footprint;

pub use changes::Savepoint;
pub use entries::TransactionEntries;

/// What a transaction may not notice of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// It reads one state; whoever commits a key first wins. Two transactions
    /// that read what the other writes may both commit (write skew).
    #[default]
    Snapshot,
    /// As if all such transactions were carried out one by one: what was read,
    /// ranges and what is missing from them too, must still hold at the commit.
    Serializable,
}

/// How a transaction is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionOptions {
    /// What it may not notice of others.
    pub isolation: Isolation,
    /// Bytes for remembering what a serializable transaction read. Beyond it
    /// neighbouring ranges are joined with what lies between them, so that a
    /// commit may be refused though nothing that was read has changed.
    pub footprint_bytes: usize,
}

impl Default for TransactionOptions {
    fn default() -> Self {
        Self {
            isolation: Isolation::Snapshot,
            // Some ten thousand keys, or ranges, apart from each other.
            footprint_bytes: 1 << 20,
        }
    }
}

impl TransactionOptions {
    /// With this isolation.
    #[must_use]
    pub fn with_isolation(isolation: Isolation) -> Self {
        Self {
            isolation,
            ..Self::default()
        }
    }
}

/// Reads a snapshot and its own writes; commits all of them or, when dropped,
/// none. The first committer of a key wins; the other gets a conflict.
///
/// ```
/// use cs_io::{RealRuntime, memory::MemoryDisk};
/// use cs_kv::{CommitOptions, Isolation, Store, StoreOptions, TransactionOptions};
///
/// let store = Store::open(MemoryDisk::new(), RealRuntime::new(), StoreOptions::default())?;
/// let mut txn = store.begin_with(TransactionOptions::with_isolation(Isolation::Serializable))?;
/// let tree = txn.create_tree();
/// txn.put(tree, b"kept".to_vec(), b"1".to_vec())?;
/// let savepoint = txn.set_savepoint();
/// txn.put(tree, b"taken back".to_vec(), b"2".to_vec())?;
/// txn.roll_back_to(savepoint)?;
/// assert_eq!(txn.get(tree, b"taken back")?, None);
/// txn.commit(&CommitOptions::default())?.wait()?;
/// assert_eq!(store.snapshot()?.get(tree, b"kept")?.as_deref(), Some(&b"1"[..]));
/// # Ok::<(), cs_kv::Error>(())
/// ```
#[derive(Debug)]
pub struct Transaction {
    snapshot: Snapshot,
    changes: Changes,
    /// Only where what was read is judged too.
    footprint: Option<Arc<Mutex<Footprint>>>,
    /// What must still be so, whatever the isolation.
    kept: Footprint,
}

/// A transaction taken apart, to be committed.
pub(crate) struct Parts {
    pub(crate) snapshot: Snapshot,
    pub(crate) changes: Batch,
    pub(crate) footprint: Option<Footprint>,
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
    pub(crate) fn new(snapshot: Snapshot, options: TransactionOptions) -> Self {
        let footprint = match options.isolation {
            Isolation::Snapshot => None,
            Isolation::Serializable => {
                let footprint = Footprint::new(options.footprint_bytes);
                Some(Arc::new(Mutex::new(footprint)))
            }
        };
        Self {
            snapshot,
            changes: Changes::default(),
            footprint,
            kept: Footprint::default(),
        }
    }

    /// The state that it reads. What is read through it directly is not known
    /// to the transaction: a serializable one reads through its own methods.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Bytes that remembering what was read takes (none under
    /// [`Isolation::Snapshot`]), and whether ranges were joined to keep to the budget.
    #[must_use]
    pub fn footprint(&self) -> (usize, bool) {
        let footprint = self.footprint.as_ref().map(|footprint| footprint.lock());
        footprint.map_or((0, false), |read| (read.bytes(), read.is_coarse()))
    }

    /// What it may not notice of others.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        match self.footprint {
            None => Isolation::Snapshot,
            Some(_) => Isolation::Serializable,
        }
    }

    // ---- reading ----

    /// The value of a key, own writes included.
    ///
    /// # Errors
    /// [`Error::UnknownTree`], or a page could not be read.
    pub fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.check_tree(tree)?;
        match self.changes.of(tree).and_then(|changes| changes.get(key)) {
            Some(change) => Ok(change.value.clone()),
            None if self.changes.made(tree) => Ok(None),
            None => {
                self.note(|footprint| footprint.key(tree, key));
                self.snapshot.get(tree, key)
            }
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
        let mut entries = self.entries(tree, range.clone(), reverse)?;
        while let Some((key, value)) = entries.next()? {
            if visit(key, value)? == Scan::Stop {
                break;
            }
        }
        Ok(())
    }

    /// The entries in `range`, own writes included, ascending or (with `reverse`)
    /// descending, one by one; as they are now, whatever is written later.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn entries(
        &self,
        tree: TreeId,
        range: KeyRange,
        reverse: bool,
    ) -> Result<TransactionEntries> {
        self.check_tree(tree)?;
        let stored = match self.changes.made(tree) {
            true => None,
            false => Some(self.snapshot.cursor(tree, range.clone())?),
        };
        let own = self.changes.of(tree).cloned().unwrap_or_default();
        let footprint = self.footprint.clone();
        Ok(TransactionEntries::new(
            tree, range, reverse, stored, own, footprint,
        ))
    }

    /// How many entries are in `range`, own writes included. Of a whole tree
    /// that is known, and costs one look for each key that the transaction changed.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn count(&self, tree: TreeId, range: &KeyRange) -> Result<u64> {
        let mut count = 0;
        if *range != KeyRange::all() {
            self.scan(tree, range, false, |_, _| {
                count += 1;
                Ok(Scan::Continue)
            })?;
            return Ok(count);
        }
        self.check_tree(tree)?;
        let stored = !self.changes.made(tree);
        if stored {
            self.note(|footprint| footprint.range(tree, range));
            count = self.snapshot.tree_stats(tree)?.unwrap_or_default().count;
        }
        for (key, change) in self.changes.of(tree).into_iter().flat_map(|own| own.iter()) {
            let before = stored && self.snapshot.with_value(tree, key, |_| ())?.is_some();
            count = count + u64::from(change.value.is_some()) - u64::from(before);
        }
        Ok(count)
    }

    /// A serializable transaction has read something.
    fn note(&self, read: impl FnOnce(&mut Footprint)) {
        if let Some(footprint) = &self.footprint {
            read(&mut footprint.lock());
        }
    }

    // ---- changing ----

    /// Gives a key a value.
    ///
    /// # Errors
    /// [`Error::UnknownTree`]; [`Error::TooLarge`]: the key, the value, or all
    /// changes together. Nothing has changed then.
    pub fn put(&mut self, tree: TreeId, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.check_tree(tree)?;
        self.changes.set(tree, key, Some(value))
    }

    /// [`put`](Self::put) of a value that is the one before, changed in part: the
    /// record tells whoever follows the changes.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_in_part(&mut self, tree: TreeId, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.check_tree(tree)?;
        self.changes.set_in_part(tree, key, value)
    }

    /// Removes a key; it need not be there.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn delete(&mut self, tree: TreeId, key: Vec<u8>) -> Result<()> {
        self.check_tree(tree)?;
        self.changes.set(tree, key, None)
    }

    /// Makes a new, empty tree.
    pub fn create_tree(&mut self) -> TreeId {
        let tree = self.core().new_tree_id();
        self.changes.create(tree);
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
        self.changes.drop_tree(tree);
        Ok(())
    }

    /// Puts into the record what each change to this tree replaces, for whoever
    /// follows the changes.
    ///
    /// # Errors
    /// [`Error::UnknownTree`].
    pub fn tell_before(&mut self, tree: TreeId) -> Result<()> {
        self.check_tree(tree)?;
        self.changes.tell_before(tree);
        Ok(())
    }

    /// The commit is refused if another has changed this key since the snapshot, as
    /// if this transaction changed it: what it writes depends on it. Two that keep
    /// the same key are not in each other's way.
    pub fn keep(&mut self, tree: TreeId, key: &[u8]) {
        self.kept.key(tree, key);
    }

    /// [`keep`](Self::keep) for all keys of a range, those that are not there too.
    pub fn keep_range(&mut self, tree: TreeId, range: &KeyRange) {
        self.kept.range(tree, range);
    }

    /// Whether it has changed nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Bytes that its changes take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.changes.bytes()
    }

    // ---- savepoints ----

    /// Sets a savepoint: a place to [go back to](Self::roll_back_to). They nest.
    pub fn set_savepoint(&mut self) -> Savepoint {
        self.changes.set_savepoint()
    }

    /// Takes back what was changed since the savepoint, which stays; those set
    /// after it are gone. What was read meanwhile still counts as read.
    ///
    /// # Errors
    /// The savepoint is gone.
    pub fn roll_back_to(&mut self, savepoint: Savepoint) -> Result<()> {
        self.changes.roll_back_to(savepoint)
    }

    /// Forgets the savepoint and those set after it; the changes stay.
    ///
    /// # Errors
    /// The savepoint is gone.
    pub fn release(&mut self, savepoint: Savepoint) -> Result<()> {
        self.changes.release(savepoint)
    }

    // ---- the end ----

    /// Commits; wait for the ticket to have it acknowledged.
    ///
    /// # Errors
    /// [`Error::Conflict`] (try again with a new transaction), or why it could
    /// not be done. Nothing has changed then.
    pub fn commit(self, options: &CommitOptions) -> Result<Ticket> {
        let core = self.core().clone();
        if self.is_empty() && options.session.is_none() {
            return Ok(Ticket::new(core, self.snapshot.index(), Lsn::ZERO));
        }
        let parts = self.into_parts()?;
        core.commit(&Commit {
            batch: &parts.changes,
            options,
            basis: Some(Basis {
                snapshot: &parts.snapshot,
                footprint: parts.footprint.as_ref(),
                certified: None,
            }),
            stage: Stage::Whole,
        })
    }

    /// # Errors
    /// A value that is replaced, and is to be told of, could not be read.
    pub(crate) fn into_parts(self) -> Result<Parts> {
        self.snapshot.check()?;
        let mut changes = self.changes.into_batch();
        // What a commit that passes replaces is what its snapshot has. Looking
        // also brings the leaves in before the writer's lock is taken.
        let mut reader: Option<TreeReader> = None;
        for place in 0..changes.operations.len() {
            let operation = &changes.operations[place];
            let (tree, key) = (operation.tree, &operation.key);
            let (mut before, mut was_absent) = (None, true);
            if !changes.created.contains(&tree) {
                let same = reader.take().filter(|reader| reader.tree() == tree);
                let reader = match same {
                    Some(same) => reader.insert(same),
                    None => reader.insert(self.snapshot.tree(tree)?),
                };
                if changes.wants_before(operation) {
                    before = reader.get(key)?;
                    was_absent = before.is_none();
                } else {
                    was_absent = !reader.has(key)?;
                }
            }
            let operation = &mut changes.operations[place];
            (operation.before, operation.was_absent) = (before, was_absent);
        }
        changes.telling.clear();
        // A cursor may still have it.
        let mut footprint = self
            .footprint
            .map(|read| std::mem::take(&mut *read.lock()))
            .filter(|_| !planted(Mutant::SkipReadCheck));
        let kept = self.kept.iter();
        for (tree, range) in kept.filter(|_| !planted(Mutant::IgnoreKept)) {
            footprint.get_or_insert_default().range(tree, &range);
        }
        Ok(Parts {
            snapshot: self.snapshot,
            changes,
            footprint,
        })
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        self.snapshot.core()
    }

    fn check_tree(&self, tree: TreeId) -> Result<()> {
        let changes = &self.changes;
        let known = changes.made(tree)
            || (!changes.has_dropped(tree)
                && (changes.of(tree).is_some_and(|changes| !changes.is_empty())
                    || self.snapshot.tree_root(tree)?.is_some()));
        if known {
            Ok(())
        } else {
            Err(Error::UnknownTree(tree))
        }
    }
}
