//! `$year $month …`, `$dateToParts` and `$dateFromParts`.

use super::zone::{Local, Zone};
use super::{checked_date, civil, coerce};
use crate::error::Result;
use crate::expression::arguments::{Named, coded, kind_name, null, number};
use crate::expression::environment::Environment;
use crate::expression::node::{Call, Evaluate, Node, argument};
use crate::expression::operators::Entry;
use crate::expression::parse::{Parser, show, wrong_number};
use crate::expression::value::{Fields, Value};
use crate::values::{Elements, Kind, Numeric, RawValue};

/// Makes the operator of a part.
macro_rules! part {
    ($name:literal, $part:expr) => {
        Entry::Special(|value, parser| {
            fn evaluate<'a>(
                arguments: &'a [Node],
                environment: &mut Environment<'a>,
            ) -> Result<Option<Value<'a>>> {
                let part: fn(&Local) -> Value<'static> = $part;
                one_part(arguments, environment, part)
            }
            parse_part(value, parser, $name, evaluate)
        })
    };
}

fn small(part: i64) -> Value<'static> {
    Value::integer(part)
}

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$year" => part!("$year", |local| small(local.year_month_day().0)),
        "$month" => part!("$month", |local| small(local.year_month_day().1)),
        "$dayOfMonth" => part!("$dayOfMonth", |local| small(local.year_month_day().2)),
        "$hour" => part!("$hour", |local| small(local.hour())),
        "$minute" => part!("$minute", |local| small(local.minute())),
        "$second" => part!("$second", |local| small(local.second())),
        "$millisecond" => part!("$millisecond", |local| small(local.millisecond())),
        "$dayOfWeek" => part!("$dayOfWeek", |local| small(day_of_week(local.days))),
        "$dayOfYear" => part!("$dayOfYear", |local| small(civil::day_of_year(local.days))),
        "$week" => part!("$week", |local| small(week(local.days))),
        "$isoDayOfWeek" => {
            part!("$isoDayOfWeek", |local| small(civil::iso_weekday(
                local.days
            )))
        }
        "$isoWeek" => part!("$isoWeek", |local| small(civil::iso_week(local.days).1)),
        "$isoWeekYear" => part!("$isoWeekYear", |local| Value::int64(
            civil::iso_week(local.days).0
        )),
        "$dateToParts" => Entry::Special(|value, parser| {
            Ok(Node::Call(Call {
                name: "$dateToParts",
                evaluate: to_parts,
                arguments: TO_PARTS.parse(value, parser)?,
            }))
        }),
        "$dateFromParts" => Entry::Special(parse_from_parts),
        _ => return None,
    })
}

/// From 1 for Sunday to 7 for Saturday.
pub(super) fn day_of_week(days: i64) -> i64 {
    civil::iso_weekday(days) % 7 + 1
}

/// The week of the year; weeks begin on Sundays, and days before the first one
/// are in week 0.
pub(super) fn week(days: i64) -> i64 {
    (civil::day_of_year(days) - day_of_week(days) + 7) / 7
}

/// The operand of a part: an expression, or a document of `date` and `timezone`.
fn parse_part(
    value: RawValue<'_>,
    parser: &mut Parser<'_>,
    name: &'static str,
    evaluate: Evaluate,
) -> Result<Node> {
    let is_named = value.kind() == Kind::Document
        && Elements::new(value.bytes())
            .next()
            .is_none_or(|first| !first.name.starts_with(b"$"));
    let arguments = if is_named {
        let (mut date, mut zone) = (Node::Absent, Node::Absent);
        for element in Elements::new(value.bytes()) {
            match element.name {
                b"date" => date = parser.operand(element.value)?,
                b"timezone" => zone = parser.operand(element.value)?,
                other => {
                    let message = format!("unrecognized option to {name}: {}", show(other));
                    return Err(coded(40535, message));
                }
            }
        }
        if date.is_absent() {
            let message = format!("missing 'date' argument to {name}");
            return Err(coded(40539, message));
        }
        vec![date, zone]
    } else if value.kind() == Kind::Array {
        let mut arguments = parser.arguments(value)?;
        if arguments.len() != 1 {
            let mut error = wrong_number(name, 1, 1, arguments.len());
            error = error.with_code(40536);
            return Err(error);
        }
        arguments.push(Node::Absent);
        arguments
    } else {
        vec![parser.operand(value)?, Node::Absent]
    };
    Ok(Node::Call(Call {
        name,
        evaluate,
        arguments,
    }))
}

fn one_part<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    part: fn(&Local) -> Value<'static>,
) -> Result<Option<Value<'a>>> {
    let date = argument(arguments, 0).or_null(environment)?;
    if date.is_nullish() {
        return null();
    }
    let date = coerce(&date)?;
    match Zone::operand(argument(arguments, 1), environment)? {
        Some(zone) => Ok(Some(part(&zone.to_local(date)))),
        None => null(),
    }
}

const TO_PARTS: Named = Named {
    operator: "$dateToParts",
    names: &["date", "timezone", "iso8601"],
    required: &[40522],
    not_document: 40524,
    unknown: 40520,
};

