//! `$addToSet`, `$pull`, `$pullAll`, `$pop`: elements of an array come and go.
//!
//! Values are equal if their order says so: 1 and 1.0 are. Looking one up is a
//! binary search, so that no update takes quadratic time.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::node::Node;
use super::operator::{Outcome, wrong_type};
use super::scene::Scene;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::values::{Elements, Kind, OwnedValue, RawValue, compare};

/// Up to so many values are looked for one by one.
const FEW: usize = 4;

/// What `$pull` takes out.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    /// Values equal to this one.
    Equal(OwnedValue),
    /// Documents that match.
    Documents(Filter),
    /// Values that match: the filter is about a field without a name.
    Values(Filter),
}

/// Operators that ask about a value, and not about the fields of a document. As in
/// MongoDB `$not` is not among them.
const ABOUT_VALUES: [&[u8]; 24] = [
    b"$eq",
    b"$ne",
    b"$gt",
    b"$gte",
    b"$lt",
    b"$lte",
    b"$in",
    b"$nin",
    b"$exists",
    b"$type",
    b"$size",
    b"$all",
    b"$elemMatch",
    b"$regex",
    b"$options",
    b"$mod",
    b"$bitsAllSet",
    b"$bitsAllClear",
    b"$bitsAnySet",
    b"$bitsAnyClear",
    b"$geoWithin",
    b"$geoIntersects",
    b"$near",
    b"$nearSphere",
];

impl Matcher {
    /// The operand of `$pull`.
    pub(super) fn parse(operand: RawValue<'_>) -> Result<Self> {
        let about_values = match operand.kind() {
            Kind::Regex => true,
            Kind::Document => Elements::new(operand.bytes())
                .next()
                .is_some_and(|first| ABOUT_VALUES.contains(&first.name)),
            _ => return Ok(Self::Equal(operand.into())),
        };
        if about_values {
            return Ok(Self::Values(filter(&operand.to_document(b""))?));
        }
        Ok(Self::Documents(filter(operand.bytes())?))
    }

    fn matches(&self, element: RawValue<'_>) -> Result<bool> {
        match self {
            Self::Equal(value) => Ok(compare(element, value.as_raw()).is_eq()),
            Self::Documents(filter) if element.kind() == Kind::Document => {
                filter.matches_bytes(element.bytes())
            }
            Self::Documents(_) => Ok(false),
            Self::Values(filter) => filter.matches_bytes(&element.to_document(b"")),
        }
    }
}

/// The filter in these bytes.
pub(super) fn filter(bytes: &[u8]) -> Result<Filter> {
    Filter::compile(bson::RawDocument::from_bytes(bytes)?)
}

/// A value by its order.
#[derive(Clone, Copy, Debug)]
struct ByOrder<'a>(RawValue<'a>);

impl Ord for ByOrder<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self.0, other.0)
    }
}

impl PartialOrd for ByOrder<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByOrder<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByOrder<'_> {}

/// The operand of `$addToSet`: a value, or a document that starts with `$each`.
pub(super) fn parse_add_to_set(operand: RawValue<'_>) -> Result<Vec<OwnedValue>> {
    let mut clauses = match operand.kind() {
        Kind::Document => Elements::new(operand.bytes()),
        _ => return Ok(vec![operand.into()]),
    };
    let each = match clauses.next() {
        Some(first) if first.name == b"$each" => first.value,
        _ => return Ok(vec![operand.into()]),
    };
    if each.kind() != Kind::Array {
        return Err(wrong_type(format!(
            "the argument to $each in $addToSet must be an array but it was of type {}",
            each.kind().name()
        )));
    }
    if let Some(extra) = clauses.next() {
        return Err(Error::bad_value(format!(
            "found unexpected fields after $each in $addToSet: {}",
            String::from_utf8_lossy(extra.name)
        )));
    }
    let mut seen = BTreeSet::new();
    let elements = Elements::new(each.bytes()).map(|element| element.value);
    Ok(elements
        .filter(|value| seen.insert(ByOrder(*value)))
        .map(OwnedValue::from)
        .collect())
}

/// The operand of `$pullAll`.
pub(super) fn parse_pull_all(operand: RawValue<'_>) -> Result<Vec<OwnedValue>> {
    if operand.kind() != Kind::Array {
        return Err(Error::bad_value(format!(
            "$pullAll requires an array argument but was given a {}",
            operand.kind().name()
        )));
    }
    let elements = Elements::new(operand.bytes());
    let mut values: Vec<OwnedValue> = elements.map(|element| element.value.into()).collect();
    values.sort_by(|left, right| compare(left.as_raw(), right.as_raw()));
    Ok(values)
}

pub(super) fn add_to_set<'a>(
    elements: &mut Vec<Node<'a>>,
    values: &'a [OwnedValue],
    scene: &mut Scene<'a>,
) -> Result<Outcome> {
    for element in &mut *elements {
        element.flat()?;
    }
    let absent: Vec<RawValue<'a>> = {
        let present = elements.iter().filter_map(Node::raw);
        let values = values.iter().map(OwnedValue::as_raw);
        if values.len() <= FEW {
            values
                .filter(|value| !present.clone().any(|old| compare(old, *value).is_eq()))
                .collect()
        } else {
            let present: BTreeSet<ByOrder<'_>> = present.map(ByOrder).collect();
            values
                .filter(|value| !present.contains(&ByOrder(*value)))
                .collect()
        }
    };
    scene.charge(absent.len())?;
    elements.extend(absent.iter().map(|value| Node::Raw(*value)));
    Ok(Outcome::changed(!absent.is_empty()))
}

pub(super) fn pull(elements: &mut Vec<Node<'_>>, matcher: &Matcher) -> Result<Outcome> {
    retain(elements, |element| Ok(!matcher.matches(element)?))
}

pub(super) fn pull_all(elements: &mut Vec<Node<'_>>, sorted: &[OwnedValue]) -> Result<Outcome> {
    retain(elements, |element| {
        let found = sorted.binary_search_by(|value| compare(value.as_raw(), element));
        Ok(found.is_err())
    })
}

fn retain(
    elements: &mut Vec<Node<'_>>,
    keep: impl Fn(RawValue<'_>) -> Result<bool>,
) -> Result<Outcome> {
    let before = elements.len();
    let mut kept = Vec::with_capacity(before);
    for element in &mut *elements {
        kept.push(keep(element.flat()?)?);
    }
    let mut kept = kept.into_iter();
    elements.retain(|_| kept.next().unwrap_or(true));
    Ok(Outcome::changed(elements.len() != before))
}

pub(super) fn pop(elements: &mut Vec<Node<'_>>, first: bool) -> Outcome {
    if elements.is_empty() {
        return Outcome::Unchanged;
    }
    let at = if first { 0 } else { elements.len() - 1 };
    elements.remove(at);
    Outcome::Changed
}

#[cfg(test)]
mod tests;
