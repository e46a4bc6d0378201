//! A predicate with its operand made ready: numbers and bytes at hand.
//!
//! The frequent questions have a form of their own; the others ask the
//! interpreter's predicate.

use std::cmp::Ordering;
use std::sync::Arc;

use cs_kv::base::mutants::{Mutant, planted};

use super::Compiled;
use crate::filter::ast::{Comparison, KindSet, Predicate};
use crate::filter::matcher;
use crate::filter::variables::Variables;
use crate::values::{Class, Elements, Kind, OwnedValue, RawValue};

/// Integers up to here are doubles, exactly, and no two of them the same.
const EXACT_IN_DOUBLE: u64 = 1 << 53;

#[derive(Debug)]
pub(super) enum Test {
    /// Compared with an integer.
    Integer(Accepts, i64, Arc<Predicate>),
    /// Compared with a double that is not NaN.
    Double(Accepts, f64, Arc<Predicate>),
    /// Equal to a value of which equal ones have the same bytes.
    SameBytes(Class, Box<[u8]>),
    /// Compared with a text.
    Text(Accepts, Box<[u8]>),
    /// Compared with a date.
    Date(Accepts, i64),
    /// One of these integers, in order, and no other value.
    Integers(Box<[i64]>, Arc<Predicate>),
    /// One of these texts, with their lengths before them, in the order of these bytes.
    Texts(Box<[Box<[u8]>]>),
    /// Anything that is there.
    Exists,
    /// Of one of these types.
    Type(KindSet),
    /// An array with an element that matches.
    Element(Box<Compiled>),
    /// Whatever the interpreter says.
    Other(Arc<Predicate>),
}

/// Which orders of the value to the operand are accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepts {
    less: bool,
    equal: bool,
    greater: bool,
}

impl Accepts {
    fn new(comparison: Comparison) -> Self {
        Self {
            less: comparison.accepts(Ordering::Less),
            equal: comparison.accepts(Ordering::Equal),
            greater: comparison.accepts(Ordering::Greater),
        }
    }

    #[inline]
    fn takes(self, order: Ordering) -> bool {
        match order {
            Ordering::Less => self.less,
            Ordering::Equal => self.equal,
            Ordering::Greater => self.greater,
        }
    }
}

impl Test {
    pub(super) fn new(predicate: &Arc<Predicate>) -> Self {
        let other = || Self::Other(Arc::clone(predicate));
        match &**predicate {
            Predicate::Compare(comparison, operand) => {
                Self::comparison(*comparison, operand, predicate)
            }
            Predicate::In(set) if set.patterns().is_empty() && !set.has_null() => {
                Self::membership(set.values(), predicate).unwrap_or_else(other)
            }
            Predicate::Exists => Self::Exists,
            Predicate::Type(kinds) => Self::Type(*kinds),
            Predicate::ElementMatches(inner) => match Compiled::new(inner) {
                Some(compiled) => Self::Element(Box::new(compiled)),
                None => other(),
            },
            _ => other(),
        }
    }

    fn comparison(
        comparison: Comparison,
        operand: &OwnedValue,
        predicate: &Arc<Predicate>,
    ) -> Self {
        let accepts = Accepts::new(comparison);
        let raw = operand.as_raw();
        let other = || Self::Other(Arc::clone(predicate));
        if let Some(integer) = raw.integer() {
            return Self::Integer(accepts, integer, Arc::clone(predicate));
        }
        match raw.kind() {
            Kind::Double => match raw.double() {
                Some(double) if !double.is_nan() => {
                    Self::Double(accepts, double, Arc::clone(predicate))
                }
                _ => other(),
            },
            Kind::String | Kind::Symbol if comparison == Comparison::Equal => {
                Self::SameBytes(Class::String, raw.bytes().into())
            }
            Kind::String | Kind::Symbol => raw
                .text()
                .map_or_else(other, |text| Self::Text(accepts, text.into())),
            Kind::ObjectId | Kind::Boolean | Kind::DateTime if comparison == Comparison::Equal => {
                Self::SameBytes(raw.kind().class(), raw.bytes().into())
            }
            Kind::DateTime => raw
                .date_ms()
                .map_or_else(other, |date| Self::Date(accepts, date)),
            _ => other(),
        }
    }

