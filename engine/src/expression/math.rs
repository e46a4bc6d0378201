//! Functions of a number: rounding, powers, roots, logarithms.

use super::arguments::{coded, kind_name, null, number, number_value, numeric_operand, pair};
use super::environment::Environment;
use super::node::{Node, argument};
use super::operators::{Entry, call};
use super::value::Value;
use crate::error::Result;
use crate::values::{Decimal, Numeric, Rounding};

/// The code of functions that take one number, for what is none.
pub(super) const NOT_A_NUMBER: i32 = 28765;

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$abs" => call("$abs", 1, 1, abs),
        "$ceil" => call("$ceil", 1, 1, |a, e| {
            to_integer(a, e, "$ceil", f64::ceil, Rounding::Up)
        }),
        "$floor" => call("$floor", 1, 1, |a, e| {
            to_integer(a, e, "$floor", f64::floor, Rounding::Down)
        }),
        "$round" => call("$round", 1, 2, |a, e| {
            round(a, e, "$round", Rounding::HalfEven)
        }),
        "$trunc" => call("$trunc", 1, 2, |a, e| {
            round(a, e, "$trunc", Rounding::TowardZero)
        }),
        "$sqrt" => call("$sqrt", 1, 1, square_root),
        "$exp" => call("$exp", 1, 1, |a, e| {
            function(a, e, "$exp", f64::exp, Decimal::exp)
        }),
        "$ln" => call("$ln", 1, 1, |a, e| {
            logarithm(a, e, "$ln", 28766, f64::ln, Decimal::ln)
        }),
        "$log10" => call("$log10", 1, 1, |a, e| {
            let decimal = |x: Decimal| x.log(Decimal::from_i64(10));
            logarithm(a, e, "$log10", 28761, f64::log10, decimal)
        }),
        "$log" => call("$log", 2, 2, log),
        "$pow" => call("$pow", 2, 2, pow),
        "$sigmoid" => call("$sigmoid", 1, 1, sigmoid),
        _ => return None,
    })
}

/// A function of a double or a decimal.
pub(super) fn function<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    of_double: fn(f64) -> f64,
    of_decimal: fn(Decimal) -> Decimal,
) -> Result<Option<Value<'a>>> {
    Ok(Some(
        match numeric_operand(arguments, environment, operator, NOT_A_NUMBER)? {
            None => Value::null(),
            Some(Numeric::Decimal(number)) => Value::decimal(of_decimal(number)),
            Some(number) => Value::double(of_double(number.to_f64())),
        },
    ))
}

fn abs<'a>(arguments: &'a [Node], environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    Ok(Some(
        match numeric_operand(arguments, environment, "$abs", NOT_A_NUMBER)? {
            None => Value::null(),
            Some(Numeric::Double(number)) => Value::double(number.abs()),
            Some(Numeric::Decimal(number)) => Value::decimal(number.abs()),
            Some(Numeric::Int32(number)) => Value::integer(i64::from(number).abs()),
            Some(Numeric::Int64(number)) => match number.checked_abs() {
                Some(number) => Value::int64(number),
                None => return Err(coded(28680, "can't take $abs of long long min")),
            },
        },
    ))
}

fn to_integer<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    of_double: fn(f64) -> f64,
    rounding: Rounding,
) -> Result<Option<Value<'a>>> {
    Ok(Some(
        match numeric_operand(arguments, environment, operator, NOT_A_NUMBER)? {
            None => Value::null(),
            Some(Numeric::Double(number)) => Value::double(of_double(number)),
            Some(Numeric::Decimal(number)) => Value::decimal(number.quantize(0, rounding)),
            Some(whole) => number_value(whole),
        },
    ))
}

/// To a number of places after the point, or before it where that is negative.
fn round<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    rounding: Rounding,
) -> Result<Option<Value<'a>>> {
    const PLACES: std::ops::RangeInclusive<i32> = -20..=100;
    let Some(number) = numeric_operand(arguments, environment, operator, 51081)? else {
        return null();
    };
    let mut places = 0;
    if !argument(arguments, 1).is_absent() {
        let wanted = argument(arguments, 1).or_null(environment)?;
        if wanted.is_nullish() {
            return null();
        }
        let Some(wanted) = super::arguments::number(&wanted) else {
            let message = format!(
                "precision argument to {operator} must be a number, found {}",
                kind_name(&wanted)
            );
            return Err(coded(16004, message));
        };
        let Some(exact) = wanted.exact_i32() else {
            let message = format!("precision argument to {operator} must be an integral value");
            return Err(coded(51082, message));
        };
        if !PLACES.contains(&exact) {
            let message = format!(
                "cannot apply {operator} with precision value {exact}, it must be in [-20, 100]"
            );
            return Err(coded(51083, message));
        }
        places = exact;
    }
    Ok(Some(match number {
        Numeric::Decimal(decimal) if decimal.is_infinite() => Value::decimal(decimal),
        Numeric::Decimal(decimal) => Value::decimal(decimal.quantize(-places, rounding)),
        Numeric::Double(double) if double.is_infinite() => Value::double(double),
        Numeric::Double(double) => {
            let decimal = Decimal::from_f64_exact(double);
            Value::double(decimal.quantize(-places, rounding).to_f64())
        }
        whole if places >= 0 => number_value(whole),
        whole => {
            let rounded = Decimal::from_i64(whole.truncate()).quantize(-places, rounding);
            let Some(rounded) = rounded.round_to_i64(Rounding::HalfEven) else {
                let message = format!("{operator} of {} exceeds int64", whole.truncate());
                return Err(coded(51080, message));
            };
            match whole {
                Numeric::Int32(_) => Value::integer(rounded),
                _ => Value::int64(rounded),
            }
        }
    }))
}

