//! `$dateAdd $dateSubtract $dateDiff $dateTrunc`.
//!
//! Units of a day and more are those of the calendar in the zone: the clock
//! shows the same time after a day, whatever was done to it. Hours and less
//! are lengths of time.

use super::civil::{self, DAY_MS};
use super::zone::{Local, Zone};
use super::{checked_date, date_of};
use crate::error::Result;
use crate::expression::arguments::{Named, coded, kind_name, null, number, text};
use crate::expression::environment::Environment;
use crate::expression::node::{Call, Node, argument};
use crate::expression::operators::Entry;
use crate::expression::value::Value;
use crate::values::Numeric;

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$dateAdd" => Entry::Special(|value, parser| {
            Ok(Node::Call(Call {
                name: "$dateAdd",
                evaluate: |a, e| move_by(a, e, "$dateAdd", false),
                arguments: operands("$dateAdd").parse(value, parser)?,
            }))
        }),
        "$dateSubtract" => Entry::Special(|value, parser| {
            Ok(Node::Call(Call {
                name: "$dateSubtract",
                evaluate: |a, e| move_by(a, e, "$dateSubtract", true),
                arguments: operands("$dateSubtract").parse(value, parser)?,
            }))
        }),
        "$dateDiff" => Entry::Special(|value, parser| {
            Ok(Node::Call(Call {
                name: "$dateDiff",
                evaluate: difference,
                arguments: DIFFERENCE.parse(value, parser)?,
            }))
        }),
        "$dateTrunc" => Entry::Special(|value, parser| {
            Ok(Node::Call(Call {
                name: "$dateTrunc",
                evaluate: truncate,
                arguments: TRUNCATE.parse(value, parser)?,
            }))
        }),
        _ => return None,
    })
}

const fn operands(operator: &'static str) -> Named {
    Named {
        operator,
        names: &["startDate", "unit", "amount", "timezone"],
        required: &[5_166_402, 5_166_402, 5_166_402],
        not_document: 5_166_400,
        unknown: 5_166_401,
    }
}

const DIFFERENCE: Named = Named {
    operator: "$dateDiff",
    names: &["startDate", "endDate", "unit", "timezone", "startOfWeek"],
    required: &[5_166_303, 5_166_304, 5_166_305],
    not_document: 5_166_301,
    unknown: 5_166_302,
};

const TRUNCATE: Named = Named {
    operator: "$dateTrunc",
    names: &["date", "unit", "binSize", "timezone", "startOfWeek"],
    required: &[5_439_009, 5_439_010],
    not_document: 5_439_007,
    unknown: 5_439_008,
};

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

impl Unit {
    fn of(value: &Value<'_>, operator: &str) -> Result<Self> {
        let Some(name) = text(value) else {
            let kind = kind_name(value);
            let message = format!("{operator} requires 'unit' to be a string, found {kind}");
            return Err(coded(5_439_013, message));
        };
        Ok(match name {
            "year" => Self::Year,
            "quarter" => Self::Quarter,
            "month" => Self::Month,
            "week" => Self::Week,
            "day" => Self::Day,
            "hour" => Self::Hour,
            "minute" => Self::Minute,
            "second" => Self::Second,
            "millisecond" => Self::Millisecond,
            other => return Err(coded(9, format!("unknown time unit value: {other}"))),
        })
    }

    /// Its length, where that is the same everywhere.
    fn milliseconds(self) -> Option<i64> {
        Some(match self {
            Self::Hour => 3_600_000,
            Self::Minute => 60_000,
            Self::Second => 1000,
            Self::Millisecond => 1,
            _ => return None,
        })
    }

    /// What an amount may be at most so that it is near a date of BSON.
    fn max_amount(self) -> i64 {
        const DAYS: i64 = 213_503_982_335;
        const YEARS: i64 = DAYS / 365 + 1;
        match self {
            Self::Year => YEARS,
            Self::Quarter => YEARS * 4,
            Self::Month => YEARS * 12,
            Self::Week => DAYS / 7,
            Self::Day => DAYS,
            Self::Hour => DAYS * 24,
            Self::Minute => DAYS * 24 * 60,
            Self::Second => DAYS * 24 * 3600,
            Self::Millisecond => i64::MAX,
        }
    }
}

