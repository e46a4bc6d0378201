//! Which way to read: by `_id`, by an index, by several, or everything.
//!
//! The rule is MongoDB's: fields bound to single values first, then the field of the sort,
//! then a range. Where several indexes would do, a look at how many entries they have for
//! the query decides, as far as a hundred.
//!
//! ## Invariants
//! * An index that does not have all documents (sparse, partial) is chosen only where the
//!   query implies that those it finds are in it. A hint is followed all the same, as
//!   MongoDB follows it.
//! * An index that is hidden or not ready is never used.

use std::sync::Arc;

use super::access::Access;
use super::catalog::{Index, Indexes};
use super::definition::{ID_INDEX, read_fields};
use super::implies::{implies_all, implies_existence, is_single_step};
use crate::error::{Error, Result};
use crate::filter::{Conjunct, Filter};
use crate::values::Elements;

/// How many entries are looked at to choose between indexes.
const PROBE: usize = 100;

/// How a query is carried out.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// All documents in the order of `_id`.
    All {
        /// Backwards.
        reverse: bool,
        /// Whether that is the order wanted.
        sorts: bool,
    },
    /// Nothing can match.
    Nothing,
    /// One index.
    One(Access),
    /// Several; a document may come from more than one.
    Several(Vec<Access>),
}

/// What a query asks for.
pub(crate) struct Question<'q> {
    pub(crate) filter: &'q Filter,
    pub(crate) sort: &'q [(Vec<u8>, bool)],
    pub(crate) hint: Option<&'q Hint>,
}

/// The index that a query is to use.
#[derive(Clone, Debug, PartialEq)]
pub enum Hint {
    /// The one of this name; `_id_` is that over `_id`.
    Name(String),
    /// The one of these fields, as `{ a: 1, b: -1 }`. `{ $natural: 1 }` is none: all documents
    /// in the order of `_id`, with -1 backwards.
    Key(bson::RawDocumentBuf),
}

