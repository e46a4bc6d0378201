//! One figure of one engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::latency::Summary;
use crate::report;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Operations a second.
    PerS,
    /// Seconds.
    S,
    /// Microseconds.
    Us,
    /// Bytes.
    Bytes,
    /// A multiple of the payload.
    Times,
}

impl Unit {
    /// How much better `one` is than `two`: above 1 it is.
    pub(crate) fn advantage(self, one: f64, two: f64) -> f64 {
        match self {
            Self::PerS => one / two,
            Self::S | Self::Us | Self::Bytes | Self::Times => two / one,
        }
    }

    /// A figure for people.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::PerS => report::count(value),
            Self::S => report::time(value * 1e6),
            Self::Us => report::time(value),
            Self::Bytes => report::bytes(value as u64),
            Self::Times => format!("{value:.2} x"),
        }
    }
}

/// What a figure is of: the same for all engines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Subject {
    /// The workload, or the part of it.
    pub(crate) workload: String,
    pub(crate) threads: u64,
    /// Keys in the database when it began, or in the log.
    pub(crate) keys: u64,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    #[serde(flatten)]
    pub(crate) subject: Subject,
    pub(crate) unit: Unit,
    pub(crate) value: f64,
    /// Of one call.
    pub(crate) latency_us: Option<Summary>,
    /// What else is worth knowing, by name.
    pub(crate) details: BTreeMap<String, f64>,
}

impl Measured {
    /// A figure without latencies and details.
    pub(crate) fn new(workload: impl Into<String>, threads: u64, unit: Unit, value: f64) -> Self {
        let subject = Subject {
            workload: workload.into(),
            threads,
            keys: 0,
        };
        Self {
            subject,
            unit,
            value,
            latency_us: None,
            details: BTreeMap::new(),
        }
    }

    /// With one more detail, where it is known.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Option<f64>>) -> Self {
        if let Some(value) = value.into() {
            self.details.insert(name.to_owned(), value);
        }
        self
    }
}
