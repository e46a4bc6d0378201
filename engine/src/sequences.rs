//! Numbers that a collection gives to its documents: each once, ascending.
//!
//! The counter is the one key of a tree of its own: the next number that nobody was given.
//! Whoever needs a number takes a *range* off it in a commit, and gives the rest to those
//! who come later. A range doubles with each that is used up, so that a collection that
//! is seldom written has small gaps after a restart, and a busy one few commits.
//!
//! ## Invariants
//! * A number is given once: the commit that takes its range is in the log before any that
//!   uses it, so a crash that loses the one loses the other.
//! * What is left of a range when the process ends is never given: numbers may have gaps.
//! * The lock of one counter is held while its range is committed, and no other lock.

use std::collections::HashMap;
use std::sync::Arc;

use cs_kv::base::TreeId;
use cs_kv::{Batch, CommitOptions, Declined, Durability, Evaluate, Outcome, Store};
use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};

/// Most numbers of one range.
const MAX_RANGE: i64 = 1024;
/// The key of the counter in its tree.
const KEY: &[u8] = b"next";

/// Numbers that were taken and not given yet.
#[derive(Debug, Default)]
struct Range {
    next: i64,
    end: i64,
    /// How many the next will have.
    size: i64,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Sequences(Mutex<HashMap<TreeId, Arc<Mutex<Range>>>>);

impl Sequences {
    /// The next number of a counter; `None` if there is no such tree (yet, or any more).
    ///
    /// # Errors
    /// There are no more, or the commit failed.
    pub(crate) fn next(&self, store: &Store, tree: TreeId) -> Result<Option<i64>> {
        let range = Arc::clone(self.0.lock().entry(tree).or_default());
        let mut range = range.lock();
        if range.next >= range.end {
            let size = (range.size * 2).clamp(1, MAX_RANGE);
            let Some(first) = take(store, tree, size, 0)? else {
                return Ok(None);
            };
            *range = Range {
                next: first,
                end: first.saturating_add(size),
                size,
            };
        }
        let number = range.next;
        range.next += 1;
        Ok(Some(number))
    }

    /// From now on only numbers above this are given.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub(crate) fn pass(&self, store: &Store, tree: TreeId, number: i64) -> Result<()> {
        let range = Arc::clone(self.0.lock().entry(tree).or_default());
        let mut range = range.lock();
        if range.next <= number {
            take(store, tree, 0, number.saturating_add(1))?;
            range.end = range.next;
        }
        Ok(())
    }
}

/// Takes so many numbers, none below `least`; the first of them.
fn take(store: &Store, tree: TreeId, count: i64, least: i64) -> Result<Option<i64>> {
    let taking = Arc::new(Take {
        count,
        least,
        first: Mutex::new(0),
    });
    let mut batch = Batch::new();
    batch.evaluate(tree, KEY.to_vec(), Arc::clone(&taking) as Arc<dyn Evaluate>);
    // Those who use the numbers wait for what they ask for, and the log has this before.
    let options = CommitOptions::with_durability(Durability::Async);
    match store.write_and_wait(batch, &options) {
        Ok(_) => Ok(Some(*taking.first.lock())),
        Err(cs_kv::Error::UnknownTree(_)) => Ok(None),
        Err(cs_kv::Error::Declined { .. }) => Err(Error::new(
            ErrorKind::TooLarge,
            "a collection has no more numbers for its documents",
        )),
        Err(error) => Err(error.into()),
    }
}

/// The number in the counter's value; the first is 1.
pub(crate) fn read(value: Option<&[u8]>) -> Option<i64> {
    match value {
        None => Some(1),
        Some(bytes) => bytes.try_into().ok().map(i64::from_le_bytes),
    }
}

/// The counter's key, and its value when this is the next number.
pub(crate) fn stored(next: i64) -> (Vec<u8>, Vec<u8>) {
    (KEY.to_vec(), next.to_le_bytes().to_vec())
}

#[derive(Debug)]
struct Take {
    count: i64,
    least: i64,
    first: Mutex<i64>,
}

impl Evaluate for Take {
    fn evaluate(&self, current: Option<&[u8]>) -> std::result::Result<Outcome, Declined> {
        let first = read(current).ok_or(Declined)?.max(self.least);
        let next = first.checked_add(self.count).ok_or(Declined)?;
        *self.first.lock() = first;
        Ok(Outcome::Put(stored(next).1))
    }
}
