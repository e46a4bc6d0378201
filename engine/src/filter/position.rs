//! Where in an array a filter matched, for the positional `$` of updates.
//!
//! The answer is that of MongoDB: of the conditions that are true, the last one
//! that went through an array tells; of the arrays on its path, the outermost;
//! conditions under a negation tell nothing. A slower twin of the walk in
//! `path` and `matcher`, which answers the same with yes or no.

use super::ast::{Expression, Predicate};
use super::matcher;
use super::path::{Leaf, Step};
use super::variables::Variables;
use crate::error::Result;
use crate::values::{Elements, Kind, RawValue};

/// Whether the document matches, and the position that was found last.
pub(super) fn find(
    expression: &Expression,
    document: &[u8],
    variables: &Variables,
    position: &mut Option<usize>,
) -> Result<bool> {
    match expression {
        Expression::And(all) => {
            for one in all {
                if !find(one, document, variables, position)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Expression::Or(any) => {
            for one in any {
                if find(one, document, variables, position)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Expression::Field { path, predicate } => {
            let mut visit = |value: Option<RawValue<'_>>, outer: Option<usize>| {
                let found = inside(predicate, value);
                if let Some(inner) = found {
                    *position = outer.or(inner).or(*position);
                }
                found.is_some()
            };
            let elements = Elements::new(document);
            let leaf = predicate.leaf();
            Ok(in_document(elements, path.steps(), leaf, None, &mut visit))
        }
        Expression::Always(_)
        | Expression::Not(_)
        | Expression::Computed(_)
        | Expression::Schema(_) => matcher::matches(expression, document, variables),
    }
}

/// Whether a value satisfies the predicate; for `$elemMatch`, by which element.
fn inside(predicate: &Predicate, value: Option<RawValue<'_>>) -> Option<Option<usize>> {
    match predicate {
        Predicate::ElementMatches(_) | Predicate::ElementSatisfies(_) => {
            let value = value.filter(|value| value.kind() == Kind::Array)?;
            Elements::new(value.bytes())
                .position(|element| matcher::is_element_match(predicate, element.value))
                .map(Some)
        }
        _ => matcher::satisfies(predicate, value).then_some(None),
    }
}

/// Asked for each value that a path reaches, with the position in the outermost array.
type Visit<'v, 'a> = &'v mut dyn FnMut(Option<RawValue<'a>>, Option<usize>) -> bool;

fn in_document<'a>(
    mut elements: Elements<'a>,
    mut steps: &[Step],
    leaf: Leaf,
    outer: Option<usize>,
    visit: Visit<'_, 'a>,
) -> bool {
    while let Some((step, rest)) = steps.split_first() {
        let Some(value) = elements.find_name(&step.name) else {
            return visit(None, outer);
        };
        steps = rest;
        match value.kind() {
            Kind::Array if !steps.is_empty() => return in_array(value, steps, leaf, outer, visit),
            Kind::Array => return at_array(value, leaf, outer, visit),
            _ if steps.is_empty() => return visit(Some(value), outer),
            Kind::Document => elements = Elements::new(value.bytes()),
            _ => return visit(None, outer),
        }
    }
    false
}

fn at_array<'a>(
    array: RawValue<'a>,
    leaf: Leaf,
    outer: Option<usize>,
    visit: Visit<'_, 'a>,
) -> bool {
    if leaf == Leaf::Elements {
        for (at, element) in Elements::new(array.bytes()).enumerate() {
            if visit(Some(element.value), outer.or(Some(at))) {
                return true;
            }
        }
    }
    visit(Some(array), outer)
}

fn in_array<'a>(
    array: RawValue<'a>,
    steps: &[Step],
    leaf: Leaf,
    outer: Option<usize>,
    visit: Visit<'_, 'a>,
) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return false;
    };
    for (at, element) in Elements::new(array.bytes()).enumerate() {
        let value = element.value;
        let here = outer.or(Some(at));
        let is_document = value.kind() == Kind::Document;
        if is_document && in_document(Elements::new(value.bytes()), steps, leaf, here, visit) {
            return true;
        }
        if !step.is_digits || *element.name != *step.name {
            continue;
        }
        let found = if rest.is_empty() {
            visit(Some(value), outer)
        } else if is_document {
            in_document(Elements::new(value.bytes()), rest, leaf, outer, visit)
        } else if value.kind() == Kind::Array {
            in_array(value, rest, leaf, outer, visit)
        } else {
            false
        };
        if found {
            return true;
        }
    }
    false
}
