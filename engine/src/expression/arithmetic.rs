//! `$add $subtract $multiply $divide $mod`: with MongoDB's rules of types.
//!
//! int32 grows to int64 and int64 to a double where it overflows; a double
//! makes the result a double, a decimal makes it a decimal. Null, or no value,
//! makes it null. Dates may be added to and subtracted from.

use super::arguments::{coded, kind_name, number, number_value, pair, pair_from_right};
use super::environment::Environment;
use super::node::Node;
use super::operators::{ANY, Entry, call};
use super::value::Value;
use crate::error::Result;
use crate::values::{Decimal, Numeric, Rounding};

/// MongoDB's `TypeMismatch`, `BadValue` and `Overflow`.
const TYPE_MISMATCH: i32 = 14;
const BAD_VALUE: i32 = 2;
const OVERFLOW: i32 = 15;

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$add" => call("$add", 0, ANY, add),
        "$multiply" => call("$multiply", 0, ANY, multiply),
        "$subtract" => call("$subtract", 2, 2, subtract),
        "$divide" => call("$divide", 2, 2, divide),
        "$mod" => call("$mod", 2, 2, modulo),
        _ => return None,
    })
}

fn mismatch(operator: &str, value: &Value<'_>) -> crate::error::Error {
    let what = kind_name(value);
    coded(
        TYPE_MISMATCH,
        format!("{operator} only supports numeric types, not {what}"),
    )
}

/// The sum of two numbers, as `$add` has it.
pub(super) fn sum(left: Numeric, right: Numeric) -> Numeric {
    match (left, right) {
        (Numeric::Decimal(_), _) | (_, Numeric::Decimal(_)) => {
            Numeric::Decimal(left.to_decimal().add(right.to_decimal()))
        }
        (Numeric::Double(_), _) | (_, Numeric::Double(_)) => {
            Numeric::Double(left.to_f64() + right.to_f64())
        }
        _ => match left.truncate().checked_add(right.truncate()) {
            Some(whole) => narrow(left, right, whole),
            None => Numeric::Double(left.to_f64() + right.to_f64()),
        },
    }
}

fn product(left: Numeric, right: Numeric) -> Numeric {
    match (left, right) {
        (Numeric::Decimal(_), _) | (_, Numeric::Decimal(_)) => {
            Numeric::Decimal(left.to_decimal().multiply(right.to_decimal()))
        }
        (Numeric::Double(_), _) | (_, Numeric::Double(_)) => {
            Numeric::Double(left.to_f64() * right.to_f64())
        }
        _ => match left.truncate().checked_mul(right.truncate()) {
            Some(whole) => narrow(left, right, whole),
            None => Numeric::Double(left.to_f64() * right.to_f64()),
        },
    }
}

/// An int32 where both were and it still fits.
fn narrow(left: Numeric, right: Numeric, whole: i64) -> Numeric {
    match (left, right, i32::try_from(whole)) {
        (Numeric::Int32(_), Numeric::Int32(_), Ok(small)) => Numeric::Int32(small),
        _ => Numeric::Int64(whole),
    }
}

/// A number that may have outgrown int32 although no int64 was among its terms:
/// it is an int32 again if it shrinks back.
struct Total {
    number: Numeric,
    has_int64: bool,
}

impl Total {
    fn new(first: i32) -> Self {
        Self {
            number: Numeric::Int32(first),
            has_int64: false,
        }
    }

    fn apply(&mut self, operation: fn(Numeric, Numeric) -> Numeric, operand: Numeric) {
        self.has_int64 |= matches!(operand, Numeric::Int64(_));
        self.number = operation(self.number, operand);
    }

    fn finish<'a>(self) -> Value<'a> {
        match self.number {
            Numeric::Int64(number) if !self.has_int64 => Value::integer(number),
            number => number_value(number),
        }
    }
}

fn add<'a>(arguments: &'a [Node], environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    let mut total = Total::new(0);
    let mut date: Option<i64> = None;
    for argument in arguments {
        let value = argument.or_null(environment)?;
        if value.is_nullish() {
            return Ok(Some(Value::null()));
        }
        if let Some(milliseconds) = value.raw().and_then(|raw| raw.date_ms()) {
            if date.is_some() {
                return Err(coded(16612, "only one date allowed in an $add expression"));
            }
            date = Some(shift(milliseconds, total.number, i64::checked_add)?);
            continue;
        }
        let Some(operand) = number(&value) else {
            return Err(mismatch("$add", &value));
        };
        match &mut date {
            Some(date) => *date = shift(*date, operand, i64::checked_add)?,
            None => total.apply(sum, operand),
        }
    }
    Ok(Some(match date {
        Some(milliseconds) => Value::date(milliseconds),
        None => total.finish(),
    }))
}

