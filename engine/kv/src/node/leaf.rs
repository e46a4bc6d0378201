//! Leaves: keys and values.

use std::fmt;

use super::Full;
use super::edit;
use super::item::{Item, Tail, write_node};
use super::layout::OverflowCell;
use super::limits::{VALUE_OVERFLOW, VALUE_TAG, usable_bytes};
use super::raw::{LeafKind, Raw};
use super::refs::{KeyRef, OverflowRef, ValueRef};
use super::split::{self, LeafSplit, Separator};
use super::validate::{self, NodeError};

/// A leaf, to read.
#[derive(Clone, Copy)]
pub struct Leaf<'a>(Raw<'a, LeafKind>);

impl<'a> Leaf<'a> {
    /// Whether `bytes`, a whole page, is a leaf in all its parts. To be called
    /// once after a page is read.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(bytes: &[u8]) -> Result<(), NodeError> {
        validate::validate::<LeafKind>(bytes)
    }

    /// The leaf in `bytes`, a whole page that passed [`validate`](Self::validate).
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Raw::new(bytes))
    }

    /// Number of entries.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.slots.len()
    }

    /// Whether there is no entry.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.slots.is_empty()
    }

    /// Puts the inline key of entry `index` into `into`, in place of what was there.
    #[inline]
    pub fn key(&self, index: usize, into: &mut Vec<u8>) {
        self.0.key(index, into);
    }

    /// The inline key of entry `index` in two pieces: the page's prefix and the rest.
    #[inline]
    #[must_use]
    pub fn key_parts(&self, index: usize) -> (&'a [u8], &'a [u8]) {
        (self.0.prefix, self.0.suffix(index))
    }

    /// The run with the whole key of entry `index`, if that is longer than its
    /// inline part.
    #[inline]
    #[must_use]
    pub fn key_overflow(&self, index: usize) -> Option<OverflowRef> {
        self.0.key_overflow(index)
    }

    /// The value of entry `index`.
    #[inline]
    #[must_use]
    pub fn value(&self, index: usize) -> ValueRef<'a> {
        let body = self.0.body(index);
        let tag = u16::from_le_bytes([body[0], body[1]]);
        let rest = &body[VALUE_TAG..];
        if tag == VALUE_OVERFLOW {
            ValueRef::Overflow(OverflowCell::read(rest))
        } else {
            ValueRef::Inline(&rest[..usize::from(tag)])
        }
    }

    /// The entry with `key` (`Ok`), or the entry before which it belongs (`Err`).
    ///
    /// # Errors
    /// The key is not here; it would have this place.
    ///
    /// # Panics
    /// If `key` is longer than [`max_inline_key`](super::max_inline_key): that
    /// needs [`search_with`](Self::search_with).
    #[inline]
    pub fn search(&self, key: &[u8]) -> Result<usize, usize> {
        self.0.search(key)
    }

    /// [`search`](Self::search) for a key of any length. `load` brings the
    /// whole key of a run; it is called only for a long `key`, and only for
    /// entries with the same inline part.
    ///
    /// # Errors
    /// What `load` said.
    pub fn search_with<E>(
        &self,
        key: &[u8],
        load: &mut dyn FnMut(&OverflowRef) -> Result<Vec<u8>, E>,
    ) -> Result<Result<usize, usize>, E> {
        self.0.search_with(key, load)
    }

    /// Bytes in use: prefix, slots, live cells.
    #[inline]
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes()
    }

    /// Bytes that a rewrite of the page would leave free, with the same prefix.
    #[inline]
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        usable_bytes(self.0.page_size()) - self.used_bytes()
    }

    /// The part of the page in use, from 0 to 1.
    #[must_use]
    pub fn fill(&self) -> f64 {
        self.used_bytes() as f64 / usable_bytes(self.0.page_size()) as f64
    }

    /// Whether less than a third is in use, so that a merge is worth a try.
    #[inline]
    #[must_use]
    pub fn is_underfull(&self) -> bool {
        self.used_bytes() * 3 < usable_bytes(self.0.page_size())
    }
}

