//! Branches: keys and children.

use std::fmt;

use super::Full;
use super::edit;
use super::item::{Item, Tail, write_node};
use super::layout::ChildCell;
use super::limits::usable_bytes;
use super::raw::{BranchKind, Raw};
use super::refs::{ChildRef, KeyRef, OverflowRef, OwnedKey};
use super::split::{self, BranchSplit};
use super::validate::{self, NodeError};

/// A branch, to read. Child 0 has no key; child `i` has the keys from `key(i)`
/// up to, and without, `key(i + 1)`.
#[derive(Clone, Copy)]
pub struct Branch<'a>(Raw<'a, BranchKind>);

impl<'a> Branch<'a> {
    /// Whether `bytes`, a whole page, is a branch in all its parts. To be
    /// called once after a page is read.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(bytes: &[u8]) -> Result<(), NodeError> {
        validate::validate::<BranchKind>(bytes)
    }

    /// The branch in `bytes`, a whole page that passed [`validate`](Self::validate).
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Raw::new(bytes))
    }

    /// Number of children; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a branch always has a child")]
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.slots.len()
    }

    /// Child `index`.
    #[inline]
    #[must_use]
    pub fn child(&self, index: usize) -> ChildRef {
        ChildCell::read(self.0.body(index))
    }

    /// Puts the inline key of child `index` into `into`, in place of what was
    /// there: nothing for child 0.
    #[inline]
    pub fn key(&self, index: usize, into: &mut Vec<u8>) {
        self.0.key(index, into);
    }

    /// The inline key of child `index` in two pieces: the page's prefix and the rest.
    #[inline]
    #[must_use]
    pub fn key_parts(&self, index: usize) -> (&'a [u8], &'a [u8]) {
        (self.0.prefix_of(index), self.0.suffix(index))
    }

    /// The run with the whole key of child `index`, if that is longer than its
    /// inline part.
    #[inline]
    #[must_use]
    pub fn key_overflow(&self, index: usize) -> Option<OverflowRef> {
        self.0.key_overflow(index)
    }

    /// The child in whose range `key` is: the last whose key is at most `key`.
    ///
    /// # Panics
    /// If `key` is longer than [`max_inline_key`](super::max_inline_key): that
    /// needs [`find_child_with`](Self::find_child_with).
    #[inline]
    #[must_use]
    pub fn find_child(&self, key: &[u8]) -> usize {
        // Slot 0 has no key, so a place to insert is never before it.
        self.0.search(key).unwrap_or_else(|place| place - 1)
    }

    /// [`find_child`](Self::find_child) for a key of any length. `load` brings
    /// the whole key of a run; it is called only for a long `key`, and only for
    /// children with the same inline part.
    ///
    /// # Errors
    /// What `load` said.
    pub fn find_child_with<E>(
        &self,
        key: &[u8],
        load: &mut dyn FnMut(&OverflowRef) -> Result<Vec<u8>, E>,
    ) -> Result<usize, E> {
        Ok(self
            .0
            .search_with(key, load)?
            .unwrap_or_else(|place| place - 1))
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

impl fmt::Debug for Branch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, used_bytes) = (self.len(), self.used_bytes());
        f.debug_struct("Branch")
            .field("len", &len)
            .field("used_bytes", &used_bytes)
            .finish()
    }
}

/// A branch, to change.
pub struct BranchMut<'a>(&'a mut [u8]);

impl<'a> BranchMut<'a> {
    /// Makes `bytes`, a whole page, a branch with one child.
    #[must_use]
    pub fn init(bytes: &'a mut [u8], first: ChildRef) -> Self {
        let tail = Tail::branch(None, first);
        let item = Item::new(&KeyRef::inline(&[]), bytes.len(), &tail, &[]);
        write_node::<BranchKind>(bytes, &[item], 0);
        Self(bytes)
    }

    /// The branch in `bytes`, a whole page that passed [`Branch::validate`].
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes)
    }

    /// The same branch, to read.
    #[inline]
    #[must_use]
    pub fn as_branch(&self) -> Branch<'_> {
        Branch::new(self.0)
    }

    /// Puts `child` in the place of child `index`; always fits.
    pub fn set_child(&mut self, index: usize, child: ChildRef) {
        let run = self.as_branch().key_overflow(index);
        let tail = Tail::branch(run.as_ref(), child);
        let same_size = edit::replace::<BranchKind>(self.0, index, tail.bytes(), &[]);
        debug_assert!(same_size.is_ok(), "all children have one size");
    }

    /// Inserts `child`, with the keys from `key`, before child `index`, which
    /// is not 0.
    ///
    /// # Errors
    /// [`Full`]: split the branch.
    ///
    /// # Panics
    /// If `index` is 0, or the key is over its limit.
    pub fn insert(&mut self, index: usize, key: KeyRef<'_>, child: ChildRef) -> Result<(), Full> {
        let tail = Tail::branch(key.overflow.as_ref(), child);
        let item = Item::new(&key, self.0.len(), &tail, &[]);
        edit::insert::<BranchKind>(self.0, index, item)
    }

    /// Removes child `index`. Its keys fall to its left neighbour; those of
    /// child 0 to child 1, which loses its key. Returns the run of the key that
    /// is gone, for the caller to free or to keep.
    ///
    /// # Panics
    /// If it is the only child: free the page instead.
    pub fn remove(&mut self, index: usize) -> Option<OverflowRef> {
        let branch = self.as_branch();
        assert!(
            branch.len() > 1,
            "the only child of a branch goes with the branch"
        );
        let lost = index.max(1);
        let run = branch.key_overflow(lost);
        if index == 0 {
            let heir = branch.child(1);
            self.set_child(0, heir);
        }
        edit::remove::<BranchKind>(self.0, lost);
        run
    }
}

impl fmt::Debug for BranchMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_branch().fmt(f)
    }
}

/// Splits the branch `left`, to which an insert before child `index` said
/// [`Full`], and inserts on the way. `right` is a whole page, of which all
/// behind the pager's header is overwritten. The key of the first child on the
/// right leaves the branch and becomes the separator.
///
/// At either end the split is as uneven as [`split_leaf`](super::split_leaf)
/// makes it, but for two children that each half keeps.
///
/// # Panics
/// If `left` has fewer than three children, `index` is 0, or the key is over
/// its limit.
pub fn split_branch(
    left: &mut [u8],
    right: &mut [u8],
    index: usize,
    key: KeyRef<'_>,
    child: ChildRef,
) -> BranchSplit {
    let tail = Tail::branch(key.overflow.as_ref(), child);
    let item = Item::new(&key, left.len(), &tail, &[]);
    let (separator, side, index) =
        split::split::<BranchKind, _>(left, right, index, item, |_, first_right| OwnedKey {
            inline: first_right.inline_key(),
            overflow: first_right.key_overflow(),
        });
    BranchSplit {
        separator,
        side,
        index,
    }
}

/// Appends the children of the branch `right` to its left neighbour `left`, if
/// all fit; says whether. `separator` is the key that the parent has for
/// `right`; it goes to the first child that comes over, with its run. The page
/// of `right` is then the caller's to free.
#[must_use]
pub fn merge_branch(left: &mut [u8], separator: KeyRef<'_>, right: &[u8]) -> bool {
    let tail = Tail::branch(separator.overflow.as_ref(), Branch::new(right).child(0));
    let first = Item::new(&separator, left.len(), &tail, &[]);
    split::merge::<BranchKind>(left, Some(first), right)
}
