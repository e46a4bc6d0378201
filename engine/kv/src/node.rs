//! One page of a B+ tree: pure functions over its bytes.
//!
//! # Idea
//! A slotted page. Behind the pager's header stand the node header, the prefix
//! that all keys of the page share, and the slots in key order, growing up;
//! the cells grow down from the end of the page. A slot holds the first four
//! bytes of its key behind the prefix as an integer (the *head*), so a search
//! is a binary search over integers in one or two cache lines and one compare
//! of bytes at its end.
//!
//! ```text
//! 0          64      80        80+p        80+p+8n        cells_start    page_size
//! | pager's   | node   | prefix   | slots 0..n | free        | cells and     |
//! | header    | header | p bytes  | 8 bytes    |             | dead bytes    |
//! ```
//!
//! # Invariants
//! 1. Nothing here reads or writes the first [`PAGE_HEADER`] bytes.
//! 2. [`Leaf::validate`] and [`Branch::validate`] take any bytes and never
//!    panic. Every other function wants bytes that passed, or that this module
//!    wrote; then none reads out of bounds.
//! 3. Keys ascend strictly, by `memcmp`. Slot 0 of a branch has no key: it
//!    stands for everything below slot 1.
//! 4. A key longer than [`max_inline_key`] keeps exactly that many bytes in the
//!    page and refers to a run that holds the *whole* key; no other key has one.
//! 5. Cells do not overlap, and live and dead bytes together fill the page from
//!    `cells_start` to its end.
//! 6. A refused change ([`Full`]) leaves the page as it was.
//! 7. A split always succeeds, whatever cell comes in.
//!
//! # Why a split always succeeds
//! Let `U` be [`usable_bytes`] and `f` the size of a cell with its slot and its
//! whole inline key. With the limits below, `f <= M` and `2M <= U`:
//! `max_inline_key + max_inline_value + 8 + 28 + 2 = page/2 - 42`, and
//! `2 * (page/2 - 42) = page - 84 <= page - 80 = U`.
//!
//! *The incoming key has the page's prefix, of `P` bytes.* Each cell then takes
//! `f - P`, and a longer prefix in one half only makes that half smaller. Fill
//! the left page with cells in order until the next does not fit. What stays
//! for the right is less than the incoming and the next cell with one prefix:
//! at most `f1 + f2 - P <= 2M <= U`.
//!
//! *It has not.* Then it sorts before or behind all keys of the page, and alone
//! on one side it leaves the other as it was.
//!
//! In a branch `M` is `page/4 + 52`, so that three cells fit into any page and
//! a branch that overflows has at least five children; each half keeps two.
//!
//! # What is not here
//! I/O, the pager, overflow runs (only references to them), the path from the
//! root. Rewriting two siblings evenly is not here either: they are merged
//! when both fit into one page and left alone when not.

mod branch;
mod build;
mod edit;
mod item;
mod layout;
mod leaf;
mod limits;
mod raw;
mod refs;
mod search;
mod split;
mod validate;

pub use branch::{Branch, BranchMut, merge_branch, split_branch};
pub use build::{BranchBuilder, LeafBuilder};
pub use leaf::{Leaf, LeafMut, merge_leaf, split_leaf};
pub use limits::{
    CHILD_REF, KEY_OVERFLOW, MAX_KEY, MAX_PAGE_SIZE, MIN_PAGE_SIZE, NODE_HEADER, OVERFLOW_REF,
    PAGE_HEADER, SLOT, VALUE_OVERFLOW, VALUE_TAG, max_inline_key, max_inline_value, usable_bytes,
};
pub use refs::{ChildRef, KeyRef, OverflowRef, OwnedKey, ValueRef};
pub use split::{BranchSplit, LeafSplit, Separator, Side, shortest_separator};
pub use validate::NodeError;

/// The cell does not fit, not even after the page is rewritten with the best
/// prefix. The page is unchanged; split it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the page has no room for the cell")]
pub struct Full;

#[cfg(test)]
mod tests;
