//! Latencies: one histogram per thread, merged at the end.
//!
//! Invariants:
//! * Times are kept in nanoseconds at three significant digits; one that is out
//!   of range is counted at the end of the range, never dropped.
//! * Merging loses nothing: the count of the sum is the sum of the counts.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longest time told apart: ten minutes.
const LONGEST_NS: u64 = 600_000_000_000;

/// The latencies that one thread has seen.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet.
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, 3);
        Self(histogram.expect("the bounds are constants that the histogram accepts"))
    }

    /// Counts one.
    pub(crate) fn record(&mut self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(LONGEST_NS);
        self.0.saturating_record(ns);
    }

    /// Adds those of another thread.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.0
            .add(&other.0)
            .expect("all histograms here have the same bounds");
    }

    /// Their sum in seconds, at three digits for each.
    pub(crate) fn total_s(&self) -> f64 {
        self.0.mean() * self.0.len() as f64 / 1e9
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The figures that are shown.
    pub(crate) fn summary(&self) -> Summary {
        let quantile = |q| microseconds(self.0.value_at_quantile(q));
        Summary {
            p50: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: microseconds(self.0.max()),
        }
    }
}

/// Percentiles in microseconds, rounded to a hundredth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Half took at most this long.
    pub(crate) p50: f64,
    /// 99 in 100 did.
    pub(crate) p99: f64,
    /// 999 in 1000 did.
    pub(crate) p999: f64,
    /// The longest of all.
    pub(crate) max: f64,
}

fn microseconds(ns: u64) -> f64 {
    // The histogram keeps three digits; more than two decimals would be noise.
    (ns as f64 / 10.0).round() / 100.0
}

#[cfg(test)]
mod tests;
