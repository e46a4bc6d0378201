#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn sum(numbers: &[Numeric]) -> Numeric {
    let mut sum = Summation::default();
    for number in numbers {
        sum.add(*number);
    }
    sum.total()
}

#[test]
fn whole_numbers_are_summed_exactly_whatever_their_order() {
    let numbers = [i64::MAX, -1, i64::MIN, i64::MAX, 1].map(Numeric::Int64);
    assert!(matches!(sum(&numbers), Numeric::Int64(total) if total == i64::MAX - 1));
    let wide = [Numeric::Int32(i32::MAX), Numeric::Int32(1)];
    assert!(matches!(sum(&wide), Numeric::Int64(2_147_483_648)));
}

#[test]
fn what_rounding_takes_from_doubles_is_kept() {
    // Added one by one they come to 0.9999999999999999.
    let numbers = [0.1; 10].map(Numeric::Double);
    assert!(matches!(sum(&numbers), Numeric::Double(total) if total == 1.0));
}

#[test]
fn a_decimal_makes_the_sum_one_and_adds_no_digits() {
    let numbers = [
        Numeric::Decimal("1.50".parse().unwrap()),
        Numeric::Int64(2),
        Numeric::Double(0.25),
    ];
    let Numeric::Decimal(total) = sum(&numbers) else {
        panic!("a decimal is expected");
    };
    assert_eq!(total.to_string(), "3.75");
}

#[test]
fn averages_and_spreads_of_nothing_are_none() {
    assert!(Summation::default().average().is_none());
    let mut deviation = Deviation::default();
    assert!(deviation.result(false).is_none());
    deviation.add(Numeric::Int32(5));
    assert_eq!(deviation.result(false), Some(0.0));
    assert!(deviation.result(true).is_none());
}
