//! A list of changes that commits as one, without a snapshot.

use std::sync::Arc;

use cs_base::TreeId;

use crate::evaluation::Evaluate;

/// What an operation demands of its key, judged on the appended root at commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    #[default]
    Any,
    /// It must not be there.
    Absent,
    /// It must be there.
    Present,
}

/// What an operation does to its key.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Gives it this value.
    Put(Vec<u8>),
    /// Takes it away.
    Delete,
    /// What that is depends on the value it has when the commit is made.
    Evaluate(Arc<dyn Evaluate>),
}

impl Change {
    /// Bytes of the new value, as far as it is known.
    pub(crate) fn value_len(&self) -> usize {
        match self {
            Self::Put(value) => value.len(),
            Self::Delete | Self::Evaluate(_) => 0,
        }
    }
}

/// One change, and what it demands.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) tree: TreeId,
    pub(crate) key: Vec<u8>,
    pub(crate) change: Change,
    pub(crate) expect: Expect,
    /// The value that it replaces, where the record is to tell of it.
    pub(crate) before: Option<Vec<u8>>,
    /// The key is known not to be there before; the record tells.
    pub(crate) was_absent: bool,
    /// It changes a value in part; the record tells.
    pub(crate) in_part: bool,
}

/// A value that whoever made a batch has relied on: see [`Batch::keep`].
#[derive(Clone, Debug)]
pub struct Kept {
    /// The tree.
    pub tree: TreeId,
    /// The hash of its [`TreeStats`](crate::TreeStats) when the value was read: while it
    /// is still that, nobody has to look.
    pub hash: u128,
    /// The key.
    pub key: Arc<[u8]>,
    /// Its value.
    pub value: Arc<[u8]>,
}

/// Changes that commit together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) operations: Vec<Operation>,
    /// What must be as it was when the batch was made.
    pub(crate) kept: Vec<Kept>,
    pub(crate) created: Vec<TreeId>,
    pub(crate) dropped: Vec<TreeId>,
    /// Trees of which the record tells what was replaced.
    pub(crate) telling: Vec<TreeId>,
    /// The record is to tell whether keys were there, also of which nothing is
    /// expected.
    pub(crate) looks: bool,
}

impl Batch {
    /// No change yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a key a value.
    pub fn put(&mut self, tree: TreeId, key: Vec<u8>, value: Vec<u8>, expect: Expect) {
        self.push(tree, key, Change::Put(value), expect);
    }

    /// Removes a key.
    pub fn delete(&mut self, tree: TreeId, key: Vec<u8>, expect: Expect) {
        self.push(tree, key, Change::Delete, expect);
    }

    /// Changes a key depending on the value that it has when the commit is made:
    /// see [`Evaluate`].
    pub fn evaluate(&mut self, tree: TreeId, key: Vec<u8>, evaluation: Arc<dyn Evaluate>) {
        self.push(tree, key, Change::Evaluate(evaluation), Expect::Any);
    }

    fn push(&mut self, tree: TreeId, key: Vec<u8>, change: Change, expect: Expect) {
        self.operations.push(Operation {
            tree,
            key,
            change,
            expect,
            before: None,
            was_absent: expect == Expect::Absent,
            in_part: false,
        });
    }

    /// Puts into the record what each operation on this tree replaces, for whoever
    /// follows the changes: see [`Effect::Before`](crate::Effect::Before).
    pub fn tell_before(&mut self, tree: TreeId) {
        if !self.telling.contains(&tree) {
            self.telling.push(tree);
        }
    }

    /// The last operation, a put or an evaluation, does not replace the value but
    /// changes it in part: the record tells whoever follows the changes.
    pub fn note_in_part(&mut self) {
        if let Some(last) = self.operations.last_mut() {
            last.in_part = true;
        }
    }

    /// The commit is refused with [`Error::Conflict`](crate::Error::Conflict) unless the
    /// key has this value where it is made, before anything of the batch.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use cs_io::{RealRuntime, memory::MemoryDisk};
    /// use cs_kv::{Batch, CommitOptions, Expect, Kept, Store, StoreOptions};
    ///
    /// let store = Store::open(MemoryDisk::new(), RealRuntime::new(), StoreOptions::default())?;
    /// let tree = store.new_tree_id();
    /// let mut batch = Batch::new();
    /// batch.create_tree(tree);
    /// batch.put(tree, b"rule".to_vec(), b"new".to_vec(), Expect::Any);
    /// store.write(&batch, &CommitOptions::default())?.wait()?;
    ///
    /// let mut late = Batch::new();
    /// late.keep(Kept { tree, hash: 0, key: Arc::from(*b"rule"), value: Arc::from(*b"old") });
    /// late.put(tree, b"k".to_vec(), b"by the old rule".to_vec(), Expect::Any);
    /// let refused = store.write(&late, &CommitOptions::default()).unwrap_err();
    /// assert!(refused.is_retryable());
    /// # Ok::<(), cs_kv::Error>(())
    /// ```
    pub fn keep(&mut self, kept: Kept) {
        self.kept.push(kept);
    }

    /// What the last operation replaces is known, or that there is nothing.
    pub(crate) fn last_replaces(&mut self, before: Option<Vec<u8>>, was_absent: bool) {
        if let Some(last) = self.operations.last_mut() {
            last.before = before;
            last.was_absent = was_absent;
        }
    }

    /// Whether it has to be found out what this operation finds.
    pub(crate) fn has_to_look(&self, operation: &Operation) -> bool {
        self.wants_before(operation) || (self.looks && operation.expect == Expect::Any)
    }

    /// Whether the record tells what this operation replaces, and that is not known yet.
    pub(crate) fn wants_before(&self, operation: &Operation) -> bool {
        operation.before.is_none()
            && operation.expect != Expect::Absent
            && self.telling.contains(&operation.tree)
    }

    /// Whether something of it is known only where the commit is.
    pub(crate) fn needs_resolving(&self) -> bool {
        let evaluates = |operation: &Operation| matches!(operation.change, Change::Evaluate(_));
        let operations = &self.operations;
        operations.iter().any(evaluates)
            || ((self.looks || !self.telling.is_empty())
                && operations.iter().any(|one| self.has_to_look(one)))
    }

    /// Makes a tree, under an id from [`Store::new_tree_id`](crate::Store::new_tree_id).
    pub fn create_tree(&mut self, tree: TreeId) {
        self.created.push(tree);
    }

    /// Removes a tree with all it holds.
    pub fn drop_tree(&mut self, tree: TreeId) {
        self.dropped.push(tree);
    }

    /// How many puts and deletes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty() && self.created.is_empty() && self.dropped.is_empty()
    }

    /// Whether it only makes room, and so may use the reserve of a full disk.
    pub(crate) fn only_removes(&self) -> bool {
        self.created.is_empty()
            && self
                .operations
                .iter()
                .all(|op| matches!(op.change, Change::Delete))
    }
}
