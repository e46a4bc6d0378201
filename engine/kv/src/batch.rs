//! A list of changes that commits as one, without a snapshot.

use cs_base::TreeId;

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

/// One change, and what it demands.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) tree: TreeId,
    pub(crate) key: Vec<u8>,
    /// `None` deletes.
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) expect: Expect,
}

/// Changes that commit together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) operations: Vec<Operation>,
    pub(crate) created: Vec<TreeId>,
    pub(crate) dropped: Vec<TreeId>,
}

impl Batch {
    /// No change yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a key a value.
    pub fn put(&mut self, tree: TreeId, key: Vec<u8>, value: Vec<u8>, expect: Expect) {
        self.operations.push(Operation {
            tree,
            key,
            value: Some(value),
            expect,
        });
    }

    /// Removes a key.
    pub fn delete(&mut self, tree: TreeId, key: Vec<u8>, expect: Expect) {
        self.operations.push(Operation {
            tree,
            key,
            value: None,
            expect,
        });
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
        self.created.is_empty() && self.operations.iter().all(|op| op.value.is_none())
    }
}
