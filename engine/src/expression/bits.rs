//! `$bitAnd $bitOr $bitXor $bitNot`: over int32 and int64.

use super::arguments::{coded, kind_name, null};
use super::environment::Environment;
use super::node::{Node, argument};
use super::operators::{ANY, Entry, call};
use super::value::Value;
use crate::error::Result;
use crate::values::Kind;

const TYPE_MISMATCH: i32 = 14;

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$bitAnd" => call("$bitAnd", 0, ANY, |a, e| {
            fold(a, e, "$bitAnd", -1, |x, y| x & y)
        }),
        "$bitOr" => call("$bitOr", 0, ANY, |a, e| {
            fold(a, e, "$bitOr", 0, |x, y| x | y)
        }),
        "$bitXor" => call("$bitXor", 0, ANY, |a, e| {
            fold(a, e, "$bitXor", 0, |x, y| x ^ y)
        }),
        "$bitNot" => call("$bitNot", 1, 1, not),
        _ => return None,
    })
}

fn integer(value: &Value<'_>, operator: &str) -> Result<(i64, bool)> {
    let is_long = value.kind() == Kind::Int64;
    match value.raw().and_then(|raw| raw.integer()) {
        Some(whole) => Ok((whole, is_long)),
        None => Err(coded(
            TYPE_MISMATCH,
            format!(
                "{operator} only supports int and long operands, not {}",
                kind_name(value)
            ),
        )),
    }
}

fn of<'a>(whole: i64, is_long: bool) -> Value<'a> {
    if is_long {
        Value::int64(whole)
    } else {
        Value::integer(whole)
    }
}

fn fold<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    identity: i64,
    operation: fn(i64, i64) -> i64,
) -> Result<Option<Value<'a>>> {
    let (mut result, mut has_long) = (identity, false);
    for argument in arguments {
        let value = argument.or_null(environment)?;
        if value.is_nullish() {
            return null();
        }
        let (whole, is_long) = integer(&value, operator)?;
        has_long |= is_long;
        result = operation(result, whole);
    }
    Ok(Some(of(result, has_long)))
}

fn not<'a>(arguments: &'a [Node], environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    let value = argument(arguments, 0).or_null(environment)?;
    if value.is_nullish() {
        return null();
    }
    let (whole, is_long) = integer(&value, "$bitNot")?;
    Ok(Some(of(!whole, is_long)))
}
