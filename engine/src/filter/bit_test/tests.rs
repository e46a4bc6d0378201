use super::BitTest;
use crate::values::OwnedValue;
use bson::{Binary, Bson, bson, spec::BinarySubtype};

fn accepts(test: &BitTest, value: &Bson) -> bool {
    test.accepts(OwnedValue::try_from(value).unwrap().as_raw())
}

#[test]
fn numbers_are_asked_as_the_int64_that_they_are() {
    let set = BitTest::new(true, true, vec![1, 5]);
    for (value, expected) in [
        (bson!(34), true),
        (bson!(54.0), true),
        (bson!(2), false),
        (bson!(34.5), false),
        (bson!(f64::NAN), false),
        (bson!(1e300), false),
        (bson!("34"), false),
        (Bson::Decimal128("34.0".parse().unwrap()), true),
    ] {
        assert_eq!(accepts(&set, &value), expected, "{value}");
    }
    let any_clear = BitTest::new(false, false, vec![1, 5]);
    assert!(accepts(&any_clear, &bson!(2)) && !accepts(&any_clear, &bson!(34)));
}

#[test]
fn the_sign_of_a_number_goes_on_for_ever() {
    let far = BitTest::new(true, true, vec![200]);
    assert!(accepts(&far, &bson!(-1)) && !accepts(&far, &bson!(i64::MAX)));
    assert!(accepts(&BitTest::new(false, true, vec![200]), &bson!(7)));
}

#[test]
fn bytes_end_in_zeroes_for_ever() {
    let bytes = Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes: vec![0, 0b100],
    });
    assert_eq!(BitTest::positions_of(&[0, 0b100]), [10]);
    assert!(accepts(&BitTest::new(true, true, vec![10]), &bytes));
    assert!(!accepts(&BitTest::new(true, true, vec![10, 11]), &bytes));
    assert!(accepts(&BitTest::new(true, false, vec![10, 11]), &bytes));
    assert!(accepts(&BitTest::new(false, true, vec![11, 900]), &bytes));
}
