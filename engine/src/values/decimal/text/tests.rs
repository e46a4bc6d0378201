#![allow(clippy::unwrap_used, reason = "a test may panic")]

use crate::values::Decimal;

#[test]
fn text_comes_out_in_its_one_form() {
    for (text, expected) in [
        ("0", "0"),
        ("-0.00", "-0.00"),
        ("0E+3", "0E+3"),
        ("1e3", "1E+3"),
        ("+12.50", "12.50"),
        (".5", "0.5"),
        ("5.", "5"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1E-7"),
        ("123E-2", "1.23"),
        (
            "1234567890123456789012345678901234",
            "1234567890123456789012345678901234",
        ),
        (
            "12345678901234567890123456789012345",
            "1.234567890123456789012345678901234E+34",
        ),
        ("nan", "NaN"),
        ("-inf", "-Infinity"),
        ("1e7000", "Infinity"),
        ("1e-7000", "0E-6176"),
        ("1E6144", "1.000000000000000000000000000000000E+6144"),
    ] {
        let decimal: Decimal = text.parse().unwrap();
        assert_eq!(decimal.to_string(), expected, "{text}");
    }
}

#[test]
fn what_is_no_number_is_refused() {
    for text in [
        "", ".", "+", "1e", "e5", "1..2", "1 ", " 1", "0x1", "--1", "1e+", "nano", "1é",
    ] {
        assert!(text.parse::<Decimal>().is_err(), "{text:?}");
    }
}

#[test]
fn text_agrees_with_the_other_library() {
    for text in [
        "1",
        "-12.340",
        "1E+10",
        "9.999E+6144",
        "1E-6176",
        "0.1",
        "0E-10",
    ] {
        let other: bson::Decimal128 = text.parse().unwrap();
        let ours = Decimal::from_le_bytes(other.bytes());
        assert_eq!(ours.to_string(), other.to_string());
        assert_eq!(text.parse::<Decimal>().unwrap(), ours);
    }
}
