//! What can be read off a filter, without any document.

use super::ast::{Comparison, Expression, Predicate};
use crate::values::RawValue;

/// The first steps of all paths.
pub(super) fn first_names<'f>(expression: &'f Expression, names: &mut Vec<&'f [u8]>) {
    match expression {
        Expression::Always(_) | Expression::Computed(_) | Expression::Schema(_) => {}
        Expression::And(all) | Expression::Or(all) => {
            for one in all {
                first_names(one, names);
            }
        }
        Expression::Not(inner) => first_names(inner, names),
        Expression::Field { path, .. } => {
            names.extend(path.steps().first().map(|step| &*step.name));
        }
    }
}

/// Whether all that is asked is asked of paths.
pub(super) fn is_plain(expression: &Expression) -> bool {
    match expression {
        Expression::Always(_) | Expression::Field { .. } => true,
        Expression::And(all) | Expression::Or(all) => all.iter().all(is_plain),
        Expression::Not(inner) => is_plain(inner),
        Expression::Computed(_) | Expression::Schema(_) => false,
    }
}

/// The paths that must equal one value for the filter to match, as text.
pub(super) fn equalities<'f>(
    expression: &'f Expression,
    found: &mut Vec<(&'f [u8], RawValue<'f>)>,
) {
    match expression {
        Expression::And(all) => {
            for one in all {
                equalities(one, found);
            }
        }
        Expression::Or(any) => {
            if let [one] = any.as_slice() {
                equalities(one, found);
            }
        }
        Expression::Field { path, predicate } => {
            let value = match &**predicate {
                Predicate::Compare(Comparison::Equal, value) => Some(value.as_raw()),
                Predicate::In(set) => set.single(),
                _ => None,
            };
            found.extend(value.map(|value| (path.text(), value)));
        }
        Expression::Always(_)
        | Expression::Not(_)
        | Expression::Computed(_)
        | Expression::Schema(_) => {}
    }
}

/// Whether anything is asked of the document as a whole: by an expression, or a schema.
pub(super) fn has_expression(expression: &Expression) -> bool {
    match expression {
        Expression::And(all) | Expression::Or(all) => all.iter().any(has_expression),
        Expression::Not(inner) => has_expression(inner),
        Expression::Computed(_) | Expression::Schema(_) => true,
        _ => false,
    }
}
