//! Where the documents that match a filter are: single keys, a range, or
//! anywhere. Every document found is matched in full.

use std::ops::Bound;

use cs_kv::KeyRange;

use super::place::{Place, Rows};
use crate::context::Watch;
use crate::error::{Error, Result};
use crate::filter::{Filter, IdBounds};

/// The entries of a tree that match a filter, by key.
#[derive(Debug)]
pub(super) struct Matches {
    source: Source,
    filter: Filter,
    /// Documents looked at.
    pub(super) examined: u64,
}

#[derive(Debug)]
enum Source {
    /// Every entry of a range.
    Range(Rows),
    /// Single keys, ascending.
    Keys(Place, std::vec::IntoIter<Vec<u8>>),
    Nothing,
}

impl Matches {
    /// Chooses how to look: single keys or a range where the filter bounds
    /// `_id`, else everything. Only keys above `after` are looked at.
    pub(super) fn new(place: &Place, filter: Filter, after: Option<&[u8]>) -> Result<Self> {
        let is_after = |key: &[u8]| after.is_none_or(|after| key > after);
        let unbounded = || after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.to_vec()));
        let source = match filter.id_bounds()? {
            IdBounds::All => {
                let (lower, upper) = (unbounded(), Bound::Unbounded);
                Source::Range(place.rows(KeyRange { lower, upper })?)
            }
            IdBounds::Keys(mut keys) => {
                keys.retain(|key| is_after(key));
                Source::Keys(place.clone(), keys.into_iter())
            }
            IdBounds::Range(from, to) if from < to && after.is_none_or(|after| after < &*to) => {
                let lower = if is_after(&from) {
                    Bound::Included(from)
                } else {
                    unbounded()
                };
                Source::Range(place.rows(KeyRange {
                    lower,
                    upper: Bound::Excluded(to),
                })?)
            }
            IdBounds::Range(..) => Source::Nothing,
        };
        Ok(Self {
            source,
            filter,
            examined: 0,
        })
    }

    /// Of a collection that is not there.
    pub(super) fn none() -> Self {
        Self {
            source: Source::Nothing,
            filter: Filter::all(),
            examined: 0,
        }
    }

    /// What `read` makes of the next document that matches; its key is not looked at.
    #[inline]
    pub(super) fn next_document<R>(
        &mut self,
        watch: &Watch,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        let Source::Range(rows) = &mut self.source else {
            return self.next(watch, |_, document| read(document));
        };
        loop {
            watch.check()?;
            let Some(document) = rows.next_value()? else {
                return Ok(None);
            };
            self.examined += 1;
            if self.filter.matches_bytes(document)? {
                return Ok(Some(read(document)));
            }
        }
    }

    /// What `read` makes of the next entry that matches.
    pub(super) fn next<R>(
        &mut self,
        watch: &Watch,
        read: impl FnOnce(&[u8], &[u8]) -> R,
    ) -> Result<Option<R>> {
        match &mut self.source {
            Source::Nothing => Ok(None),
            Source::Range(rows) => loop {
                watch.check()?;
                let Some((key, document)) = rows.next()? else {
                    return Ok(None);
                };
                self.examined += 1;
                if self.filter.matches_bytes(document)? {
                    return Ok(Some(read(key, document)));
                }
            },
            Source::Keys(place, keys) => {
                let mut read = Some(read);
                for key in keys {
                    watch.check()?;
                    let filter = &self.filter;
                    let found = place.with_value(&key, |document| {
                        if !filter.matches_bytes(document)? {
                            return Ok(None);
                        }
                        Ok::<_, Error>(read.take().map(|read| read(&key, document)))
                    })?;
                    self.examined += u64::from(found.is_some());
                    if let Some(result) = found.transpose()?.flatten() {
                        return Ok(Some(result));
                    }
                }
                Ok(None)
            }
        }
    }
}

/// A tree that is not in the snapshot is a collection that was not there yet,
/// or not any more: nothing, and no error.
pub(super) fn in_tree<T>(result: cs_kv::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(cs_kv::Error::UnknownTree(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
