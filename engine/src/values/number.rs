//! Numbers compared by their exact value, whatever their type.
//!
//! Every finite number but zero is `± 1.xxx * 2^exponent` in one way. The
//! first 64 bits of `1.xxx` are the *mantissa*. An integer or a double has no
//! more bits than that; a decimal may, and then a *tail* says its exact value
//! in decimal. Two magnitudes compare by exponent, mantissa, tail: numbers
//! with the same first 64 bits are one without a tail, the smallest of them,
//! and decimals, which the tail orders. Equal numbers have equal parts, so the
//! same three make the key encoding.

use std::cmp::Ordering;

use super::bits;
use super::decimal::{Decimal, full_precision};

/// A number of any BSON type, by its exact value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Not a number; below all others, and equal to itself.
    Nan,
    /// Plus or minus infinity.
    Infinite {
        /// Minus.
        negative: bool,
    },
    /// Any zero.
    Zero,
    /// Any other number.
    Finite {
        /// Below zero.
        negative: bool,
        /// Its absolute value.
        magnitude: Magnitude,
    },
}

/// The absolute value of a number; the derived order is the numeric one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Magnitude {
    /// Power of two of the first bit.
    pub exponent: i32,
    /// The first 64 bits; the uppermost is one.
    pub mantissa: u64,
    /// What a decimal has beyond them.
    pub tail: Option<Tail>,
}

/// The exact value of a decimal that 64 bits do not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tail {
    /// Power of ten of the last digit.
    pub exponent: i32,
    /// The coefficient, brought to 34 digits.
    pub coefficient: u128,
}

impl Number {
    /// Of an integer.
    #[inline]
    #[must_use]
    pub fn from_i64(value: i64) -> Self {
        let absolute = value.unsigned_abs();
        if absolute == 0 {
            return Self::Zero;
        }
        let magnitude = Magnitude::from_bits(absolute, 0);
        Self::Finite {
            negative: value < 0,
            magnitude,
        }
    }

    /// Of a double.
    #[inline]
    #[must_use]
    pub fn from_f64(value: f64) -> Self {
        const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
        if value.is_nan() {
            return Self::Nan;
        }
        let negative = value.is_sign_negative();
        if value.is_infinite() {
            return Self::Infinite { negative };
        }
        let bits = value.to_bits();
        let fraction = bits & ((1 << FRACTION_BITS) - 1);
        let biased = i32::try_from((bits >> FRACTION_BITS) & 0x7FF).unwrap_or_default();
        // Value = whole * 2^scale; a biased exponent of 0 is subnormal.
        let (whole, scale) = match biased {
            0 if fraction == 0 => return Self::Zero,
            0 => (fraction, -1074),
            _ => (fraction | (1 << FRACTION_BITS), biased - 1075),
        };
        let magnitude = Magnitude::from_bits(whole, scale);
        Self::Finite {
            negative,
            magnitude,
        }
    }

    /// Of a decimal128.
    #[must_use]
    pub fn from_decimal(value: Decimal) -> Self {
        match value {
            Decimal::Nan => Self::Nan,
            Decimal::Infinite { negative } => Self::Infinite { negative },
            Decimal::Finite { coefficient: 0, .. } => Self::Zero,
            Decimal::Finite {
                negative,
                coefficient,
                exponent,
            } => Self::Finite {
                negative,
                magnitude: Magnitude::from_decimal(coefficient, exponent),
            },
        }
    }

    /// The number as an `i64`, if it is one.
    #[must_use]
    pub fn to_i64(self) -> Option<i64> {
        match self {
            Self::Zero => Some(0),
            Self::Finite {
                negative,
                magnitude:
                    Magnitude {
                        exponent,
                        mantissa,
                        tail: None,
                    },
            } => {
                let shift = u32::try_from(63 - exponent)
                    .ok()
                    .filter(|shift| *shift < 64)?;
                if mantissa.trailing_zeros() < shift {
                    return None;
                }
                let absolute = i128::from(mantissa >> shift);
                i64::try_from(if negative { -absolute } else { absolute }).ok()
            }
            _ => None,
        }
    }

    /// The number without what is behind the point, if it is finite and then an `i64`.
    #[must_use]
    pub fn truncate_to_i64(self) -> Option<i64> {
        match self {
            Self::Zero => Some(0),
            Self::Finite {
                negative,
                magnitude,
            } => {
                if magnitude.exponent < 0 {
                    return Some(0);
                }
                let shift = u32::try_from(63 - magnitude.exponent).ok()?;
                let absolute = i128::from(magnitude.mantissa >> shift);
                i64::try_from(if negative { -absolute } else { absolute }).ok()
            }
            Self::Nan | Self::Infinite { .. } => None,
        }
    }

    /// Position among NaN, minus infinity, negative, zero, positive, infinity.
    fn rank(&self) -> u8 {
        match self {
            Self::Nan => 0,
            Self::Infinite { negative: true } => 1,
            Self::Finite { negative: true, .. } => 2,
            Self::Zero => 3,
            Self::Finite {
                negative: false, ..
            } => 4,
            Self::Infinite { negative: false } => 5,
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (
                Self::Finite {
                    negative: left,
                    magnitude: a,
                },
                Self::Finite {
                    negative: right,
                    magnitude: b,
                },
            ) if left == right => {
                if *left {
                    b.cmp(a)
                } else {
                    a.cmp(b)
                }
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Magnitude {
    /// `whole * 2^scale`, where `whole` is not zero.
    #[inline]
    fn from_bits(whole: u64, scale: i32) -> Self {
        debug_assert!(whole != 0);
        let shift = whole.leading_zeros();
        #[allow(clippy::cast_possible_wrap)]
        let exponent = 63 - shift as i32 + scale;
        Self {
            exponent,
            mantissa: whole << shift,
            tail: None,
        }
    }

    /// A double near it, which is it wherever one can be.
    pub(crate) fn to_f64(self) -> f64 {
        // Its 53 uppermost bits; then powers of two, in steps that no double
        // that exists is lost in.
        let mut value = (self.mantissa >> 11) as f64;
        let mut exponent = self.exponent - 52;
        while exponent != 0 {
            let step = exponent.clamp(-500, 500);
            value *= 2_f64.powi(step);
            exponent -= step;
            if value == 0.0 || value.is_infinite() {
                break;
            }
        }
        value
    }

    fn from_decimal(coefficient: u128, exponent: i32) -> Self {
        let leading = bits::leading_bits(coefficient, exponent);
        let tail = (!leading.exact).then(|| Tail::new(coefficient, exponent));
        Self {
            exponent: leading.exponent,
            mantissa: leading.mantissa,
            tail,
        }
    }
}

impl Tail {
    fn new(coefficient: u128, exponent: i32) -> Self {
        let (exponent, coefficient) = full_precision(coefficient, exponent);
        Self {
            exponent,
            coefficient,
        }
    }
}

#[cfg(test)]
mod tests;
