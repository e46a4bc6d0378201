//! The order of values, as MongoDB 8.2 has it.
//!
//! Values of different [`Class`]es are ordered by class. Within one:
//!
//! | class | order |
//! |---|---|
//! | numbers | exact value across the four types; NaN lowest, zeroes equal |
//! | strings, symbols, code | bytes |
//! | documents | element by element: class, then name, then value; the shorter is smaller |
//! | arrays | element by element: class, then value; the shorter is smaller |
//! | binary | length, subtype, bytes |
//! | object ids | bytes |
//! | dates | signed; timestamps unsigned |
//! | regular expressions | pattern, then options |
//! | DBPointer | size, then bytes |
//! | code with scope | text, then scope |
//!
//! Recursion is bounded by [`MAX_DEPTH`], whatever the bytes: below it values
//! compare by their bytes, which no valid document reaches.

use std::cmp::Ordering;

use super::decimal::Decimal;
use super::kind::Class;
use super::number::Number;
use super::scan::{Elements, RawValue};
use super::validate::MAX_DEPTH;

/// Compares two values.
///
/// ```
/// use collection_store::values::{Elements, compare};
/// let document = bson::rawdoc! { "a": 1, "b": 1.0, "c": "text" };
/// let values: Vec<_> = Elements::new(document.as_bytes()).map(|e| e.value).collect();
/// assert!(compare(values[0], values[1]).is_eq());
/// assert!(compare(values[1], values[2]).is_lt());
/// ```
#[must_use]
pub fn compare(left: RawValue<'_>, right: RawValue<'_>) -> Ordering {
    compare_at(left, right, 0)
}

/// Compares two whole documents.
#[must_use]
pub fn compare_documents(left: &[u8], right: &[u8]) -> Ordering {
    elements(Elements::new(left), Elements::new(right), true, 0)
}

fn compare_at(left: RawValue<'_>, right: RawValue<'_>, depth: usize) -> Ordering {
    let class = left.kind.class();
    match class.cmp(&right.kind.class()) {
        Ordering::Equal => same_class(class, left, right, depth),
        different => different,
    }
}

fn same_class(class: Class, left: RawValue<'_>, right: RawValue<'_>, depth: usize) -> Ordering {
    match class {
        Class::MinKey | Class::Undefined | Class::Null | Class::MaxKey => Ordering::Equal,
        Class::Number => numbers(left, right),
        Class::String | Class::Code => left.text().cmp(&right.text()),
        Class::Document | Class::Array => {
            if depth >= MAX_DEPTH {
                return left.bytes.cmp(right.bytes);
            }
            let named = class == Class::Document;
            elements(
                Elements::new(left.bytes),
                Elements::new(right.bytes),
                named,
                depth + 1,
            )
        }
        Class::Binary => {
            let key = |value: &RawValue<'_>| (value.bytes.len(), value.bytes.get(4).copied());
            key(&left)
                .cmp(&key(&right))
                .then_with(|| left.bytes.get(5..).cmp(&right.bytes.get(5..)))
        }
        Class::ObjectId | Class::Boolean => left.bytes.cmp(right.bytes),
        Class::DateTime => left.date_ms().cmp(&right.date_ms()),
        Class::Timestamp => left.timestamp().cmp(&right.timestamp()),
        Class::Regex => left.regex().cmp(&right.regex()),
        Class::DbPointer => left
            .bytes
            .len()
            .cmp(&right.bytes.len())
            .then_with(|| left.bytes.cmp(right.bytes)),
        Class::CodeWithScope => match (left.code_with_scope(), right.code_with_scope()) {
            (Some((text, scope)), Some((other_text, other_scope))) => {
                text.cmp(other_text).then_with(|| {
                    if depth >= MAX_DEPTH {
                        return scope.cmp(other_scope);
                    }
                    elements(
                        Elements::new(scope),
                        Elements::new(other_scope),
                        true,
                        depth + 1,
                    )
                })
            }
            (left, right) => left.is_some().cmp(&right.is_some()),
        },
    }
}

fn numbers(left: RawValue<'_>, right: RawValue<'_>) -> Ordering {
    if let (Some(a), Some(b)) = (left.integer(), right.integer()) {
        return a.cmp(&b);
    }
    if let (Some(a), Some(b)) = (left.double(), right.double())
        && let Some(order) = a.partial_cmp(&b)
    {
        return order;
    }
    match (left.decimal(), right.decimal()) {
        (Some(a), Some(b)) => a.compare(b),
        (None, None) => left.number().cmp(&right.number()),
        (a, b) => {
            let number = |decimal: Option<Decimal>, value: RawValue<'_>| match decimal {
                Some(decimal) => Some(Number::from_decimal(decimal.within_reach_of_doubles())),
                None => value.number(),
            };
            number(a, left).cmp(&number(b, right))
        }
    }
}

fn elements(
    mut left: Elements<'_>,
    mut right: Elements<'_>,
    named: bool,
    depth: usize,
) -> Ordering {
    loop {
        let (a, b) = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => (a, b),
        };
        let class = a.value.kind.class();
        let order = class
            .cmp(&b.value.kind.class())
            .then_with(|| {
                if named {
                    a.name.cmp(b.name)
                } else {
                    Ordering::Equal
                }
            })
            .then_with(|| same_class(class, a.value, b.value, depth));
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests;
