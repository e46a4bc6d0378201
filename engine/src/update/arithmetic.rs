//! Numbers under `$inc`, `$mul` and `$bit`, with MongoDB's rules of types.
//!
//! int32 grows to int64 where it overflows, int64 does not grow: that is an
//! error. A double makes the result a double, a decimal makes it a decimal.

use crate::values::{Kind, Numeric, OwnedValue, RawValue};

/// `$inc` or `$mul`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Multiply,
}

/// The operations of `$bit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bitwise {
    And,
    Or,
    Xor,
}

impl Numeric {
    /// The number as a value.
    pub(super) fn to_value(self) -> OwnedValue {
        match self {
            Self::Int32(number) => scalar(Kind::Int32, &number.to_le_bytes()),
            Self::Int64(number) => scalar(Kind::Int64, &number.to_le_bytes()),
            // One NaN: what bits arithmetic gives it differs between machines.
            Self::Double(number) if number.is_nan() => {
                scalar(Kind::Double, &f64::NAN.to_le_bytes())
            }
            Self::Double(number) => scalar(Kind::Double, &number.to_le_bytes()),
            Self::Decimal(number) => scalar(Kind::Decimal128, &number.to_le_bytes()),
        }
    }

    /// The sum or product; `None` where int64 overflows.
    pub(super) fn combine(self, operation: Arithmetic, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Decimal(_), _) | (_, Self::Decimal(_)) => {
                let (left, right) = (self.to_decimal(), other.to_decimal());
                Some(Self::Decimal(match operation {
                    Arithmetic::Add => left.add(right),
                    Arithmetic::Multiply => left.multiply(right),
                }))
            }
            (Self::Double(_), _) | (_, Self::Double(_)) => {
                let (left, right) = (self.to_f64(), other.to_f64());
                Some(Self::Double(match operation {
                    Arithmetic::Add => left + right,
                    Arithmetic::Multiply => left * right,
                }))
            }
            _ => {
                let (left, right) = (self.to_int64(), other.to_int64());
                let result = match operation {
                    Arithmetic::Add => left.checked_add(right),
                    Arithmetic::Multiply => left.checked_mul(right),
                }?;
                let narrow = matches!((self, other), (Self::Int32(_), Self::Int32(_)));
                Some(match i32::try_from(result) {
                    Ok(small) if narrow => Self::Int32(small),
                    _ => Self::Int64(result),
                })
            }
        }
    }

    /// Bit by bit; both are integers.
    pub(super) fn bitwise(self, operation: Bitwise, other: Self) -> Self {
        let (left, right) = (self.to_int64(), other.to_int64());
        let result = match operation {
            Bitwise::And => left & right,
            Bitwise::Or => left | right,
            Bitwise::Xor => left ^ right,
        };
        match (self, other) {
            // Both operands carry their signs: the result fits again.
            (Self::Int32(_), Self::Int32(_)) => {
                i32::try_from(result).map_or(Self::Int64(result), Self::Int32)
            }
            _ => Self::Int64(result),
        }
    }

    fn to_int64(self) -> i64 {
        match self {
            Self::Int32(number) => i64::from(number),
            Self::Int64(number) => number,
            Self::Double(_) | Self::Decimal(_) => 0,
        }
    }
}

/// A value of a fixed size.
pub(super) fn scalar(kind: Kind, bytes: &[u8]) -> OwnedValue {
    RawValue { kind, bytes }.into()
}

#[cfg(test)]
mod tests;
