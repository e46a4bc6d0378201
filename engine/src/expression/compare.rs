//! `$eq $ne $gt $gte $lt $lte $cmp`: over any two values, by the order of all
//! values; what has no value is as undefined.

use std::cmp::Ordering;

use super::environment::Environment;
use super::node::{Node, argument};
use super::operators::{Entry, call};
use super::value::Value;
use crate::error::Result;
use crate::values::Class;

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$eq" => call("$eq", 2, 2, |a, e| test(a, e, Ordering::is_eq)),
        "$ne" => call("$ne", 2, 2, |a, e| test(a, e, Ordering::is_ne)),
        "$gt" => call("$gt", 2, 2, |a, e| test(a, e, Ordering::is_gt)),
        "$gte" => call("$gte", 2, 2, |a, e| test(a, e, Ordering::is_ge)),
        "$lt" => call("$lt", 2, 2, |a, e| test(a, e, Ordering::is_lt)),
        "$lte" => call("$lte", 2, 2, |a, e| test(a, e, Ordering::is_le)),
        "$cmp" => call("$cmp", 2, 2, |a, e| {
            Ok(Some(Value::int32(order(a, e)? as i32)))
        }),
        _ => return None,
    })
}

#[inline]
fn test<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    is: fn(Ordering) -> bool,
) -> Result<Option<Value<'a>>> {
    Ok(Some(Value::boolean(is(order(arguments, environment)?))))
}

#[inline]
fn order<'a>(arguments: &'a [Node], environment: &mut Environment<'a>) -> Result<Ordering> {
    // The right one first, as MongoDB happens to: it decides which error is given.
    let right = argument(arguments, 1).evaluate(environment)?;
    let left = argument(arguments, 0).evaluate(environment)?;
    Ok(compare_missing(left.as_ref(), right.as_ref()))
}

/// Compares two values, either of which may be missing: that is what undefined
/// is, below all but MinKey.
pub(super) fn compare_missing(left: Option<&Value<'_>>, right: Option<&Value<'_>>) -> Ordering {
    match (left, right) {
        (Some(left), Some(right)) => left.compare(right),
        (left, right) => {
            let class = |value: Option<&Value<'_>>| {
                value.map_or(Class::Undefined, |value| value.kind().class())
            };
            class(left).cmp(&class(right))
        }
    }
}
