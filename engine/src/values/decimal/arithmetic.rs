//! Sums and products of decimal128, to the letter of IEEE 754-2008: exact,
//! then rounded half to even at 34 digits, with the exponent nearest to the
//! preferred one.
//!
//! The digits are kept one by one in a short array: slow, and obviously right;
//! updates of decimals are rare, and at most 80 digits are ever at hand.

use std::cmp::Ordering;

use super::{Decimal, Rounding};

/// Digits of a coefficient.
const PRECISION: usize = 34;
const MIN_EXPONENT: i32 = -6176;
const MAX_EXPONENT: i32 = 6111;
const BIAS: i32 = 6176;
const COEFFICIENT_BITS: u32 = 113;

/// A whole number as digits, the first one first; no zeroes in front.
pub(super) type Digits = Vec<u8>;

/// The bytes of a BSON decimal128, in their one canonical form.
pub(super) fn to_le_bytes(value: Decimal) -> [u8; 16] {
    let bits = match value {
        Decimal::Nan => 0x1F_u128 << 122,
        Decimal::Infinite { negative } => (u128::from(negative) << 127) | (0x1E_u128 << 122),
        Decimal::Finite {
            negative,
            coefficient,
            exponent,
        } => {
            let biased = u128::from((exponent + BIAS).unsigned_abs());
            (u128::from(negative) << 127) | (biased << COEFFICIENT_BITS) | coefficient
        }
    };
    bits.to_le_bytes()
}

/// The double in 15 digits, as MongoDB takes it into decimal arithmetic.
pub(super) fn from_f64(value: f64) -> Decimal {
    let negative = value.is_sign_negative();
    if value.is_nan() {
        return Decimal::Nan;
    }
    if value.is_infinite() {
        return Decimal::Infinite { negative };
    }
    if value == 0.0 {
        return Decimal::Finite {
            negative,
            coefficient: 0,
            exponent: 0,
        };
    }
    from_f64_digits(value, 14)
}

