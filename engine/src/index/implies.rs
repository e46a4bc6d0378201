//! Whether a query implies what an index asks of the documents in it.
//!
//! ## Invariants
//! * "No" is always right; "yes" means that every document that matches the query
//!   satisfies the condition.
//! * Each condition is true if *any* value of the path satisfies it, so one condition on a
//!   path may imply another on the same path, element by element; two together imply
//!   nothing more.

use crate::filter::{Asked, Comparison, Conjunct};
use crate::values::{Class, Kind, RawValue, compare};

/// Whether the conditions of a query imply all of these.
pub(crate) fn implies_all(query: &[Conjunct<'_>], wanted: &[Conjunct<'_>]) -> bool {
    wanted.iter().all(|one| implies(query, one))
}

fn implies(query: &[Conjunct<'_>], wanted: &Conjunct<'_>) -> bool {
    let directly = match wanted {
        Conjunct::Path { path, asked } => query.iter().any(|known| match known {
            Conjunct::Path {
                path: other,
                asked: known,
            } => other == path && implies_asked(known, asked, is_single_step(path)),
            Conjunct::Never => true,
            _ => false,
        }),
        Conjunct::Any(parts) => parts
            .iter()
            .any(|part| implies_all(query, &part.conjuncts())),
        Conjunct::Never | Conjunct::Other => false,
    };
    // Whichever branch holds, it implies the condition together with the rest.
    directly
        || query.iter().enumerate().any(|(at, known)| match known {
            Conjunct::Any(parts) if !parts.is_empty() => parts.iter().all(|part| {
                let mut branch = part.conjuncts();
                branch.extend(
                    query
                        .iter()
                        .enumerate()
                        .filter(|(other, one)| *other != at && !matches!(one, Conjunct::Any(_)))
                        .map(|(_, one)| one.clone()),
                );
                implies(&branch, wanted)
            }),
            _ => false,
        })
}

pub(crate) fn is_single_step(path: &[u8]) -> bool {
    !path.contains(&b'.')
}

/// Whether a path for which this holds is there.
pub(crate) fn implies_existence(asked: &Asked<'_>, is_single_step: bool) -> bool {
    match asked {
        Asked::Compare(comparison, value) => match value.kind() {
            Kind::Null | Kind::Undefined => false,
            // These compare with missing as well.
            Kind::MinKey => *comparison == Comparison::Equal,
            Kind::MaxKey => *comparison == Comparison::Equal,
            _ => true,
        },
        Asked::In { values, .. } => values
            .iter()
            .all(|value| !matches!(value.as_raw().kind(), Kind::Null | Kind::Undefined)),
        Asked::Exists
        | Asked::Type(_)
        | Asked::Size
        | Asked::Matches(_)
        | Asked::ElementMatches(_)
        | Asked::ElementSatisfies(_) => true,
        Asked::Not(inner) => {
            is_single_step
                && matches!(&**inner, Asked::Compare(Comparison::Equal, value)
                    if value.kind() == Kind::Null)
        }
        Asked::Other => false,
    }
}

fn implies_asked(known: &Asked<'_>, wanted: &Asked<'_>, is_single_step: bool) -> bool {
    match (known, wanted) {
        (_, Asked::Exists) => implies_existence(known, is_single_step),
        (Asked::In { values, patterns }, _) => {
            patterns.is_empty()
                && !values.is_empty()
                && values.iter().all(|value| accepts(wanted, value.as_raw()))
        }
        (Asked::Compare(Comparison::Equal, value), _) => accepts(wanted, *value),
        (Asked::Compare(known, at), Asked::Compare(wanted, bound)) => {
            implies_range(*known, *at, *wanted, *bound)
        }
        (Asked::Type(known), Asked::Type(wanted)) => Kind::ALL
            .into_iter()
            .all(|kind| !known.contains(kind) || wanted.contains(kind)),
        _ => false,
    }
}

/// Whether every value that equals `value` satisfies it.
fn accepts(wanted: &Asked<'_>, value: RawValue<'_>) -> bool {
    let class = value.kind().class();
    match wanted {
        Asked::Compare(comparison, bound) => {
            if class != bound.kind().class() || value.is_nan() || bound.is_nan() {
                return false;
            }
            // Null stands for missing as well, on both sides.
            comparison.accepts(compare(value, *bound))
        }
        Asked::In { values, .. } => values
            .iter()
            .any(|member| compare(member.as_raw(), value).is_eq()),
        Asked::Type(kinds) => {
            !matches!(class, Class::Null | Class::Array)
                && Kind::ALL
                    .into_iter()
                    .filter(|kind| kind.class() == class)
                    .all(|kind| kinds.contains(kind))
        }
        _ => false,
    }
}

fn implies_range(
    known: Comparison,
    at: RawValue<'_>,
    wanted: Comparison,
    bound: RawValue<'_>,
) -> bool {
    let class = at.kind().class();
    let is_special = matches!(class, Class::MinKey | Class::MaxKey | Class::Null);
    if class != bound.kind().class() || is_special || at.is_nan() || bound.is_nan() {
        return false;
    }
    let order = compare(at, bound);
    let is_strict = matches!(known, Comparison::Greater | Comparison::Less);
    match (known, wanted) {
        (Comparison::Greater | Comparison::GreaterOrEqual, Comparison::GreaterOrEqual)
        | (Comparison::Less | Comparison::LessOrEqual, Comparison::LessOrEqual) => {
            order.is_eq() || order.is_gt() == matches!(wanted, Comparison::GreaterOrEqual)
        }
        (Comparison::Greater | Comparison::GreaterOrEqual, Comparison::Greater) => {
            order.is_gt() || (order.is_eq() && is_strict)
        }
        (Comparison::Less | Comparison::LessOrEqual, Comparison::Less) => {
            order.is_lt() || (order.is_eq() && is_strict)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
