//! Sums and spreads of many numbers, as `$sum`, `$avg` and `$stdDevPop` make them.
//!
//! ## Invariants
//! * Doubles are summed with what each addition loses, integers among them, so
//!   that the order and the size of the terms hardly count.
//! * Decimals are summed beside them, and joined at the end.
//! * The result has the widest type that came, or a wider one where it does not
//!   fit; a decimal that came makes it a decimal.

use super::decimal::Decimal;
use super::numeric::Numeric;

/// 2^63, the first double above all int64.
const ABOVE_INT64: f64 = 9_223_372_036_854_775_808.0;

/// A sum under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summation {
    exact: Compensated,
    decimal: Decimal,
    widest: Widest,
    count: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Widest {
    Int32,
    Int64,
    Double,
    Decimal,
}

impl Default for Summation {
    fn default() -> Self {
        Self {
            exact: Compensated::default(),
            decimal: Decimal::ZERO,
            widest: Widest::Int32,
            count: 0,
        }
    }
}

impl Summation {
    /// Adds a number.
    #[inline]
    pub(crate) fn add(&mut self, number: Numeric) {
        self.count += 1;
        let kind = match number {
            Numeric::Int32(number) => {
                self.exact.add(f64::from(number));
                Widest::Int32
            }
            Numeric::Int64(number) => {
                self.exact.add_integer(number);
                Widest::Int64
            }
            Numeric::Double(number) => {
                self.exact.add(number);
                Widest::Double
            }
            Numeric::Decimal(number) => {
                self.decimal = self.decimal.add(number);
                Widest::Decimal
            }
        };
        self.widest = self.widest.max(kind);
    }

    /// The sum so far.
    pub(crate) fn total(&self) -> Numeric {
        let whole = || self.exact.to_i64();
        match self.widest {
            Widest::Decimal => return Numeric::Decimal(self.in_decimal()),
            Widest::Int32 => {
                if let Some(whole) = whole() {
                    return i32::try_from(whole).map_or(Numeric::Int64(whole), Numeric::Int32);
                }
            }
            Widest::Int64 => {
                if let Some(whole) = whole() {
                    return Numeric::Int64(whole);
                }
            }
            Widest::Double => {}
        }
        Numeric::Double(self.exact.to_f64())
    }

    /// The sum divided by how many numbers came, if any did.
    #[allow(clippy::cast_precision_loss, reason = "as MongoDB does")]
    pub(crate) fn average(&self) -> Option<Numeric> {
        if self.count == 0 {
            return None;
        }
        if self.widest == Widest::Decimal {
            let count = Decimal::from_i64(self.count);
            return Some(Numeric::Decimal(self.in_decimal().divide(count)));
        }
        Some(Numeric::Double(self.exact.to_f64() / self.count as f64))
    }

    fn in_decimal(&self) -> Decimal {
        self.decimal.add(self.exact.to_decimal())
    }
}

/// A sum of doubles, and what was lost on the way.
#[derive(Clone, Copy, Debug, Default)]
struct Compensated {
    sum: f64,
    rest: f64,
    /// The plain sum, which says what infinities and NaN come to.
    plain: f64,
}

/// The sum of two doubles, and what rounding took from it.
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

impl Compensated {
    #[inline]
    fn add(&mut self, number: f64) {
        self.plain += number;
        let (number, rest) = two_sum(number, self.rest);
        self.rest = rest;
        let (sum, number) = two_sum(self.sum, number);
        self.sum = sum;
        self.rest += number;
    }

    /// In two halves, each of which is exact.
    #[allow(clippy::cast_precision_loss, reason = "each half fits")]
    fn add_integer(&mut self, number: i64) {
        let high = number / (1 << 32) * (1 << 32);
        let low = number - high;
        self.add(low as f64);
        self.add(high as f64);
    }

    fn to_f64(self) -> f64 {
        if self.sum.is_finite() {
            self.sum
        } else {
            self.plain
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "bounds are looked at")]
    fn to_i64(self) -> Option<i64> {
        if !self.sum.is_finite() || self.sum.abs() > ABOVE_INT64 {
            return None;
        }
        i64::try_from(self.sum as i128 + self.rest.round() as i128).ok()
    }

    fn to_decimal(self) -> Decimal {
        if !self.sum.is_finite() {
            return Decimal::from_f64(self.plain);
        }
        Decimal::from_f64_exact(self.sum).add(Decimal::from_f64_exact(self.rest))
    }
}

/// Mean and spread of numbers, in one pass by Welford's algorithm.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deviation {
    count: i64,
    mean: f64,
    squares: f64,
}

impl Deviation {
    /// Takes one more number in; a decimal counts as the double near it.
    #[allow(clippy::cast_precision_loss, reason = "as MongoDB does")]
    pub(crate) fn add(&mut self, number: Numeric) {
        let value = number.to_f64();
        self.count += 1;
        let delta = value - self.mean;
        if delta != 0.0 {
            self.mean += delta / self.count as f64;
            self.squares += delta * (value - self.mean);
        }
    }

    /// Of the numbers themselves, or of what they are a sample of; `None` where
    /// there are too few.
    #[allow(clippy::cast_precision_loss, reason = "as MongoDB does")]
    pub(crate) fn result(&self, is_sample: bool) -> Option<f64> {
        let freedom = self.count - i64::from(is_sample);
        (freedom > 0).then(|| (self.squares / freedom as f64).sqrt())
    }
}

#[cfg(test)]
mod tests;
