//! Other values as text: what `$toString` and the string operators make of them.

use super::arguments::{coded, kind_name, text};
use super::dates::civil;
use super::value::Value;
use crate::error::Result;
use crate::values::{Kind, Numeric};
use std::borrow::Cow;

/// A value for operators that take anything that has a text: null and no value
/// are empty.
///
/// # Errors
/// It has none (code 16007).
pub(super) fn coerce<'v>(value: &'v Value<'_>) -> Result<Cow<'v, str>> {
    if let Some(text) = text(value) {
        return Ok(Cow::Borrowed(text));
    }
    let raw = value.scalar_raw();
    Ok(match raw.kind() {
        _ if value.is_nullish() && value.kind() != Kind::Array => Cow::Borrowed(""),
        Kind::Symbol | Kind::Code => {
            let bytes = raw.text().unwrap_or_default();
            Cow::Owned(String::from_utf8_lossy(bytes).into_owned())
        }
        Kind::DateTime => Cow::Owned(of_date(raw.date_ms().unwrap_or_default())),
        Kind::Timestamp => Cow::Owned(of_timestamp(raw.timestamp().unwrap_or_default())),
        _ => match Numeric::of(raw) {
            Some(number) if value.kind() != Kind::Array => Cow::Owned(of_number(number)),
            _ => {
                let message = format!(
                    "can't convert from BSON type {} to String",
                    kind_name(value)
                );
                return Err(coded(16007, message));
            }
        },
    })
}

/// A number as text.
pub(super) fn of_number(number: Numeric) -> String {
    match number {
        Numeric::Int32(number) => number.to_string(),
        Numeric::Int64(number) => number.to_string(),
        Numeric::Double(number) => of_double(number),
        Numeric::Decimal(number) => number.to_string(),
    }
}

/// The shortest text that is this double again; scientific below 1e-4 and from
/// 1e16 on.
pub(super) fn of_double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number < 0.0 {
            "-Infinity"
        } else {
            "Infinity"
        }
        .to_owned();
    }
    if number == 0.0 {
        return if number.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&power) {
        return number.to_string();
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", power.unsigned_abs())
}

/// A date as `2020-01-02T03:04:05.678Z`.
pub(super) fn of_date(milliseconds: i64) -> String {
    let (days, rest) = civil::split(milliseconds);
    let (year, month, day) = civil::from_days(days);
    let seconds = rest / 1000;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        rest % 1000
    )
}

/// A timestamp as MongoDB shows it: month, day and time, then the ordinal in
/// hexadecimal.
fn of_timestamp(timestamp: u64) -> String {
    let seconds = i64::try_from(timestamp >> 32).unwrap_or_default();
    let (days, rest) = civil::split(seconds * 1000);
    let (_, month, day) = civil::from_days(days);
    let name = civil::MONTHS
        .get(usize::try_from(month - 1).unwrap_or_default())
        .map_or("", |name| name.get(..3).unwrap_or_default());
    let time = rest / 1000;
    format!(
        "{name} {day:2} {:02}:{:02}:{:02}:{:x}",
        time / 3600,
        time / 60 % 60,
        time % 60,
        timestamp & 0xFFFF_FFFF
    )
}
