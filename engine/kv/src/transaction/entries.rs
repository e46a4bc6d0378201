//! The entries of a range as a transaction sees them, one by one: those of its
//! snapshot, and its own changes in between.
//!
//! ## Invariants
//! * It shows the transaction as it was when the reading began; what is changed
//!   later, also while it is read, is not seen.
//! * What was shown, and what is missing between, counts as read: no more, so
//!   that a reader who stops early is not refused for what he has not seen.

use std::collections::btree_map;
use std::ops::Bound;
use std::sync::Arc;

use cs_base::TreeId;
use cs_base::mutants::{Mutant, planted};
use parking_lot::Mutex;

use super::changes::{KeyChange, TreeChanges};
use super::footprint::Footprint;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::key_range::KeyRange;

/// See the module's text. Made by [`Transaction::entries`](super::Transaction::entries).
#[derive(Debug)]
pub struct TransactionEntries {
    tree: TreeId,
    /// What was not shown yet.
    left: KeyRange,
    reverse: bool,
    /// None in a tree that the transaction made.
    stored: Option<Cursor>,
    /// The next stored entry, where it had to wait for an own one.
    waiting: Option<(Vec<u8>, Vec<u8>)>,
    own: Arc<TreeChanges>,
    footprint: Option<Arc<Mutex<Footprint>>>,
    key: Vec<u8>,
    value: Vec<u8>,
    ended: bool,
}

impl TransactionEntries {
    pub(super) fn new(
        tree: TreeId,
        range: KeyRange,
        reverse: bool,
        stored: Option<Cursor>,
        own: Arc<TreeChanges>,
        footprint: Option<Arc<Mutex<Footprint>>>,
    ) -> Self {
        Self {
            tree,
            left: range,
            reverse,
            footprint: footprint.filter(|_| stored.is_some()),
            stored,
            waiting: None,
            own,
            key: Vec::new(),
            value: Vec::new(),
            ended: false,
        }
    }

    /// The next entry; `None` behind the last.
    ///
    /// # Errors
    /// A page could not be read; it is at its end then.
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends, which `Iterator` cannot"
    )]
    pub fn next(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        if self.ended {
            return Ok(None);
        }
        let began = self.footprint.as_ref().map(|_| self.place());
        let found = self.step();
        self.ended = !matches!(found, Ok(true));
        let found = found?;
        if let (Some(began), Some(footprint)) = (began, &self.footprint)
            && !planted(Mutant::ForgetRangesRead)
        {
            let reached = found.then(|| Bound::Included(self.key.clone()));
            let read = match self.reverse {
                false => KeyRange {
                    lower: began,
                    upper: reached.unwrap_or_else(|| self.left.upper.clone()),
                },
                true => KeyRange {
                    lower: reached.unwrap_or_else(|| self.left.lower.clone()),
                    upper: began,
                },
            };
            footprint.lock().range(self.tree, &read);
        }
        Ok(found.then_some((&self.key, &self.value)))
    }

    /// Where it stands.
    fn place(&self) -> Bound<Vec<u8>> {
        match self.reverse {
            false => self.left.lower.clone(),
            true => self.left.upper.clone(),
        }
    }

    /// Puts the next entry into `key` and `value`, if there is one.
    fn step(&mut self) -> Result<bool> {
        loop {
            if self.waiting.is_none()
                && let Some(cursor) = &mut self.stored
            {
                let next = match self.reverse {
                    false => cursor.next()?,
                    true => cursor.prev()?,
                };
                match next {
                    Some((key, value)) => self.waiting = Some((key.to_vec(), value.to_vec())),
                    None => self.stored = None,
                }
            }
            let own = self.next_own();
            let own = own.map(|(key, change)| (key.clone(), change.value.clone()));
            let is_own_first = match (&own, &self.waiting) {
                (None, None) => return Ok(false),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some((own, _)), Some((stored, _))) if self.reverse => own >= stored,
                (Some((own, _)), Some((stored, _))) => own <= stored,
            };
            let (key, change) = if is_own_first {
                let Some((key, change)) = own else {
                    return Ok(false);
                };
                // It takes the place of what is stored.
                if self
                    .waiting
                    .as_ref()
                    .is_some_and(|(stored, _)| *stored == key)
                {
                    self.waiting = None;
                }
                (key, change)
            } else {
                let Some((key, value)) = self.waiting.take() else {
                    return Ok(false);
                };
                (key, Some(value))
            };
            let passed = Bound::Excluded(key.clone());
            match self.reverse {
                false => self.left.lower = passed,
                true => self.left.upper = passed,
            }
            if let Some(value) = change {
                self.key = key;
                self.value = value;
                return Ok(true);
            }
        }
    }

    /// The first own change in what is left.
    fn next_own(&self) -> Option<(&Vec<u8>, &KeyChange)> {
        if self.own.is_empty() || self.left.is_empty() {
            return None;
        }
        let bounds = (self.left.lower.as_ref(), self.left.upper.as_ref());
        let mut range: btree_map::Range<'_, _, _> = self.own.range::<Vec<u8>, _>(bounds);
        match self.reverse {
            false => range.next(),
            true => range.next_back(),
        }
    }
}

#[cfg(test)]
mod tests;
