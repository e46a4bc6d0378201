//! Figures that somebody watches: one registry for each open database, and thresholds that
//! call back.
//!
//! ```text
//! counters, gauges, histograms ─┐
//! what the engine counts anyway ┴─> Database::metrics_text: Prometheus' text, version 0.0.4
//! operations, timed ──> thresholds ──> alerts: raised once, cleared once
//! ```
//!
//! A program over this crate registers figures of its own beside the engine's
//! ([`Monitor::registry`]). Nothing is timed until somebody asks for it
//! ([`Monitor::start`]): a database that nobody watches reads no clock for it.
//!
//! ## Invariants
//! * A family has one kind, one help and one set of names of labels; at most
//!   [`MAX_SERIES`] series are kept of each, so that no client's words fill the memory.
//! * What is counted takes no lock: only making a series does, and reading all of them.
//! * Callbacks are called by [`Database::check_thresholds`](crate::Database::check_thresholds),
//!   on its thread, under no lock that an operation takes.

mod alerts;
mod engine;
mod figures;
mod registry;
mod text;

pub use alerts::{Alert, AlertKind, Thresholds};
pub use figures::{BUCKETS_US, Counter, Gauge, Histogram};
pub use registry::{MAX_SERIES, Registry};

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cs_kv::io::Runtime;
use parking_lot::Mutex;

use crate::error::Result;
use alerts::{Alerts, Sample};
pub(crate) use engine::engine_figures;
pub(crate) use text::Text;

/// Who is told of alerts.
type Callback = Arc<dyn Fn(&Alert) + Send + Sync>;

/// What an operation is, for figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Insert,
    Find,
    Update,
    Delete,
    Aggregate,
}

impl Operation {
    const ALL: [Self; 5] = [
        Self::Insert,
        Self::Find,
        Self::Update,
        Self::Delete,
        Self::Aggregate,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Find => "find",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Aggregate => "aggregate",
        }
    }
}

/// What is watched of an open database.
#[derive(Debug)]
pub struct Monitor {
    registry: Registry,
    is_on: AtomicBool,
    times: [Histogram; Operation::ALL.len()],
    failures: [Counter; Operation::ALL.len()],
    recorded: Recorded,
    watched: Mutex<Option<Watched>>,
}

/// What the program timed.
#[derive(Debug, Default)]
struct Recorded {
    times: Histogram,
    failures: Counter,
}

struct Watched {
    alerts: Alerts,
    callback: Callback,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

impl Default for Monitor {
    fn default() -> Self {
        let registry = Registry::default();
        let times = Operation::ALL.map(|operation| {
            let help = "time that operations of the engine took, while they are timed";
            registry.histogram(
                "cs_operation_seconds",
                help,
                &[("operation", operation.name())],
            )
        });
        let failures = Operation::ALL.map(|operation| {
            let help = "operations of the engine that failed, while they are timed";
            let labels = [("operation", operation.name())];
            registry.counter("cs_operation_failures_total", help, &labels)
        });
        Self {
            registry,
            is_on: AtomicBool::new(false),
            times,
            failures,
            recorded: Recorded::default(),
            watched: Mutex::new(None),
        }
    }
}

impl Monitor {
    /// The registry: for figures of one's own, which come out beside the engine's.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Times operations from now on.
    pub fn start(&self) {
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// Watches for what is above these thresholds from now on, instead of those before,
    /// and times operations. `callback` is told when one is passed, and when it is not any more.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::sync::Arc;
    /// use collection_store::Database;
    /// use collection_store::monitor::Thresholds;
    ///
    /// let database = Database::open_in_memory()?;
    /// let told = Arc::new(AtomicU64::new(0));
    /// let teller = Arc::clone(&told);
    /// let thresholds = Thresholds::new().memory(1);
    /// database.monitor().set_thresholds(thresholds, move |alert| {
    ///     assert!(alert.is_raised);
    ///     teller.fetch_add(1, Ordering::Relaxed);
    /// });
    /// database.check_thresholds(Some(2));
    /// database.check_thresholds(Some(3)); // it is known
    /// assert_eq!(told.load(Ordering::Relaxed), 1);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    pub fn set_thresholds(
        &self,
        thresholds: Thresholds,
        callback: impl Fn(&Alert) + Send + Sync + 'static,
    ) {
        if !thresholds.is_of_program {
            self.start();
        }
        *self.watched.lock() = Some(Watched {
            alerts: Alerts::new(thresholds),
            callback: Arc::new(callback),
        });
    }

    /// Something that the program timed itself, a request of a client perhaps, took so long:
    /// for thresholds [of the program](Thresholds::of_program).
    pub fn record(&self, time: Duration, has_failed: bool) {
        self.recorded.times.record(time);
        if has_failed {
            self.recorded.failures.add(1);
        }
    }

    /// Looks at the thresholds, and tells who wants to know; what was told.
    pub(crate) fn check(&self, now: Duration, memory: u64) -> Vec<Alert> {
        let (told, callback) = {
            let mut watched = self.watched.lock();
            let Some(watched) = &mut *watched else {
                return Vec::new();
            };
            let recorded = &self.recorded;
            let (buckets, failures) = match watched.alerts.is_of_program() {
                true => (recorded.times.counts(), recorded.failures.get()),
                false => {
                    let failures = self.failures.iter().map(Counter::get).sum();
                    (Histogram::sum(&self.times), failures)
                }
            };
            let sample = Sample {
                now,
                buckets,
                failures,
                memory,
            };
            (watched.alerts.look(sample), Arc::clone(&watched.callback))
        };
        for alert in &told {
            callback(alert);
        }
        told
    }

    /// Carries an operation out, and times it if operations are timed.
    #[inline]
    pub(crate) fn timed<T>(
        &self,
        runtime: &Arc<dyn Runtime>,
        operation: Operation,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if !self.is_on.load(Ordering::Relaxed) {
            return work();
        }
        let begun = runtime.monotonic();
        let outcome = work();
        self.times[operation as usize].record(runtime.monotonic().saturating_sub(begun));
        if outcome.is_err() {
            self.failures[operation as usize].add(1);
        }
        outcome
    }
}

#[cfg(test)]
mod tests;
