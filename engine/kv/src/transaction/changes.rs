//! What a transaction has changed so far, and the way back to its savepoints.
//!
//! ## Invariants
//! * A key has at most one change: the newest.
//! * `undo` says, newest first, what each change since the oldest savepoint
//!   replaced; without savepoints it is empty.
//! * `bytes` is the sum over all changes, so that a transaction hears early that
//!   it is too large.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cs_base::TreeId;

use crate::batch::{Batch, Expect};
use crate::error::{Error, Result};
use crate::limits::{MAX_KEY, MAX_TRANSACTION, MAX_VALUE};

/// The newest change to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyChange {
    /// `None` deletes.
    pub(crate) value: Option<Vec<u8>>,
    /// All changes to the key so far were changes in part.
    in_part: bool,
}

/// Changes to one tree.
pub(crate) type TreeChanges = BTreeMap<Vec<u8>, KeyChange>;

/// Bytes of a record beside key and value, at most.
const OVERHEAD: u64 = 13;

/// A place in a transaction to which it can go back. It is good until the
/// transaction went back to it, or to one before it, or released it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint {
    /// Which of the savepoints ever set; so that an old one is not taken for a new.
    serial: u64,
}

/// A savepoint that is still set.
#[derive(Debug)]
struct Mark {
    serial: u64,
    /// How long `undo` was then.
    undo: usize,
}

/// What a change replaced.
#[derive(Debug)]
enum Replaced {
    /// The change that the key had, if it had one.
    Key(TreeId, Vec<u8>, Option<KeyChange>),
    /// The tree had not been made.
    Created(TreeId),
    /// The tree had not been dropped; what had been changed in it, and whether
    /// it was one of the transaction's own.
    Dropped(TreeId, Option<Arc<TreeChanges>>, bool),
}

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Shared with whoever reads a range of them.
    trees: BTreeMap<TreeId, Arc<TreeChanges>>,
    created: BTreeSet<TreeId>,
    dropped: BTreeSet<TreeId>,
    /// Trees of which the record tells what was replaced.
    telling: BTreeSet<TreeId>,
    bytes: u64,
    undo: Vec<Replaced>,
    marks: Vec<Mark>,
    next_serial: u64,
}

fn cost(key: &[u8], change: Option<&Vec<u8>>) -> u64 {
    OVERHEAD + key.len() as u64 + change.map_or(0, |value| value.len() as u64)
}

fn check_size(what: &'static str, found: u64, limit: usize) -> Result<()> {
    let limit = limit as u64;
    if found <= limit {
        return Ok(());
    }
    Err(Error::TooLarge { what, found, limit })
}

impl Changes {
    /// The changes to one tree, if there are any.
    pub(crate) fn of(&self, tree: TreeId) -> Option<&Arc<TreeChanges>> {
        self.trees.get(&tree)
    }

    /// Whether the transaction made the tree.
    pub(crate) fn made(&self, tree: TreeId) -> bool {
        self.created.contains(&tree)
    }

    /// Whether the transaction dropped the tree.
    pub(crate) fn has_dropped(&self, tree: TreeId) -> bool {
        self.dropped.contains(&tree)
    }

