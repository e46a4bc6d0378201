//! `$push`, with `$each`, `$position`, `$sort` and `$slice`; always in that order.

use std::cmp::Ordering;

use super::node::Node;
use super::operator::Outcome;
use super::scene::Scene;
use crate::error::{Error, Result};
use crate::values::{Elements, Kind, Number, OwnedValue, RawValue, compare};

/// The operand of `$push`.
#[derive(Clone, Debug)]
pub(super) struct Push {
    values: Vec<OwnedValue>,
    position: Option<i64>,
    sort: Option<Sort>,
    slice: Option<i64>,
}

#[derive(Clone, Debug)]
enum Sort {
    /// The elements themselves.
    Elements { descending: bool },
    /// Fields of elements, each with "descending".
    Fields(Vec<(Box<[u8]>, bool)>),
}

impl Push {
    /// The operand: a value, or a document with `$each`.
    pub(super) fn parse(operand: RawValue<'_>) -> Result<Self> {
        let mut push = Self {
            values: Vec::new(),
            position: None,
            sort: None,
            slice: None,
        };
        let each = (operand.kind() == Kind::Document)
            .then(|| Elements::new(operand.bytes()).find_name(b"$each"))
            .flatten();
        let Some(each) = each else {
            push.values.push(operand.into());
            return Ok(push);
        };
        if each.kind() != Kind::Array {
            return Err(Error::bad_value(format!(
                "the argument to $each in $push must be an array but it was of type {}",
                each.kind().name()
            )));
        }
        push.values = Elements::new(each.bytes())
            .map(|element| element.value.into())
            .collect();
        let mut seen: Vec<&[u8]> = Vec::new();
        for clause in Elements::new(operand.bytes()) {
            let name = String::from_utf8_lossy(clause.name);
            if seen.contains(&clause.name) {
                return Err(Error::bad_value(format!(
                    "only one {name} is supported in $push"
                )));
            }
            match clause.name {
                b"$each" => {}
                b"$slice" => push.slice = Some(whole(&name, clause.value)?),
                b"$position" => push.position = Some(whole(&name, clause.value)?),
                b"$sort" => push.sort = Some(Sort::parse(clause.value)?),
                _ => {
                    return Err(Error::bad_value(format!(
                        "unrecognized clause in $push: {name}"
                    )));
                }
            }
            seen.push(clause.name);
        }
        Ok(push)
    }

    /// Inserts, sorts, slices.
    pub(super) fn apply<'a>(
        &'a self,
        elements: &mut Vec<Node<'a>>,
        scene: &mut Scene<'a>,
    ) -> Result<Outcome> {
        scene.charge(self.values.len())?;
        let at = match self.position {
            None => elements.len(),
            Some(position) => end(position, elements.len()),
        };
        let new = self.values.iter().map(|value| Node::Raw(value.as_raw()));
        elements.splice(at..at, new);
        let mut changed = !self.values.is_empty();
        if let Some(sort) = &self.sort {
            sort.apply(elements)?;
            // As in MongoDB, whether anything moved or not.
            changed = true;
        }
        if let Some(slice) = self.slice {
            let before = elements.len();
            if slice >= 0 {
                elements.truncate(end(slice, before));
            } else {
                elements.drain(..end(slice, before));
            }
            changed |= elements.len() != before;
        }
        Ok(Outcome::changed(changed))
    }
}

/// The place that a number means among `len`: from the front, or from the end if negative.
fn end(number: i64, len: usize) -> usize {
    let distance = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
    if number >= 0 {
        distance.min(len)
    } else {
        len.saturating_sub(distance)
    }
}

/// The whole number in a clause.
fn whole(name: &str, value: RawValue<'_>) -> Result<i64> {
    value.number().and_then(Number::to_i64).ok_or_else(|| {
        Error::bad_value(format!(
            "the value for {name} must be an integer value but was given type {}",
            value.kind().name()
        ))
    })
}

impl Sort {
    fn parse(value: RawValue<'_>) -> Result<Self> {
        if value.number().is_some() {
            let descending = direction(value)?;
            return Ok(Self::Elements { descending });
        }
        if value.kind() != Kind::Document {
            return Err(Error::bad_value(
                "the $sort is invalid: use 1/-1 to sort the whole element, or {field: 1/-1} to \
                 sort embedded fields",
            ));
        }
        let mut fields = Vec::new();
        for field in Elements::new(value.bytes()) {
            let descending = direction(field.value)?;
            if field.name.split(|byte| *byte == b'.').any(<[u8]>::is_empty) {
                return Err(Error::bad_value(format!(
                    "the $sort field '{}' is empty or has an empty part",
                    String::from_utf8_lossy(field.name)
                )));
            }
            fields.push((field.name.into(), descending));
        }
        if fields.is_empty() {
            return Err(Error::bad_value(
                "the $sort pattern is empty when it should be a set of fields",
            ));
        }
        Ok(Self::Fields(fields))
    }

    /// Sorts; whether anything moved.
    fn apply(&self, elements: &mut Vec<Node<'_>>) -> Result<bool> {
        for element in &mut *elements {
            element.flat()?;
        }
        let null = OwnedValue::null();
        let key = |element: &RawValue<'_>, path: &[u8], against: &RawValue<'_>, other: &[u8]| {
            let left = field_at(*element, path).unwrap_or(null.as_raw());
            compare(left, field_at(*against, other).unwrap_or(null.as_raw()))
        };
        let order = {
            let values: Vec<RawValue<'_>> = elements.iter().filter_map(Node::raw).collect();
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|left, right| {
                let (Some(left), Some(right)) = (values.get(*left), values.get(*right)) else {
                    return Ordering::Equal;
                };
                match self {
                    Self::Elements { descending } => directed(compare(*left, *right), *descending),
                    Self::Fields(fields) => fields
                        .iter()
                        .map(|(path, down)| directed(key(left, path, right, path), *down))
                        .find(|order| order.is_ne())
                        .unwrap_or(Ordering::Equal),
                }
            });
            order
        };
        if order.is_sorted() {
            return Ok(false);
        }
        let mut old: Vec<Option<Node<'_>>> = elements.drain(..).map(Some).collect();
        elements.extend(
            order
                .iter()
                .filter_map(|at| old.get_mut(*at).and_then(Option::take)),
        );
        Ok(true)
    }
}

fn directed(order: Ordering, descending: bool) -> Ordering {
    if descending { order.reverse() } else { order }
}

/// Whether a direction, 1 or -1, is the second.
fn direction(value: RawValue<'_>) -> Result<bool> {
    match value.number().and_then(Number::to_i64) {
        Some(1) => Ok(false),
        Some(-1) => Ok(true),
        _ => Err(Error::bad_value(
            "the $sort element value must be either 1 or -1",
        )),
    }
}

/// The value at a dotted path, taken literally: a name with dots wins, digits
/// are positions in an array, and no array is looked into for its elements.
fn field_at<'a>(value: RawValue<'a>, mut path: &[u8]) -> Option<RawValue<'a>> {
    if value.kind() != Kind::Document {
        return None;
    }
    let mut elements = value.elements()?;
    loop {
        if let Some(found) = elements.clone().find_name(path) {
            return Some(found);
        }
        let dot = path.iter().position(|byte| *byte == b'.')?;
        elements = elements.find_name(path.get(..dot)?)?.elements()?;
        path = path.get(dot + 1..)?;
    }
}

#[cfg(test)]
mod tests;
