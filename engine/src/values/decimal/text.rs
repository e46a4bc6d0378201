//! Decimals as text, in both directions, as IEEE 754 and MongoDB write them.

use std::fmt;

use super::{Decimal, Rounding};

/// More digits than these are dropped after rounding; an exponent of more
/// digits is as good as an infinite one.
const MAX_EXPONENT_DIGITS: usize = 9;

impl fmt::Display for Decimal {
    /// Plain where the exponent is small and not positive, else scientific.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negative, coefficient, exponent) = match *self {
            Self::Nan => return f.write_str("NaN"),
            Self::Infinite { negative } => {
                return f.write_str(if negative { "-Infinity" } else { "Infinity" });
            }
            Self::Finite {
                negative,
                coefficient,
                exponent,
            } => (negative, coefficient, exponent),
        };
        if negative {
            f.write_str("-")?;
        }
        let digits = coefficient.to_string();
        let len = i32::try_from(digits.len()).unwrap_or(i32::MAX);
        let scientific = exponent + len - 1;
        if exponent > 0 || scientific < -6 {
            let (first, rest) = digits.split_at(1);
            f.write_str(first)?;
            if !rest.is_empty() {
                write!(f, ".{rest}")?;
            }
            return write!(f, "E{scientific:+}");
        }
        let point = len + exponent;
        if exponent == 0 {
            f.write_str(&digits)
        } else if let Ok(point) = usize::try_from(point)
            && point > 0
        {
            let (whole, fraction) = digits.split_at(point.min(digits.len()));
            write!(f, "{whole}.{fraction}")
        } else {
            let zeroes = usize::try_from(-point).unwrap_or_default();
            write!(f, "0.{}{digits}", "0".repeat(zeroes))
        }
    }
}

/// Text is no decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotDecimal;

impl std::str::FromStr for Decimal {
    type Err = NotDecimal;

    /// Rounds half to even where there are more than 34 digits.
    fn from_str(text: &str) -> Result<Self, NotDecimal> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if unsigned.eq_ignore_ascii_case("nan") {
            return Ok(Self::Nan);
        }
        if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
            return Ok(Self::Infinite { negative });
        }
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], parse_exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(NotDecimal);
        }
        let mut digits = Vec::with_capacity(mantissa.len());
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return Err(NotDecimal);
            }
            digits.push(byte - b'0');
        }
        let fraction_len = i32::try_from(fraction.len()).map_err(|_| NotDecimal)?;
        let exponent = exponent.saturating_sub(fraction_len);
        Ok(super::arithmetic::finish(
            negative,
            digits,
            exponent.clamp(-1_000_000_000, 1_000_000_000),
            Rounding::HalfEven,
        ))
    }
}

fn parse_exponent(text: &str) -> Result<i32, NotDecimal> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotDecimal);
    }
    let digits = digits.trim_start_matches('0');
    let value = if digits.len() > MAX_EXPONENT_DIGITS {
        999_999_999
    } else if digits.is_empty() {
        0
    } else {
        digits.parse().map_err(|_| NotDecimal)?
    };
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
mod tests;
