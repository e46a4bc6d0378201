//! The conditions of a filter, each with its operand.

use super::test::Test;
use crate::expression;
use crate::filter::ast::Expression;
use crate::filter::path::{Leaf as Reach, Path};
use crate::schema::json_schema::JsonSchema;
use crate::values::{Elements, Kind, RawValue};

/// One condition.
#[derive(Debug)]
pub(super) enum Leaf {
    /// About the values that a path reaches.
    Value {
        test: Test,
        /// What a path that ends at an array reaches.
        reach: Reach,
        /// The answer where there is no value.
        if_missing: bool,
    },
    /// `$expr`.
    Computed(expression::Expression),
    /// `$jsonSchema`.
    Schema(JsonSchema),
}

/// The conditions of a tree, in the order in which they are met.
pub(super) fn collect(expression: &Expression, leaves: &mut Vec<Leaf>) {
    match expression {
        Expression::Always(_) => {}
        Expression::And(all) | Expression::Or(all) => {
            for one in all {
                collect(one, leaves);
            }
        }
        Expression::Not(inner) => collect(inner, leaves),
        Expression::Field { predicate, .. } => {
            let test = Test::new(predicate);
            leaves.push(Leaf::Value {
                if_missing: test.if_missing(predicate),
                reach: predicate.leaf(),
                test,
            });
        }
        Expression::Computed(computed) => leaves.push(Leaf::Computed(computed.clone())),
        Expression::Schema(schema) => leaves.push(Leaf::Schema(schema.clone())),
    }
}

impl Leaf {
    /// The answer where there is no value.
    pub(super) fn if_missing(&self) -> bool {
        matches!(self, Self::Value { if_missing, .. } if *if_missing)
    }

    /// Whether the condition holds: `value` is what the first `from` steps of
    /// the path have reached.
    #[inline]
    pub(super) fn holds(&self, value: Option<RawValue<'_>>, path: &Path, from: usize) -> bool {
        let Self::Value {
            test,
            reach,
            if_missing,
        } = self
        else {
            return false;
        };
        let Some(value) = value else {
            return *if_missing;
        };
        if path.steps().len() == from {
            // Each element of an array, and the array itself.
            return value.kind() == Kind::Array
                && *reach == Reach::Elements
                && Elements::new(value.bytes()).any(|element| test.accepts(element.value))
                || test.accepts(value);
        }
        if !matches!(value.kind(), Kind::Document | Kind::Array) {
            return *if_missing;
        }
        path.any_below(value, from, *reach, &mut |reached| match reached {
            Some(reached) => test.accepts(reached),
            None => *if_missing,
        })
    }
}