fn add(date: i64, unit: Unit, amount: i64, zone: &Zone) -> Result<i64> {
    let overflow = || coded(5_166_406, "the sum of a date and an amount is out of range");
    if unit == Unit::Millisecond {
        return date
            .checked_add(amount)
            .ok_or_else(|| coded(159, "the sum of a date and an amount is out of range"));
    }
    let max = unit.max_amount();
    if amount <= -max || amount >= max {
        return Err(coded(
            5_976_500,
            format!("an amount of {amount} in {unit:?} is out of range"),
        ));
    }
    if let Some(length) = unit.milliseconds() {
        return amount
            .checked_mul(length)
            .and_then(|amount| date.checked_add(amount))
            .ok_or_else(overflow);
    }
    let local = zone.to_local(date);
    let months = match unit {
        Unit::Year => Some(amount * 12),
        Unit::Quarter => Some(amount * 3),
        Unit::Month => Some(amount),
        _ => None,
    };
    let days = match months {
        Some(months) => {
            let (year, month, day) = local.year_month_day();
            // The last day of a month where it has no such day.
            let month = month + months;
            civil::to_days(year, month, day.min(civil::days_in_month(year, month)))
        }
        None if unit == Unit::Week => local.days + amount * 7,
        None => local.days + amount,
    };
    let seconds = days
        .checked_mul(DAY_MS / 1000)
        .and_then(|seconds| seconds.checked_add(local.rest_ms / 1000))
        .ok_or_else(overflow)?;
    checked_date(zone.to_utc(seconds), local.rest_ms % 1000).map_err(|_| overflow())
}

fn move_by<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    back: bool,
) -> Result<Option<Value<'a>>> {
    let start = argument(arguments, 0).or_null(environment)?;
    let unit = argument(arguments, 1);
    let zone = argument(arguments, 3);
    if start.is_nullish() {
        return null();
    }
    let unit = unit.or_null(environment)?;
    if unit.is_nullish() {
        return null();
    }
    let unit = Unit::of(&unit, operator)?;
    let amount = argument(arguments, 2).or_null(environment)?;
    if amount.is_nullish() {
        return null();
    }
    let Some(zone) = Zone::operand(zone, environment)? else {
        return null();
    };
    let Some(date) = date_of(&start) else {
        let kind = kind_name(&start);
        let message = format!("{operator} requires startDate to be convertible to a date: {kind}");
        return Err(coded(5_166_403, message));
    };
    let Some(amount) = number(&amount).and_then(Numeric::exact_i64) else {
        let kind = kind_name(&amount);
        let message = format!("{operator} expects integer amount of time units, found {kind}");
        return Err(coded(5_166_405, message));
    };
    let amount = if back {
        amount
            .checked_neg()
            .ok_or_else(|| coded(6_045_000, format!("{operator} cannot negate {amount}")))?
    } else {
        amount
    };
    Ok(Some(Value::date(add(date, unit, amount, &zone)?)))
}

/// Looks at a constant unit, size or begin of weeks: an error where it makes no
/// sense; whether one is null.
pub(super) fn check_constants<'a>(
    call: &'a Call,
    environment: &mut Environment<'a>,
) -> Result<bool> {
    let operator = call.name;
    let (unit, size, week) = match operator {
        "$dateAdd" | "$dateSubtract" => (1, None, None),
        "$dateDiff" => (2, None, Some(4)),
        "$dateTrunc" => (1, Some(2), Some(4)),
        _ => return Ok(false),
    };
    let mut is_null = false;
    let unit = argument(&call.arguments, unit);
    let mut may_be_week = !unit.is_constant();
    if unit.is_constant() {
        let unit = unit.or_null(environment)?;
        if unit.is_nullish() {
            is_null = true;
        } else {
            may_be_week = Unit::of(&unit, operator)? == Unit::Week;
        }
    }
    if let Some(size) = size.map(|size| argument(&call.arguments, size))
        && size.is_constant()
    {
        is_null |= bin_size(size, environment)?.is_none();
    }
    if let Some(week) = week.map(|week| argument(&call.arguments, week))
        && week.is_constant()
        && may_be_week
    {
        is_null |= start_of_week(week, environment, operator)?.is_none();
    }
    Ok(is_null)
}

