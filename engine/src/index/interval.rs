//! Ranges of values in one field of an index.
//!
//! A range lies between two cuts. A cut is a place in the ascending order of encodings, and
//! can be told apart from the bytes that follow in a longer key: no encoding starts with
//! 0x00 or 0xFF, and one that begins another goes on there with 0xFF (`key`).
//!
//! ## Invariants
//! * Whatever a query accepts lies within the ranges made of it; what lies within them need
//!   not be accepted: each document found is matched again.

use std::cmp::Ordering;

use super::derive::undefined;
use crate::filter::{Asked, Comparison, KindSet};
use crate::key::encode;
use crate::values::{Class, Elements, Kind, OwnedValue, RawValue};

/// Most ranges of one field; beyond it all that lies between first and last is one.
const MOST_INTERVALS: usize = 2000;

/// A place between encodings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before all that have these bytes in front, which are no whole encoding.
    Edge(Vec<u8>),
    /// Before this encoding.
    Before(Vec<u8>),
    /// Behind this encoding, and before those that it begins.
    After(Vec<u8>),
}

impl Cut {
    fn parts(&self) -> (&[u8], bool) {
        match self {
            Self::Edge(bytes) | Self::Before(bytes) => (bytes, false),
            Self::After(bytes) => (bytes, true),
        }
    }

    /// Its bytes from there on, up to the place itself.
    fn from(&self, at: usize) -> impl Iterator<Item = u8> {
        let (bytes, after) = self.parts();
        bytes[at..].iter().copied().chain(after.then_some(0xFF))
    }

    /// The place in a key whose next field ascends.
    pub(super) fn ascending(&self) -> Vec<u8> {
        let (bytes, after) = self.parts();
        if bytes.is_empty() {
            // Markers begin with 0x00.
            return vec![0x01];
        }
        let mut place = bytes.to_vec();
        if after {
            place.push(0xFF);
        }
        place
    }

    /// The place in a key whose next field descends.
    pub(super) fn descending(&self) -> Vec<u8> {
        let (bytes, _) = self.parts();
        let mut place: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
        match self {
            Self::Before(_) => place.push(0xFF),
            Self::After(_) => place.push(0x01),
            Self::Edge(_) => {
                while place.last() == Some(&0xFF) {
                    place.pop();
                }
                match place.last_mut() {
                    Some(last) => *last += 1,
                    None => place.push(0xFF),
                }
            }
        }
        place
    }
}

impl Ord for Cut {
    fn cmp(&self, right: &Self) -> Ordering {
        let ((one, _), (other, _)) = (self.parts(), right.parts());
        let common = one.len().min(other.len());
        one[..common]
            .cmp(&other[..common])
            .then_with(|| self.from(common).cmp(right.from(common)))
    }
}

impl PartialOrd for Cut {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What lies between two cuts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) lower: Cut,
    pub(crate) upper: Cut,
}

impl Interval {
    /// Every value.
    pub(crate) fn all() -> Self {
        Self {
            lower: Cut::Edge(Vec::new()),
            upper: Cut::Edge(vec![0xFF]),
        }
    }

    fn point(encoding: Vec<u8>) -> Self {
        Self {
            lower: Cut::Before(encoding.clone()),
            upper: Cut::After(encoding),
        }
    }

    fn class(class: Class) -> Self {
        Self {
            lower: Cut::Edge(vec![class as u8]),
            upper: Cut::Edge(vec![class.key_end()]),
        }
    }

    /// The encoding of the one value in it, if it is one.
    pub(crate) fn single(&self) -> Option<&[u8]> {
        match (&self.lower, &self.upper) {
            (Cut::Before(one), Cut::After(other)) if one == other => Some(one),
            _ => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.lower >= self.upper
    }
}

/// Ranges in order, apart from each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intervals(pub(crate) Vec<Interval>);

impl Intervals {
    fn new(mut intervals: Vec<Interval>) -> Self {
        intervals.retain(|one| !one.is_empty());
        intervals.sort_by(|one, other| one.lower.cmp(&other.lower));
        let mut joined: Vec<Interval> = Vec::with_capacity(intervals.len());
        for next in intervals {
            match joined.last_mut() {
                Some(last) if next.lower <= last.upper && last.single().is_none() => {
                    if next.upper > last.upper {
                        last.upper = next.upper;
                    }
                }
                Some(last) if next.lower < last.upper => {
                    if next.upper > last.upper {
                        last.upper = next.upper;
                    }
                }
                _ => joined.push(next),
            }
        }
        if joined.len() > MOST_INTERVALS
            && let (Some(first), Some(last)) = (joined.first(), joined.last())
        {
            joined = vec![Interval {
                lower: first.lower.clone(),
                upper: last.upper.clone(),
            }];
        }
        Self(joined)
    }

    /// Every value.
    pub(crate) fn all() -> Self {
        Self(vec![Interval::all()])
    }

    /// What is in both.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let mut common = Vec::new();
        let (mut one, mut two) = (0, 0);
        while let (Some(left), Some(right)) = (self.0.get(one), other.0.get(two)) {
            let lower = (&left.lower).max(&right.lower);
            let upper = (&left.upper).min(&right.upper);
            if lower < upper {
                common.push(Interval {
                    lower: lower.clone(),
                    upper: upper.clone(),
                });
            }
            if left.upper <= right.upper {
                one += 1;
            } else {
                two += 1;
            }
        }
        Self(common)
    }

