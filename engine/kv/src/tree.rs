//! B+ trees over pages: reading, changing, walking.
//!
//! A tree is its [`TreeRoot`](crate::TreeRoot); nothing else of it is in
//! memory. Reading works on any [`PageSource`]: a sealed version in the pool,
//! or the open version. Changing works on the open version only and shadows
//! the path from the root down.
//!
//! ## Invariants
//! * A page is used only after its owner and level were found to be those that
//!   its parent implies.
//! * An overflow run belongs to exactly one cell of one version's tree; whoever
//!   removes the cell frees the run.

mod bulk;
mod change;
mod compact;
mod in_place;
mod merge;
mod overflow;
mod read;
mod walk;

pub(crate) use bulk::{LastKey, last_key};
pub(crate) use change::TreeEdit;
pub(crate) use compact::{Goal, Window, look};
pub(crate) use overflow::{DIGEST, NewValue, read_key, read_value, run_pages};
pub(crate) use read::{
    OpenSource, PageSource, Position, SealedSource, expect_node, find, find_leaf, load_key,
    load_value,
};
pub(crate) use walk::{Visited, Walker, all_entries};
