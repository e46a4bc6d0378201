//! Decimals rounded: to a place, to an integer, to a double.

use super::{Decimal, arithmetic};

/// Which way what is dropped pushes the last digit that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, a half to the even one.
    HalfEven,
    /// To the one nearer to zero.
    TowardZero,
    /// To the larger one.
    Up,
    /// To the smaller one.
    Down,
}

impl Rounding {
    /// Whether the kept digits go up by one in their absolute value, given how
    /// what is dropped compares to a half, and whether it is anything.
    pub(super) fn goes_up(
        self,
        negative: bool,
        is_odd: bool,
        dropped: std::cmp::Ordering,
        is_exact: bool,
    ) -> bool {
        match self {
            _ if is_exact => false,
            Self::HalfEven => dropped.is_gt() || (dropped.is_eq() && is_odd),
            Self::TowardZero => false,
            Self::Up => !negative,
            Self::Down => negative,
        }
    }
}

impl Decimal {
    /// The same number with this exponent, rounded; NaN if that takes more than
    /// 34 digits, or if the number is infinite.
    #[must_use]
    pub fn quantize(self, target: i32, rounding: Rounding) -> Self {
        let Self::Finite {
            negative,
            coefficient,
            exponent,
        } = self
        else {
            return Self::Nan;
        };
        if coefficient == 0 {
            return Self::Finite {
                negative,
                coefficient,
                exponent: target,
            };
        }
        let shift = i64::from(exponent) - i64::from(target);
        let coefficient = if shift >= 0 {
            let factor = u32::try_from(shift)
                .ok()
                .and_then(|shift| 10_u128.checked_pow(shift));
            factor.and_then(|factor| coefficient.checked_mul(factor))
        } else {
            Some(drop_digits(
                coefficient,
                shift.unsigned_abs(),
                negative,
                rounding,
            ))
        };
        match coefficient {
            Some(coefficient) if coefficient < Self::COEFFICIENT_END => Self::Finite {
                negative,
                coefficient,
                exponent: target,
            },
            _ => Self::Nan,
        }
    }

    /// Without what follows the point; `None` if it is no int64 then.
    #[must_use]
    pub fn truncate_to_i64(self) -> Option<i64> {
        self.round_to_i64(Rounding::TowardZero)
    }

    /// The integer it rounds to, if it is an int64.
    #[must_use]
    pub fn round_to_i64(self, rounding: Rounding) -> Option<i64> {
        let Self::Finite {
            negative,
            coefficient,
            ..
        } = self.quantize(0, rounding)
        else {
            return None;
        };
        let whole = i128::try_from(coefficient).ok()?;
        i64::try_from(if negative { -whole } else { whole }).ok()
    }

    /// The nearest double.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Nan => f64::NAN,
            Self::Infinite { negative: true } => f64::NEG_INFINITY,
            Self::Infinite { negative: false } => f64::INFINITY,
            Self::Finite {
                negative,
                coefficient,
                exponent,
            } => {
                // Parsing is correctly rounded, which nothing shorter is.
                let text = format!("{coefficient}e{exponent}");
                let value: f64 = text.parse().unwrap_or(f64::NAN);
                if negative { -value } else { value }
            }
        }
    }

    /// The double in as many of 34 digits as say what it is exactly.
    #[must_use]
    pub fn from_f64_exact(value: f64) -> Self {
        arithmetic::from_f64_digits(value, 33).stripped()
    }
}

/// `coefficient / 10^count`, rounded.
fn drop_digits(coefficient: u128, count: u64, negative: bool, rounding: Rounding) -> u128 {
    let divisor = u32::try_from(count)
        .ok()
        .and_then(|count| 10_u128.checked_pow(count));
    // Beyond 38 digits all of it is dropped, and is less than a half.
    let (kept, rest, half) = match divisor {
        Some(divisor) => {
            let rest = coefficient % divisor;
            (coefficient / divisor, rest, rest.cmp(&(divisor / 2)))
        }
        None => (0, coefficient, std::cmp::Ordering::Less),
    };
    let up = rounding.goes_up(negative, kept % 2 == 1, half, rest == 0);
    kept + u128::from(up)
}