/// The size of a bin; `None` where it is null.
fn bin_size<'a>(node: &'a Node, environment: &mut Environment<'a>) -> Result<Option<i64>> {
    if node.is_absent() {
        return Ok(Some(1));
    }
    let value = node.or_null(environment)?;
    if value.is_nullish() {
        return Ok(None);
    }
    let Some(size) = number(&value).and_then(Numeric::exact_i64) else {
        let kind = kind_name(&value);
        let message = format!("$dateTrunc requires 'binSize' to be an integer, found {kind}");
        return Err(coded(5_439_017, message));
    };
    if size <= 0 {
        let message = format!("$dateTrunc requires 'binSize' to be above 0, found {size}");
        return Err(coded(5_439_018, message));
    }
    Ok(Some(size))
}

/// The day on which weeks begin, from 1 for Monday; `None` where it is null.
fn start_of_week<'a>(
    node: &'a Node,
    environment: &mut Environment<'a>,
    operator: &str,
) -> Result<Option<i64>> {
    const DAYS: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    if node.is_absent() {
        return Ok(Some(7));
    }
    let value = node.or_null(environment)?;
    if value.is_nullish() {
        return Ok(None);
    }
    let Some(name) = text(&value) else {
        let kind = kind_name(&value);
        let message = format!("{operator} requires 'startOfWeek' to be a string, found {kind}");
        return Err(coded(5_439_015, message));
    };
    let lower = name.to_ascii_lowercase();
    let is_it = |day: &&str| **day == *lower || day.get(..3) == Some(&lower);
    match (1..).zip(DAYS).find(|(_, day)| is_it(day)) {
        Some((day, _)) => Ok(Some(day)),
        None => Err(coded(
            5_439_016,
            format!("{operator} parameter 'startOfWeek' value cannot be recognized: {name}"),
        )),
    }
}

fn month_index(local: &Local) -> i64 {
    let (year, month, _) = local.year_month_day();
    year * 12 + month - 1
}

/// How many days a day comes after the begin of its week.
fn day_in_week(days: i64, start: i64) -> i64 {
    (civil::iso_weekday(days) - start).rem_euclid(7)
}

fn units_between(start: &Local, end: &Local, unit: Unit, week_start: i64) -> i64 {
    let days = end.days - start.days;
    let hours = || end.hour() - start.hour() + days * 24;
    let minutes = || end.minute() - start.minute() + hours() * 60;
    let seconds = || end.second() - start.second() + minutes() * 60;
    let shift = start.offset - end.offset;
    match unit {
        Unit::Year => end.year_month_day().0 - start.year_month_day().0,
        Unit::Quarter => month_index(end).div_euclid(3) - month_index(start).div_euclid(3),
        Unit::Month => month_index(end) - month_index(start),
        Unit::Week => {
            (days + day_in_week(start.days, week_start) - day_in_week(end.days, week_start)) / 7
        }
        Unit::Day => days,
        Unit::Hour => hours() + shift / 3600,
        Unit::Minute => minutes() + shift / 60,
        Unit::Second | Unit::Millisecond => seconds() + shift,
    }
}