/// The double in one digit more than these, without zeroes at its end unless
/// it has no fraction.
pub(super) fn from_f64_digits(value: f64, digits: usize) -> Decimal {
    let negative = value.is_sign_negative();
    if value.is_nan() {
        return Decimal::Nan;
    }
    if value.is_infinite() {
        return Decimal::Infinite { negative };
    }
    if value == 0.0 {
        return Decimal::Finite {
            negative,
            coefficient: 0,
            exponent: 0,
        };
    }
    // One digit, a point, the digits, `e`, the exponent.
    let text = format!("{:.digits$e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let coefficient = mantissa
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0'));
    Decimal::Finite {
        negative,
        coefficient,
        exponent: exponent.parse::<i32>().unwrap_or_default()
            - i32::try_from(digits).unwrap_or_default(),
    }
}

pub(super) fn from_i64(value: i64) -> Decimal {
    Decimal::Finite {
        negative: value < 0,
        coefficient: u128::from(value.unsigned_abs()),
        exponent: 0,
    }
}

/// `left * right`.
pub(super) fn multiply(left: Decimal, right: Decimal) -> Decimal {
    let (Some(left_negative), Some(right_negative)) = (sign(left), sign(right)) else {
        return Decimal::Nan;
    };
    let negative = left_negative != right_negative;
    let (
        Decimal::Finite {
            coefficient: a,
            exponent: a_exponent,
            ..
        },
        Decimal::Finite {
            coefficient: b,
            exponent: b_exponent,
            ..
        },
    ) = (left, right)
    else {
        // Infinity times zero is nothing, times anything else infinity.
        return if is_zero(left) || is_zero(right) {
            Decimal::Nan
        } else {
            Decimal::Infinite { negative }
        };
    };
    if let Some(product) = a.checked_mul(b)
        && let Some(exact) = exact(negative, product, a_exponent + b_exponent)
    {
        return exact;
    }
    let (a, b) = (digits(a), digits(b));
    let mut product = vec![0_u32; a.len() + b.len()];
    for (i, x) in a.iter().rev().enumerate() {
        for (j, y) in b.iter().rev().enumerate() {
            product[i + j] += u32::from(*x) * u32::from(*y);
        }
    }
    let mut carry = 0;
    for place in &mut product {
        let sum = *place + carry;
        *place = sum % 10;
        carry = sum / 10;
    }
    let product = product
        .iter()
        .rev()
        .map(|digit| u8::try_from(*digit).unwrap_or_default());
    finish(
        negative,
        product.collect(),
        a_exponent + b_exponent,
        Rounding::HalfEven,
    )
}

/// `left + right`.
pub(super) fn add(left: Decimal, right: Decimal) -> Decimal {
    let (Some(left_negative), Some(right_negative)) = (sign(left), sign(right)) else {
        return Decimal::Nan;
    };
    let (
        Decimal::Finite {
            coefficient: a,
            exponent: a_exponent,
            ..
        },
        Decimal::Finite {
            coefficient: b,
            exponent: b_exponent,
            ..
        },
    ) = (left, right)
    else {
        return match (left, right) {
            (Decimal::Infinite { .. }, Decimal::Infinite { .. })
                if left_negative != right_negative =>
            {
                Decimal::Nan
            }
            (Decimal::Infinite { .. }, _) => left,
            _ => right,
        };
    };
    if let Some(sum) = add_small(
        (left_negative, a, a_exponent),
        (right_negative, b, b_exponent),
    ) {
        return sum;
    }
    let (a, b) = align((a, a_exponent), (b, b_exponent));
    let exponent = a.1.min(b.1);
    let widen = |(mut digits, own): (Digits, i32)| {
        let zeroes = usize::try_from(own - exponent).unwrap_or_default();
        digits.extend(std::iter::repeat_n(0, zeroes));
        digits
    };
    let (a, b) = (widen(a), widen(b));
    if left_negative == right_negative {
        return finish(left_negative, sum(&a, &b), exponent, Rounding::HalfEven);
    }
    match compare(&a, &b) {
        // Opposites come to plus zero.
        Ordering::Equal => finish(false, Vec::new(), exponent, Rounding::HalfEven),
        Ordering::Greater => finish(
            left_negative,
            difference(&a, &b),
            exponent,
            Rounding::HalfEven,
        ),
        Ordering::Less => finish(
            right_negative,
            difference(&b, &a),
            exponent,
            Rounding::HalfEven,
        ),
    }
}

/// The number, if it needs no rounding.
fn exact(negative: bool, coefficient: u128, exponent: i32) -> Option<Decimal> {
    let fits =
        coefficient < Decimal::COEFFICIENT_END && (MIN_EXPONENT..=MAX_EXPONENT).contains(&exponent);
    fits.then_some(Decimal::Finite {
        negative,
        coefficient,
        exponent,
    })
}

/// The sum where it is exact and 128 bits hold all of it, as they mostly do.
fn add_small(left: (bool, u128, i32), right: (bool, u128, i32)) -> Option<Decimal> {
    let exponent = left.2.min(right.2);
    let widen = |(negative, coefficient, own): (bool, u128, i32)| {
        let factor = 10_u128.checked_pow((own - exponent).unsigned_abs())?;
        let whole = i128::try_from(coefficient.checked_mul(factor)?).ok()?;
        Some(if negative { -whole } else { whole })
    };
    let sum = widen(left)?.checked_add(widen(right)?)?;
    // Opposites come to plus zero, two minus zeroes to a minus one.
    let negative = sum < 0 || (sum == 0 && left.0 && right.0);
    exact(negative, sum.unsigned_abs(), exponent)
}

/// The same two numbers, as far apart as matters: what lies below the 38th
/// digit of the larger one is as good as a one there, and a zero needs to
/// stretch the other no further than to its 34 digits.
fn align(a: (u128, i32), b: (u128, i32)) -> ((Digits, i32), (Digits, i32)) {
    const REACH: i32 = 38;
    let near = |(own, own_exponent): (u128, i32), (other, other_exponent): (u128, i32)| {
        let top = other_exponent + i32::try_from(digits(other).len()).unwrap_or_default();
        let floor = top - REACH;
        if own == 0 {
            // The exponent alone counts; a larger one than the other's does not.
            return (Vec::new(), own_exponent.max(floor.min(other_exponent)));
        }
        let own_digits = digits(own);
        let own_top = own_exponent + i32::try_from(own_digits.len()).unwrap_or_default();
        if other != 0 && own_top < floor {
            return (vec![1], floor - 1);
        }
        (own_digits, own_exponent)
    };
    match (a.0, b.0) {
        // Two zeroes: the smaller exponent is meant.
        (0, 0) => ((Vec::new(), a.1.min(b.1)), (Vec::new(), a.1.min(b.1))),
        (0, _) => {
            let other = (digits(b.0), b.1);
            let zero = near(a, b);
            ((zero.0, zero.1.min(b.1)), other)
        }
        (_, 0) => {
            let other = (digits(a.0), a.1);
            let zero = near(b, a);
            (other, (zero.0, zero.1.min(a.1)))
        }
        _ => (near(a, b), near(b, a)),
    }
}

fn is_zero(value: Decimal) -> bool {
    matches!(value, Decimal::Finite { coefficient: 0, .. })
}

/// Whether it is negative; `None` for NaN.
fn sign(value: Decimal) -> Option<bool> {
    match value {
        Decimal::Nan => None,
        Decimal::Infinite { negative } | Decimal::Finite { negative, .. } => Some(negative),
    }
}

fn digits(coefficient: u128) -> Digits {
    if coefficient == 0 {
        return Vec::new();
    }
    coefficient.to_string().bytes().map(|d| d - b'0').collect()
}

fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let strip = |digits: &[u8]| digits.iter().take_while(|digit| **digit == 0).count();
    let (a, b) = (&a[strip(a)..], &b[strip(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The digit of place `place`, counted from the last.
fn digit(digits: &[u8], place: usize) -> u8 {
    match digits.len().checked_sub(place + 1) {
        Some(at) => digits.get(at).copied().unwrap_or_default(),
        None => 0,
    }
}

fn sum(a: &[u8], b: &[u8]) -> Digits {
    let mut out = Vec::with_capacity(a.len().max(b.len()) + 1);
    let mut carry = 0;
    for place in 0..=a.len().max(b.len()) {
        let sum = digit(a, place) + digit(b, place) + carry;
        out.push(sum % 10);
        carry = sum / 10;
    }
    out.reverse();
    out
}

/// `a - b`, where `a` is not below `b`.
fn difference(a: &[u8], b: &[u8]) -> Digits {
    let mut out = Vec::with_capacity(a.len());
    let mut borrow = 0;
    for place in 0..a.len() {
        let (from, take) = (digit(a, place), digit(b, place) + borrow);
        borrow = u8::from(take > from);
        out.push(from + 10 * borrow - take);
    }
    out.reverse();
    out
}

/// Rounds, and fits the exponent into its range.
pub(super) fn finish(
    negative: bool,
    mut digits: Digits,
    mut exponent: i32,
    rounding: Rounding,
) -> Decimal {
    let zeroes = digits.iter().take_while(|digit| **digit == 0).count();
    digits.drain(..zeroes);
    let too_long = digits.len().saturating_sub(PRECISION);
    let too_low = usize::try_from(MIN_EXPONENT - exponent).unwrap_or_default();
    let dropped = too_long.max(if digits.is_empty() { 0 } else { too_low });
    if dropped > 0 {
        let kept = digits.len().saturating_sub(dropped);
        let up = rounds_up(negative, &digits, dropped, rounding);
        digits.truncate(kept);
        exponent += i32::try_from(dropped).unwrap_or(i32::MAX / 2);
        if up {
            digits = sum(&digits, &[1]);
            if digits.first() == Some(&0) {
                digits.remove(0);
            }
            if digits.len() > PRECISION {
                // 999…9 became 1000…0: its last digit is a zero.
                digits.pop();
                exponent += 1;
            }
        }
    }
    if digits.is_empty() {
        exponent = exponent.clamp(MIN_EXPONENT, MAX_EXPONENT);
    }
    while exponent > MAX_EXPONENT {
        if digits.len() >= PRECISION {
            return Decimal::Infinite { negative };
        }
        digits.push(0);
        exponent -= 1;
    }
    Decimal::Finite {
        negative,
        coefficient: digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + u128::from(*digit)),
        exponent,
    }
}

/// Whether dropping the last `dropped` digits rounds the rest up.
fn rounds_up(negative: bool, digits: &[u8], dropped: usize, rounding: Rounding) -> bool {
    let Some(kept) = digits.len().checked_sub(dropped) else {
        // All digits go and zeroes in front of them: less than a half.
        return rounding.goes_up(negative, false, Ordering::Less, digits.is_empty());
    };
    let (kept, lost) = digits.split_at(kept);
    let Some((first, rest)) = lost.split_first() else {
        return false;
    };
    let has_rest = rest.iter().any(|digit| *digit != 0);
    let half = first.cmp(&5).then(if has_rest {
        Ordering::Greater
    } else {
        Ordering::Equal
    });
    let is_odd = kept.last().is_some_and(|digit| digit % 2 == 1);
    rounding.goes_up(negative, is_odd, half, *first == 0 && !has_rest)
}

#[cfg(test)]
mod tests;
