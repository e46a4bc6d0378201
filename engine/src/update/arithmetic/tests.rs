use bson::{Bson, bson};

use super::{Arithmetic, Bitwise, Numeric};
use crate::values::OwnedValue;

fn numeric(value: &Bson) -> Numeric {
    Numeric::of(OwnedValue::try_from(value).unwrap().as_raw()).unwrap()
}

fn combine(operation: Arithmetic, left: Bson, right: Bson) -> Option<Bson> {
    let result = numeric(&left).combine(operation, numeric(&right))?;
    Some(result.to_value().to_bson().unwrap())
}

fn sum(left: Bson, right: Bson) -> Option<Bson> {
    combine(Arithmetic::Add, left, right)
}

fn product(left: Bson, right: Bson) -> Option<Bson> {
    combine(Arithmetic::Multiply, left, right)
}

#[test]
fn int32_grows_to_int64_and_stays_small_otherwise() {
    assert_eq!(sum(bson!(1), bson!(2)), Some(bson!(3)));
    assert_eq!(
        sum(bson!(i32::MAX), bson!(1)),
        Some(bson!(2_147_483_648_i64))
    );
    assert_eq!(
        product(bson!(i32::MIN), bson!(-1)),
        Some(bson!(2_147_483_648_i64))
    );
    assert_eq!(sum(bson!(1), bson!(2_i64)), Some(bson!(3_i64)));
}

#[test]
fn int64_does_not_overflow_silently() {
    assert_eq!(sum(bson!(i64::MAX), bson!(1)), None);
    assert_eq!(product(bson!(i64::MIN), bson!(-1)), None);
    assert_eq!(sum(bson!(i64::MIN), bson!(-1_i64)), None);
}

#[test]
fn a_double_makes_doubles_and_a_decimal_decimals() {
    assert_eq!(sum(bson!(1), bson!(0.5)), Some(bson!(1.5)));
    assert_eq!(product(bson!(2_i64), bson!(0.5)), Some(bson!(1.0)));
    let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
    assert_eq!(sum(bson!(1), decimal("0.50")), Some(decimal("1.50")));
    assert_eq!(
        sum(bson!(0.5), decimal("1")),
        Some(decimal("1.500000000000000"))
    );
    assert_eq!(
        product(bson!(i64::MAX), decimal("1")),
        Some(decimal("9223372036854775807"))
    );
}

#[test]
fn the_bits_of_nan_are_always_the_same() {
    let bits = |value: Option<Bson>| value.unwrap().as_f64().unwrap().to_bits();
    let made = sum(bson!(f64::INFINITY), bson!(f64::NEG_INFINITY));
    assert_eq!(bits(made), f64::NAN.to_bits());
    let kept = sum(bson!(f64::from_bits(0xFFF8_0000_0000_0001)), bson!(1));
    assert_eq!(bits(kept), f64::NAN.to_bits());
}

#[test]
fn bits_are_of_the_wider_type() {
    let bitwise = |operation, left: Bson, right: Bson| {
        let result = numeric(&left).bitwise(operation, numeric(&right));
        result.to_value().to_bson().unwrap()
    };
    assert_eq!(bitwise(Bitwise::And, bson!(-1), bson!(6)), bson!(6));
    assert_eq!(bitwise(Bitwise::Or, bson!(1), bson!(6_i64)), bson!(7_i64));
    assert_eq!(
        bitwise(Bitwise::Xor, bson!(-1), bson!(i32::MIN)),
        bson!(i32::MAX)
    );
}
