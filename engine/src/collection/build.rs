//! Filling an index with the documents that were there before it, while writers go on.
//!
//! ## Invariants
//! * What a batch adds are the keys of documents as they are where it commits: it relies
//!   on the whole range of documents that it read, and is tried again if one changed.
//! * How far it is stands in the tree of the index, in the same commit: after a crash it
//!   goes on there.
//! * Two who fill the same index are not in each other's way: both write the same.

use std::ops::{Bound, ControlFlow};

use cs_kv::base::TreeId;
use cs_kv::{CommitOptions, Durability, KeyRange};

use super::indexes::{IndexProgress, dropped_meanwhile};
use super::indexing::holds;
use super::insert::MAX_BATCH_BYTES;
use super::matches::in_tree;
use super::place::Place;
use super::write::{Found, lost};
use super::{Collection, MAX_ATTEMPTS};
use crate::context::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Index, IndexChange};
use crate::stats::Counters;

/// Documents of the first commit; each that does not lose is followed by one of twice as many.
const FIRST: usize = 16;
/// Most documents of one commit.
const MOST: usize = 1000;

/// The key under which the tree of an index says how far its filling is.
pub(super) fn progress_key() -> Vec<u8> {
    vec![0x00, 0xFF]
}

/// The two documents of which a unique index can have only one: of all such pairs the
/// first in the order of the index, which is the one that MongoDB meets.
struct Clash {
    tree: TreeId,
    key: Vec<u8>,
    error: Error,
}

/// What a batch came to.
enum Batch {
    /// So many documents, the last of them under this key.
    Done(u64, Vec<u8>),
    /// There are no more.
    End,
    /// A document changed meanwhile.
    Lost,
}

/// How far a filling is.
#[derive(Default)]
struct Filling {
    told: IndexProgress,
    after: Option<Vec<u8>>,
    clash: Option<Clash>,
}

impl Collection {
    /// Fills the indexes of these trees.
    ///
    /// # Errors
    /// A document cannot be in one, or a unique key is there twice; the index was dropped
    /// meanwhile; `progress` ended it, or the limits of the operation.
    pub(super) fn build(
        &self,
        watch: &Watch,
        trees: &[TreeId],
        progress: &mut dyn FnMut(&IndexProgress) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut filling = Filling::default();
        let (mut size, mut attempts) = (FIRST, 0);
        loop {
            watch.check()?;
            match self.fill_batch(watch, trees, &mut filling, size)? {
                Batch::End => return filling.clash.map_or(Ok(()), |clash| Err(clash.error)),
                Batch::Done(count, last) => {
                    filling.told.documents += count;
                    filling.after = Some(last);
                    (size, attempts) = ((size * 2).min(MOST), 0);
                }
                Batch::Lost => {
                    Counters::add(&self.environment().counters.retries, 1);
                    (size, attempts) = ((size / 2).max(1), attempts + 1);
                    if attempts > MAX_ATTEMPTS {
                        return Err(self.gave_up());
                    }
                }
            }
            if progress(&filling.told).is_break() {
                let message = "the making of an index was interrupted; it can go on";
                return Err(Error::new(ErrorKind::Interrupted, message));
            }
        }
    }

    fn fill_batch(
        &self,
        watch: &Watch,
        trees: &[TreeId],
        filling: &mut Filling,
        size: usize,
    ) -> Result<Batch> {
        let Filling { told, after, clash } = filling;
        let (mut transaction, entry) = self.environment().begin(self.namespace())?;
        let entry = entry.ok_or_else(|| dropped_meanwhile(self))?;
        let mut indexes = Vec::new();
        for &tree in trees {
            let index = entry.indexes.of_tree(tree);
            let index = index.ok_or_else(|| dropped_meanwhile(self))?;
            // Somebody else may have come to the end of it.
            if !index.is_ready() {
                indexes.push(index.as_ref());
            }
        }
        let Some(documents) = in_tree(transaction.snapshot().tree(entry.tree))? else {
            return Err(dropped_meanwhile(self));
        };
        told.total = told.total.max(documents.stats().count);
        if after.is_none() {
            *after = begin_at(&transaction, &indexes)?;
        }
        if indexes.is_empty() {
            return Ok(Batch::End);
        }
        let found = read(watch, &Place::Stored(documents), after.as_deref(), size)?;
        let (Some((first, _)), Some((last, _))) = (found.first(), found.last()) else {
            return Ok(Batch::End);
        };
        transaction.keep_range(
            entry.tree,
            &KeyRange {
                lower: Bound::Included(first.clone()),
                upper: Bound::Included(last.clone()),
            },
        );
        let (count, last) = (found.len() as u64, last.clone());
        for (key, document) in &found {
            for index in &indexes {
                let Some(change) = index.change(key, None, Some(document))? else {
                    continue;
                };
                match self.clash(&transaction, &change, key)? {
                    None => self.write_change(&mut transaction, change, key)?,
                    Some(new) => note_clash(clash, new),
                }
            }
        }
        for index in &indexes {
            // What clashed is looked at again by whoever goes on.
            if clash.is_none() {
                transaction.put(index.tree, progress_key(), last.clone())?;
            }
        }
        // What a crash takes back is done again.
        let options = CommitOptions::with_durability(Durability::Async);
        match transaction.commit(&options) {
            Ok(_) => Ok(Batch::Done(count, last)),
            Err(error) if lost(&error) => Ok(Batch::Lost),
            Err(error) => Err(error.into()),
        }
    }
}

impl Collection {
    /// Another document that has a unique key of this one.
    fn clash(
        &self,
        transaction: &cs_kv::Transaction,
        change: &IndexChange<'_>,
        primary: &[u8],
    ) -> Result<Option<Clash>> {
        let unique = change.writes.iter().filter(|write| write.is_unique);
        for write in unique {
            if holds(transaction, change.index, &write.key, primary)? == Some(false) {
                return Ok(Some(Clash {
                    tree: write.tree,
                    key: write.key.clone(),
                    error: change.index.duplicate(self.namespace(), write),
                }));
            }
        }
        Ok(None)
    }
}

fn note_clash(clash: &mut Option<Clash>, new: Clash) {
    let is_first = clash
        .as_ref()
        .is_none_or(|old| (new.tree, &new.key) < (old.tree, &old.key));
    if is_first {
        *clash = Some(new);
    }
}

/// Where the filling goes on: behind what all of the indexes have.
fn begin_at(transaction: &cs_kv::Transaction, indexes: &[&Index]) -> Result<Option<Vec<u8>>> {
    let mut least: Option<Option<Vec<u8>>> = None;
    for index in indexes {
        let reached = transaction.get(index.tree, &progress_key())?;
        least = Some(match least {
            None => reached,
            Some(other) => other.min(reached),
        });
    }
    Ok(least.flatten())
}

fn read(watch: &Watch, place: &Place, after: Option<&[u8]>, size: usize) -> Result<Vec<Found>> {
    let lower = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.to_vec()));
    let mut rows = place.rows(KeyRange {
        lower,
        upper: Bound::Unbounded,
    })?;
    let (mut found, mut bytes): (Vec<Found>, usize) = (Vec::new(), 0);
    while found.len() < size && bytes < MAX_BATCH_BYTES {
        watch.check()?;
        let Some((key, document)) = rows.next()? else {
            break;
        };
        watch.room_for(bytes + key.len() + document.len())?;
        bytes += key.len() + document.len();
        found.push((key.to_vec(), document.to_vec()));
    }
    Ok(found)
}
