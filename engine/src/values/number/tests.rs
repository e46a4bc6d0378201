use super::Number;
use crate::values::decimal::Decimal;

fn decimal(text: &str) -> Number {
    let value: bson::Decimal128 = text.parse().unwrap();
    Number::from_decimal(Decimal::from_le_bytes(value.bytes()))
}

#[test]
fn a_long_list_of_numbers_is_in_order_across_types() {
    let two_53 = 9_007_199_254_740_992_i64;
    let ascending = [
        vec![
            Number::from_f64(f64::NAN),
            decimal("NaN"),
            Number::from_f64(-f64::NAN),
        ],
        vec![Number::from_f64(f64::NEG_INFINITY), decimal("-Infinity")],
        vec![decimal("-1E+400")],
        vec![Number::from_f64(-1e300)],
        vec![
            Number::from_i64(i64::MIN),
            Number::from_f64(-(2_f64.powi(63))),
        ],
        vec![Number::from_i64(i64::MIN + 1)],
        vec![
            Number::from_i64(-1),
            Number::from_f64(-1.0),
            decimal("-1.000"),
        ],
        vec![Number::from_f64(-0.1)],
        vec![decimal("-0.1")],
        vec![decimal("-1E-6176")],
        vec![
            Number::from_i64(0),
            Number::from_f64(-0.0),
            decimal("-0"),
            decimal("0E+3"),
        ],
        vec![decimal("1E-6176")],
        vec![Number::from_f64(5e-324)],
        vec![Number::from_f64(f64::MIN_POSITIVE)],
        vec![decimal("0.1")],
        vec![Number::from_f64(0.1)],
        vec![Number::from_f64(0.5), decimal("0.5"), decimal("5E-1")],
        vec![decimal("0.9999999999999999999999999999999999")],
        vec![Number::from_i64(1), Number::from_f64(1.0), decimal("1.00")],
        vec![decimal("1.000000000000000000000000000000001")],
        vec![Number::from_i64(two_53 - 1)],
        vec![Number::from_i64(two_53), Number::from_f64(two_53 as f64)],
        vec![Number::from_i64(two_53 + 1), decimal("9007199254740993")],
        vec![Number::from_f64(two_53 as f64 + 2.0)],
        vec![Number::from_i64(i64::MAX), decimal("9223372036854775807")],
        vec![decimal("9223372036854775807.5")],
        vec![
            Number::from_f64(2_f64.powi(63)),
            decimal("9223372036854775808"),
        ],
        vec![decimal("18446744073709551617")],
        vec![decimal("18446744073709551618")],
        vec![Number::from_f64(f64::MAX)],
        vec![decimal("1E+400")],
        vec![decimal("9.999999999999999999999999999999999E+6144")],
        vec![Number::from_f64(f64::INFINITY), decimal("Infinity")],
    ];
    for (i, left) in ascending.iter().enumerate() {
        for (j, right) in ascending.iter().enumerate() {
            for a in left {
                for b in right {
                    assert_eq!(a.cmp(b), i.cmp(&j), "{a:?} against {b:?}");
                }
            }
        }
    }
}

#[test]
fn every_integer_and_only_integers_come_back_as_one() {
    for value in [
        0,
        1,
        -1,
        2,
        1 << 53,
        i64::MAX,
        i64::MIN,
        i64::MIN + 1,
        1_000_000_007,
    ] {
        assert_eq!(Number::from_i64(value).to_i64(), Some(value));
    }
    assert_eq!(Number::from_f64(-3.0).to_i64(), Some(-3));
    assert_eq!(decimal("2.00").to_i64(), Some(2));
    assert_eq!(Number::from_f64(2.5).to_i64(), None);
    assert_eq!(Number::from_f64(2_f64.powi(63)).to_i64(), None);
    assert_eq!(Number::from_f64(1e-300).to_i64(), None);
    assert_eq!(Number::Nan.to_i64(), None);
    assert_eq!(decimal("1E+400").to_i64(), None);
}
