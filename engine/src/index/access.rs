//! One way to read an index: which ranges of its keys, and in which direction.
//!
//! ## Invariants
//! * Every document that satisfies the conditions, and is in the index, has an entry in one
//!   of the ranges.
//! * Two conditions on a path that has met an array are never taken together, unless they
//!   are asked of one element; nor are conditions on two paths that may have met the same
//!   array.
//! * Ranges are in the order of the keys and apart from each other.

use std::sync::Arc;

use super::catalog::Index;
use super::implies::implies_existence;
use super::interval::Intervals;
use crate::filter::{Asked, Conjunct};

/// Most ranges that are made of several fields.
const MOST_RANGES: usize = 4000;

/// A field to be read by: of an index, or the `_id` itself.
#[derive(Clone, Copy, Debug)]
struct Field<'i> {
    path: &'i [u8],
    descending: bool,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// The index; `None` is the tree of the documents, by `_id`.
    pub(crate) index: Option<Arc<Index>>,
    /// What each field is bound to.
    pub(crate) bounds: Vec<Intervals>,
    /// From the first key, inclusive, to the second, exclusive.
    pub(crate) ranges: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) reverse: bool,
    /// Whether the entries come in the order that is wanted.
    pub(crate) sorts: bool,
    /// A bit for each field whose path has met an array.
    pub(crate) multikey: u32,
    /// Leading fields that are bound to single values.
    pub(crate) equalities: usize,
    /// Whether the field behind those is bound as well.
    pub(crate) has_range: bool,
}

/// A condition that can bound a field.
struct Condition {
    path: Vec<u8>,
    intervals: Intervals,
    /// Of which element it is asked: 0 is the document.
    group: usize,
    /// The first step of its path from there.
    first: Vec<u8>,
}

fn first_step(path: &[u8]) -> Vec<u8> {
    path.split(|byte| *byte == b'.')
        .next()
        .unwrap_or_default()
        .to_vec()
}

