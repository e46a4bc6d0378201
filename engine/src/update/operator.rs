//! What an update does at the end of a path.
//!
//! ## Invariants
//! * An operator that changes nothing says so: [`Outcome::Unchanged`] or
//!   `None`, and the document stays the bytes it was.
//! * No operator reads anything but its operand, the value and the [`Scene`].

use super::arithmetic::{Arithmetic, Bitwise, scalar};
use super::members::{Matcher, add_to_set, pop, pull, pull_all};
use super::node::Node;
use super::push::Push;
use super::scene::Scene;
use crate::error::{Error, Result};
use crate::values::{Kind, Numeric, OwnedValue, compare};

/// An operator with its operand.
#[derive(Clone, Debug)]
pub(super) enum Operator {
    /// `$set`, `$setOnInsert`.
    Set {
        value: OwnedValue,
        only_on_insert: bool,
    },
    /// `$unset`.
    Unset,
    /// `$inc`, `$mul`.
    Arithmetic {
        operation: Arithmetic,
        operand: Numeric,
    },
    /// `$min`, `$max`.
    Extreme { value: OwnedValue, largest: bool },
    /// `$currentDate`.
    CurrentDate { as_timestamp: bool },
    /// `$bit`: what is done, in order.
    Bit(Vec<(Bitwise, Numeric)>),
    /// `$push`.
    Push(Push),
    /// `$addToSet`, without the values that are there twice.
    AddToSet(Vec<OwnedValue>),
    /// `$pull`.
    Pull(Matcher),
    /// `$pullAll`, sorted.
    PullAll(Vec<OwnedValue>),
    /// `$pop`.
    Pop { first: bool },
    /// `$rename`, at its target: which of the update's renames it is.
    Renamed { index: usize },
    /// `$rename`, at its source: keeps the place from other operators.
    Reserved,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is as it was.
    Unchanged,
    /// It is another one.
    Changed,
    /// It has to go.
    Remove,
}

impl Outcome {
    pub(super) fn changed(is_changed: bool) -> Self {
        if is_changed {
            Self::Changed
        } else {
            Self::Unchanged
        }
    }
}

impl Operator {
    /// Applies it to a value that is there.
    pub(super) fn apply<'a>(
        &'a self,
        node: &mut Node<'a>,
        scene: &mut Scene<'a>,
    ) -> Result<Outcome> {
        match self {
            Self::Set {
                only_on_insert: true,
                ..
            } if !scene.is_insert => Ok(Outcome::Unchanged),
            Self::Set { value, .. } => Ok(set(node, value)),
            Self::Unset => Ok(Outcome::Remove),
            Self::Arithmetic { operation, operand } => {
                arithmetic(node, *operation, *operand, scene)
            }
            Self::Extreme { value, largest } => {
                let order = compare(value.as_raw(), node.flat()?);
                let wins = if *largest {
                    order.is_gt()
                } else {
                    order.is_lt()
                };
                if wins {
                    *node = Node::Raw(value.as_raw());
                }
                Ok(Outcome::changed(wins))
            }
            Self::CurrentDate { as_timestamp } => {
                *node = now(*as_timestamp, scene);
                Ok(Outcome::Changed)
            }
            Self::Bit(operations) => bit(node, operations, scene),
            Self::Push(push) => {
                let kind = node.kind();
                match node.elements_mut() {
                    Some(elements) => push.apply(elements, scene),
                    None => Err(scene.bad_value(&format!(
                        "the field must be an array but is of type {}",
                        kind.name()
                    ))),
                }
            }
            Self::AddToSet(values) => match node.elements_mut() {
                Some(elements) => add_to_set(elements, values, scene),
                None => Err(scene.bad_value(&format!(
                    "cannot apply $addToSet to a non-array field of type {}",
                    node.kind().name()
                ))),
            },
            Self::Pull(matcher) => match node.elements_mut() {
                Some(elements) => pull(elements, matcher),
                None => Err(scene.bad_value("cannot apply $pull to a non-array value")),
            },
            Self::PullAll(values) => match node.elements_mut() {
                Some(elements) => pull_all(elements, values),
                None => Err(scene.bad_value("cannot apply $pullAll to a non-array value")),
            },
            Self::Pop { first } => match node.elements_mut() {
                Some(elements) => Ok(pop(elements, *first)),
                None => Err(scene.type_mismatch(&format!(
                    "the path contains an element of non-array type {}",
                    node.kind().name()
                ))),
            },
            Self::Renamed { index } => match scene.moved(*index)? {
                Some(moved) => {
                    *node = moved;
                    Ok(Outcome::Changed)
                }
                None => Ok(Outcome::Unchanged),
            },
            Self::Reserved => Ok(Outcome::Unchanged),
        }
    }

    /// The value it makes where there is none.
    pub(super) fn create<'a>(&'a self, scene: &mut Scene<'a>) -> Result<Option<Node<'a>>> {
        Ok(match self {
            Self::Set {
                only_on_insert: true,
                ..
            } if !scene.is_insert => None,
            Self::Set { value, .. } | Self::Extreme { value, .. } => {
                Some(Node::Raw(value.as_raw()))
            }
            Self::Arithmetic {
                operation: Arithmetic::Add,
                operand,
            } => Some(Node::Owned(operand.to_value())),
            // Zero, of the operand's type.
            Self::Arithmetic { operation, operand } => operand
                .combine(*operation, Numeric::Int32(0))
                .map(|product| Node::Owned(product.to_value())),
            Self::CurrentDate { as_timestamp } => Some(now(*as_timestamp, scene)),
            Self::Bit(operations) => {
                let zero = Numeric::Int32(0);
                Some(Node::Owned(all_bits(zero, operations).to_value()))
            }
            Self::Push(push) => {
                let mut elements = Vec::new();
                push.apply(&mut elements, scene)?;
                Some(Node::array(elements))
            }
            Self::AddToSet(values) => {
                let mut elements = Vec::new();
                add_to_set(&mut elements, values, scene)?;
                Some(Node::array(elements))
            }
            Self::Renamed { index } => scene.moved(*index)?,
            Self::Unset | Self::Pull(_) | Self::PullAll(_) | Self::Pop { .. } | Self::Reserved => {
                None
            }
        })
    }

    /// Whether a path that can never be is nothing to it.
    pub(super) fn ignores_impossible_paths(&self, scene: &Scene<'_>) -> bool {
        match self {
            Self::Unset | Self::Reserved => true,
            Self::Set { only_on_insert, .. } => *only_on_insert && !scene.is_insert,
            Self::Renamed { index } => !scene.has_moved(*index),
            _ => false,
        }
    }
}

