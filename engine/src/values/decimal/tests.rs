use std::cmp::Ordering;

use super::Decimal;

fn decode(text: &str) -> Decimal {
    let value: bson::Decimal128 = text.parse().unwrap();
    Decimal::from_le_bytes(value.bytes())
}

#[test]
fn digits_and_exponent_come_out_as_written() {
    assert_eq!(
        decode("-12.50"),
        Decimal::Finite {
            negative: true,
            coefficient: 1250,
            exponent: -2
        }
    );
    assert_eq!(
        decode("0E+3"),
        Decimal::Finite {
            negative: false,
            coefficient: 0,
            exponent: 3
        }
    );
    assert_eq!(
        decode("1E-6176"),
        Decimal::Finite {
            negative: false,
            coefficient: 1,
            exponent: -6176
        }
    );
    assert_eq!(
        decode("9.999999999999999999999999999999999E+6144"),
        Decimal::Finite {
            negative: false,
            coefficient: 9_999_999_999_999_999_999_999_999_999_999_999,
            exponent: 6111
        }
    );
}

#[test]
fn special_values_are_recognised() {
    assert_eq!(decode("NaN"), Decimal::Nan);
    assert_eq!(decode("Infinity"), Decimal::Infinite { negative: false });
    assert_eq!(decode("-Infinity"), Decimal::Infinite { negative: true });
}

#[test]
fn a_coefficient_out_of_range_is_zero() {
    let bits = (0x6C10_u128 << 112) | 7;
    assert!(matches!(
        Decimal::from_le_bytes(bits.to_le_bytes()),
        Decimal::Finite { coefficient: 0, .. }
    ));
    let bits = (6176_u128 << 113) | ((1 << 113) - 1);
    assert!(matches!(
        Decimal::from_le_bytes(bits.to_le_bytes()),
        Decimal::Finite {
            coefficient: 0,
            exponent: 0,
            ..
        }
    ));
}

#[test]
fn cutting_far_exponents_keeps_them_far() {
    for text in [
        "1E-6176",
        "9999999999999999999999999999999999E-6176",
        "1E-400",
    ] {
        let (near, zero) = (decode(text).within_reach_of_doubles(), decode("0"));
        assert!(
            near.compare(decode("1E-330")).is_lt() && near.compare(zero).is_gt(),
            "{text}"
        );
    }
    for text in ["1E+6144", "1E+400"] {
        let near = decode(text).within_reach_of_doubles();
        assert!(near.compare(decode("1E+309")).is_gt(), "{text}");
    }
    for text in ["1E-320", "1.5", "1E+308"] {
        assert_eq!(
            decode(text).within_reach_of_doubles().compare(decode(text)),
            Ordering::Equal
        );
    }
}
