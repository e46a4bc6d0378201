//! Functions of angles and to angles, and their hyperbolic kin.

use super::arguments::{coded, kind_name, null, number, numeric_operand, pair};
use super::environment::Environment;
use super::math::{NOT_A_NUMBER, function};
use super::node::Node;
use super::operators::{Entry, call};
use super::value::Value;
use crate::error::Result;
use crate::values::{Decimal, Numeric};

/// Where a function is defined.
#[derive(Clone, Copy)]
enum Range {
    Finite,
    FromMinusOneToOne,
    FromOneUp,
}

/// The code for what lies outside of it.
const OUT_OF_RANGE: i32 = 50989;

pub(super) fn find(name: &str) -> Option<Entry> {
    use Range::{Finite, FromMinusOneToOne, FromOneUp};
    Some(match name {
        "$sin" => call("$sin", 1, 1, |a, e| {
            bounded(a, e, "$sin", Finite, f64::sin, Decimal::sin)
        }),
        "$cos" => call("$cos", 1, 1, |a, e| {
            bounded(a, e, "$cos", Finite, f64::cos, Decimal::cos)
        }),
        "$tan" => call("$tan", 1, 1, |a, e| {
            bounded(a, e, "$tan", Finite, f64::tan, Decimal::tan)
        }),
        "$asin" => call("$asin", 1, 1, |a, e| {
            bounded(a, e, "$asin", FromMinusOneToOne, f64::asin, Decimal::asin)
        }),
        "$acos" => call("$acos", 1, 1, |a, e| {
            bounded(a, e, "$acos", FromMinusOneToOne, f64::acos, Decimal::acos)
        }),
        "$atan" => call("$atan", 1, 1, |a, e| {
            function(a, e, "$atan", f64::atan, Decimal::atan)
        }),
        "$atan2" => call("$atan2", 2, 2, atan2),
        "$sinh" => call("$sinh", 1, 1, |a, e| {
            function(a, e, "$sinh", f64::sinh, Decimal::sinh)
        }),
        "$cosh" => call("$cosh", 1, 1, |a, e| {
            function(a, e, "$cosh", f64::cosh, Decimal::cosh)
        }),
        "$tanh" => call("$tanh", 1, 1, |a, e| {
            function(a, e, "$tanh", f64::tanh, Decimal::tanh)
        }),
        "$asinh" => call("$asinh", 1, 1, |a, e| {
            function(a, e, "$asinh", f64::asinh, Decimal::asinh)
        }),
        "$acosh" => call("$acosh", 1, 1, |a, e| {
            bounded(a, e, "$acosh", FromOneUp, f64::acosh, Decimal::acosh)
        }),
        "$atanh" => call("$atanh", 1, 1, |a, e| {
            bounded(
                a,
                e,
                "$atanh",
                FromMinusOneToOne,
                f64::atanh,
                Decimal::atanh,
            )
        }),
        "$degreesToRadians" => call("$degreesToRadians", 1, 1, |a, e| {
            // The constants in 34 digits, the product rounded once more, as MongoDB has it.
            let decimal = |x: Decimal| {
                x.multiply(Decimal::Finite {
                    negative: false,
                    coefficient: 1_745_329_251_994_329_576_923_690_768_488_613,
                    exponent: -35,
                })
            };
            let double = |x: f64| x * (std::f64::consts::PI / 180.0);
            function(a, e, "$degreesToRadians", double, decimal)
        }),
        "$radiansToDegrees" => call("$radiansToDegrees", 1, 1, |a, e| {
            let decimal = |x: Decimal| {
                x.multiply(Decimal::Finite {
                    negative: false,
                    coefficient: 5_729_577_951_308_232_087_679_815_481_410_517,
                    exponent: -32,
                })
            };
            let double = |x: f64| x * (180.0 / std::f64::consts::PI);
            function(a, e, "$radiansToDegrees", double, decimal)
        }),
        _ => return None,
    })
}

fn bounded<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    range: Range,
    of_double: fn(f64) -> f64,
    of_decimal: fn(Decimal) -> Decimal,
) -> Result<Option<Value<'a>>> {
    let Some(number) = numeric_operand(arguments, environment, operator, NOT_A_NUMBER)? else {
        return null();
    };
    let one = Decimal::from_i64(1);
    let is_in_range = match number {
        Numeric::Decimal(x) if x.is_nan() => true,
        Numeric::Decimal(x) => match range {
            Range::Finite => !x.is_infinite(),
            Range::FromMinusOneToOne => x.abs().compare(one).is_le(),
            Range::FromOneUp => x.compare(one).is_ge(),
        },
        other => {
            let x = other.to_f64();
            x.is_nan()
                || match range {
                    Range::Finite => x.is_finite(),
                    Range::FromMinusOneToOne => x.abs() <= 1.0,
                    Range::FromOneUp => x >= 1.0,
                }
        }
    };
    if !is_in_range {
        let expected = match range {
            Range::Finite => "a finite number",
            Range::FromMinusOneToOne => "from -1 to 1",
            Range::FromOneUp => "at least 1",
        };
        let message = format!("{operator}'s argument must be {expected}");
        return Err(coded(OUT_OF_RANGE, message));
    }
    Ok(Some(match number {
        Numeric::Decimal(x) if x.is_nan() => Value::decimal(x),
        Numeric::Decimal(x) => Value::decimal(of_decimal(x)),
        other => Value::double(of_double(other.to_f64())),
    }))
}

fn atan2<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let (y, x) = pair(arguments, environment)?;
    if y.is_nullish() || x.is_nullish() {
        return null();
    }
    let Some(height) = number(&y) else {
        let message = format!("$atan2 only supports numeric types, not {}", kind_name(&y));
        return Err(coded(51044, message));
    };
    let Some(width) = number(&x) else {
        let message = format!("$atan2 only supports numeric types, not {}", kind_name(&x));
        return Err(coded(51045, message));
    };
    Ok(Some(match (height, width) {
        (Numeric::Decimal(_), _) | (_, Numeric::Decimal(_)) => {
            Value::decimal(height.to_decimal().atan2(width.to_decimal()))
        }
        _ => Value::double(height.to_f64().atan2(width.to_f64())),
    }))
}