impl fmt::Debug for Leaf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, used_bytes) = (self.len(), self.used_bytes());
        f.debug_struct("Leaf")
            .field("len", &len)
            .field("used_bytes", &used_bytes)
            .finish()
    }
}

/// A leaf, to change.
pub struct LeafMut<'a>(&'a mut [u8]);

impl<'a> LeafMut<'a> {
    /// Makes `bytes`, a whole page, an empty leaf.
    #[must_use]
    pub fn init(bytes: &'a mut [u8]) -> Self {
        write_node::<LeafKind>(bytes, &[], 0);
        Self(bytes)
    }

    /// The leaf in `bytes`, a whole page that passed [`Leaf::validate`].
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes)
    }

    /// The same leaf, to read.
    #[inline]
    #[must_use]
    pub fn as_leaf(&self) -> Leaf<'_> {
        Leaf::new(self.0)
    }

    /// Inserts an entry before entry `index`, where [`Leaf::search`] said that
    /// its key belongs.
    ///
    /// # Errors
    /// [`Full`]: split the leaf.
    ///
    /// # Panics
    /// If key or value is over its limit.
    pub fn insert(
        &mut self,
        index: usize,
        key: KeyRef<'_>,
        value: ValueRef<'_>,
    ) -> Result<(), Full> {
        let (tail, value) = Tail::leaf(key.overflow.as_ref(), &value, self.0.len());
        let item = Item::new(&key, self.0.len(), &tail, value);
        edit::insert::<LeafKind>(self.0, index, item)
    }

    /// Gives entry `index` another value: in place if it fits there. The run of
    /// the old value, if it had one, is the caller's to free.
    ///
    /// # Errors
    /// [`Full`], with the old value still there: [`remove`](Self::remove) the
    /// entry, and split the leaf with the new one.
    ///
    /// # Panics
    /// If the value is over its limit.
    pub fn replace_value(&mut self, index: usize, value: ValueRef<'_>) -> Result<(), Full> {
        let run = self.as_leaf().key_overflow(index);
        let (tail, value) = Tail::leaf(run.as_ref(), &value, self.0.len());
        edit::replace::<LeafKind>(self.0, index, tail.bytes(), value)
    }

    /// Removes entry `index`. Its runs are the caller's to free.
    pub fn remove(&mut self, index: usize) {
        edit::remove::<LeafKind>(self.0, index);
    }
}

impl fmt::Debug for LeafMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_leaf().fmt(f)
    }
}

/// Splits the leaf `left`, to which an insert before entry `index` said
/// [`Full`], and inserts on the way. `right` is a whole page, of which all
/// behind the pager's header is overwritten.
///
/// At the right end the incoming entry goes alone to `right`, as who appends
/// will go on there; at the left end it stays alone in `left`; anywhere else
/// the halves become as even as they can be, in bytes.
///
/// # Panics
/// If `left` is empty, or key or value is over its limit.
pub fn split_leaf(
    left: &mut [u8],
    right: &mut [u8],
    index: usize,
    key: KeyRef<'_>,
    value: ValueRef<'_>,
) -> LeafSplit {
    let (tail, value) = Tail::leaf(key.overflow.as_ref(), &value, left.len());
    let item = Item::new(&key, left.len(), &tail, value);
    let (separator, side, index) = split::split::<LeafKind, _>(left, right, index, item, separate);
    LeafSplit {
        separator,
        side,
        index,
    }
}

/// The separator of two neighbours.
fn separate(last_left: &Item<'_>, first_right: &Item<'_>) -> Separator {
    let common = last_left.common_prefix(first_right);
    let mut key = first_right.inline_key();
    if common == key.len() {
        return Separator::NeedsWholeKeys;
    }
    key.truncate(common + 1);
    Separator::Key(key)
}

/// Appends the entries of the leaf `right` to its left neighbour `left`, if all
/// fit; says whether. The page of `right` is then the caller's to free.
#[must_use]
pub fn merge_leaf(left: &mut [u8], right: &[u8]) -> bool {
    split::merge::<LeafKind>(left, None, right)
}
