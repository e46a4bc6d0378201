//! Sums of numbers of all types, as exact as MongoDB's: doubles are summed with what
//! each addition loses, integers among them, decimals beside them.

use crate::expression::Value;
use crate::values::{Decimal, Kind, Numeric, RawValue};

/// 2^63, the first double above all int64.
const ABOVE_INT64: f64 = 9_223_372_036_854_775_808.0;

/// A sum under way.
#[derive(Clone, Debug)]
pub(super) struct Sum {
    exact: Compensated,
    decimal: Decimal,
    /// The widest type that came.
    widest: Kind,
    /// How many numbers came.
    pub(super) count: i64,
}

impl Default for Sum {
    fn default() -> Self {
        Self {
            exact: Compensated::default(),
            decimal: Decimal::from_i64(0),
            widest: Kind::Int32,
            count: 0,
        }
    }
}

fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Int32 => 0,
        Kind::Int64 => 1,
        Kind::Double => 2,
        _ => 3,
    }
}

impl Sum {
    /// Adds a value, if it is a number.
    pub(super) fn add(&mut self, value: RawValue<'_>) {
        let Some(number) = Numeric::of(value) else {
            return;
        };
        self.count += 1;
        if rank(value.kind()) > rank(self.widest) {
            self.widest = value.kind();
        }
        match number {
            Numeric::Int32(number) => self.exact.add(f64::from(number)),
            Numeric::Int64(number) => self.exact.add_integer(number),
            Numeric::Double(number) => self.exact.add(number),
            Numeric::Decimal(number) => self.decimal = self.decimal.add(number),
        }
    }

    /// Adds one.
    pub(super) fn add_one(&mut self) {
        self.count += 1;
        self.exact.add(1.0);
    }

    /// The sum, in the widest type that came; a wider one where it does not fit.
    pub(super) fn total(&self) -> Value<'static> {
        match self.widest {
            Kind::Decimal128 => return Value::decimal(self.in_decimal()),
            Kind::Int32 => {
                if let Some(whole) = self.exact.to_i64() {
                    return Value::integer(whole);
                }
            }
            Kind::Int64 => {
                if let Some(whole) = self.exact.to_i64() {
                    return Value::int64(whole);
                }
            }
            _ => {}
        }
        Value::double(self.exact.to_f64())
    }

    /// The sum divided by the count; null of nothing.
    pub(super) fn average(&self) -> Value<'static> {
        if self.count == 0 {
            return Value::null();
        }
        if self.widest == Kind::Decimal128 {
            let count = Decimal::from_i64(self.count);
            return Value::decimal(self.in_decimal().divide(count));
        }
        #[allow(clippy::cast_precision_loss, reason = "as MongoDB does")]
        Value::double(self.exact.to_f64() / self.count as f64)
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
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

impl Compensated {
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

/// Mean and spread of numbers, in one pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    count: i64,
    mean: f64,
    squares: f64,
}

impl Spread {
    #[allow(clippy::cast_precision_loss, reason = "as MongoDB does")]
    pub(super) fn add(&mut self, value: RawValue<'_>) {
        let Some(number) = Numeric::of(value) else {
            return;
        };
        let number = number.to_f64();
        self.count += 1;
        let delta = number - self.mean;
        if delta != 0.0 {
            self.mean += delta / self.count as f64;
            self.squares += delta * (number - self.mean);
        }
    }

    /// The standard deviation, of the whole population or of a sample.
    #[allow(clippy::cast_precision_loss, reason = "as MongoDB does")]
    pub(super) fn deviation(self, is_sample: bool) -> Value<'static> {
        let divisor = self.count - i64::from(is_sample);
        if divisor <= 0 {
            return Value::null();
        }
        Value::double((self.squares / divisor as f64).sqrt())
    }
}