impl From<&str> for Hint {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl From<String> for Hint {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<bson::RawDocumentBuf> for Hint {
    fn from(key: bson::RawDocumentBuf) -> Self {
        Self::Key(key)
    }
}

impl From<bson::Document> for Hint {
    /// A document that is no valid BSON is no index either: that is told when it is used.
    fn from(key: bson::Document) -> Self {
        Self::Key(bson::RawDocumentBuf::try_from(&key).unwrap_or_default())
    }
}

/// What the planner asks of the data.
pub(crate) trait Data {
    /// A bit for each field of the index whose path has met an array.
    fn multikey(&self, index: &Index) -> Result<u32>;
    /// How many entries there are in the ranges, at most `most` and one.
    fn count(&self, access: &Access, most: usize) -> Result<usize>;
}

/// Chooses.
///
/// # Errors
/// The hint names no index that can be used (code 2); a page could not be read.
pub(crate) fn plan(indexes: &Indexes, question: &Question<'_>, data: &impl Data) -> Result<Plan> {
    if let Some(hint) = question.hint {
        return hinted(indexes, question, hint, data);
    }
    let conjuncts = question.filter.conjuncts();
    if conjuncts.iter().any(|one| matches!(one, Conjunct::Never)) {
        return Ok(Plan::Nothing);
    }
    let planner = Planner {
        indexes,
        sort: question.sort,
        data,
    };
    let asks_id = mentions(&conjuncts, b"_id") || !question.sort.is_empty();
    let by_id = match asks_id {
        true => planner.access(None, &conjuncts)?,
        false => planner.access(None, &[])?,
    };
    if by_id.is_unique() {
        return Ok(Plan::One(by_id));
    }
    let mut candidates = planner.candidates(&conjuncts)?;
    if by_id.is_bounded() {
        candidates.push(by_id.clone());
    }
    if candidates.is_empty()
        && let Some(several) = planner.union(&conjuncts)?
    {
        return Ok(Plan::Several(several));
    }
    if !candidates.iter().any(Access::is_bounded)
        && let Some(several) = planner.union(&conjuncts)?
        && question.sort.is_empty()
    {
        return Ok(Plan::Several(several));
    }
    let whole = Plan::All {
        reverse: by_id.reverse,
        sorts: by_id.sorts,
    };
    // What the documents are kept in is read with less effort than any other order.
    if by_id.sorts && !candidates.iter().any(Access::is_bounded) {
        return Ok(whole);
    }
    Ok(planner.best(candidates)?.map_or(whole, Plan::One))
}

struct Planner<'p, D> {
    indexes: &'p Indexes,
    sort: &'p [(Vec<u8>, bool)],
    data: &'p D,
}

impl<D: Data> Planner<'_, D> {
    fn access(&self, index: Option<&Arc<Index>>, conjuncts: &[Conjunct<'_>]) -> Result<Access> {
        let multikey = index.map_or(Ok(0), |index| self.data.multikey(index))?;
        let mut access = Access::new(index, multikey, conjuncts);
        access.sort_by(self.sort);
        Ok(access)
    }

    /// The indexes that bound the query, or give its order.
    fn candidates(&self, conjuncts: &[Conjunct<'_>]) -> Result<Vec<Access>> {
        let mut found = Vec::new();
        for index in self.indexes.iter() {
            // Most of many indexes have nothing to do with the query: that is seen first.
            let first = index.definition.fields.first();
            let is_near = first.is_some_and(|first| {
                mentions(conjuncts, &first.path)
                    || self.sort.iter().any(|(path, _)| **path == *first.path)
            });
            if !is_near || !is_usable(index, conjuncts) {
                continue;
            }
            let access = self.access(Some(index), conjuncts)?;
            if access.is_bounded() || (access.sorts && !self.sort.is_empty()) {
                found.push(access);
            }
        }
        Ok(found)
    }

    /// An index for each branch of an `$or`, if there is one.
    fn union(&self, conjuncts: &[Conjunct<'_>]) -> Result<Option<Vec<Access>>> {
        for conjunct in conjuncts {
            let Conjunct::Any(parts) = conjunct else {
                continue;
            };
            let mut several = Vec::with_capacity(parts.len());
            for part in parts {
                let mut branch = part.conjuncts();
                if branch.iter().any(|one| matches!(one, Conjunct::Never)) {
                    continue;
                }
                let others = conjuncts
                    .iter()
                    .filter(|one| !matches!(one, Conjunct::Any(_)));
                branch.extend(others.cloned());
                let mut candidates = self.candidates(&branch)?;
                candidates.push(self.access(None, &branch)?);
                candidates.retain(Access::is_bounded);
                match self.best(candidates)? {
                    Some(best) => several.push(Access {
                        reverse: false,
                        sorts: false,
                        ..best
                    }),
                    None => {
                        several.clear();
                        break;
                    }
                }
            }
            if !several.is_empty() {
                return Ok(Some(several));
            }
        }
        Ok(None)
    }

    fn best(&self, mut candidates: Vec<Access>) -> Result<Option<Access>> {
        if let Some(unique) = candidates.iter().position(Access::is_unique) {
            return Ok(Some(candidates.swap_remove(unique)));
        }
        if candidates.len() > 1 {
            // Whoever has to sort looks at each document twice, as it were.
            let weight = |access: &Access| if access.sorts { 1 } else { 2 };
            let mut fewest: Option<(usize, usize)> = None;
            for (at, candidate) in candidates.iter().enumerate() {
                if !candidate.is_bounded() {
                    continue;
                }
                let count = self.data.count(candidate, PROBE)?;
                let cost = count * weight(candidate);
                if count <= PROBE && fewest.is_none_or(|(least, _)| cost < least) {
                    fewest = Some((cost, at));
                }
            }
            if let Some((_, at)) = fewest {
                return Ok(Some(candidates.swap_remove(at)));
            }
        }
        // Many in all of them: the more is bound the better, then the order.
        let rank = |access: &Access| {
            let fields = access.bounds.len();
            (
                access.equalities,
                access.sorts && !self.sort.is_empty(),
                access.has_range,
                std::cmp::Reverse(fields),
            )
        };
        let mut best: Option<Access> = None;
        for candidate in candidates {
            if best
                .as_ref()
                .is_none_or(|best| rank(&candidate) > rank(best))
            {
                best = Some(candidate);
            }
        }
        Ok(best)
    }
}

/// Whether a condition is about this path, or about elements that it leads into.
fn mentions(conjuncts: &[Conjunct<'_>], path: &[u8]) -> bool {
    conjuncts.iter().any(|conjunct| match conjunct {
        Conjunct::Path { path: asked, .. } => {
            let rest = path.strip_prefix(*asked);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
        }
        _ => false,
    })
}

/// Whether the index has every document that matches.
fn is_usable(index: &Index, conjuncts: &[Conjunct<'_>]) -> bool {
    let definition = &index.definition;
    if definition.hidden || !index.is_ready() {
        return false;
    }
    if let Some((_, filter)) = &definition.partial
        && !implies_all(conjuncts, &filter.conjuncts())
    {
        return false;
    }
    !definition.sparse
        || conjuncts.iter().any(|one| match one {
            Conjunct::Path { path, asked } => {
                definition.fields.iter().any(|field| &*field.path == *path)
                    && implies_existence(asked, is_single_step(path))
            }
            _ => false,
        })
}

fn hinted(
    indexes: &Indexes,
    question: &Question<'_>,
    hint: &Hint,
    data: &impl Data,
) -> Result<Plan> {
    let bad = || {
        Error::bad_value(
            "planner returned error: hint provided does not correspond to an existing index",
        )
    };
    let index = match hint {
        Hint::Name(name) if name == ID_INDEX => None,
        Hint::Name(name) => Some(indexes.named(name).ok_or_else(bad)?),
        Hint::Key(key) => {
            let mut parts = Elements::new(key.as_bytes());
            let first = parts.next().ok_or_else(bad)?;
            if first.name == b"$natural" {
                return natural(question, first.value);
            }
            let fields = read_fields(key).map_err(|_| bad())?;
            match &*fields {
                [field] if &*field.path == b"_id" && !field.descending => None,
                fields => {
                    let mut all = indexes.iter();
                    let found = all
                        .find(|index| index.definition.has_key(fields) && !index.definition.hidden);
                    Some(found.ok_or_else(bad)?)
                }
            }
        }
    };
    if index.is_some_and(|index| index.definition.hidden || !index.is_ready()) {
        return Err(bad());
    }
    let multikey = index.map_or(Ok(0), |index| data.multikey(index))?;
    let mut access = Access::new(index, multikey, &question.filter.conjuncts());
    access.sort_by(question.sort);
    Ok(Plan::One(access))
}

fn natural(question: &Question<'_>, direction: crate::values::RawValue<'_>) -> Result<Plan> {
    let reverse = match direction.number().and_then(|it| it.to_i64()) {
        Some(1) => false,
        Some(-1) => true,
        _ => return Err(Error::bad_value("$natural must be 1 or -1")),
    };
    let mut access = Access::new(None, 0, &[]);
    access.sort_by(question.sort);
    let sorts = question.sort.is_empty() || (access.sorts && access.reverse == reverse);
    Ok(Plan::All { reverse, sorts })
}
