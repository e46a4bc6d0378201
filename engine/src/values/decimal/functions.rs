//! Exponential and logarithmic functions of decimals.
//!
//! They are worked out to more than a hundred places, rounded to the 113 binary
//! digits of IEEE's quadruple precision, and then to 34 decimal ones. The first
//! rounding is MongoDB's, whose library works in that precision: without it the
//! last digit would be right, and differ from MongoDB's in every fifth case.

use num_bigint::{BigInt, Sign};

use super::arithmetic::finish;
use super::fixed::Scale;
use super::{Decimal, Rounding};

/// Places after the point: 34 digits, as many again where two numbers nearly
/// cancel out, and as many again for the powers of large exponents.
pub(super) const PLACES: u32 = 130;

/// Below ten to this power a number is its own sine, tangent and so on, in 34 digits.
pub(super) const TINY: i32 = -20;

/// Above this `e^x` is infinite, below its opposite it is zero.
const MAX_EXP: i64 = 14_300;

impl Decimal {
    /// Power of ten of the first digit, of a finite number that is not zero.
    pub(super) fn magnitude(self) -> Option<i32> {
        match self {
            Self::Finite {
                coefficient,
                exponent,
                ..
            } if coefficient != 0 => {
                Some(exponent + i32::try_from(coefficient.ilog10()).unwrap_or_default())
            }
            _ => None,
        }
    }

    pub(super) fn is_tiny(self) -> bool {
        self.is_zero() || self.magnitude().is_some_and(|power| power < TINY)
    }

    /// As a whole number of the scale's last place.
    pub(super) fn to_fixed(self, scale: &Scale) -> BigInt {
        let Self::Finite {
            negative,
            coefficient,
            exponent,
        } = self
        else {
            return BigInt::ZERO;
        };
        let places = i64::from(exponent) + i64::from(scale.places());
        let power = u32::try_from(places.unsigned_abs()).unwrap_or(u32::MAX);
        let whole = if places >= 0 {
            BigInt::from(coefficient) * BigInt::from(10).pow(power)
        } else if power > 40 {
            BigInt::ZERO
        } else {
            BigInt::from(coefficient) / BigInt::from(10).pow(power)
        };
        if negative { -whole } else { whole }
    }

    /// Of a whole number of the scale's last place, times a power of ten; rounded
    /// twice, as the head of the module says.
    pub(super) fn from_fixed(value: &BigInt, scale: &Scale, power: i32) -> Self {
        let exponent = power - i32::try_from(scale.places()).unwrap_or_default();
        if value.sign() == Sign::NoSign {
            return Self::ZERO;
        }
        let value = scale.to_quadruple(value, power);
        finish(
            value.sign() == Sign::Minus,
            value.magnitude().to_radix_be(10),
            exponent,
            Rounding::HalfEven,
        )
    }

    /// With as many digits as there may be: zeroes are added at the end.
    fn padded(self) -> Self {
        self.add(Self::Finite {
            negative: false,
            coefficient: 0,
            exponent: -Self::BIAS,
        })
    }

    /// The same value with the fewest digits.
    pub(super) fn stripped(self) -> Self {
        let Self::Finite {
            negative,
            mut coefficient,
            mut exponent,
        } = self
        else {
            return self;
        };
        while exponent < 0 && coefficient != 0 && coefficient.is_multiple_of(10) {
            coefficient /= 10;
            exponent += 1;
        }
        Self::Finite {
            negative,
            coefficient,
            exponent,
        }
    }

    pub(super) fn is_one(self) -> bool {
        self.compare(Self::from_i64(1)).is_eq()
    }

    /// `e^self`.
    #[must_use]
    pub fn exp(self) -> Self {
        match self {
            Self::Nan => return self,
            Self::Infinite { negative: true } => return Self::ZERO,
            Self::Infinite { .. } => return self,
            Self::Finite { .. } => {}
        }
        if self.is_tiny() && self.magnitude().is_none_or(|power| power < -40) {
            return Self::from_i64(1).padded();
        }
        if self.magnitude().is_some_and(|power| power > 5) {
            return out_of_range(self.is_negative());
        }
        let scale = Scale::new(PLACES);
        exp_fixed(&self.to_fixed(&scale), &scale, 1)
    }

    /// `e^self / 2`, of a number above one.
    pub(super) fn half_exp(self) -> Self {
        if self.is_infinite() || self.magnitude().is_some_and(|power| power > 5) {
            return Self::Infinite { negative: false };
        }
        let scale = Scale::new(PLACES);
        exp_fixed(&self.to_fixed(&scale), &scale, 2)
    }

    /// The natural logarithm; NaN of what is not above zero.
    #[must_use]
    pub fn ln(self) -> Self {
        match self {
            Self::Infinite { negative: false } => return self,
            Self::Finite { coefficient: 0, .. } => return Self::Infinite { negative: true },
            _ if !self.is_positive() => return Self::Nan,
            _ => {}
        }
        if self.is_one() {
            return Self::ZERO;
        }
        let scale = Scale::new(PLACES);
        Self::from_fixed(&ln_fixed(self, &scale), &scale, 0)
    }

