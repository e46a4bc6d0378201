//! What a serializable transaction has read: keys and ranges, in bounded memory.
//!
//! A key that was read is the range that holds it alone; a scan is the range up
//! to where it stopped. Ranges that touch are joined. Over the budget, ranges
//! *coarsen*: neighbours are joined with whatever lies between them, which may
//! refuse a commit that could have stood, and never lets one pass that must not.
//!
//! ## Invariants
//! * Ranges of a tree are apart from each other, in order, and none is empty.
//! * What was recorded stays covered.
//! * Beyond the budget a tree has one range; all trees together then take no
//!   more than their count allows.

use std::collections::BTreeMap;
use std::ops::Bound;

use cs_base::TreeId;

use crate::key_range::KeyRange;

/// Bytes that a range costs beside its bounds.
const OVERHEAD: usize = 64;

/// Where a range ends: before this key, or never.
type End = Option<Vec<u8>>;

/// The ranges read in one tree: first key to end.
type Ranges = BTreeMap<Vec<u8>, End>;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Footprint {
    trees: BTreeMap<TreeId, Ranges>,
    bytes: usize,
    budget: usize,
    coarsened: bool,
}

/// The key right behind `key`.
fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

fn cost(first: &[u8], end: &End) -> usize {
    OVERHEAD + first.len() + end.as_ref().map_or(0, Vec::len)
}

/// Whether a range that ends at `end` reaches the key `first` or touches it.
fn reaches(end: &End, first: &[u8]) -> bool {
    end.as_ref().is_none_or(|end| end.as_slice() >= first)
}

/// The later of two ends.
fn later(one: End, other: End) -> End {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        _ => None,
    }
}

impl Default for Footprint {
    /// Without a bound.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl Footprint {
    /// Nothing read yet; at most about `budget` bytes will be remembered.
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            trees: BTreeMap::new(),
            bytes: 0,
            budget,
            coarsened: false,
        }
    }

    /// A key was read, whether it was there or not.
    pub(crate) fn key(&mut self, tree: TreeId, key: &[u8]) {
        self.insert(tree, key.to_vec(), Some(successor(key)));
    }

    /// All keys of a range were read.
    pub(crate) fn range(&mut self, tree: TreeId, range: &KeyRange) {
        let first = match &range.lower {
            Bound::Unbounded => Vec::new(),
            Bound::Included(key) => key.clone(),
            Bound::Excluded(key) => successor(key),
        };
        let end = match &range.upper {
            Bound::Unbounded => None,
            Bound::Included(key) => Some(successor(key)),
            Bound::Excluded(key) => Some(key.clone()),
        };
        if end.as_ref().is_some_and(|end| *end <= first) {
            return;
        }
        self.insert(tree, first, end);
    }

    fn insert(&mut self, tree: TreeId, mut first: Vec<u8>, mut end: End) {
        let ranges = self.trees.entry(tree).or_default();
        // Those that touch it lie right before its end.
        while let Some((before, its_end)) = match &end {
            Some(end) => {
                ranges.range::<[u8], _>((Bound::Unbounded, Bound::Included(end.as_slice())))
            }
            None => ranges.range::<[u8], _>(..),
        }
        .next_back()
        {
            if !reaches(its_end, &first) {
                break;
            }
            if *before <= first && its_end.is_none() {
                // Covered already; also the common case of a key read again.
                return;
            }
            let before = before.clone();
            let Some(its_end) = ranges.remove(&before) else {
                break;
            };
            self.bytes -= cost(&before, &its_end);
            first = first.min(before);
            end = later(end, its_end);
        }
        self.bytes += cost(&first, &end);
        ranges.insert(first, end);
        while self.bytes > self.budget && self.coarsen() {}
    }

    /// Joins neighbours, two and two, in the tree that takes the most; false if
    /// each has one range only.
    fn coarsen(&mut self) -> bool {
        let size = |ranges: &Ranges| ranges.iter().map(|(first, end)| cost(first, end)).sum();
        let many = self.trees.values_mut().filter(|ranges| ranges.len() > 1);
        let Some(ranges) = many.max_by_key(|ranges| -> usize { size(ranges) }) else {
            return false;
        };
        let before: usize = size(ranges);
        let mut joined = Ranges::new();
        let mut all = std::mem::take(ranges).into_iter();
        while let Some((first, end)) = all.next() {
            let end = all.next().map_or(end, |(_, its_end)| its_end);
            joined.insert(first, end);
        }
        *ranges = joined;
        self.bytes = self.bytes - before + size(ranges);
        self.coarsened = true;
        true
    }

    /// All that was read, by tree and in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TreeId, KeyRange)> + '_ {
        self.trees.iter().flat_map(|(&tree, ranges)| {
            ranges.iter().map(move |(first, end)| {
                let lower = Bound::Included(first.clone());
                let upper = end.clone().map_or(Bound::Unbounded, Bound::Excluded);
                (tree, KeyRange { lower, upper })
            })
        })
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether ranges were joined to stay within the budget.
    pub(crate) fn is_coarse(&self) -> bool {
        self.coarsened
    }
}

#[cfg(test)]
mod tests;
