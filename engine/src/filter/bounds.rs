//! What a filter says about `_id`, as keys of the collection's tree.
//!
//! Bounds may be wider than the filter and never narrower: each document found
//! is matched again. They can be this simple because an `_id` is never an
//! array and never missing.

use super::ast::{Comparison, Expression, Predicate};
use crate::error::{ErrorKind, Result};
use crate::key;
use crate::values::{Kind, OwnedValue};

/// Where documents that match can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IdBounds {
    /// Anywhere.
    All,
    /// At these keys, ascending.
    Keys(Vec<Vec<u8>>),
    /// From the first key, inclusive, to the second, exclusive; both may be
    /// wider than any key.
    Range(Vec<u8>, Vec<u8>),
}

impl IdBounds {
    /// Both at once: the narrower kind wins, what is left is matched again anyway.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, bounds) | (bounds, Self::All) => bounds,
            (Self::Keys(a), Self::Keys(b)) => Self::Keys(
                a.into_iter()
                    .filter(|key| b.binary_search(key).is_ok())
                    .collect(),
            ),
            (Self::Keys(keys), Self::Range(from, to))
            | (Self::Range(from, to), Self::Keys(keys)) => Self::Keys(
                keys.into_iter()
                    .filter(|key| *key >= from && *key < to)
                    .collect(),
            ),
            (Self::Range(from, to), Self::Range(other_from, other_to)) => {
                Self::Range(from.max(other_from), to.min(other_to))
            }
        }
    }
}

/// Whether the expression is `_id` equal to a value and nothing else.
pub(super) fn is_point(expression: &Expression) -> bool {
    matches!(expression, Expression::Field { path, predicate }
        if path.is(b"_id") && matches!(**predicate, Predicate::Compare(Comparison::Equal, _)))
}

/// The key, if the expression is `_id` equal to a value and nothing else.
pub(super) fn single_id(expression: &Expression) -> Option<Vec<u8>> {
    match expression {
        Expression::Field { path, predicate } if path.is(b"_id") => match &**predicate {
            Predicate::Compare(Comparison::Equal, operand) => key::encode(operand.as_raw()).ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The bounds of an expression.
pub(super) fn of(expression: &Expression) -> Result<IdBounds> {
    Ok(match expression {
        Expression::Always(false) => IdBounds::Keys(Vec::new()),
        Expression::And(all) => {
            let mut bounds = IdBounds::All;
            for one in all {
                bounds = bounds.and(of(one)?);
            }
            bounds
        }
        Expression::Field { path, predicate } if path.is(b"_id") => of_predicate(predicate)?,
        _ => IdBounds::All,
    })
}

fn of_predicate(predicate: &Predicate) -> Result<IdBounds> {
    Ok(match predicate {
        Predicate::Compare(Comparison::Equal, operand) => {
            IdBounds::Keys(key_of(operand)?.into_iter().collect())
        }
        Predicate::Compare(comparison, operand) => range(*comparison, operand)?,
        Predicate::In(set) if set.patterns().is_empty() => {
            // The set is in the order of values, and so are its keys.
            let mut keys = Vec::new();
            for value in set.values() {
                keys.extend(key_of(value)?);
            }
            IdBounds::Keys(keys)
        }
        _ => IdBounds::All,
    })
}

fn range(comparison: Comparison, operand: &OwnedValue) -> Result<IdBounds> {
    let raw = operand.as_raw();
    // These compare across classes, or by rules of their own.
    if matches!(raw.kind(), Kind::MinKey | Kind::MaxKey) || raw.is_nan() {
        return Ok(IdBounds::All);
    }
    // An operand beyond any key is left to the filter.
    let Some(mut at) = key_of(operand)? else {
        return Ok(IdBounds::All);
    };
    let class = raw.kind().class();
    let mut from = vec![class as u8];
    let mut to = vec![class.key_end()];
    match comparison {
        Comparison::Less => to = at,
        Comparison::Greater | Comparison::GreaterOrEqual => from = at,
        Comparison::LessOrEqual => {
            // No key goes on with 0xFF but one that a greater string made, which
            // the filter sorts out.
            at.push(0xFF);
            to = at;
        }
        Comparison::Equal => {}
    }
    Ok(IdBounds::Range(from, to))
}

/// The key of a value, `None` if no document can have it.
fn key_of(value: &OwnedValue) -> Result<Option<Vec<u8>>> {
    match key::encode(value.as_raw()) {
        Ok(key) => Ok(Some(key)),
        Err(error) if error.kind() == ErrorKind::TooLarge => Ok(None),
        Err(error) => Err(error),
    }
}
