//! Thresholds: raised when they are passed, cleared when they are not any more.

use std::time::Duration;

use super::figures::{BUCKETS, percentile};

/// Fewer operations between two looks say nothing of how many fail or take long.
const MIN_OPERATIONS: u64 = 20;
/// Which of a hundred operations is not to take longer.
const PERCENTILE: u64 = 99;

/// What is not to be passed; nothing unless told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Thresholds {
    latency: Option<Duration>,
    throughput: Option<u64>,
    error_percent: Option<u8>,
    memory: Option<u64>,
    pub(super) is_of_program: bool,
}

impl Thresholds {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of a hundred operations, one may take longer than this.
    pub fn latency(mut self, time: Duration) -> Self {
        self.latency = Some(time);
        self
    }

    /// Operations a second.
    pub fn throughput(mut self, per_second: u64) -> Self {
        self.throughput = Some(per_second);
        self
    }

    /// Operations of a hundred that may fail.
    pub fn error_percent(mut self, percent: u8) -> Self {
        self.error_percent = Some(percent);
        self
    }

    /// Bytes of memory: those that [`Database::check_thresholds`](crate::Database::check_thresholds)
    /// is told, or those that the database takes for pages.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Judges what the program [recorded](super::Monitor::record) instead of operations of
    /// the engine.
    pub fn of_program(mut self) -> Self {
        self.is_of_program = true;
        self
    }

    /// Whether there is any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let none = Self {
            is_of_program: self.is_of_program,
            ..Self::default()
        };
        *self == none
    }
}

/// What was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlertKind {
    /// Operations take long; in microseconds.
    Latency,
    /// There are many operations; a second.
    Throughput,
    /// Many operations fail; of a hundred.
    ErrorRate,
    /// Much memory is used; in bytes.
    Memory,
}

impl AlertKind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Throughput => "throughput",
            Self::ErrorRate => "error_rate",
            Self::Memory => "memory",
        }
    }
}

/// A threshold was passed, or is not passed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alert {
    /// Which.
    pub kind: AlertKind,
    /// Whether it was passed just now; else it is over.
    pub is_raised: bool,
    /// What was found, in the unit of its kind.
    pub found: u64,
    /// What was not to be passed.
    pub threshold: u64,
}

/// What there is to see at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) now: Duration,
    pub(super) buckets: [u64; BUCKETS],
    pub(super) failures: u64,
    pub(super) memory: u64,
}

/// Thresholds, and which of them are passed.
#[derive(Debug)]
pub(super) struct Alerts {
    thresholds: Thresholds,
    before: Option<Sample>,
    raised: [bool; 4],
}

impl Alerts {
    pub(super) fn new(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            before: None,
            raised: [false; 4],
        }
    }

    pub(super) fn is_of_program(&self) -> bool {
        self.thresholds.is_of_program
    }

    /// What has changed since the last look.
    pub(super) fn look(&mut self, sample: Sample) -> Vec<Alert> {
        let mut told = Vec::new();
        let thresholds = self.thresholds;
        if let Some(most) = thresholds.memory {
            self.judge(AlertKind::Memory, sample.memory, most, &mut told);
        }
        let Some(before) = self.before else {
            self.before = Some(sample);
            return told;
        };
        let time_ms = sample.now.saturating_sub(before.now).as_millis();
        if time_ms == 0 {
            return told;
        }
        self.before = Some(sample);
        let mut counts = sample.buckets;
        for (count, earlier) in counts.iter_mut().zip(before.buckets) {
            *count = count.saturating_sub(earlier);
        }
        let operations: u64 = counts.iter().sum();
        if let Some(most) = thresholds.throughput {
            let per_second = u128::from(operations) * 1000 / time_ms;
            let per_second = u64::try_from(per_second).unwrap_or(u64::MAX);
            self.judge(AlertKind::Throughput, per_second, most, &mut told);
        }
        let is_enough = operations >= MIN_OPERATIONS;
        if let Some(most) = thresholds.latency {
            let found = if is_enough {
                percentile(&counts, PERCENTILE)
            } else {
                Duration::ZERO
            };
            let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            self.judge(AlertKind::Latency, micros(found), micros(most), &mut told);
        }
        if let Some(most) = thresholds.error_percent {
            let failures = sample.failures.saturating_sub(before.failures);
            let percent = if is_enough {
                failures * 100 / operations
            } else {
                0
            };
            self.judge(AlertKind::ErrorRate, percent, u64::from(most), &mut told);
        }
        told
    }

    fn judge(&mut self, kind: AlertKind, found: u64, threshold: u64, told: &mut Vec<Alert>) {
        let is_raised = found > threshold;
        let was_raised = std::mem::replace(&mut self.raised[kind as usize], is_raised);
        if is_raised != was_raised {
            told.push(Alert {
                kind,
                is_raised,
                found,
                threshold,
            });
        }
    }
}
