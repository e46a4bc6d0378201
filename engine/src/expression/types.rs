//! Operators that ask what a value is: `$type $isNumber $bsonSize $tsSecond
//! $tsIncrement`.

use super::arguments::{coded, kind_name, null, number};
use super::environment::Environment;
use super::node::{Node, argument};
use super::operators::{Entry, call};
use super::value::Value;
use crate::error::Result;
use crate::values::Kind;

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$type" => call("$type", 1, 1, |a, e| {
            let value = argument(a, 0).evaluate(e)?;
            Ok(Some(Value::text(
                value.as_ref().map_or("missing", kind_name),
            )))
        }),
        "$isNumber" => call("$isNumber", 1, 1, |a, e| {
            let value = argument(a, 0).evaluate(e)?;
            let is_number = value.as_ref().and_then(number).is_some();
            Ok(Some(Value::boolean(is_number)))
        }),
        "$bsonSize" => call("$bsonSize", 1, 1, bson_size),
        "$tsSecond" => call("$tsSecond", 1, 1, |a, e| {
            timestamp_part(a, e, "$tsSecond", 5_687_301, |stamp| stamp >> 32)
        }),
        "$tsIncrement" => call("$tsIncrement", 1, 1, |a, e| {
            timestamp_part(a, e, "$tsIncrement", 5_687_302, |stamp| stamp & 0xFFFF_FFFF)
        }),
        _ => return None,
    })
}

fn bson_size<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let value = argument(arguments, 0).or_null(environment)?;
    if value.is_nullish() {
        return null();
    }
    match value.raw() {
        Some(raw) if raw.kind() == Kind::Document => Ok(Some(Value::count(raw.bytes().len()))),
        _ => {
            let kind = kind_name(&value);
            let message = format!("$bsonSize requires a document input, found: {kind}");
            Err(coded(31393, message))
        }
    }
}

fn timestamp_part<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    code: i32,
    part: fn(u64) -> u64,
) -> Result<Option<Value<'a>>> {
    let value = argument(arguments, 0).or_null(environment)?;
    if value.is_nullish() {
        return null();
    }
    match value.raw().and_then(|raw| raw.timestamp()) {
        Some(stamp) => Ok(Some(Value::int64(
            i64::try_from(part(stamp)).unwrap_or(i64::MAX),
        ))),
        None => {
            let kind = kind_name(&value);
            let message = format!("argument to {operator} must be a timestamp, but is {kind}");
            Err(coded(code, message))
        }
    }
}