fn gather(
    conjuncts: &[Conjunct<'_>],
    prefix: &[u8],
    group: usize,
    groups: &mut usize,
    found: &mut Vec<Condition>,
) {
    for conjunct in conjuncts {
        let Conjunct::Path { path, asked } = conjunct else {
            continue;
        };
        let mut full = prefix.to_vec();
        if !full.is_empty() {
            full.push(b'.');
        }
        full.extend_from_slice(path);
        if let Asked::ElementMatches(part) = asked {
            *groups += 1;
            let inner = *groups;
            gather(&part.conjuncts(), &full, inner, groups, found);
            continue;
        }
        let is_single_step = prefix.is_empty() && !path.contains(&b'.');
        // A step of digits may be missing in the elements of an array and there as a
        // position: the key is that of the position.
        let has_position = full
            .split(|byte| *byte == b'.')
            .any(|step| !step.is_empty() && step.iter().all(u8::is_ascii_digit));
        if has_position && !implies_existence(asked, is_single_step) {
            continue;
        }
        // A negation inside of an element says nothing of the others, whose keys
        // are there as well; its own keys are among them.
        if let Some(intervals) = Intervals::of(asked, is_single_step) {
            found.push(Condition {
                path: full,
                intervals,
                group,
                first: first_step(path),
            });
        }
    }
}

impl Access {
    /// How the index would be read for these conditions.
    pub(crate) fn new(
        index: Option<&Arc<Index>>,
        multikey: u32,
        conjuncts: &[Conjunct<'_>],
    ) -> Self {
        let mut conditions = Vec::new();
        gather(conjuncts, &[], 0, &mut 0, &mut conditions);
        let fields = fields_of(index);
        let mut chosen: Vec<&Condition> = Vec::new();
        let mut bounds = Vec::with_capacity(fields.len());
        for (at, field) in fields.iter().enumerate() {
            let here = conditions.iter().filter(|one| one.path == field.path);
            if multikey & (1 << at) == 0 {
                let each = here.map(|one| one.intervals.clone());
                let all = each.reduce(|all, one| all.and(&one));
                bounds.push(all.unwrap_or_else(Intervals::all));
                continue;
            }
            let fits = |one: &&Condition| chosen.iter().all(|other| may_be_together(one, other));
            let best = here
                .filter(fits)
                .min_by_key(|one| (!one.intervals.is_points(), one.intervals.0.len()));
            bounds.push(best.map_or_else(Intervals::all, |best| best.intervals.clone()));
            chosen.extend(best);
        }
        let equalities = bounds.iter().take_while(|one| one.is_points()).count();
        let has_range = bounds.get(equalities).is_some_and(|next| !next.is_all());
        Self {
            ranges: ranges(&fields, &bounds, index.is_some()),
            index: index.cloned(),
            bounds,
            reverse: false,
            sorts: false,
            multikey,
            equalities,
            has_range,
        }
    }

    /// Whether it reads less than the whole index.
    pub(crate) fn is_bounded(&self) -> bool {
        self.equalities > 0 || self.has_range
    }

    /// Whether it finds one document at most.
    pub(crate) fn is_unique(&self) -> bool {
        let is_unique = self
            .index
            .as_ref()
            .is_none_or(|index| index.definition.unique);
        is_unique && self.bounds.iter().all(|one| one.single().is_some())
    }

    /// Turns it such that entries come in this order, if one of its directions does that.
    pub(crate) fn sort_by(&mut self, sort: &[(Vec<u8>, bool)]) {
        if sort.is_empty() {
            self.sorts = true;
        } else if let Some(reverse) = self.direction_for(sort) {
            (self.sorts, self.reverse) = (true, reverse);
        }
    }

    fn direction_for(&self, sort: &[(Vec<u8>, bool)]) -> Option<bool> {
        // Of an array the smallest or largest element counts, wherever it stands.
        if self.multikey != 0 {
            return None;
        }
        let fields = fields_of(self.index.as_ref());
        let is_pinned = |at: usize| self.bounds.get(at).is_some_and(|it| it.single().is_some());
        let pinned = |path: &[u8]| {
            let found = fields.iter().position(|field| field.path == path);
            found.is_some_and(is_pinned)
        };
        let mut direction: Option<bool> = None;
        let mut turn = |reverse: bool| *direction.get_or_insert(reverse) == reverse;
        let mut at = 0;
        for (path, descending) in sort {
            if pinned(path) {
                continue;
            }
            while at < fields.len() && fields[at].path != path.as_slice() && is_pinned(at) {
                at += 1;
            }
            match fields.get(at) {
                Some(field) if field.path == path.as_slice() => {
                    if !turn(field.descending != *descending) {
                        return None;
                    }
                    at += 1;
                }
                // Behind the fields comes the primary key, where that is in the key.
                None if path == b"_id" => {
                    let index = self.index.as_ref();
                    let has_primary = index.is_some_and(|index| !index.definition.unique);
                    if has_primary && !turn(*descending) {
                        return None;
                    }
                    // Nothing is equal behind it.
                    break;
                }
                _ => return None,
            }
        }
        Some(direction.unwrap_or(false))
    }
}

/// Whether conditions on two paths that have met arrays may hold for the same key.
fn may_be_together(one: &Condition, other: &Condition) -> bool {
    first_step(&one.path) != first_step(&other.path)
        || (one.group == other.group && one.group > 0 && one.first != other.first)
}

fn fields_of(index: Option<&Arc<Index>>) -> Vec<Field<'_>> {
    let Some(index) = index else {
        return vec![Field {
            path: b"_id",
            descending: false,
        }];
    };
    let fields = index.definition.fields.iter().map(|field| Field {
        path: &field.path,
        descending: field.descending,
    });
    fields.collect()
}

/// The ranges of keys: single values of the leading fields, each with each, then the
/// ranges of the next.
fn ranges(fields: &[Field<'_>], bounds: &[Intervals], has_suffix: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut prefixes: Vec<Vec<u8>> = vec![Vec::new()];
    for (field, intervals) in fields.iter().zip(bounds) {
        let many = prefixes.len().saturating_mul(intervals.0.len());
        if intervals.is_points() && many <= MOST_RANGES {
            let mut points: Vec<Vec<u8>> = intervals
                .0
                .iter()
                .filter_map(|one| one.single())
                .map(<[u8]>::to_vec)
                .collect();
            if field.descending {
                points.reverse();
                points
                    .iter_mut()
                    .for_each(|point| crate::key::descend(point));
            }
            prefixes = prefixes
                .iter()
                .flat_map(|prefix| points.iter().map(move |point| [&**prefix, point].concat()))
                .collect();
            continue;
        }
        let mut parts: Vec<(Vec<u8>, Vec<u8>)> = intervals
            .0
            .iter()
            .map(|one| match field.descending {
                false => (one.lower.ascending(), one.upper.ascending()),
                true => (one.upper.descending(), one.lower.descending()),
            })
            .collect();
        if field.descending {
            parts.reverse();
        }
        return prefixes
            .iter()
            .flat_map(|prefix| {
                parts
                    .iter()
                    .map(move |(from, to)| ([&**prefix, from].concat(), [&**prefix, to].concat()))
            })
            .collect();
    }
    let whole = prefixes.into_iter().map(|prefix| {
        let mut to = prefix.clone();
        to.push(0xFF);
        let mut from = prefix;
        if has_suffix {
            from.push(0x01);
        }
        (from, to)
    });
    whole.collect()
}
