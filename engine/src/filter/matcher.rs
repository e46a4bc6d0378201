//! The walk over a document's bytes that answers an expression.
//!
//! Recursion follows the expression, which was parsed from a document of
//! bounded depth; values of any bytes are compared with a bound of their own.

use super::ast::{Comparison, Expression, Predicate};
use super::path::Path;
use super::variables::Variables;
use crate::error::Result;
use crate::values::{Elements, Kind, RawValue, compare};

/// Whether the document answers the expression with yes.
pub(super) fn matches(
    expression: &Expression,
    document: &[u8],
    variables: &Variables,
) -> Result<bool> {
    match expression {
        Expression::Always(answer) => Ok(*answer),
        Expression::And(all) => {
            for one in all {
                if !matches(one, document, variables)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Expression::Or(any) => {
            for one in any {
                if matches(one, document, variables)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Expression::Not(inner) => Ok(!matches(inner, document, variables)?),
        Expression::Field { path, predicate } => Ok(reaches(path, predicate, document)),
        Expression::Computed(expression) => variables.is_true(expression, document),
        Expression::Schema(schema) => Ok(schema.matches(document)),
    }
}

/// Whether a value that the path reaches satisfies the predicate.
pub(super) fn reaches(path: &Path, predicate: &Predicate, document: &[u8]) -> bool {
    path.any(document, predicate.leaf(), &mut |value| {
        satisfies(predicate, value)
    })
}

/// Whether one element of an array, taken alone, answers with yes.
fn element_matches(expression: &Expression, element: RawValue<'_>) -> bool {
    match expression {
        Expression::Always(answer) => *answer,
        Expression::And(all) => all.iter().all(|one| element_matches(one, element)),
        Expression::Or(any) => any.iter().any(|one| element_matches(one, element)),
        Expression::Not(inner) => !element_matches(inner, element),
        Expression::Field { predicate, .. } => satisfies(predicate, Some(element)),
        // About documents, and so never here.
        Expression::Computed(_) | Expression::Schema(_) => false,
    }
}

/// Whether an element is one that the predicate, an `$elemMatch`, asks for.
pub(super) fn is_element_match(predicate: &Predicate, element: RawValue<'_>) -> bool {
    match predicate {
        Predicate::ElementMatches(inner) => {
            // An array is a document, whose names are positions.
            // Inside of `$elemMatch` there is no `$expr`, and nothing else fails.
            matches!(element.kind(), Kind::Document | Kind::Array)
                && matches(inner, element.bytes(), &Variables::default()).unwrap_or(false)
        }
        Predicate::ElementSatisfies(inner) => element_matches(inner, element),
        _ => false,
    }
}

pub(super) fn satisfies(predicate: &Predicate, value: Option<RawValue<'_>>) -> bool {
    match predicate {
        Predicate::Compare(comparison, operand) => compares(*comparison, operand.as_raw(), value),
        Predicate::In(set) => set.contains(value),
        Predicate::Exists => value.is_some(),
        Predicate::Type(kinds) => value.is_some_and(|value| kinds.contains(value.kind())),
        Predicate::Size(size) => elements_of_array(value).is_some_and(|all| all.count() == *size),
        Predicate::Modulo(divisor, remainder) => value
            .and_then(|value| value.number()?.truncate_to_i64())
            // The one pair that overflows leaves nothing.
            .is_some_and(|number| number.checked_rem(*divisor).unwrap_or(0) == *remainder),
        Predicate::Bits(test) => value.is_some_and(|value| test.accepts(value)),
        Predicate::Matches(pattern) => value.is_some_and(|value| pattern.matches(value)),
        Predicate::ElementMatches(_) | Predicate::ElementSatisfies(_) => elements_of_array(value)
            .is_some_and(|mut all| all.any(|element| is_element_match(predicate, element.value))),
    }
}

fn elements_of_array(value: Option<RawValue<'_>>) -> Option<Elements<'_>> {
    value
        .filter(|value| value.kind() == Kind::Array)
        .map(|value| Elements::new(value.bytes()))
}

/// Whether a value, `None` for "missing", compares so with the operand.
pub(super) fn compares(
    comparison: Comparison,
    operand: RawValue<'_>,
    value: Option<RawValue<'_>>,
) -> bool {
    let same_class = value.filter(|value| value.kind().class() == operand.kind().class());
    let Some(value) = same_class else {
        return match operand.kind() {
            // Missing equals null.
            Kind::Null => value.is_none() && comparison.accepts(std::cmp::Ordering::Equal),
            // These two compare with all classes, and with missing.
            Kind::MinKey => {
                matches!(comparison, Comparison::Greater | Comparison::GreaterOrEqual)
            }
            Kind::MaxKey => matches!(comparison, Comparison::Less | Comparison::LessOrEqual),
            _ => false,
        };
    };
    // NaN equals NaN and is neither above nor below any number.
    if value.is_nan() || operand.is_nan() {
        return value.is_nan() && operand.is_nan() && comparison.accepts(std::cmp::Ordering::Equal);
    }
    comparison.accepts(compare(value, operand))
}
