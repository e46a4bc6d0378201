//! Dates: their parts, text in both directions, arithmetic in units.
//!
//! Reading order: `civil` (the calendar), `zone`, `parts`, `format` and `parse`
//! with `free` and `from_format` (text), `units` (`$dateAdd` and its kin).

pub(super) mod civil;
mod format;
mod free;
mod from_format;
mod parse;
mod parts;
mod units;
mod zone;

use super::arguments::{coded, kind_name};
use super::environment::Environment;
use super::node::{Call, Node, argument};
use super::operators::Entry;
use super::value::Value;
use crate::error::Result;
use crate::values::Kind;

pub(super) use free::from_text_utc;
use zone::Zone;

pub(super) fn find(name: &str) -> Option<Entry> {
    parts::find(name)
        .or_else(|| format::find(name))
        .or_else(|| parse::find(name))
        .or_else(|| units::find(name))
}

/// What MongoDB says of a constant zone, unit and so on before it sees a date:
/// an error where it is none, and null where it is null.
pub(super) fn check_constants(call: &Call) -> Result<Option<Node>> {
    let zone = match call.name {
        "$dateFromParts" => 10,
        "$dateToString" => 2,
        "$dateAdd" | "$dateSubtract" | "$dateDiff" | "$dateTrunc" => 3,
        "$dateToParts" | "$dateFromString" | "$year" | "$month" | "$dayOfMonth" | "$hour"
        | "$minute" | "$second" | "$millisecond" | "$dayOfWeek" | "$dayOfYear" | "$week"
        | "$isoDayOfWeek" | "$isoWeek" | "$isoWeekYear" => 1,
        _ => return Ok(None),
    };
    let mut environment = Environment::new(&[5, 0, 0, 0, 0]);
    let zone = argument(&call.arguments, zone);
    let mut is_null = false;
    if zone.is_constant() {
        let has_none = Zone::operand(zone, &mut environment)?.is_none();
        is_null = has_none && !matches!(call.name, "$dateToString" | "$dateFromString");
    }
    is_null |= units::check_constants(call, &mut environment)?;
    Ok(is_null.then(|| Node::Constant(Value::null())))
}

/// Milliseconds since 1970 of what has a time: dates, timestamps, object ids.
fn date_of(value: &Value<'_>) -> Option<i64> {
    let raw = value.raw()?;
    match raw.kind() {
        Kind::DateTime => raw.date_ms(),
        Kind::Timestamp => Some(i64::try_from(raw.timestamp()? >> 32).ok()? * 1000),
        Kind::ObjectId => {
            let seconds = u32::from_be_bytes(*raw.bytes().first_chunk()?);
            Some(i64::from(seconds) * 1000)
        }
        _ => None,
    }
}

/// [`date_of`], or MongoDB's usual error.
fn coerce(value: &Value<'_>) -> Result<i64> {
    date_of(value).ok_or_else(|| {
        let kind = kind_name(value);
        coded(
            16006,
            format!("can't convert from BSON type {kind} to Date"),
        )
    })
}

/// A date of so many seconds and milliseconds, if it is one.
fn checked_date(seconds: i64, milliseconds: i64) -> Result<i64> {
    seconds
        .checked_mul(1000)
        .and_then(|all| all.checked_add(milliseconds))
        .ok_or_else(|| coded(159, "a date is out of range"))
}

#[cfg(test)]
mod tests;
