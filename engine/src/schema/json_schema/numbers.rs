//! `multipleOf`: exact, in decimals of any exponent.

use crate::values::{Decimal, RawValue};

/// The number as MongoDB takes it for this: a double by its first 15 digits.
pub(super) fn decimal(value: RawValue<'_>) -> Option<Decimal> {
    if let Some(integer) = value.integer() {
        return Some(Decimal::from_i64(integer));
    }
    if let Some(double) = value.double() {
        return Some(Decimal::from_f64(double));
    }
    value.decimal()
}

/// Whether `number` is a whole multiple of `unit`.
pub(super) fn is_multiple(number: Decimal, unit: Decimal) -> bool {
    let (
        Decimal::Finite {
            coefficient: mut number,
            exponent,
            ..
        },
        Decimal::Finite {
            coefficient: unit,
            exponent: unit_exponent,
            ..
        },
    ) = (number, unit)
    else {
        return false;
    };
    if unit == 0 {
        return false;
    }
    if number == 0 {
        return true;
    }
    if exponent >= unit_exponent {
        // Both in units of the smaller power of ten; the product never exceeds
        // ten times a coefficient of 34 digits.
        number %= unit;
        for _ in unit_exponent..exponent {
            if number == 0 {
                break;
            }
            number = number * 10 % unit;
        }
        return number == 0;
    }
    // A coefficient holds no more than 34 factors of ten.
    for _ in exponent..unit_exponent {
        if number % 10 != 0 {
            return false;
        }
        number /= 10;
    }
    number % unit == 0
}