    /// The logarithm to a base; both above zero, the base not one.
    #[must_use]
    pub fn log(self, base: Self) -> Self {
        if self.is_one() {
            return Self::ZERO;
        }
        let ten = Self::from_i64(10);
        if self.is_infinite() || !self.is_positive() || !base.compare(ten).is_eq() {
            // Of two rounded logarithms, as MongoDB has it.
            return self.ln().divide(base.ln());
        }
        let scale = Scale::new(PLACES);
        let quotient = scale.divide(&ln_fixed(self, &scale), &ln_fixed(base, &scale));
        let rounded = Self::from_fixed(&quotient, &scale, 0);
        // A whole power is exact, and has no digits after the point.
        let whole = rounded.quantize(0, Rounding::HalfEven);
        if whole.compare(rounded).is_eq() {
            whole
        } else {
            rounded
        }
    }

    /// This number to that power.
    #[must_use]
    pub fn power(self, exponent: Self) -> Self {
        if exponent.is_zero() || self.is_one() {
            return Self::from_i64(1).padded();
        }
        if self.is_nan() || exponent.is_nan() {
            return Self::Nan;
        }
        let is_integer = is_integer(exponent);
        let is_odd = is_integer && !exponent.remainder(Self::from_i64(2)).is_zero();
        let negative = self.is_negative() && is_odd;
        let shrinks = exponent.is_negative();
        if self.is_zero() {
            return if shrinks {
                Self::Infinite { negative }
            } else {
                Self::Finite {
                    negative,
                    coefficient: 0,
                    exponent: -Self::BIAS,
                }
            };
        }
        if self.is_infinite() {
            return match shrinks {
                true => Self::Finite {
                    negative,
                    coefficient: 0,
                    exponent: -Self::BIAS,
                },
                false => Self::Infinite { negative },
            };
        }
        let size = self.abs();
        if exponent.is_infinite() {
            let grows = size.compare(Self::from_i64(1)).is_gt() != shrinks;
            return if size.is_one() {
                Self::from_i64(1).padded()
            } else if grows {
                Self::Infinite { negative: false }
            } else {
                Self::ZERO.padded()
            };
        }
        if self.is_negative() && !is_integer {
            return Self::Nan;
        }
        let scale = Scale::new(PLACES);
        // The size of the product decides whether it can be worked out at all.
        let rough = size.ln().multiply(exponent);
        let result = if rough.magnitude().is_some_and(|power| power > 5) {
            out_of_range(rough.is_negative())
        } else if rough.is_zero() || rough.magnitude().is_some_and(|power| power < -40) {
            Self::from_i64(1).padded()
        } else {
            let Self::Finite {
                coefficient,
                exponent: power,
                ..
            } = exponent
            else {
                return Self::Nan;
            };
            let mut product = ln_fixed(size, &scale) * BigInt::from(coefficient);
            let ten = BigInt::from(10).pow(power.unsigned_abs());
            if power >= 0 {
                product *= ten;
            } else {
                product /= ten;
            }
            exp_fixed(&if shrinks { -product } else { product }, &scale, 1)
        };
        if negative { result.negate() } else { result }
    }
}

fn is_integer(value: Decimal) -> bool {
    match value {
        Decimal::Finite { exponent, .. } if exponent >= 0 => true,
        Decimal::Finite { .. } => value.remainder(Decimal::from_i64(1)).is_zero(),
        _ => false,
    }
}

fn out_of_range(is_small: bool) -> Decimal {
    if is_small {
        Decimal::ZERO.padded()
    } else {
        Decimal::Infinite { negative: false }
    }
}

/// `e^x`, divided, with all of 34 digits.
fn exp_fixed(x: &BigInt, scale: &Scale, divisor: u32) -> Decimal {
    let limit = scale.one() * MAX_EXP;
    if *x > limit {
        return out_of_range(false);
    }
    if *x < -limit {
        return out_of_range(true);
    }
    // e^x = 10^tens * e^rest
    let ln_10 = scale.ln_10();
    let tens = x / &ln_10;
    let rest = x - &tens * &ln_10;
    let power = i32::try_from(&tens).unwrap_or_default();
    Decimal::from_fixed(&(scale.exp(&rest) / divisor), scale, power).padded()
}

/// The natural logarithm of a number above zero.
pub(super) fn ln_fixed(value: Decimal, scale: &Scale) -> BigInt {
    let (Some(power), Decimal::Finite { coefficient, .. }) = (value.magnitude(), value) else {
        return BigInt::ZERO;
    };
    // Near one the powers of ten would cancel out what counts.
    let tens = if (-1..=0).contains(&power) { 0 } else { power };
    let Decimal::Finite { exponent, .. } = value else {
        return BigInt::ZERO;
    };
    let reduced = Decimal::Finite {
        negative: false,
        coefficient,
        exponent: exponent - tens,
    };
    let ln = scale.ln(&reduced.to_fixed(scale));
    if tens == 0 {
        ln
    } else {
        ln + scale.ln_10() * tens
    }
}

/// The natural logarithm of any number of the scale above zero.
pub(super) fn ln_wide(x: &BigInt, scale: &Scale) -> BigInt {
    let digits = u32::try_from(x.magnitude().to_radix_be(10).len()).unwrap_or_default();
    let tens = i64::from(digits) - 1 - i64::from(scale.places());
    if (-1..=1).contains(&tens) {
        return scale.ln(x);
    }
    let ten = BigInt::from(10).pow(u32::try_from(tens.unsigned_abs()).unwrap_or_default());
    let reduced = if tens > 0 { x / ten } else { x * ten };
    scale.ln(&reduced) + scale.ln_10() * tens
}

#[cfg(test)]
mod tests;
