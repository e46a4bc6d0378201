//! Sums of many numbers, as `$sum` and `$avg` make them.
//!
//! Integers and doubles are added in two doubles, the sum and what rounding
//! took from it (Knuth's two-sum), so that the order and the size of the terms
//! hardly count; decimals are added for themselves. The type of the result is
//! the widest of the terms'.

use super::decimal::Decimal;
use super::numeric::Numeric;

/// A sum under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summation {
    /// Exact as long as no double was added and nothing overflowed.
    whole: Option<i64>,
    sum: f64,
    lost: f64,
    /// Infinities and NaN, which would spoil what was lost.
    special: f64,
    decimal: Option<Decimal>,
    widest: Widest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Widest {
    Int32,
    Int64,
    Double,
}

impl Default for Summation {
    fn default() -> Self {
        Self {
            whole: Some(0),
            sum: 0.0,
            lost: 0.0,
            special: 0.0,
            decimal: None,
            widest: Widest::Int32,
        }
    }
}

impl Summation {
    /// Adds a number.
    pub(crate) fn add(&mut self, number: Numeric) {
        match number {
            Numeric::Int32(number) => self.add_whole(i64::from(number)),
            Numeric::Int64(number) => {
                self.widest = self.widest.max(Widest::Int64);
                self.add_whole(number);
            }
            Numeric::Double(number) => {
                self.widest = Widest::Double;
                self.whole = None;
                self.add_double(number);
            }
            Numeric::Decimal(number) => {
                self.decimal = Some(match self.decimal {
                    Some(sum) => sum.add(number),
                    None => number,
                });
            }
        }
    }

    fn add_whole(&mut self, number: i64) {
        self.whole = self.whole.and_then(|whole| whole.checked_add(number));
        // In two parts, each of which a double holds exactly.
        let low = number & 0xFFFF_FFFF;
        #[allow(clippy::cast_precision_loss, reason = "at most 32 bits are set")]
        {
            self.add_double((number - low) as f64);
            self.add_double(low as f64);
        }
    }

    fn add_double(&mut self, number: f64) {
        if !number.is_finite() {
            self.special += number;
            return;
        }
        let sum = self.sum + number;
        let part = sum - self.sum;
        self.lost += (self.sum - (sum - part)) + (number - part);
        self.sum = sum;
    }

    fn double(&self) -> f64 {
        let sum = self.sum + self.lost;
        if self.special == 0.0 {
            sum
        } else {
            sum + self.special
        }
    }

    /// What is not decimal, as a decimal.
    fn rest_as_decimal(&self) -> Decimal {
        match self.whole {
            Some(whole) => Decimal::from_i64(whole),
            None if self.special != 0.0 => Decimal::from_f64(self.special),
            None => Decimal::from_f64(self.sum).add(Decimal::from_f64(self.lost)),
        }
    }

    /// The sum so far.
    pub(crate) fn total(&self) -> Numeric {
        if let Some(decimal) = self.decimal {
            return Numeric::Decimal(decimal.add(self.rest_as_decimal()));
        }
        match (self.widest, self.whole) {
            (Widest::Int32, Some(whole)) => {
                i32::try_from(whole).map_or(Numeric::Int64(whole), Numeric::Int32)
            }
            (Widest::Int64, Some(whole)) => Numeric::Int64(whole),
            _ => Numeric::Double(self.double()),
        }
    }

    /// The sum so far, divided: a double, or a decimal if one was added.
    #[allow(clippy::cast_precision_loss, reason = "as MongoDB does")]
    pub(crate) fn average(&self, count: i64) -> Numeric {
        if let Some(decimal) = self.decimal {
            let sum = decimal.add(self.rest_as_decimal());
            return Numeric::Decimal(sum.divide(Decimal::from_i64(count)));
        }
        Numeric::Double(self.double() / count as f64)
    }
}

/// A standard deviation under way, by Welford's algorithm.
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
        self.mean += delta / self.count as f64;
        self.squares += delta * (value - self.mean);
    }

    /// Takes in what another one has.
    #[allow(clippy::cast_precision_loss, reason = "as MongoDB does")]
    #[allow(dead_code, reason = "for groups that were spilled")]
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (count, others) = (self.count as f64, other.count as f64);
        let delta = other.mean - self.mean;
        self.mean = (count * self.mean + others * other.mean) / (count + others);
        self.squares += other.squares + delta * delta * (count * others / (count + others));
        self.count += other.count;
    }

    /// Of the numbers themselves, or of what they are a sample of; `None` where
    /// there are too few.
    #[allow(clippy::cast_precision_loss, reason = "as MongoDB does")]
    pub(crate) fn result(&self, is_sample: bool) -> Option<f64> {
        let freedom = self.count - i64::from(is_sample);
        (freedom > 0).then(|| (self.squares / freedom as f64).sqrt())
    }
}