    /// `$in` over integers alone, or over texts alone.
    fn membership(values: &[OwnedValue], predicate: &Arc<Predicate>) -> Option<Self> {
        let integers: Option<Box<[i64]>> = values
            .iter()
            .map(|value| value.as_raw().integer())
            .collect();
        if let Some(integers) = integers {
            return Some(Self::Integers(integers, Arc::clone(predicate)));
        }
        let is_text = |value: &OwnedValue| value.as_raw().kind().class() == Class::String;
        if !values.iter().all(is_text) {
            return None;
        }
        let mut texts: Vec<Box<[u8]>> = values
            .iter()
            .map(|value| value.as_raw().bytes().into())
            .collect();
        texts.sort_unstable();
        Some(Self::Texts(texts.into()))
    }

    /// The answer where there is no value.
    pub(super) fn if_missing(&self, predicate: &Predicate) -> bool {
        matcher::satisfies(predicate, None)
    }

    /// Whether a value satisfies the predicate.
    #[inline]
    pub(super) fn accepts(&self, value: RawValue<'_>) -> bool {
        match self {
            Self::Integer(accepts, operand, predicate) => {
                if let Some(integer) = value.integer() {
                    return accepts.takes(integer.cmp(operand));
                }
                match value.kind() {
                    Kind::Double
                        if operand.unsigned_abs() <= EXACT_IN_DOUBLE
                            || planted(Mutant::CompareThroughDouble) =>
                    {
                        #[allow(clippy::cast_precision_loss, reason = "it is exact")]
                        let operand = *operand as f64;
                        let order = value.double().and_then(|it| it.partial_cmp(&operand));
                        order.is_some_and(|order| accepts.takes(order))
                    }
                    Kind::Double | Kind::Decimal128 => matcher::satisfies(predicate, Some(value)),
                    _ => false,
                }
            }
            Self::Double(accepts, operand, predicate) => match value.kind() {
                Kind::Double => {
                    let order = value.double().and_then(|it| it.partial_cmp(operand));
                    order.is_some_and(|order| accepts.takes(order))
                }
                Kind::Int32 => {
                    let integer = value.array().map(i32::from_le_bytes).unwrap_or_default();
                    let order = f64::from(integer).partial_cmp(operand);
                    order.is_some_and(|order| accepts.takes(order))
                }
                Kind::Int64 | Kind::Decimal128 => matcher::satisfies(predicate, Some(value)),
                _ => false,
            },
            Self::SameBytes(class, bytes) => {
                value.kind().class() == *class && *value.bytes() == **bytes
            }
            Self::Text(accepts, operand) => {
                value.kind().class() == Class::String
                    && value
                        .text()
                        .is_some_and(|text| accepts.takes(text.cmp(operand)))
            }
            Self::Date(accepts, operand) => value
                .date_ms()
                .is_some_and(|date| accepts.takes(date.cmp(operand))),
            Self::Integers(integers, predicate) => match value.integer() {
                Some(integer) => integers.binary_search(&integer).is_ok(),
                None if matches!(value.kind(), Kind::Double | Kind::Decimal128) => {
                    matcher::satisfies(predicate, Some(value))
                }
                None => false,
            },
            Self::Texts(texts) => {
                value.kind().class() == Class::String
                    && texts
                        .binary_search_by(|text| (**text).cmp(value.bytes()))
                        .is_ok()
            }
            Self::Exists => true,
            Self::Element(compiled) => {
                value.kind() == Kind::Array
                    && Elements::new(value.bytes()).any(|element| {
                        // An array is a document, whose names are positions. Inside of
                        // `$elemMatch` there is no `$expr`, and nothing else fails.
                        let value = element.value;
                        matches!(value.kind(), Kind::Document | Kind::Array)
                            && compiled
                                .matches(value.bytes(), &Variables::default())
                                .unwrap_or(false)
                    })
            }
            Self::Type(kinds) => kinds.contains(value.kind()),
            Self::Other(predicate) => matcher::satisfies(predicate, Some(value)),
        }
    }
}