    /// Whether nothing is changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.trees.values().all(|changes| changes.is_empty())
            && self.created.is_empty()
            && self.dropped.is_empty()
    }

    /// Bytes that the record will have, more or less.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives a key a value, or with `None` takes it away.
    ///
    /// # Errors
    /// [`Error::TooLarge`]: key, value or the whole. Nothing has changed then.
    pub(crate) fn set(&mut self, tree: TreeId, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<()> {
        let in_part = false;
        self.put(tree, key, KeyChange { value, in_part })
    }

    /// Gives a key another value, which is the one before, changed in part.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub(crate) fn set_in_part(&mut self, tree: TreeId, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        let before = self.of(tree).and_then(|changes| changes.get(&key));
        let change = KeyChange {
            value: Some(value),
            in_part: before.is_none_or(|before| before.in_part),
        };
        self.put(tree, key, change)
    }

    fn put(&mut self, tree: TreeId, key: Vec<u8>, change: KeyChange) -> Result<()> {
        let value = &change.value;
        check_size("key", key.len() as u64, MAX_KEY)?;
        check_size(
            "value",
            value.as_ref().map_or(0, Vec::len) as u64,
            MAX_VALUE,
        )?;
        let changes = Arc::make_mut(self.trees.entry(tree).or_default());
        let before = changes
            .get(&key)
            .map_or(0, |change| cost(&key, change.value.as_ref()));
        let bytes = self.bytes - before + cost(&key, value.as_ref());
        check_size("transaction", bytes, MAX_TRANSACTION)?;
        self.bytes = bytes;
        if self.marks.is_empty() {
            changes.insert(key, change);
        } else {
            let replaced = changes.insert(key.clone(), change);
            self.undo.push(Replaced::Key(tree, key, replaced));
        }
        Ok(())
    }

    /// A tree is made.
    pub(crate) fn create(&mut self, tree: TreeId) {
        self.created.insert(tree);
        self.remember(Replaced::Created(tree));
    }

    /// A tree is dropped, with what was changed in it.
    pub(crate) fn drop_tree(&mut self, tree: TreeId) {
        let changes = self.trees.remove(&tree);
        self.bytes -= changes.as_deref().map_or(0, sum);
        let own = self.created.remove(&tree);
        if !own {
            self.dropped.insert(tree);
        }
        self.remember(Replaced::Dropped(tree, changes, own));
    }

    /// The record tells what changes to this tree replace.
    pub(crate) fn tell_before(&mut self, tree: TreeId) {
        self.telling.insert(tree);
    }

    fn remember(&mut self, replaced: Replaced) {
        if !self.marks.is_empty() {
            self.undo.push(replaced);
        }
    }

    // ---- savepoints ----

    /// Sets a savepoint here.
    pub(crate) fn set_savepoint(&mut self) -> Savepoint {
        let serial = self.next_serial;
        self.next_serial += 1;
        let undo = self.undo.len();
        self.marks.push(Mark { serial, undo });
        Savepoint { serial }
    }

    /// Takes back what was changed since; the savepoint stays, those after it go.
    pub(crate) fn roll_back_to(&mut self, savepoint: Savepoint) -> Result<()> {
        let place = self.place_of(savepoint)?;
        let undo = self.marks[place].undo;
        self.marks.truncate(place + 1);
        while self.undo.len() > undo {
            let Some(replaced) = self.undo.pop() else {
                break;
            };
            self.take_back(replaced);
        }
        Ok(())
    }

    /// Forgets the savepoint, and those after it; what was changed since stays.
    pub(crate) fn release(&mut self, savepoint: Savepoint) -> Result<()> {
        let place = self.place_of(savepoint)?;
        self.marks.truncate(place);
        if self.marks.is_empty() {
            self.undo.clear();
        }
        Ok(())
    }

    fn place_of(&self, savepoint: Savepoint) -> Result<usize> {
        let place = |mark: &Mark| mark.serial == savepoint.serial;
        let place = self.marks.iter().position(place);
        place.ok_or(Error::Refused(
            "the savepoint is not set any more in this transaction",
        ))
    }

    fn take_back(&mut self, replaced: Replaced) {
        match replaced {
            Replaced::Key(tree, key, before) => {
                let changes = Arc::make_mut(self.trees.entry(tree).or_default());
                if let Some(change) = changes.remove(&key) {
                    self.bytes -= cost(&key, change.value.as_ref());
                }
                if let Some(before) = before {
                    self.bytes += cost(&key, before.value.as_ref());
                    changes.insert(key, before);
                }
            }
            Replaced::Created(tree) => {
                self.created.remove(&tree);
            }
            Replaced::Dropped(tree, changes, own) => {
                if own {
                    self.created.insert(tree);
                } else {
                    self.dropped.remove(&tree);
                }
                if let Some(changes) = changes {
                    self.bytes += sum(&changes);
                    self.trees.insert(tree, changes);
                }
            }
        }
    }

    /// All of it, as a batch without expectations.
    pub(crate) fn into_batch(self) -> Batch {
        let mut batch = Batch::new();
        batch.created = self.created.into_iter().collect();
        batch.dropped = self.dropped.into_iter().collect();
        // A tree of its own has nothing that could be replaced.
        let known = |tree: &TreeId| !batch.created.contains(tree);
        batch.telling = self.telling.into_iter().filter(known).collect();
        for (tree, changes) in self.trees {
            for (key, change) in Arc::unwrap_or_clone(changes) {
                match change.value {
                    Some(value) => batch.put(tree, key, value, Expect::Any),
                    None => batch.delete(tree, key, Expect::Any),
                }
                if change.in_part {
                    batch.note_in_part();
                }
            }
        }
        batch
    }
}

fn sum(changes: &TreeChanges) -> u64 {
    let costs = changes
        .iter()
        .map(|(key, change)| cost(key, change.value.as_ref()));
    costs.sum()
}

#[cfg(test)]
mod tests;