fn set<'a>(node: &mut Node<'a>, value: &'a OwnedValue) -> Outcome {
    let value = value.as_raw();
    let is_same = node
        .raw()
        .is_some_and(|old| old.kind() == value.kind() && old.bytes() == value.bytes());
    if !is_same {
        *node = Node::Raw(value);
    }
    Outcome::changed(!is_same)
}

/// Puts a number in the place of the one it was made from. One of the same type
/// and value is no change, even if its zero has another sign or its decimal
/// another exponent; but NaN is never the same.
fn replace_number<'a>(node: &mut Node<'a>, number: Numeric) -> Outcome {
    let value = number.to_value();
    let new = value.as_raw();
    let is_same = node
        .raw()
        .is_some_and(|old| old.kind() == new.kind() && compare(old, new).is_eq())
        && !new.is_nan();
    if !is_same {
        *node = Node::Owned(value);
    }
    Outcome::changed(!is_same)
}

fn arithmetic<'a>(
    node: &mut Node<'a>,
    operation: Arithmetic,
    operand: Numeric,
    scene: &Scene<'a>,
) -> Result<Outcome> {
    let name = match operation {
        Arithmetic::Add => "$inc",
        Arithmetic::Multiply => "$mul",
    };
    let Some(old) = node.raw().and_then(Numeric::of) else {
        return Err(scene.type_mismatch(&format!(
            "cannot apply {name} to a value of non-numeric type {}",
            node.kind().name()
        )));
    };
    match old.combine(operation, operand) {
        Some(number) => Ok(replace_number(node, number)),
        None => Err(scene.bad_value(&format!(
            "failed to apply {name}: the result exceeds a 64-bit integer"
        ))),
    }
}

fn bit<'a>(
    node: &mut Node<'a>,
    operations: &[(Bitwise, Numeric)],
    scene: &Scene<'a>,
) -> Result<Outcome> {
    let old = node.raw().and_then(Numeric::of);
    let Some(old @ (Numeric::Int32(_) | Numeric::Int64(_))) = old else {
        return Err(scene.bad_value(&format!(
            "cannot apply $bit to a value of non-integral type {}",
            node.kind().name()
        )));
    };
    Ok(replace_number(node, all_bits(old, operations)))
}

fn all_bits(start: Numeric, operations: &[(Bitwise, Numeric)]) -> Numeric {
    operations
        .iter()
        .fold(start, |number, (operation, operand)| {
            number.bitwise(*operation, *operand)
        })
}

fn now<'a>(as_timestamp: bool, scene: &Scene<'a>) -> Node<'a> {
    Node::Owned(if as_timestamp {
        let (seconds, increment) = (scene.timestamp.time, scene.timestamp.increment);
        let bits = (u64::from(seconds) << 32) | u64::from(increment);
        scalar(Kind::Timestamp, &bits.to_le_bytes())
    } else {
        scalar(Kind::DateTime, &scene.now.timestamp_millis().to_le_bytes())
    })
}

/// An operand of a type that the operator does not take.
pub(super) fn wrong_type(message: String) -> Error {
    Error::bad_value(message).with_code(14)
}