fn to_parts<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let date = argument(arguments, 0).or_null(environment)?;
    let Some(zone) = Zone::operand(argument(arguments, 1), environment)? else {
        return null();
    };
    let iso = argument(arguments, 2);
    let iso = if iso.is_absent() {
        false
    } else {
        let iso = iso.or_null(environment)?;
        if iso.is_nullish() {
            return null();
        }
        match iso.raw().and_then(|raw| raw.boolean()) {
            Some(iso) => iso,
            None => {
                let kind = kind_name(&iso);
                let message = format!("iso8601 must evaluate to a bool, found {kind}");
                return Err(coded(40521, message));
            }
        }
    };
    if date.is_nullish() {
        return null();
    }
    let local = zone.to_local(coerce(&date)?);
    let mut fields = Fields::default();
    let first: [(&[u8], i64); 3] = if iso {
        let (year, week) = civil::iso_week(local.days);
        [
            (b"isoWeekYear", year),
            (b"isoWeek", week),
            (b"isoDayOfWeek", civil::iso_weekday(local.days)),
        ]
    } else {
        let (year, month, day) = local.year_month_day();
        [(b"year", year), (b"month", month), (b"day", day)]
    };
    let rest: [(&[u8], i64); 4] = [
        (b"hour", local.hour()),
        (b"minute", local.minute()),
        (b"second", local.second()),
        (b"millisecond", local.millisecond()),
    ];
    for (name, part) in first.into_iter().chain(rest) {
        fields.append(name, &small(part))?;
    }
    Ok(Some(fields.finish()))
}

/// Where the operands of `$dateFromParts` stand.
const FROM_PARTS: Named = Named {
    operator: "$dateFromParts",
    names: &[
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "millisecond",
        "isoWeekYear",
        "isoWeek",
        "isoDayOfWeek",
        "timezone",
    ],
    required: &[],
    not_document: 40519,
    unknown: 40518,
};

fn parse_from_parts(value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    let arguments = FROM_PARTS.parse(value, parser)?;
    let has = |position: usize| !argument(&arguments, position).is_absent();
    let (year, iso_year) = (has(0), has(7));
    if !year && !iso_year {
        let message = "$dateFromParts requires either 'year' or 'isoWeekYear' to be present";
        return Err(coded(40516, message));
    }
    if year && (iso_year || has(8) || has(9)) {
        let message = "$dateFromParts does not allow mixing natural dates with ISO dates";
        return Err(coded(40489, message));
    }
    if iso_year && (has(1) || has(2)) {
        let message = "$dateFromParts does not allow mixing ISO dates with natural dates";
        return Err(coded(40525, message));
    }
    Ok(Node::Call(Call {
        name: "$dateFromParts",
        evaluate: from_parts,
        arguments,
    }))
}

/// One part; `None` where it is null. Most are 16-bit numbers.
fn part_of<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    position: usize,
    default: i64,
    is_bounded: bool,
) -> Result<Option<i64>> {
    let node = argument(arguments, position);
    if node.is_absent() {
        return Ok(Some(default));
    }
    let value = node.or_null(environment)?;
    if value.is_nullish() {
        return Ok(None);
    }
    let name = FROM_PARTS.names.get(position).copied().unwrap_or_default();
    let Some(whole) = number(&value).and_then(Numeric::exact_i64) else {
        let kind = kind_name(&value);
        let message = format!("'{name}' must evaluate to an integer, found {kind}");
        return Err(coded(40515, message));
    };
    if is_bounded && i16::try_from(whole).is_err() {
        let message = format!("'{name}' must lie between -32768 and 32767, found {whole}");
        return Err(coded(31034, message));
    }
    Ok(Some(whole))
}

fn from_parts<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let mut time = [0; 4];
    for (position, place) in time.iter_mut().enumerate() {
        let is_bounded = position < 2;
        match part_of(arguments, environment, position + 3, 0, is_bounded)? {
            Some(part) => *place = part,
            None => return null(),
        }
    }
    let Some(zone) = Zone::operand(argument(arguments, 10), environment)? else {
        return null();
    };
    let is_iso = argument(arguments, 0).is_absent();
    let first = if is_iso { 7 } else { 0 };
    let mut date = [0; 3];
    for (position, place) in date.iter_mut().enumerate() {
        let default = if position == 0 { 1970 } else { 1 };
        let is_bounded = position > 0;
        match part_of(
            arguments,
            environment,
            first + position,
            default,
            is_bounded,
        )? {
            Some(part) => *place = part,
            None => return null(),
        }
    }
    let [year, second, third] = date;
    if !(0..=9999).contains(&year) {
        let (code, name) = if is_iso {
            (31095, "isoWeekYear")
        } else {
            (40523, "year")
        };
        let message = format!("'{name}' must be in the range 0 to 9999, found {year}");
        return Err(coded(code, message));
    }
    let days = if is_iso {
        civil::from_iso_week(year, second, third)
    } else {
        civil::to_days(year, second, third)
    };
    let [hour, minute, second, millisecond] = time;
    let seconds = (days * 86_400 + hour * 3600 + minute * 60)
        .checked_add(second)
        .and_then(|seconds| seconds.checked_add(millisecond.div_euclid(1000)))
        .ok_or_else(|| coded(159, "a date is out of range"))?;
    let utc = zone.to_utc(seconds);
    Ok(Some(Value::date(checked_date(
        utc,
        millisecond.rem_euclid(1000),
    )?)))
}
