//! Decimal128: IEEE 754-2008, binary integer encoding.

mod angles;
mod arithmetic;
mod division;
mod fixed;
mod functions;
mod rounding;
mod text;

use std::cmp::Ordering;

pub use rounding::Rounding;
pub use text::NotDecimal;

/// A decoded decimal128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimal {
    /// Not a number, quiet or signalling.
    Nan,
    /// Plus or minus infinity.
    Infinite {
        /// Minus.
        negative: bool,
    },
    /// `coefficient * 10^exponent`, with its sign; the coefficient has at most
    /// 34 digits, the exponent lies from -6176 to 6111.
    Finite {
        /// Below zero, or a negative zero.
        negative: bool,
        /// The digits as a whole number.
        coefficient: u128,
        /// The power of ten.
        exponent: i32,
    },
}

impl Decimal {
    const BIAS: i32 = 6176;
    /// Digits of a coefficient.
    const PRECISION: u32 = 34;
    const COEFFICIENT_END: u128 = 10_u128.pow(34);

    /// Decodes the bytes of a BSON value. A coefficient out of range is zero,
    /// as the standard has it.
    #[must_use]
    pub fn from_le_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        let negative = bits >> 127 == 1;
        let combination = (bits >> 122) & 0x1F;
        match combination {
            0x1F => return Self::Nan,
            0x1E => return Self::Infinite { negative },
            _ => {}
        }
        // With both upper bits set the coefficient starts with 0b100 and so
        // exceeds 34 digits: not canonical, zero, whatever its bits.
        let (exponent_bits, coefficient) = if combination >> 3 == 0b11 {
            ((bits >> 111) & 0x3FFF, 0)
        } else {
            ((bits >> 113) & 0x3FFF, bits & ((1 << 113) - 1))
        };
        let coefficient = if coefficient < Self::COEFFICIENT_END {
            coefficient
        } else {
            0
        };
        let exponent = i32::try_from(exponent_bits).unwrap_or_default() - Self::BIAS;
        Self::Finite {
            negative,
            coefficient,
            exponent,
        }
    }

    /// The bytes of a BSON value, in their one canonical form.
    #[must_use]
    pub fn to_le_bytes(self) -> [u8; 16] {
        arithmetic::to_le_bytes(self)
    }

    /// Of an integer.
    #[must_use]
    pub fn from_i64(value: i64) -> Self {
        arithmetic::from_i64(value)
    }

    /// The double in 15 digits, as MongoDB takes it into decimal arithmetic.
    #[must_use]
    pub fn from_f64(value: f64) -> Self {
        arithmetic::from_f64(value)
    }

    /// The sum, rounded half to even.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "it rounds")]
    pub fn add(self, other: Self) -> Self {
        arithmetic::add(self, other)
    }

    /// The product, rounded half to even.
    #[must_use]
    pub fn multiply(self, other: Self) -> Self {
        arithmetic::multiply(self, other)
    }

    /// Zero.
    pub const ZERO: Self = Self::Finite {
        negative: false,
        coefficient: 0,
        exponent: 0,
    };

    /// The difference, rounded half to even.
    #[must_use]
    pub fn subtract(self, other: Self) -> Self {
        arithmetic::add(self, other.negate())
    }

    /// With the other sign.
    #[must_use]
    pub fn negate(self) -> Self {
        self.with_sign(!self.is_negative())
    }

    /// Without its sign.
    #[must_use]
    pub fn abs(self) -> Self {
        self.with_sign(false)
    }

    /// Whether its sign is minus; a zero may have one, NaN has none.
    #[must_use]
    pub fn is_negative(self) -> bool {
        match self {
            Self::Nan => false,
            Self::Infinite { negative } | Self::Finite { negative, .. } => negative,
        }
    }

    /// Whether it is any zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        matches!(self, Self::Finite { coefficient: 0, .. })
    }

    /// Whether it is NaN.
    #[must_use]
    pub fn is_nan(self) -> bool {
        self == Self::Nan
    }

    /// Whether it is infinite.
    #[must_use]
    pub fn is_infinite(self) -> bool {
        matches!(self, Self::Infinite { .. })
    }

    /// Whether it is above zero.
    #[must_use]
    pub fn is_positive(self) -> bool {
        !self.is_nan() && !self.is_zero() && !self.is_negative()
    }

    fn with_sign(self, negative: bool) -> Self {
        match self {
            Self::Nan => Self::Nan,
            Self::Infinite { .. } => Self::Infinite { negative },
            Self::Finite {
                coefficient,
                exponent,
                ..
            } => Self::Finite {
                negative,
                coefficient,
                exponent,
            },
        }
    }

    /// Compares by value: zeroes are equal, NaN is lowest and equal to itself.
    pub(crate) fn compare(self, other: Self) -> Ordering {
        let rank = |value: Self| match value {
            Self::Nan => 0,
            Self::Infinite { negative: true } => 1,
            Self::Finite { coefficient: 0, .. } => 3,
            Self::Finite { negative: true, .. } => 2,
            Self::Finite {
                negative: false, ..
            } => 4,
            Self::Infinite { negative: false } => 5,
        };
        let order = rank(self).cmp(&rank(other));
        let (
            Self::Finite {
                negative,
                coefficient: a,
                exponent,
            },
            Self::Finite {
                coefficient: b,
                exponent: other_exponent,
                ..
            },
        ) = (self, other)
        else {
            return order;
        };
        if order.is_ne() || a == 0 {
            return order;
        }
        let magnitudes = full_precision(a, exponent).cmp(&full_precision(b, other_exponent));
        if negative {
            magnitudes.reverse()
        } else {
            magnitudes
        }
    }

    /// A number on the same side of every int64 and double as this one, and
    /// cheap to take apart: powers of ten that no double comes near are cut.
    pub(crate) fn within_reach_of_doubles(self) -> Self {
        // Coefficients have at most 34 digits: with these exponents a number
        // is above 1E+310 or below 1E-330 still.
        match self {
            Self::Finite {
                negative,
                coefficient,
                exponent,
            } if coefficient != 0 => Self::Finite {
                negative,
                coefficient,
                exponent: exponent.clamp(-365, 310),
            },
            other => other,
        }
    }
}

/// Exponent and coefficient of the same number with all of 34 digits; the
/// coefficient is not zero. Pairs compare as the numbers do.
pub(super) fn full_precision(mut coefficient: u128, mut exponent: i32) -> (i32, u128) {
    debug_assert!(coefficient != 0);
    while coefficient < Decimal::COEFFICIENT_END / 10 {
        coefficient *= 10;
        exponent -= 1;
    }
    (exponent, coefficient)
}

#[cfg(test)]
mod tests;