    /// Whether each of them is one value.
    pub(crate) fn is_points(&self) -> bool {
        self.0.iter().all(|one| one.single().is_some())
    }

    /// The one value, if it is one.
    pub(crate) fn single(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [one] => one.single(),
            _ => None,
        }
    }

    pub(crate) fn is_all(&self) -> bool {
        self.0.as_slice() == [Interval::all()]
    }

    /// The values that can satisfy what is asked; `None` if that says nothing.
    /// `is_single_step` tells of the path that it is one name.
    pub(crate) fn of(asked: &Asked<'_>, is_single_step: bool) -> Option<Self> {
        match asked {
            Asked::Compare(comparison, value) => compare(*comparison, *value),
            Asked::In { values, patterns } => {
                let mut intervals = Vec::new();
                for value in *values {
                    intervals.extend(equal(value.as_raw())?);
                }
                for pattern in *patterns {
                    intervals.extend(texts(pattern.prefix()));
                }
                Some(Self::new(intervals))
            }
            Asked::Matches(pattern) => Some(Self::new(texts(pattern.prefix()))),
            Asked::Type(kinds) => types(*kinds),
            Asked::ElementSatisfies(part) => {
                // All of it is asked of the same element.
                let mut found: Option<Self> = None;
                for conjunct in part.conjuncts() {
                    let crate::filter::Conjunct::Path { asked, .. } = conjunct else {
                        continue;
                    };
                    if let Some(one) = Self::of(&asked, false) {
                        found = Some(found.map_or_else(|| one.clone(), |all| all.and(&one)));
                    }
                }
                found
            }
            Asked::Not(inner) => match &**inner {
                // Missing has the key null; below an array it may hide behind others.
                Asked::Compare(Comparison::Equal, value)
                    if value.kind() == Kind::Null && is_single_step =>
                {
                    let null = encode(OwnedValue::null().as_raw()).ok()?;
                    let all = Interval::all();
                    Some(Self::new(vec![
                        Interval {
                            lower: all.lower,
                            upper: Cut::Before(null.clone()),
                        },
                        Interval {
                            lower: Cut::After(null),
                            upper: all.upper,
                        },
                    ]))
                }
                Asked::Exists => {
                    let null = encode(OwnedValue::null().as_raw()).ok()?;
                    Some(Self::new(vec![Interval::point(null)]))
                }
                _ => None,
            },
            Asked::Exists | Asked::Size | Asked::ElementMatches(_) | Asked::Other => None,
        }
    }
}

/// The keys of a path that has this value: also as an element, or as the whole array.
fn equal(value: RawValue<'_>) -> Option<Vec<Interval>> {
    let mut points = vec![Interval::point(encode(value).ok()?)];
    if value.kind() == Kind::Array {
        let first = Elements::new(value.bytes()).next();
        let first = match first {
            Some(first) => first.value,
            None => undefined(),
        };
        points.push(Interval::point(encode(first).ok()?));
    }
    Some(points)
}

fn compare(comparison: Comparison, value: RawValue<'_>) -> Option<Intervals> {
    if comparison == Comparison::Equal {
        return equal(value).map(Intervals::new);
    }
    // These compare across classes, or whole arrays, or by rules of their own.
    let is_special = matches!(
        value.kind(),
        Kind::MinKey | Kind::MaxKey | Kind::Array | Kind::Undefined
    );
    if is_special || value.is_nan() {
        return None;
    }
    let at = encode(value).ok()?;
    if value.kind() == Kind::Null {
        return Some(Intervals::new(vec![Interval::point(at)]));
    }
    let mut range = Interval::class(value.kind().class());
    match comparison {
        Comparison::Less => range.upper = Cut::Before(at),
        Comparison::LessOrEqual => range.upper = Cut::After(at),
        Comparison::Greater => range.lower = Cut::After(at),
        Comparison::GreaterOrEqual => range.lower = Cut::Before(at),
        Comparison::Equal => {}
    }
    Some(Intervals::new(vec![range]))
}

/// Texts that begin like this, and patterns, which equal themselves.
fn texts(prefix: Option<Vec<u8>>) -> Vec<Interval> {
    let mut range = Interval::class(Class::String);
    if let Some(prefix) = prefix {
        let mut start = vec![Class::String as u8];
        for byte in prefix {
            start.push(byte);
            if byte == 0 {
                start.push(0xFF);
            }
        }
        let mut end = start.clone();
        while end.last() == Some(&0xFF) {
            end.pop();
        }
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        range = Interval {
            lower: Cut::Edge(start),
            upper: Cut::Edge(end),
        };
    }
    vec![range, Interval::class(Class::Regex)]
}

fn types(kinds: KindSet) -> Option<Intervals> {
    if kinds.contains(Kind::Array) {
        return None;
    }
    let classes = Kind::ALL
        .into_iter()
        .filter(|kind| kinds.contains(*kind))
        .map(|kind| Interval::class(kind.class()));
    Some(Intervals::new(classes.collect()))
}

#[cfg(test)]
mod tests;
