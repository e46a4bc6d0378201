//! Operators that take arrays for sets: what compares as equal is one element.

use std::cmp::Ordering;

use super::arguments::{coded, kind_name, null};
use super::arrays::is_array;
use super::environment::Environment;
use super::limits;
use super::node::{Call, Node, argument};
use super::operators::{ANY, Entry, call};
use super::optimise::constant;
use super::value::Value;
use crate::error::Result;

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$setUnion" => call("$setUnion", 0, ANY, union),
        "$setIntersection" => call("$setIntersection", 0, ANY, intersection),
        "$setDifference" => call("$setDifference", 2, 2, difference),
        "$setEquals" => Entry::Special(|value, parser| {
            let arguments = parser.arguments(value)?;
            if arguments.len() < 2 {
                let message = format!(
                    "$setEquals needs at least two arguments had: {}",
                    arguments.len()
                );
                return Err(coded(17045, message));
            }
            Ok(Node::Call(Call {
                name: "$setEquals",
                evaluate: equals,
                arguments,
            }))
        }),
        "$setIsSubset" => call("$setIsSubset", 2, 2, is_subset),
        "$allElementsTrue" => call("$allElementsTrue", 1, 1, |a, e| {
            let truth = elements_truth(a, e, "$allElementsTrue", 17040)?;
            Ok(Some(Value::boolean(truth.1)))
        }),
        "$anyElementTrue" => call("$anyElementTrue", 1, 1, |a, e| {
            let truth = elements_truth(a, e, "$anyElementTrue", 17041)?;
            Ok(Some(Value::boolean(truth.0)))
        }),
        _ => return None,
    })
}

/// What MongoDB refuses of constant operands before it sees a document.
pub(super) fn check_constants(call: &Call) -> Result<()> {
    let constants = || call.arguments.iter().map(constant);
    let (code, operand) = match call.name {
        "$setEquals" => (5_887_502, constants().flatten().next()),
        "$setIsSubset" => (17311, constants().nth(1).flatten()),
        _ => return Ok(()),
    };
    match operand {
        Some(value) if !value.is_some_and(is_array) => {
            let kind = value.map_or("missing", kind_name);
            let message = format!(
                "all operands of {} must be arrays, one is {kind}",
                call.name
            );
            Err(coded(code, message))
        }
        _ => Ok(()),
    }
}

/// An intersection with a constant null is null, whatever else there is.
pub(super) fn simplify(call: Call) -> Node {
    let is_null =
        |node: &Node| constant(node).is_some_and(|value| value.is_none_or(Value::is_nullish));
    if call.name == "$setIntersection" && call.arguments.iter().any(is_null) {
        return Node::Constant(Value::null());
    }
    Node::Call(call)
}

/// Whether any element is true, and whether all are.
fn elements_truth<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    code: i32,
) -> Result<(bool, bool)> {
    let array = argument(arguments, 0).or_null(environment)?;
    if !is_array(&array) {
        let kind = kind_name(&array);
        let message = format!("{operator}'s argument must be an array, but is {kind}");
        return Err(coded(code, message));
    }
    let mut truth = (false, true);
    for element in array.elements() {
        let is_true = element.is_truthy();
        truth = (truth.0 || is_true, truth.1 && is_true);
    }
    Ok(truth)
}

/// The elements in order, of equal ones the first.
fn to_set<'a>(elements: impl Iterator<Item = Value<'a>>) -> Vec<Value<'a>> {
    let mut set: Vec<_> = elements.collect();
    set.sort_by(Value::compare);
    set.dedup_by(|later, earlier| later.compare(earlier).is_eq());
    set
}

fn contains(set: &[Value<'_>], value: &Value<'_>) -> bool {
    set.binary_search_by(|element| element.compare(value))
        .is_ok()
}

fn not_array(operator: &str, code: i32, value: &Value<'_>) -> crate::error::Error {
    let kind = kind_name(value);
    coded(
        code,
        format!("all operands of {operator} must be arrays, one is {kind}"),
    )
}

fn union<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let mut all = Vec::new();
    for argument in arguments {
        let array = argument.or_null(environment)?;
        if array.is_nullish() {
            return null();
        }
        if !is_array(&array) {
            return Err(not_array("$setUnion", 17043, &array));
        }
        all.extend(array.elements());
        limits::elements(all.len())?;
    }
    Value::array(to_set(all.into_iter())).map(Some)
}

fn intersection<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let mut current: Option<Vec<Value<'a>>> = None;
    for argument in arguments {
        let array = argument.or_null(environment)?;
        if array.is_nullish() {
            return null();
        }
        if !is_array(&array) {
            return Err(not_array("$setIntersection", 17047, &array));
        }
        let next = to_set(array.elements());
        current = Some(match current {
            None => next,
            // Of equal elements those of the smaller set are kept, as in MongoDB.
            Some(set) => {
                let (mut kept, other) = if set.len() > next.len() {
                    (next, set)
                } else {
                    (set, next)
                };
                kept.retain(|element| contains(&other, element));
                kept
            }
        });
    }
    Value::array(current.unwrap_or_default()).map(Some)
}

fn difference<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let from = argument(arguments, 0).or_null(environment)?;
    let take = argument(arguments, 1).or_null(environment)?;
    if from.is_nullish() || take.is_nullish() {
        return null();
    }
    if !is_array(&from) {
        return Err(not_array("$setDifference", 17048, &from));
    }
    if !is_array(&take) {
        return Err(not_array("$setDifference", 17049, &take));
    }
    let take = to_set(take.elements());
    // Each element at its first place, and no other.
    let mut ranked: Vec<(usize, Value<'a>)> = from
        .elements()
        .enumerate()
        .filter(|(_, element)| !contains(&take, element))
        .collect();
    ranked.sort_by(|(position, left), (other, right)| {
        left.compare(right).then_with(|| position.cmp(other))
    });
    ranked.dedup_by(|(_, later), (_, earlier)| later.compare(earlier).is_eq());
    ranked.sort_by_key(|(position, _)| *position);
    Value::array(ranked.into_iter().map(|(_, element)| element).collect()).map(Some)
}

fn equals<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let mut first: Option<Vec<Value<'a>>> = None;
    for argument in arguments {
        let array = argument.or_null(environment)?;
        if !is_array(&array) {
            return Err(not_array("$setEquals", 17044, &array));
        }
        let set = to_set(array.elements());
        match &first {
            None => first = Some(set),
            Some(first) => {
                let is_equal = first.len() == set.len()
                    && first
                        .iter()
                        .zip(&set)
                        .all(|(left, right)| left.compare(right) == Ordering::Equal);
                if !is_equal {
                    return Ok(Some(Value::boolean(false)));
                }
            }
        }
    }
    Ok(Some(Value::boolean(true)))
}

fn is_subset<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let inner = argument(arguments, 0).or_null(environment)?;
    if !is_array(&inner) {
        return Err(not_array("$setIsSubset", 17046, &inner));
    }
    let outer = argument(arguments, 1).or_null(environment)?;
    if !is_array(&outer) {
        return Err(not_array("$setIsSubset", 17042, &outer));
    }
    let outer = to_set(outer.elements());
    let is_inside = inner.elements().all(|element| contains(&outer, &element));
    Ok(Some(Value::boolean(is_inside)))
}