/// A date moved by a number of milliseconds, rounded to a whole one.
fn shift(date: i64, by: Numeric, operation: fn(i64, i64) -> Option<i64>) -> Result<i64> {
    let milliseconds = match by {
        Numeric::Double(by) => Numeric::Double(by.round()).exact_i64(),
        Numeric::Decimal(by) => by.round_to_i64(Rounding::HalfEven),
        whole => Some(whole.truncate()),
    };
    milliseconds
        .and_then(|milliseconds| operation(date, milliseconds))
        .ok_or_else(|| coded(OVERFLOW, "date overflow"))
}

fn multiply<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let mut total = Total::new(1);
    for argument in arguments {
        let value = argument.or_null(environment)?;
        if value.is_nullish() {
            return Ok(Some(Value::null()));
        }
        let Some(operand) = number(&value) else {
            return Err(mismatch("$multiply", &value));
        };
        total.apply(product, operand);
    }
    Ok(Some(total.finish()))
}

fn subtract<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let (left, right) = pair_from_right(arguments, environment)?;
    if let (Some(a), Some(b)) = (number(&left), number(&right)) {
        let difference = match (a, b) {
            (Numeric::Decimal(_), _) | (_, Numeric::Decimal(_)) => {
                Numeric::Decimal(a.to_decimal().subtract(b.to_decimal()))
            }
            (Numeric::Double(_), _) | (_, Numeric::Double(_)) => {
                Numeric::Double(a.to_f64() - b.to_f64())
            }
            _ => match a.truncate().checked_sub(b.truncate()) {
                Some(whole) => narrow(a, b, whole),
                None => Numeric::Double(a.to_f64() - b.to_f64()),
            },
        };
        return Ok(Some(number_value(difference)));
    }
    if left.is_nullish() || right.is_nullish() {
        return Ok(Some(Value::null()));
    }
    let date = |value: &Value<'_>| value.raw().and_then(|raw| raw.date_ms());
    match (date(&left), date(&right), number(&right)) {
        (Some(a), Some(b), _) => Ok(Some(Value::int64(a.wrapping_sub(b)))),
        (Some(date), _, Some(by)) => Ok(Some(Value::date(shift(date, by, i64::checked_sub)?))),
        _ => Err(coded(
            TYPE_MISMATCH,
            format!(
                "can't $subtract {} from {}",
                kind_name(&right),
                kind_name(&left)
            ),
        )),
    }
}

/// The number of both operands; `None` where one is null.
fn numbers(
    (left, right): (Value<'_>, Value<'_>),
    operator: &str,
    code: i32,
) -> Result<Option<(Numeric, Numeric)>> {
    if let (Some(left), Some(right)) = (number(&left), number(&right)) {
        return Ok(Some((left, right)));
    }
    if left.is_nullish() || right.is_nullish() {
        return Ok(None);
    }
    Err(coded(
        code,
        format!(
            "{operator} only supports numeric types, not {} and {}",
            kind_name(&left),
            kind_name(&right)
        ),
    ))
}

fn divide<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let operands = pair_from_right(arguments, environment)?;
    let Some((left, right)) = numbers(operands, "$divide", TYPE_MISMATCH)? else {
        return Ok(Some(Value::null()));
    };
    let by_zero = || coded(BAD_VALUE, "can't $divide by zero");
    if let (Numeric::Decimal(_), _) | (_, Numeric::Decimal(_)) = (left, right) {
        let divisor = right.to_decimal();
        if divisor.is_zero() {
            return Err(by_zero());
        }
        return Ok(Some(Value::decimal(left.to_decimal().divide(divisor))));
    }
    let divisor = right.to_f64();
    if divisor == 0.0 {
        return Err(by_zero());
    }
    Ok(Some(Value::double(left.to_f64() / divisor)))
}

fn modulo<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let operands = pair(arguments, environment)?;
    let Some((left, right)) = numbers(operands, "$mod", 16611)? else {
        return Ok(Some(Value::null()));
    };
    Ok(Some(match (left, right) {
        (Numeric::Decimal(_), _) | (_, Numeric::Decimal(_)) => {
            let divisor: Decimal = right.to_decimal();
            if divisor.is_zero() {
                return Err(coded(5_733_415, "can't $mod by zero"));
            }
            Value::decimal(left.to_decimal().remainder(divisor))
        }
        _ if right.to_f64() == 0.0 => return Err(coded(16610, "can't $mod by zero")),
        (Numeric::Double(_), _) | (_, Numeric::Double(_)) => {
            Value::double(left.to_f64() % right.to_f64())
        }
        (Numeric::Int32(left), Numeric::Int32(right)) => Value::int32(left.wrapping_rem(right)),
        _ => Value::int64(left.truncate().wrapping_rem(right.truncate())),
    }))
}
