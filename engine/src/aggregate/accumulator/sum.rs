//! Sums and spreads of the values of a group; what is no number does not count.

use crate::expression::Value;
use crate::values::{Deviation, Numeric, RawValue, Summation};

/// A sum under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum(Summation);

fn value_of(number: Numeric) -> Value<'static> {
    match number {
        Numeric::Int32(number) => Value::int32(number),
        Numeric::Int64(number) => Value::int64(number),
        Numeric::Double(number) => Value::double(number),
        Numeric::Decimal(number) => Value::decimal(number),
    }
}

impl Sum {
    /// Adds a value, if it is a number.
    pub(super) fn add(&mut self, value: RawValue<'_>) {
        if let Some(number) = Numeric::of(value) {
            self.0.add(number);
        }
    }

    /// Adds one.
    pub(super) fn add_one(&mut self) {
        self.0.add(Numeric::Int32(1));
    }

    /// The sum.
    pub(super) fn total(&self) -> Value<'static> {
        value_of(self.0.total())
    }

    /// The sum divided by the count; null of nothing.
    pub(super) fn average(&self) -> Value<'static> {
        self.0.average().map_or_else(Value::null, value_of)
    }
}

/// Mean and spread of numbers, in one pass.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread(Deviation);

impl Spread {
    /// Takes a value in, if it is a number.
    pub(super) fn add(&mut self, value: RawValue<'_>) {
        if let Some(number) = Numeric::of(value) {
            self.0.add(number);
        }
    }

    /// The standard deviation, of the whole population or of a sample.
    pub(super) fn deviation(self, is_sample: bool) -> Value<'static> {
        let deviation = self.0.result(is_sample);
        deviation.map_or_else(Value::null, Value::double)
    }
}
