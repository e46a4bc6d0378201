//! What prepared transactions keep others from doing.
//!
//! The locks *are* the tree of prepared transactions, at the appended root; this
//! is an index over it in memory, thrown away whenever that tree changes and made
//! anew by the next commit. So it needs no care of its own in recovery, or when
//! commits in flight are taken back.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use cs_base::TreeId;

use super::entry::{Head, damaged, parse_part_key};
use crate::batch::{Batch, Change};
use crate::effects::{Effect, Effects};
use crate::error::{Error, Result};
use crate::key_range::KeyRange;
use crate::transaction::Footprint;

/// Which of the transactions, by place in `names`.
type Holder = usize;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    names: Vec<String>,
    /// Keys that will be changed.
    keys: HashMap<TreeId, HashMap<Vec<u8>, Holder>>,
    /// Trees that will be dropped.
    dropped: HashMap<TreeId, Holder>,
    /// Ranges that were read, each transaction's in order.
    shared: HashMap<TreeId, Vec<(Holder, Vec<KeyRange>)>>,
    /// Trees that will be made.
    created: Vec<TreeId>,
}

fn first_of(range: &KeyRange) -> &[u8] {
    match &range.lower {
        Bound::Included(key) | Bound::Excluded(key) => key,
        Bound::Unbounded => &[],
    }
}

impl Locks {
    /// Those of all entries, in order of their keys.
    pub(crate) fn build(entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<Self> {
        let mut locks = Self::default();
        let mut entries = entries.into_iter();
        while let Some((key, value)) = entries.next() {
            let (gid, part) = parse_part_key(&key)?;
            if part != 0 {
                return Err(damaged("its first part is missing"));
            }
            let (head, first) = Head::decode(&value)?;
            let mut payload = first.to_vec();
            for expected in 1..head.parts {
                let (key, value) = entries.next().ok_or_else(|| damaged("a part is missing"))?;
                if parse_part_key(&key)? != (gid, expected) {
                    return Err(damaged("a part is missing"));
                }
                payload.extend_from_slice(&value);
            }
            locks.add(gid, &head, &payload)?;
        }
        Ok(locks)
    }

    fn add(&mut self, gid: &str, head: &Head, payload: &[u8]) -> Result<()> {
        let holder = self.names.len();
        self.names.push(gid.to_owned());
        for effect in Effects::of(payload)? {
            match effect? {
                Effect::Put { tree, key, .. }
                | Effect::PutPacked { tree, key, .. }
                | Effect::Delete { tree, key } => {
                    let keys = self.keys.entry(tree).or_default();
                    keys.insert(key.to_vec(), holder);
                }
                Effect::Before { .. } => {}
                Effect::CreateTree { tree } => self.created.push(tree),
                Effect::DropTree { tree } => {
                    self.dropped.insert(tree, holder);
                }
            }
        }
        let mut by_tree: BTreeMap<TreeId, Vec<KeyRange>> = BTreeMap::new();
        for (tree, range) in &head.shared {
            by_tree.entry(*tree).or_default().push(range.clone());
        }
        for (tree, mut ranges) in by_tree {
            ranges.sort_by(|one, other| first_of(one).cmp(first_of(other)));
            self.shared.entry(tree).or_default().push((holder, ranges));
        }
        Ok(())
    }

    /// Whether nothing is prepared.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Trees that prepared transactions will make: their ids are taken.
    pub(crate) fn created(&self) -> &[TreeId] {
        &self.created
    }

    /// Refuses a batch that changes what somebody but `own` has locked.
    ///
    /// # Errors
    /// [`Error::Prepared`] names the transaction that is in the way.
    pub(crate) fn check_batch(&self, batch: &Batch, own: Option<&str>) -> Result<()> {
        for operation in &batch.operations {
            if !matches!(operation.change, Change::Evaluate(_)) {
                self.check_key(operation.tree, &operation.key, own)?;
            }
        }
        for &tree in &batch.dropped {
            self.check_tree(tree, own)?;
        }
        Ok(())
    }

    fn check_key(&self, tree: TreeId, key: &[u8], own: Option<&str>) -> Result<()> {
        let changed = self.keys.get(&tree).and_then(|keys| keys.get(key));
        self.refuse(changed.or(self.dropped.get(&tree)), own)?;
        for (holder, ranges) in self.shared.get(&tree).into_iter().flatten() {
            let after = ranges.partition_point(|range| first_of(range) <= key);
            let near = after.checked_sub(1).and_then(|place| ranges.get(place));
            if near.is_some_and(|range| range.contains(key)) {
                self.refuse(Some(holder), own)?;
            }
        }
        Ok(())
    }

    /// Refuses what concerns a tree as a whole: a drop, a bulk load.
    ///
    /// # Errors
    /// [`Error::Prepared`].
    pub(crate) fn check_tree(&self, tree: TreeId, own: Option<&str>) -> Result<()> {
        let keys = self.keys.get(&tree).into_iter().flat_map(HashMap::values);
        let shared = self.shared.get(&tree).into_iter().flatten();
        let holders = keys
            .chain(self.dropped.get(&tree))
            .chain(shared.map(|(holder, _)| holder));
        for holder in holders {
            self.refuse(Some(holder), own)?;
        }
        Ok(())
    }

    /// Refuses to promise that what was read stays, where somebody will change it.
    ///
    /// # Errors
    /// [`Error::Prepared`].
    pub(crate) fn check_reads(&self, footprint: &Footprint) -> Result<()> {
        for (tree, range) in footprint.iter() {
            self.refuse(self.dropped.get(&tree), None)?;
            let keys = self.keys.get(&tree).into_iter().flatten();
            for (key, holder) in keys {
                if range.contains(key) {
                    self.refuse(Some(holder), None)?;
                }
            }
        }
        Ok(())
    }

    fn refuse(&self, holder: Option<&Holder>, own: Option<&str>) -> Result<()> {
        match holder.and_then(|&holder| self.names.get(holder)) {
            Some(gid) if own != Some(gid.as_str()) => Err(Error::Prepared { gid: gid.clone() }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
