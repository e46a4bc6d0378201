//! A number of one of BSON's four types, taken out of its value.

use super::decimal::Decimal;
use super::kind::Kind;
use super::number::Number;
use super::scan::RawValue;

/// A number with its type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Numeric {
    Int32(i32),
    Int64(i64),
    Double(f64),
    Decimal(Decimal),
}

impl Numeric {
    /// The number, if the value is one.
    #[inline]
    pub(crate) fn of(value: RawValue<'_>) -> Option<Self> {
        Some(match value.kind() {
            Kind::Int32 => Self::Int32(i32::from_le_bytes(value.array()?)),
            Kind::Int64 => Self::Int64(i64::from_le_bytes(value.array()?)),
            Kind::Double => Self::Double(f64::from_le_bytes(value.array()?)),
            Kind::Decimal128 => Self::Decimal(value.decimal()?),
            _ => return None,
        })
    }

    /// The nearest double.
    #[inline]
    #[allow(clippy::cast_precision_loss, reason = "as MongoDB does")]
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Self::Int32(number) => f64::from(number),
            Self::Int64(number) => number as f64,
            Self::Double(number) => number,
            Self::Decimal(number) => number.to_f64(),
        }
    }

    /// The number as a decimal; a double in 15 digits.
    pub(crate) fn to_decimal(self) -> Decimal {
        match self {
            Self::Int32(number) => Decimal::from_i64(i64::from(number)),
            Self::Int64(number) => Decimal::from_i64(number),
            Self::Double(number) => Decimal::from_f64(number),
            Self::Decimal(number) => number,
        }
    }

    /// The integer without what follows its point; the nearest int64 where it
    /// is none, 0 for NaN.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "it saturates")]
    pub(crate) fn truncate(self) -> i64 {
        match self {
            Self::Int32(number) => i64::from(number),
            Self::Int64(number) => number,
            Self::Double(number) => number as i64,
            Self::Decimal(number) => number.truncate_to_i64().unwrap_or_default(),
        }
    }

    /// The number as an int64, if it is exactly one.
    #[inline]
    pub(crate) fn exact_i64(self) -> Option<i64> {
        match self {
            Self::Int32(number) => Some(i64::from(number)),
            Self::Int64(number) => Some(number),
            Self::Double(number) => Number::from_f64(number).to_i64(),
            Self::Decimal(number) => {
                Number::from_decimal(number.within_reach_of_doubles()).to_i64()
            }
        }
    }

    /// The number as an int32, if it is exactly one.
    #[inline]
    pub(crate) fn exact_i32(self) -> Option<i32> {
        i32::try_from(self.exact_i64()?).ok()
    }
}
