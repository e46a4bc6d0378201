//! What is counted: counters, gauges, histograms of times.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the buckets of a histogram, in microseconds; the last has none. Two and a
/// half apart, from what memory takes to what nobody waits for.
pub const BUCKETS_US: [u64; 19] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
    500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
];
pub(super) const BUCKETS: usize = BUCKETS_US.len() + 1;

/// A number that only grows. Clones are the same number.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that grows and shrinks. Clones are the same number.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Adds to it, or takes from it.
    pub fn add(&self, count: i64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often something took how long. Clones are the same histogram.
#[derive(Clone, Debug, Default)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug, Default)]
struct Buckets {
    counts: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Histogram {
    /// It took so long.
    pub fn record(&self, time: Duration) {
        let time_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.partition_point(|end| *end < time_us);
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.sum_us.fetch_add(time_us, Ordering::Relaxed);
    }

    /// How often each bucket was met, the one without an end last.
    #[must_use]
    pub fn counts(&self) -> [u64; BUCKETS_US.len() + 1] {
        std::array::from_fn(|bucket| self.0.counts[bucket].load(Ordering::Relaxed))
    }

    /// All times together, in microseconds.
    #[must_use]
    pub fn sum_us(&self) -> u64 {
        self.0.sum_us.load(Ordering::Relaxed)
    }

    /// How often it was recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts().iter().sum()
    }

    /// The counts of several, added up.
    pub(super) fn sum(histograms: &[Self]) -> [u64; BUCKETS] {
        let mut sum = [0; BUCKETS];
        for histogram in histograms {
            for (total, count) in sum.iter_mut().zip(histogram.counts()) {
                *total += count;
            }
        }
        sum
    }
}

/// The time that so many in a hundred stayed below, rounded up to the end of its bucket;
/// zero where nothing was counted.
pub(super) fn percentile(counts: &[u64; BUCKETS], percent: u64) -> Duration {
    let total: u64 = counts.iter().sum();
    let wanted = (total * percent).div_ceil(100);
    let mut seen = 0;
    for (bucket, count) in counts.iter().enumerate() {
        seen += count;
        if seen >= wanted && seen > 0 {
            return BUCKETS_US
                .get(bucket)
                .map_or(Duration::MAX, |end| Duration::from_micros(*end));
        }
    }
    Duration::ZERO
}