fn difference<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    const OPERATOR: &str = "$dateDiff";
    let start = argument(arguments, 0).or_null(environment)?;
    let (unit, zone) = (argument(arguments, 2), argument(arguments, 3));
    if start.is_nullish() {
        return null();
    }
    let end = argument(arguments, 1).or_null(environment)?;
    if end.is_nullish() {
        return null();
    }
    let unit = unit.or_null(environment)?;
    if unit.is_nullish() {
        return null();
    }
    let unit = Unit::of(&unit, OPERATOR)?;
    let week_start = if unit == Unit::Week {
        match start_of_week(argument(arguments, 4), environment, OPERATOR)? {
            Some(day) => day,
            None => return null(),
        }
    } else {
        7
    };
    let Some(zone) = Zone::operand(zone, environment)? else {
        return null();
    };
    let date = |value: &Value<'_>, name: &str| {
        date_of(value).ok_or_else(|| {
            let kind = kind_name(value);
            let message = format!("$dateDiff requires '{name}' to be a date, found {kind}");
            coded(5_166_307, message)
        })
    };
    let (start, end) = (date(&start, "startDate")?, date(&end, "endDate")?);
    if unit == Unit::Millisecond {
        return match end.checked_sub(start) {
            Some(difference) => Ok(Some(Value::int64(difference))),
            None => Err(coded(
                5_166_308,
                "the difference of two dates is out of range",
            )),
        };
    }
    let between = units_between(&zone.to_local(start), &zone.to_local(end), unit, week_start);
    Ok(Some(Value::int64(between)))
}

fn truncate<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    const OPERATOR: &str = "$dateTrunc";
    let date = argument(arguments, 0).or_null(environment)?;
    let (unit, zone) = (argument(arguments, 1), argument(arguments, 3));
    if date.is_nullish() {
        return null();
    }
    let Some(size) = bin_size(argument(arguments, 2), environment)? else {
        return null();
    };
    let unit = unit.or_null(environment)?;
    if unit.is_nullish() {
        return null();
    }
    let unit = Unit::of(&unit, OPERATOR)?;
    let week_start = if unit == Unit::Week {
        match start_of_week(argument(arguments, 4), environment, OPERATOR)? {
            Some(day) => day,
            None => return null(),
        }
    } else {
        7
    };
    let Some(zone) = Zone::operand(zone, environment)? else {
        return null();
    };
    let Some(date) = date_of(&date) else {
        let kind = kind_name(&date);
        let message = format!("$dateTrunc requires 'date' to be convertible to a date: {kind}");
        return Err(coded(5_439_012, message));
    };
    Ok(Some(Value::date(floor(
        date, unit, size, &zone, week_start,
    )?)))
}

/// The begin of the bin that a date falls into; one of the bins begins with the
/// year 2000, or with the first whole week of it.
fn floor(date: i64, unit: Unit, size: i64, zone: &Zone, week_start: i64) -> Result<i64> {
    const YEAR_2000: i64 = 946_684_800;
    const MAX_BIN: i64 = 100_000_000_000;
    let overflow = |code| coded(code, "$dateTrunc overflowed");
    let mut origin = (YEAR_2000 - zone.offset_at(YEAR_2000)) * 1000;
    if let Some(length) = unit.milliseconds() {
        let size = size
            .checked_mul(length)
            .ok_or_else(|| overflow(5_439_002))?;
        let distance = date
            .checked_sub(origin)
            .ok_or_else(|| overflow(5_439_000))?;
        return date
            .checked_sub(distance.rem_euclid(size))
            .ok_or_else(|| overflow(5_439_001));
    }
    if size > MAX_BIN {
        return Err(coded(5_439_006, "$dateTrunc: 'binSize' is too large"));
    }
    let mut first = Local {
        days: YEAR_2000 * 1000 / DAY_MS,
        rest_ms: 0,
        offset: 0,
    };
    if unit == Unit::Week {
        let later = (7 - day_in_week(first.days, week_start)) % 7;
        first.days += later;
        origin += later * DAY_MS;
    }
    let distance = units_between(&first, &zone.to_local(date), unit, week_start);
    let bin = distance
        .checked_sub(distance.rem_euclid(size))
        .ok_or_else(|| overflow(5_439_004))?;
    add(origin, unit, bin, zone)
}
