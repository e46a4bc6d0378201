//! Commits that are applied but not visible yet, and the way back from them.
//!
//! A version is sealed when somebody reads, not with every group: pages of an
//! open version change in place, which is what makes writing cheap. So the open
//! version may be ahead of what is visible. Whoever asks for a snapshot then
//! gets one without waiting: what is in flight is undone, the state is sealed,
//! and what is in flight is done again. The same serves after a failed write,
//! when what was in flight never becomes visible.
//!
//! ## Invariants
//! * A record is here from its application until it is visible.
//! * Undoing the records from the newest to the oldest gives, key by key, the
//!   states between them; which pages hold them is another matter.

use std::collections::VecDeque;
use std::ops::Range;

use cs_base::{Index, TreeId};

use crate::root::LogPosition;
use crate::tree_root::TreeRoot;

/// How one effect is taken back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UndoStep<'a> {
    /// The key had this value.
    Restore {
        tree: TreeId,
        key: &'a [u8],
        value: &'a [u8],
    },
    /// The key had the value in this block.
    RestorePacked {
        tree: TreeId,
        key: &'a [u8],
        digest: u128,
        block: &'a [u8],
    },
    /// The key was not there.
    Remove { tree: TreeId, key: &'a [u8] },
    /// The tree was not there.
    Uncreate { tree: TreeId },
    /// The tree was there, and this was its root.
    Undrop { tree: TreeId, root: TreeRoot },
}

impl UndoStep<'_> {
    /// The tree concerned.
    pub(crate) fn tree(&self) -> TreeId {
        match *self {
            Self::Restore { tree, .. }
            | Self::RestorePacked { tree, .. }
            | Self::Remove { tree, .. }
            | Self::Uncreate { tree }
            | Self::Undrop { tree, .. } => tree,
        }
    }
}

#[derive(Debug)]
enum Kept {
    Restore(TreeId, Range<usize>, Range<usize>),
    RestorePacked(TreeId, Range<usize>, u128, Range<usize>),
    Remove(TreeId, Range<usize>),
    Uncreate(TreeId),
    Undrop(TreeId, TreeRoot),
}

/// The steps that take back one record.
#[derive(Debug, Default)]
pub(crate) struct Undo {
    bytes: Vec<u8>,
    steps: Vec<Kept>,
}

impl Undo {
    /// Remembers how an effect is taken back, before it is carried out.
    pub(crate) fn push(&mut self, step: UndoStep<'_>) {
        let kept = match step {
            UndoStep::Restore { tree, key, value } => {
                Kept::Restore(tree, self.keep(key), self.keep(value))
            }
            UndoStep::RestorePacked {
                tree,
                key,
                digest,
                block,
            } => Kept::RestorePacked(tree, self.keep(key), digest, self.keep(block)),
            UndoStep::Remove { tree, key } => Kept::Remove(tree, self.keep(key)),
            UndoStep::Uncreate { tree } => Kept::Uncreate(tree),
            UndoStep::Undrop { tree, root } => Kept::Undrop(tree, root),
        };
        self.steps.push(kept);
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// The steps, in the order in which they are to be taken: the last effect first.
    pub(crate) fn steps(&self) -> impl Iterator<Item = UndoStep<'_>> {
        self.steps.iter().rev().map(|kept| match kept {
            Kept::Restore(tree, key, value) => UndoStep::Restore {
                tree: *tree,
                key: &self.bytes[key.clone()],
                value: &self.bytes[value.clone()],
            },
            Kept::RestorePacked(tree, key, digest, block) => UndoStep::RestorePacked {
                tree: *tree,
                key: &self.bytes[key.clone()],
                digest: *digest,
                block: &self.bytes[block.clone()],
            },
            Kept::Remove(tree, key) => UndoStep::Remove {
                tree: *tree,
                key: &self.bytes[key.clone()],
            },
            Kept::Uncreate(tree) => UndoStep::Uncreate { tree: *tree },
            Kept::Undrop(tree, root) => UndoStep::Undrop {
                tree: *tree,
                root: *root,
            },
        })
    }

    /// Whether a tree came or went.
    fn is_structural(&self) -> bool {
        let structural = |kept: &Kept| matches!(kept, Kept::Uncreate(_) | Kept::Undrop(..));
        self.steps.iter().any(structural)
    }
}

/// One record in flight.
#[derive(Debug)]
pub(crate) struct InFlightRecord {
    /// Where the log stood before it …
    pub(crate) before: LogPosition,
    /// … and its own index.
    pub(crate) index: Index,
    /// Its effects, to do it again.
    pub(crate) payload: Vec<u8>,
    pub(crate) undo: Undo,
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    records: VecDeque<InFlightRecord>,
}

impl InFlight {
    pub(crate) fn push(&mut self, record: InFlightRecord) {
        self.records.push_back(record);
    }

    /// Forgets what has become visible.
    pub(crate) fn settle(&mut self, visible: Index) {
        while self
            .records
            .front()
            .is_some_and(|record| record.index <= visible)
        {
            self.records.pop_front();
        }
    }

    /// Takes out all of them, oldest first.
    pub(crate) fn take(&mut self) -> VecDeque<InFlightRecord> {
        std::mem::take(&mut self.records)
    }

    /// Puts back what was taken out.
    pub(crate) fn put_back(&mut self, records: VecDeque<InFlightRecord>) {
        self.records = records;
    }

    /// Whether a tree came or went in a record that may yet be taken back.
    pub(crate) fn is_structural(&self) -> bool {
        self.records
            .iter()
            .any(|record| record.undo.is_structural())
    }
}
