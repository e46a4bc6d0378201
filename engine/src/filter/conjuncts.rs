//! What a filter asks for, condition by condition: for whoever looks for an
//! index that answers it, or asks whether one filter implies another.
//!
//! Nobody outside needs to know the tree: a filter is a list of conditions that
//! must *all* hold, and each says what it can about one path.

use super::ast::{Comparison, Expression, KindSet, Predicate};
use crate::pattern::Pattern;
use crate::values::{OwnedValue, RawValue};

/// One of the conditions that must all hold.
#[derive(Clone, Debug)]
pub(crate) enum Conjunct<'f> {
    /// About the values that a path reaches.
    Path {
        /// The path, dotted, as it was written.
        path: &'f [u8],
        /// What is asked.
        asked: Asked<'f>,
    },
    /// At least one of these holds.
    Any(Vec<Part<'f>>),
    /// Nothing matches.
    Never,
    /// Something that says nothing about single paths.
    Other,
}

/// What is asked of the values that a path reaches: one of them satisfies it.
#[derive(Clone, Debug)]
pub(crate) enum Asked<'f> {
    /// `$eq`, `$lt`, `$lte`, `$gt`, `$gte`; null asks for "missing" as well.
    Compare(Comparison, RawValue<'f>),
    /// `$in`: a value of the list, which is in order, or a match of a pattern.
    In {
        /// The values, ascending, without repetitions.
        values: &'f [OwnedValue],
        /// The patterns.
        patterns: &'f [Pattern],
    },
    /// `$exists: true`.
    Exists,
    /// `$type`.
    Type(KindSet),
    /// `$size`: of the array itself.
    Size,
    /// `$regex`; [`Pattern::prefix`] may say how texts begin that match.
    Matches(&'f Pattern),
    /// `$elemMatch` over documents: conditions with paths inside of one element.
    ElementMatches(Part<'f>),
    /// `$elemMatch` over values: conditions on one element itself; their paths are empty.
    ElementSatisfies(Part<'f>),
    /// No value satisfies this: `$ne`, `$nin`, `$not`, `$exists: false`.
    Not(Box<Asked<'f>>),
    /// `$mod`, bits.
    Other,
}

/// A filter within a filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'f> {
    expression: &'f Expression,
}

impl<'f> Part<'f> {
    pub(super) fn new(expression: &'f Expression) -> Self {
        Self { expression }
    }

    /// The conditions that must all hold.
    pub(crate) fn conjuncts(self) -> Vec<Conjunct<'f>> {
        let mut found = Vec::new();
        collect(self.expression, &mut found);
        found
    }
}

fn collect<'f>(expression: &'f Expression, found: &mut Vec<Conjunct<'f>>) {
    match expression {
        Expression::Always(true) => {}
        Expression::Always(false) => found.push(Conjunct::Never),
        Expression::And(all) => {
            for one in all {
                collect(one, found);
            }
        }
        Expression::Or(any) => match any.as_slice() {
            [one] => collect(one, found),
            _ => found.push(Conjunct::Any(any.iter().map(Part::new).collect())),
        },
        Expression::Field { path, predicate } => found.push(Conjunct::Path {
            path: path.text(),
            asked: asked(predicate),
        }),
        Expression::Not(inner) => match &**inner {
            Expression::Always(true) => found.push(Conjunct::Never),
            Expression::Always(false) => {}
            Expression::Field { path, predicate } => found.push(Conjunct::Path {
                path: path.text(),
                asked: Asked::Not(Box::new(asked(predicate))),
            }),
            Expression::Not(inner) => collect(inner, found),
            // None of them: each of them is not.
            Expression::Or(any) => {
                for one in any {
                    match one {
                        Expression::Field { path, predicate } => found.push(Conjunct::Path {
                            path: path.text(),
                            asked: Asked::Not(Box::new(asked(predicate))),
                        }),
                        _ => found.push(Conjunct::Other),
                    }
                }
            }
            _ => found.push(Conjunct::Other),
        },
        Expression::Computed(_) | Expression::Schema(_) => found.push(Conjunct::Other),
    }
}

fn asked(predicate: &Predicate) -> Asked<'_> {
    match predicate {
        Predicate::Compare(comparison, operand) => Asked::Compare(*comparison, operand.as_raw()),
        Predicate::In(set) => Asked::In {
            values: set.values(),
            patterns: set.patterns(),
        },
        Predicate::Exists => Asked::Exists,
        Predicate::Type(kinds) => Asked::Type(*kinds),
        Predicate::Size(_) => Asked::Size,
        Predicate::Matches(pattern) => Asked::Matches(pattern),
        Predicate::ElementMatches(inner) => Asked::ElementMatches(Part::new(inner)),
        Predicate::ElementSatisfies(inner) => Asked::ElementSatisfies(Part::new(inner)),
        Predicate::Modulo(..) | Predicate::Bits(_) => Asked::Other,
    }
}
