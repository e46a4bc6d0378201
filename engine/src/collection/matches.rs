//! Where the documents that match a filter are: single keys, a range, or
//! anywhere. Every document found is matched in full.

use std::ops::Bound;

use cs_kv::KeyRange;

use super::explain::{ExplainStep, describe};
use super::index_read::{IndexRead, Look};
use super::place::{Place, Rows};
use crate::catalog::Entry;
use crate::context::Watch;
use crate::error::{Error, Result};
use crate::filter::{Filter, IdBounds};
use crate::index::{Access, Hint, Plan, Question, plan};

/// What a query wants beside its filter, as far as it bears on how it is carried out.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// The index to use.
    pub(super) hint: Option<Hint>,
    /// The order in which documents are wanted: paths, and whether each descends; empty
    /// for any. [`Matches::is_sorted`] says whether they come in it; if not, the caller sorts.
    pub(super) sort: Vec<(Vec<u8>, bool)>,
    /// The top-level fields that are looked at beside those of the filter; `None` for whole
    /// documents. An index that has all of them need not lead to documents.
    pub(super) fields: Option<Vec<Vec<u8>>>,
    /// Whether it is to be told how it is carried out.
    pub(super) explain: bool,
}

/// The entries of a tree that match a filter, by key.
#[derive(Debug)]
pub(super) struct Matches {
    source: Source,
    filter: Filter,
    /// Documents looked at.
    pub(super) examined: u64,
    is_sorted: bool,
    /// How they are found, where that was asked for.
    pub(super) steps: Vec<ExplainStep>,
}

#[derive(Debug)]
enum Source {
    /// Every entry of a range.
    Range(Rows),
    /// Single keys, ascending.
    Keys(Place, std::vec::IntoIter<Vec<u8>>),
    /// What entries of indexes lead to.
    Index(Box<IndexRead>),
    Nothing,
}

impl Matches {
    /// Chooses the best way to look.
    ///
    /// # Errors
    /// The hint names no index that can be used (code 2), or a page could not be read.
    pub(super) fn planned(
        place: &Place,
        entry: &Entry,
        filter: Filter,
        wish: &Wish,
    ) -> Result<Self> {
        let plan = choose(place, entry, &filter, wish)?;
        let steps = match &plan {
            _ if !wish.explain => Vec::new(),
            Some(plan) => describe(plan),
            None => {
                let ids = match filter.id_bounds()? {
                    IdBounds::All => None,
                    IdBounds::Keys(keys) => Some(format!("{} values", keys.len())),
                    IdBounds::Range(..) => Some("a range".into()),
                };
                vec![ExplainStep::documents(ids, false)]
            }
        };
        let found = Self::of_plan(place, filter, plan, wish)?;
        Ok(Self { steps, ..found })
    }

    /// Carries a plan out.
    pub(super) fn of_plan(
        place: &Place,
        filter: Filter,
        plan: Option<Plan>,
        wish: &Wish,
    ) -> Result<Self> {
        let (source, is_sorted) = match plan {
            // Without an index it is the `_id` or nothing, in its order.
            None => {
                let found = Self::new(place, filter, None)?;
                let is_sorted = wish.sort.is_empty()
                    || matches!(&found.source, Source::Keys(_, keys) if keys.len() <= 1);
                return Ok(Self { is_sorted, ..found });
            }
            Some(Plan::Nothing) => (Source::Nothing, true),
            Some(Plan::All { reverse, sorts }) => {
                let rows = place.rows_toward(KeyRange::all(), reverse)?;
                (Source::Range(rows), sorts)
            }
            // The documents themselves need no second look.
            Some(Plan::One(access)) if access.index.is_none() && access.ranges.len() == 1 => {
                let (from, to) = access.ranges[0].clone();
                let range = KeyRange {
                    lower: Bound::Included(from),
                    upper: Bound::Excluded(to),
                };
                let rows = place.rows_toward(range, access.reverse)?;
                (Source::Range(rows), access.sorts)
            }
            Some(Plan::One(access)) => {
                let sorts = access.sorts;
                let is_covered = covers(&access, &filter, wish);
                let read = IndexRead::new(place.clone(), vec![access]).covered(is_covered);
                (Source::Index(Box::new(read)), sorts)
            }
            Some(Plan::Several(accesses)) => {
                let read = IndexRead::new(place.clone(), accesses);
                (Source::Index(Box::new(read)), wish.sort.is_empty())
            }
        };
        Ok(Self {
            source,
            filter,
            examined: 0,
            is_sorted,
            steps: Vec::new(),
        })
    }

    /// Those of these keys, ascending.
    pub(super) fn of_keys(place: &Place, filter: Filter, keys: Vec<Vec<u8>>) -> Self {
        Self {
            source: Source::Keys(place.clone(), keys.into_iter()),
            filter,
            examined: 0,
            is_sorted: false,
            steps: Vec::new(),
        }
    }

    /// Whether they come in the order that was wanted.
    pub(super) fn is_sorted(&self) -> bool {
        self.is_sorted
    }

    /// Whether an index tells all that is asked for, and no document is read.
    pub(super) fn is_covered(&self) -> bool {
        matches!(&self.source, Source::Index(read) if read.is_covered)
    }

    /// Entries of indexes looked at.
    pub(super) fn keys_examined(&self) -> u64 {
        match &self.source {
            Source::Index(read) => read.keys_examined,
            _ => 0,
        }
    }

    /// Chooses how to look without any index: single keys or a range where the filter bounds
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
            is_sorted: false,
            steps: Vec::new(),
        })
    }

    /// Of a collection that is not there.
    pub(super) fn none() -> Self {
        Self {
            source: Source::Nothing,
            filter: Filter::all(),
            examined: 0,
            is_sorted: true,
            steps: Vec::new(),
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
            Source::Index(found) => found.next(watch, &self.filter, &mut self.examined, read),
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

/// Whether the entries of the index tell all that the query looks at.
fn covers(access: &Access, filter: &Filter, wish: &Wish) -> bool {
    let (Some(fields), Some(index)) = (&wish.fields, &access.index) else {
        return false;
    };
    // Of an array an entry has one element only.
    if access.multikey != 0 || !filter.is_plain() {
        return false;
    }
    let has = |name: &[u8]| {
        let mut all = index.definition.fields.iter();
        all.any(|field| &*field.path == name)
    };
    fields.iter().all(|name| has(name)) && filter.first_names().into_iter().all(has)
}

/// The plan for a query; `None` if no index bears on it, and its `_id` says where to look.
pub(super) fn choose(
    place: &Place,
    entry: &Entry,
    filter: &Filter,
    wish: &Wish,
) -> Result<Option<Plan>> {
    // Indexes hold what is stored, not what it is seen as.
    if matches!(place, Place::Shown(_)) {
        return Ok(None);
    }
    if wish.hint.is_none() {
        let is_plain = entry.indexes.is_empty() && wish.sort.is_empty();
        // One document, or a few by their ids: nothing finds them faster.
        let by_id = match filter.id_bounds()? {
            IdBounds::Keys(keys) => keys.len() <= 1 || wish.sort.is_empty(),
            _ => false,
        };
        if is_plain || by_id {
            return Ok(None);
        }
    }
    let question = Question {
        filter,
        sort: &wish.sort,
        hint: wish.hint.as_ref(),
    };
    plan(&entry.indexes, &question, &Look(place)).map(Some)
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
