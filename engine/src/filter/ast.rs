//! What a filter asks, as a tree.

use std::cmp::Ordering;
use std::sync::Arc;

use super::bit_test::BitTest;
use super::path::{Leaf, Path};
use crate::expression;
use crate::pattern::Pattern;
use crate::schema::json_schema::JsonSchema;
use crate::values::{Class, Kind, OwnedValue, RawValue, compare};

/// A question about a document, or, inside a value `$elemMatch`, about one
/// element: there the leaves have no path to follow.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    /// The same answer for all.
    Always(bool),
    /// All of them.
    And(Vec<Expression>),
    /// At least one of them.
    Or(Vec<Expression>),
    /// Its opposite.
    Not(Box<Expression>),
    /// Whether any value that the path reaches satisfies the predicate.
    Field {
        /// Where; shared with the compiled form.
        path: Arc<Path>,
        /// What; shared with the compiled form.
        predicate: Arc<Predicate>,
    },
    /// `$expr`: whether the value counts as true.
    Computed(expression::Expression),
    /// `$jsonSchema`.
    Schema(JsonSchema),
}

/// A question about one value, or about "missing".
#[derive(Clone, Debug)]
pub(super) enum Predicate {
    /// `$eq`, `$lt`, `$lte`, `$gt`, `$gte`.
    Compare(Comparison, OwnedValue),
    /// `$in`.
    In(ValueSet),
    /// `$exists`.
    Exists,
    /// `$type`.
    Type(KindSet),
    /// `$size`.
    Size(usize),
    /// `$mod`: divisor, not 0, and remainder.
    Modulo(i64, i64),
    /// `$bitsAllSet` and its kin.
    Bits(BitTest),
    /// `$regex`.
    Matches(Pattern),
    /// `$elemMatch` over documents: an element that matches the filter.
    ElementMatches(Box<Expression>),
    /// `$elemMatch` over values: an element that satisfies the operators.
    ElementSatisfies(Box<Expression>),
}

/// How a value is compared with the operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    /// `$eq`.
    Equal,
    /// `$lt`.
    Less,
    /// `$lte`.
    LessOrEqual,
    /// `$gt`.
    Greater,
    /// `$gte`.
    GreaterOrEqual,
}

impl Comparison {
    /// Whether a value so ordered to the operand satisfies it.
    pub(crate) fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Predicate {
    /// What a path that ends at an array must reach for it.
    pub(super) fn leaf(&self) -> Leaf {
        match self {
            Self::Size(_) | Self::ElementMatches(_) | Self::ElementSatisfies(_) => Leaf::Whole,
            _ => Leaf::Elements,
        }
    }
}

/// The operand of `$in`: sorted, for a binary search; and patterns.
#[derive(Clone, Debug)]
pub(super) struct ValueSet {
    sorted: Vec<OwnedValue>,
    patterns: Vec<Pattern>,
    has_null: bool,
}

impl ValueSet {
    pub(super) fn new(mut values: Vec<OwnedValue>, patterns: Vec<Pattern>) -> Self {
        values.sort_by(|a, b| compare(a.as_raw(), b.as_raw()));
        values.dedup_by(|a, b| compare(a.as_raw(), b.as_raw()).is_eq());
        let has_null = values
            .iter()
            .any(|value| value.as_raw().kind() == Kind::Null);
        Self {
            sorted: values,
            patterns,
            has_null,
        }
    }

    /// Whether `value`, `None` for "missing", is one of them.
    pub(super) fn contains(&self, value: Option<RawValue<'_>>) -> bool {
        let Some(value) = value else {
            return self.has_null;
        };
        self.sorted
            .binary_search_by(|member| compare(member.as_raw(), value))
            .is_ok()
            || self.patterns.iter().any(|pattern| pattern.matches(value))
    }

    /// The one value, if it is one.
    pub(super) fn single(&self) -> Option<RawValue<'_>> {
        match self.sorted.as_slice() {
            [one] if self.patterns.is_empty() => Some(one.as_raw()),
            _ => None,
        }
    }

    /// The values, in order.
    pub(super) fn values(&self) -> &[OwnedValue] {
        &self.sorted
    }

    /// The patterns: a value may match one of them in the place of being a member.
    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether null, and so "missing", is a member.
    pub(super) fn has_null(&self) -> bool {
        self.has_null
    }
}

/// The operand of `$type`: one bit for each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KindSet(u32);

impl KindSet {
    /// MinKey's bit; its type byte has no place in the word. MaxKey's is next to it.
    const MIN_KEY_BIT: u32 = 30;

    fn bit(kind: Kind) -> u32 {
        match kind {
            Kind::MinKey => 1 << Self::MIN_KEY_BIT,
            Kind::MaxKey => 1 << (Self::MIN_KEY_BIT + 1),
            other => 1 << (other as u32),
        }
    }

    pub(crate) fn insert(&mut self, kind: Kind) {
        self.0 |= Self::bit(kind);
    }

    pub(crate) fn insert_numbers(&mut self) {
        for kind in Kind::ALL
            .into_iter()
            .filter(|kind| kind.class() == Class::Number)
        {
            self.insert(kind);
        }
    }

    pub(crate) fn contains(self, kind: Kind) -> bool {
        self.0 & Self::bit(kind) != 0
    }
}