fn square_root<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let refuse = || coded(28714, "$sqrt's argument must be greater than or equal to 0");
    Ok(Some(
        match numeric_operand(arguments, environment, "$sqrt", NOT_A_NUMBER)? {
            None => Value::null(),
            Some(Numeric::Decimal(number)) if number.is_negative() && !number.is_zero() => {
                return Err(refuse());
            }
            Some(Numeric::Decimal(number)) => Value::decimal(number.square_root()),
            Some(number) if number.to_f64() < 0.0 => return Err(refuse()),
            Some(number) => Value::double(number.to_f64().sqrt()),
        },
    ))
}

fn logarithm<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    code: i32,
    of_double: fn(f64) -> f64,
    of_decimal: fn(Decimal) -> Decimal,
) -> Result<Option<Value<'a>>> {
    let Some(number) = numeric_operand(arguments, environment, operator, NOT_A_NUMBER)? else {
        return null();
    };
    match number {
        Numeric::Decimal(decimal) if decimal.is_positive() => {
            return Ok(Some(Value::decimal(of_decimal(decimal))));
        }
        // MongoDB goes on with a double here, whose logarithm is NaN.
        Numeric::Decimal(decimal) if decimal.is_nan() => {
            return Ok(Some(Value::double(f64::NAN)));
        }
        _ => {}
    }
    let double = number.to_f64();
    if double > 0.0 || double.is_nan() {
        return Ok(Some(Value::double(of_double(double))));
    }
    Err(coded(
        code,
        format!("{operator}'s argument must be a positive number"),
    ))
}

fn log<'a>(arguments: &'a [Node], environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    let (of, base) = pair(arguments, environment)?;
    if of.is_nullish() || base.is_nullish() {
        return null();
    }
    let Some(of) = number(&of) else {
        let message = format!("$log's argument must be numeric, not {}", kind_name(&of));
        return Err(coded(28756, message));
    };
    let Some(base) = number(&base) else {
        let message = format!("$log's base must be numeric, not {}", kind_name(&base));
        return Err(coded(28757, message));
    };
    if let (Numeric::Decimal(_), _) | (_, Numeric::Decimal(_)) = (of, base) {
        let (of, base) = (of.to_decimal(), base.to_decimal());
        let one = Decimal::from_i64(1);
        if of.is_positive() && base.is_positive() && !base.compare(one).is_eq() {
            return Ok(Some(Value::decimal(of.log(base))));
        }
    }
    let (of, base) = (of.to_f64(), base.to_f64());
    if !(of > 0.0 || of.is_nan()) {
        return Err(coded(28758, "$log's argument must be a positive number"));
    }
    if !((base > 0.0 && (base - 1.0).abs() > 0.0) || base.is_nan()) {
        return Err(coded(
            28759,
            "$log's base must be a positive number not equal to 1",
        ));
    }
    Ok(Some(Value::double(of.ln() / base.ln())))
}

fn pow<'a>(arguments: &'a [Node], environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    let (base, exponent) = pair(arguments, environment)?;
    if base.is_nullish() || exponent.is_nullish() {
        return null();
    }
    let Some(base) = number(&base) else {
        let message = format!("$pow's base must be numeric, not {}", kind_name(&base));
        return Err(coded(28762, message));
    };
    let Some(exponent) = number(&exponent) else {
        let message = format!(
            "$pow's exponent must be numeric, not {}",
            kind_name(&exponent)
        );
        return Err(coded(28763, message));
    };
    let refuse = || {
        coded(
            28764,
            "$pow cannot take a base of 0 and a negative exponent",
        )
    };
    if let (Numeric::Decimal(_), _) | (_, Numeric::Decimal(_)) = (base, exponent) {
        let (base, exponent) = (base.to_decimal(), exponent.to_decimal());
        if base.is_zero() && exponent.is_negative() {
            return Err(refuse());
        }
        return Ok(Some(Value::decimal(base.power(exponent))));
    }
    let (double, power) = (base.to_f64(), exponent.to_f64());
    if double == 0.0 && power < 0.0 {
        return Err(refuse());
    }
    if let (Numeric::Double(_), _) | (_, Numeric::Double(_)) = (base, exponent) {
        return Ok(Some(Value::double(double.powf(power))));
    }
    let is_long = matches!(base, Numeric::Int64(_)) || matches!(exponent, Numeric::Int64(_));
    let whole = match (base.truncate(), exponent.truncate()) {
        (1, _) => Some(1),
        (-1, power) => Some(if power % 2 == 0 { 1 } else { -1 }),
        (base, power) => u32::try_from(power)
            .ok()
            .filter(|power| *power <= 63 || base == 0)
            .and_then(|power| base.checked_pow(power)),
    };
    Ok(Some(match whole {
        Some(whole) if is_long => Value::int64(whole),
        Some(whole) => Value::integer(whole),
        None => Value::double(double.powf(power)),
    }))
}

/// `1 / (1 + e^-x)`.
fn sigmoid<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let of_decimal = |x: Decimal| {
        let one = Decimal::from_i64(1);
        one.divide(one.add(x.negate().exp()))
    };
    let of_double = |x: f64| 1.0 / (1.0 + (-x).exp());
    function(arguments, environment, "$sigmoid", of_double, of_decimal)
}
