//! Quotients, remainders and roots of decimals: exact, then rounded.
//!
//! Whole numbers of more digits than 128 bits hold come from `num-bigint`; a
//! remainder that is not zero becomes one more digit, which rounding sees.

use num_bigint::BigUint;

use super::arithmetic::{Digits, finish};
use super::{Decimal, Rounding};

/// Digits of a quotient or a root, before rounding: more than are kept.
const WORKING_DIGITS: u32 = 36;

fn ten_to(power: u32) -> BigUint {
    BigUint::from(10_u8).pow(power)
}

fn digit_count(coefficient: u128) -> u32 {
    coefficient.checked_ilog10().map_or(0, |log| log + 1)
}

/// The digits of an exact result, without zeroes at the end that the ideal
/// exponent does not ask for; of another one with a digit that stands for all
/// that follow.
fn to_digits(whole: &BigUint, exponent: &mut i32, ideal: i32, is_exact: bool) -> Digits {
    let mut digits: Digits = whole.to_radix_be(10);
    if is_exact {
        while *exponent < ideal && digits.len() > 1 && digits.last() == Some(&0) {
            digits.pop();
            *exponent += 1;
        }
    } else {
        digits.push(1);
        *exponent -= 1;
    }
    digits
}

impl Decimal {
    /// The quotient, rounded half to even.
    #[must_use]
    pub fn divide(self, other: Self) -> Self {
        if self.is_nan() || other.is_nan() {
            return Self::Nan;
        }
        let negative = self.is_negative() != other.is_negative();
        let (coefficient, exponent, divisor, divisor_exponent) = match (self, other) {
            (Self::Infinite { .. }, Self::Infinite { .. }) => return Self::Nan,
            (Self::Infinite { .. }, _) => return Self::Infinite { negative },
            (
                Self::Finite {
                    coefficient,
                    exponent,
                    ..
                },
                Self::Finite {
                    coefficient: divisor,
                    exponent: divisor_exponent,
                    ..
                },
            ) => (coefficient, exponent, divisor, divisor_exponent),
            _ => {
                return Self::Finite {
                    negative,
                    coefficient: 0,
                    exponent: -Self::BIAS,
                };
            }
        };
        let ideal = exponent - divisor_exponent;
        match (coefficient, divisor) {
            (0, 0) => return Self::Nan,
            (_, 0) => return Self::Infinite { negative },
            (0, _) => return finish(negative, Vec::new(), ideal, Rounding::HalfEven),
            _ => {}
        }
        let scale =
            (WORKING_DIGITS + digit_count(divisor)).saturating_sub(digit_count(coefficient));
        let dividend = BigUint::from(coefficient) * ten_to(scale);
        let divisor = BigUint::from(divisor);
        let quotient = &dividend / &divisor;
        let is_exact = &quotient * &divisor == dividend;
        let mut exponent = ideal - i32::try_from(scale).unwrap_or_default();
        let digits = to_digits(&quotient, &mut exponent, ideal, is_exact);
        finish(negative, digits, exponent, Rounding::HalfEven)
    }

    /// What is left of this number after as many whole ones of the other, with
    /// this one's sign.
    #[must_use]
    pub fn remainder(self, other: Self) -> Self {
        let (
            Self::Finite {
                negative,
                coefficient,
                exponent,
            },
            Self::Finite {
                coefficient: divisor,
                exponent: divisor_exponent,
                ..
            },
        ) = (self, other)
        else {
            return match (self, other) {
                (Self::Finite { .. }, Self::Infinite { .. }) => self,
                _ => Self::Nan,
            };
        };
        if divisor == 0 {
            return Self::Nan;
        }
        let gap = exponent.abs_diff(divisor_exponent);
        let rest = if exponent >= divisor_exponent {
            let divisor = BigUint::from(divisor);
            let power = BigUint::from(10_u8).modpow(&BigUint::from(gap), &divisor);
            BigUint::from(coefficient) * power % divisor
        } else if gap > Self::PRECISION {
            // The divisor is larger than any number of this one's digits.
            BigUint::from(coefficient)
        } else {
            BigUint::from(coefficient) % (BigUint::from(divisor) * ten_to(gap))
        };
        let exponent = exponent.min(divisor_exponent);
        let digits = if rest == BigUint::ZERO {
            Vec::new()
        } else {
            rest.to_radix_be(10)
        };
        finish(negative, digits, exponent, Rounding::HalfEven)
    }

    /// The square root, rounded half to even; NaN of what is below zero.
    #[must_use]
    pub fn square_root(self) -> Self {
        match self {
            Self::Finite {
                negative,
                coefficient: 0,
                exponent,
            } => Self::Finite {
                negative,
                coefficient: 0,
                exponent: exponent.div_euclid(2),
            },
            Self::Infinite { negative: false } => self,
            Self::Finite {
                negative: false,
                coefficient,
                exponent,
            } => {
                let ideal = exponent.div_euclid(2);
                let odd = exponent.rem_euclid(2).unsigned_abs();
                // An even number of zeroes more, for a root of enough digits.
                let zeroes = 2 * WORKING_DIGITS;
                let square = BigUint::from(coefficient) * ten_to(zeroes + odd);
                let root = square.sqrt();
                let is_exact = &root * &root == square;
                let mut exponent = ideal - i32::try_from(WORKING_DIGITS).unwrap_or_default();
                let digits = to_digits(&root, &mut exponent, ideal, is_exact);
                finish(false, digits, exponent, Rounding::HalfEven)
            }
            _ => Self::Nan,
        }
    }
}

#[cfg(test)]
mod tests;
