//! `$dateToString`.

use super::zone::{Local, Zone};
use super::{civil, coerce, parts};
use crate::error::Result;
use crate::expression::arguments::{Named, coded, kind_name, null, text};
use crate::expression::environment::Environment;
use crate::expression::limits;
use crate::expression::node::{Call, Node, argument};
use crate::expression::operators::Entry;
use crate::expression::value::Value;

/// What may follow a `%` besides another one.
const SPECIFIERS: &[u8] = b"bBdGHjLmMSwuUVYzZ";

pub(super) fn find(name: &str) -> Option<Entry> {
    match name {
        "$dateToString" => Some(Entry::Special(|value, parser| {
            Ok(Node::Call(Call {
                name: "$dateToString",
                evaluate: to_string,
                arguments: TO_STRING.parse(value, parser)?,
            }))
        })),
        _ => None,
    }
}

const TO_STRING: Named = Named {
    operator: "$dateToString",
    names: &["date", "format", "timezone", "onNull"],
    required: &[18628],
    not_document: 18629,
    unknown: 18534,
};

/// Checks that each `%` is followed by what is known.
pub(super) fn validate(format: &str, specifiers: &[u8]) -> Result<()> {
    let mut bytes = format.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            continue;
        }
        match bytes.next() {
            None => return Err(coded(18535, "unmatched '%' at the end of a format string")),
            Some(b'%') => {}
            Some(letter) if specifiers.contains(&letter) => {}
            Some(letter) => {
                let letter = char::from(letter);
                let message = format!("invalid format character '%{letter}' in a format string");
                return Err(coded(18536, message));
            }
        }
    }
    Ok(())
}

fn to_string<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let date = argument(arguments, 0).or_null(environment)?;
    let format = argument(arguments, 1);
    let mut wanted = None;
    if !format.is_absent() {
        let value = format.or_null(environment)?;
        if !value.is_nullish() {
            let Some(format) = text(&value) else {
                let kind = kind_name(&value);
                let message =
                    format!("$dateToString requires that 'format' be a string, found: {kind}");
                return Err(coded(18533, message));
            };
            validate(format, SPECIFIERS)?;
            wanted = Some(format.to_owned());
        }
    }
    let zone = Zone::operand(argument(arguments, 2), environment)?;
    if date.is_nullish() {
        let on_null = argument(arguments, 3);
        return if on_null.is_absent() {
            null()
        } else {
            on_null.evaluate(environment)
        };
    }
    let Some(zone) = zone else { return null() };
    let format = match (&wanted, format.is_absent()) {
        (Some(format), _) => format.as_str(),
        (None, true) if zone.is_utc() => "%Y-%m-%dT%H:%M:%S.%LZ",
        (None, true) => "%Y-%m-%dT%H:%M:%S.%L",
        (None, false) => return null(),
    };
    let out = write(format, &zone.to_local(coerce(&date)?))?;
    Ok(Some(Value::text(&out)))
}

fn year_in_range(year: i64) -> Result<i64> {
    if (0..=9999).contains(&year) {
        return Ok(year);
    }
    Err(coded(
        18537,
        format!("$dateToString is only defined on year 0-9999, tried to use year {year}"),
    ))
}

fn write(format: &str, local: &Local) -> Result<String> {
    use std::fmt::Write;
    let mut out = String::with_capacity(format.len() + 16);
    let (year, month, day) = local.year_month_day();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        limits::document_len(out.len())?;
        if character != '%' {
            out.push(character);
            continue;
        }
        let month_name = || {
            let position = usize::try_from(month - 1).unwrap_or_default();
            civil::MONTHS.get(position).copied().unwrap_or_default()
        };
        let written = match characters.next() {
            Some('b') => write!(out, "{}", month_name().get(..3).unwrap_or_default()),
            Some('B') => write!(out, "{}", month_name()),
            Some('d') => write!(out, "{day:02}"),
            Some('G') => write!(out, "{:04}", year_in_range(civil::iso_week(local.days).0)?),
            Some('H') => write!(out, "{:02}", local.hour()),
            Some('j') => write!(out, "{:03}", civil::day_of_year(local.days)),
            Some('L') => write!(out, "{:03}", local.millisecond()),
            Some('m') => write!(out, "{month:02}"),
            Some('M') => write!(out, "{:02}", local.minute()),
            Some('S') => write!(out, "{:02}", local.second()),
            Some('w') => write!(out, "{}", parts::day_of_week(local.days)),
            Some('u') => write!(out, "{}", civil::iso_weekday(local.days)),
            Some('U') => write!(out, "{:02}", parts::week(local.days)),
            Some('V') => write!(out, "{:02}", civil::iso_week(local.days).1),
            Some('Y') => write!(out, "{:04}", year_in_range(year)?),
            Some('z') => {
                let (sign, minutes) = offset_parts(local.offset);
                write!(out, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
            }
            Some('Z') => write!(out, "{}", local.offset / 60),
            Some(other) => write!(out, "{other}"),
            None => Ok(()),
        };
        // Writing to a string does not fail.
        let _ = written;
    }
    Ok(out)
}

fn offset_parts(seconds: i64) -> (char, i64) {
    let sign = if seconds < 0 { '-' } else { '+' };
    (sign, seconds.abs() / 60)
}
