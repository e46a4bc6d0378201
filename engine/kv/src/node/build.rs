//! Nodes from sorted input, each written once.
//!
//! Invariant: what was pushed fits into one page, within the share that was
//! asked for; only the fewest cells that a node must have may exceed the share.

use super::Full;
use super::item::{Item, Tail, common_prefix, measure, write_node};
use super::limits::{SLOT, usable_bytes};
use super::raw::{BranchKind, Kind, LeafKind};
use super::refs::{ChildRef, KeyRef, ValueRef};

/// Collects cells; the prefix is only known when the last has come.
#[derive(Debug)]
struct Builder {
    page_size: usize,
    /// Most bytes that a page may take.
    limit: usize,
    cells: Vec<u8>,
    entries: Vec<Entry>,
    /// Bytes of all slots and cells, keys whole.
    whole: usize,
    /// Bytes that all keys so far have in common, if there are two.
    prefix_len: usize,
}

/// Where a cell is in `Builder::cells`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    inline_len: usize,
    end: usize,
    has_overflow: bool,
}

impl Builder {
    fn new(page_size: usize, fill_percent: usize) -> Self {
        Self {
            page_size,
            limit: usable_bytes(page_size) * fill_percent.clamp(1, 100) / 100,
            cells: Vec::with_capacity(page_size),
            entries: Vec::new(),
            whole: 0,
            prefix_len: 0,
        }
    }

    fn item(&self, entry: &Entry) -> Item<'_> {
        let suffix_end = entry.start + entry.inline_len;
        Item {
            prefix: &[],
            suffix: &self.cells[entry.start..suffix_end],
            has_overflow: entry.has_overflow,
            tail: &self.cells[suffix_end..entry.end],
            value: &[],
        }
    }

    fn push<K: Kind>(&mut self, item: &Item<'_>) -> Result<(), Full> {
        let keyed = self.entries.len().saturating_sub(K::FIRST_KEYED);
        let prefix_len = match self.entries.get(K::FIRST_KEYED) {
            Some(first) => {
                let first = self.item(first).suffix;
                let known = if keyed == 1 {
                    first.len()
                } else {
                    self.prefix_len
                };
                common_prefix(&first[..known], item.suffix)
            }
            None => 0,
        };
        let whole = self.whole + SLOT + item.cell_len(0);
        let limit = if self.entries.len() < K::MIN_SPLIT {
            usable_bytes(self.page_size)
        } else {
            self.limit
        };
        if whole - prefix_len * keyed > limit {
            return Err(Full);
        }
        let start = self.cells.len();
        for piece in [item.suffix, item.tail, item.value] {
            self.cells.extend_from_slice(piece);
        }
        self.entries.push(Entry {
            start,
            inline_len: item.suffix.len(),
            end: self.cells.len(),
            has_overflow: item.has_overflow,
        });
        (self.whole, self.prefix_len) = (whole, prefix_len);
        Ok(())
    }

    fn finish<K: Kind>(&mut self, bytes: &mut [u8]) {
        assert_eq!(
            bytes.len(),
            self.page_size,
            "a builder writes pages of its size"
        );
        let items: Vec<_> = self.entries.iter().map(|entry| self.item(entry)).collect();
        write_node::<K>(bytes, &items, measure::<K>(&items).0);
        self.cells.clear();
        self.entries.clear();
        (self.whole, self.prefix_len) = (0, 0);
    }
}

/// Builds leaves from ascending entries.
#[derive(Debug)]
pub struct LeafBuilder(Builder);

impl LeafBuilder {
    /// For pages of `page_size` bytes, of which `fill_percent` (1 to 100) are to
    /// be used.
    #[must_use]
    pub fn new(page_size: usize, fill_percent: usize) -> Self {
        Self(Builder::new(page_size, fill_percent))
    }

    /// Entries pushed since the last [`finish`](Self::finish).
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    /// Adds an entry above all others.
    ///
    /// # Errors
    /// [`Full`]: finish this leaf and push the entry again. Never for the first
    /// entry of a leaf.
    ///
    /// # Panics
    /// If key or value is over its limit.
    pub fn push(&mut self, key: KeyRef<'_>, value: ValueRef<'_>) -> Result<(), Full> {
        let page_size = self.0.page_size;
        let (tail, value) = Tail::leaf(key.overflow.as_ref(), &value, page_size);
        self.0
            .push::<LeafKind>(&Item::new(&key, page_size, &tail, value))
    }

    /// Writes the leaf into `bytes`, a whole page, behind the pager's header,
    /// and begins the next.
    ///
    /// # Panics
    /// If `bytes` has another size than the builder was made for.
    pub fn finish(&mut self, bytes: &mut [u8]) {
        self.0.finish::<LeafKind>(bytes);
    }
}

/// Builds branches from children in ascending order.
#[derive(Debug)]
pub struct BranchBuilder(Builder);

impl BranchBuilder {
    /// For pages of `page_size` bytes, of which `fill_percent` (1 to 100) are to
    /// be used.
    #[must_use]
    pub fn new(page_size: usize, fill_percent: usize) -> Self {
        Self(Builder::new(page_size, fill_percent))
    }

    /// Children pushed since the last [`finish`](Self::finish).
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    /// Adds a child with the keys from `key`. The first child of a branch has
    /// no key there: its `key` is left out, and is the caller's to hand to the
    /// parent, with its run.
    ///
    /// # Errors
    /// [`Full`]: finish this branch and push the child again. Never for the
    /// first two children of a branch.
    ///
    /// # Panics
    /// If the key is over its limit.
    pub fn push(&mut self, key: KeyRef<'_>, child: ChildRef) -> Result<(), Full> {
        let key = if self.is_empty() {
            KeyRef::inline(&[])
        } else {
            key
        };
        let tail = Tail::branch(key.overflow.as_ref(), child);
        self.0
            .push::<BranchKind>(&Item::new(&key, self.0.page_size, &tail, &[]))
    }

    /// Writes the branch into `bytes`, a whole page, behind the pager's header,
    /// and begins the next.
    ///
    /// # Panics
    /// If `bytes` has another size than the builder was made for, or no child
    /// was pushed.
    pub fn finish(&mut self, bytes: &mut [u8]) {
        assert!(!self.is_empty(), "a branch has a child");
        self.0.finish::<BranchKind>(bytes);
    }
}
