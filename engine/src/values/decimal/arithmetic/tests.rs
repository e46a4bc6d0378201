use bson::{Bson, Decimal128};

use super::{add, from_f64, multiply, to_le_bytes};
use crate::values::{Decimal, OwnedValue};

fn decimal(text: &str) -> Decimal {
    let value: Decimal128 = text.parse().unwrap();
    let value = OwnedValue::try_from(&Bson::from(value)).unwrap();
    value.as_raw().decimal().unwrap()
}

fn text(value: Decimal) -> String {
    Decimal128::from_bytes(to_le_bytes(value)).to_string()
}

#[track_caller]
fn sum(left: &str, right: &str, expected: &str) {
    for (left, right) in [(left, right), (right, left)] {
        let found = add(decimal(left), decimal(right));
        assert_eq!(text(found), expected, "{left} + {right}");
    }
}

#[track_caller]
fn product(left: &str, right: &str, expected: &str) {
    for (left, right) in [(left, right), (right, left)] {
        let found = multiply(decimal(left), decimal(right));
        assert_eq!(text(found), expected, "{left} * {right}");
    }
}

#[test]
fn sums_keep_the_smaller_exponent() {
    sum("1.5", "2.25", "3.75");
    sum("1.50", "2.5", "4.00");
    sum("-1", "1.00", "0.00");
    sum("0.1", "0.2", "0.3");
    sum("1E+3", "1", "1001");
    sum("0E-3", "5", "5.000");
    sum("0E+3", "5", "5");
    sum("-0", "-0", "-0");
    sum("-0", "0", "0");
}

#[test]
fn sums_are_rounded_half_to_even_at_34_digits() {
    sum(
        "1000000000000000000000000000000000",
        "0.5",
        "1000000000000000000000000000000000",
    );
    sum(
        "1000000000000000000000000000000001",
        "0.5",
        "1000000000000000000000000000000002",
    );
    sum(
        "1000000000000000000000000000000000",
        "0.50000000001",
        "1000000000000000000000000000000001",
    );
    sum(
        "9999999999999999999999999999999999",
        "0.5",
        "1.000000000000000000000000000000000E+34",
    );
    sum(
        "9999999999999999999999999999999999",
        "1",
        "1.000000000000000000000000000000000E+34",
    );
}

#[test]
fn what_is_far_below_the_last_digit_only_rounds() {
    sum("1", "1E-6000", "1.000000000000000000000000000000000");
    sum("1E+6000", "-1", "1.000000000000000000000000000000000E+6000");
    sum("1E+6000", "0", "1.000000000000000000000000000000000E+6000");
    sum(
        "1E+6144",
        "1E-6176",
        "1.000000000000000000000000000000000E+6144",
    );
}

#[test]
fn products_add_the_exponents() {
    product("1.5", "2", "3.0");
    product("1.5", "-2.00", "-3.000");
    product("0", "6.0", "0.0");
    product("-5.0", "0", "-0.0");
    product(
        "9999999999999999999999999999999999",
        "9999999999999999999999999999999999",
        "9.999999999999999999999999999999998E+67",
    );
    product("1E-6000", "1E-176", "1E-6176");
    product("1E-6000", "1E-177", "0E-6176");
    product("15E-6000", "1E-177", "2E-6176");
    product("25E-6000", "1E-177", "2E-6176");
}

#[test]
fn results_out_of_range_are_infinite_or_get_zeroes() {
    product("1E+6144", "10", "Infinity");
    product("-1E+6144", "10", "-Infinity");
    product("1E+6000", "1E+120", "1.000000000E+6120");
    product("0E+6000", "1E+6000", "0E+6111");
    sum(
        "9.999999999999999999999999999999999E+6144",
        "1E+6144",
        "Infinity",
    );
}

#[test]
fn what_is_no_number_stays_none() {
    sum("NaN", "1", "NaN");
    sum("Infinity", "-Infinity", "NaN");
    sum("Infinity", "-1", "Infinity");
    product("Infinity", "0", "NaN");
    product("Infinity", "-1", "-Infinity");
    product("NaN", "0", "NaN");
}

#[test]
fn doubles_come_with_15_digits() {
    assert_eq!(text(from_f64(0.5)), "0.500000000000000");
    assert_eq!(text(from_f64(0.1)), "0.100000000000000");
    assert_eq!(text(from_f64(-10.0)), "-10.0000000000000");
    assert_eq!(text(from_f64(1e300)), "1.00000000000000E+300");
    assert_eq!(text(from_f64(0.0)), "0");
    assert_eq!(text(from_f64(f64::NEG_INFINITY)), "-Infinity");
    assert_eq!(text(from_f64(f64::NAN)), "NaN");
}

#[test]
fn bytes_are_those_that_were_read() {
    for number in [
        "0",
        "-0",
        "1.00",
        "-1E-6176",
        "Infinity",
        "-Infinity",
        "NaN",
        "0E+6111",
    ] {
        assert_eq!(text(decimal(number)), number);
    }
}
