//! The clock around the threads of a measurement.
//!
//! Invariants:
//! * All threads begin together. The time is that from the first beginning to
//!   the last end, by the threads' own clocks.
//! * The first error stops them all, and is what comes out.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::BenchError;
use crate::latency::Latencies;

/// What the threads did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ops: u64,
    pub(crate) seconds: f64,
    pub(crate) latencies: Latencies,
}

impl Outcome {
    pub(crate) fn per_s(&self) -> f64 {
        // A measurement of one operation can be over within a tick of the clock.
        self.ops as f64 / self.seconds.max(1e-9)
    }
}

/// The clock of one thread.
pub(crate) struct Lap<'a> {
    gate: &'a Barrier,
    stop: &'a AtomicBool,
    time: Duration,
    start: Option<Instant>,
    end: Option<Instant>,
    ops: u64,
    latencies: Latencies,
}

impl Lap<'_> {
    /// Waits until all threads are here, and starts the clock.
    pub(crate) fn begin(&mut self) -> Instant {
        self.gate.wait();
        *self.start.insert(Instant::now())
    }

    /// Counts a call that began at `from` and did `ops` operations; whether to
    /// go on.
    pub(crate) fn done(&mut self, from: Instant, ops: u64) -> bool {
        let now = Instant::now();
        self.latencies.record(now - from);
        self.ops += ops;
        self.end = Some(now);
        let elapsed = self.start.map_or(self.time, |start| now - start);
        elapsed < self.time && !self.is_stopped()
    }

    /// Whether another thread has failed.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Counts operations of which nobody asks how long they took.
    pub(crate) fn count(&mut self, ops: u64) {
        self.ops += ops;
    }
}

/// One thread at its end.
#[derive(Debug)]
pub(crate) struct Done<T> {
    ops: u64,
    start: Instant,
    end: Instant,
    latencies: Latencies,
    /// What its body returned.
    pub(crate) value: T,
}

/// Runs `body` in as many threads, each with its number, for `time` (or until
/// they end by themselves).
pub(crate) fn in_threads<T: Send>(
    threads: u64,
    time: Duration,
    body: impl Fn(u64, &mut Lap<'_>) -> Result<T, BenchError> + Sync,
) -> Result<Vec<Done<T>>, BenchError> {
    let gate = Barrier::new(threads as usize);
    let stop = AtomicBool::new(false);
    let one = |number: u64| {
        let mut lap = Lap {
            gate: &gate,
            stop: &stop,
            time,
            start: None,
            end: None,
            ops: 0,
            latencies: Latencies::new(),
        };
        let result = body(number, &mut lap);
        if result.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        // Who failed early must not leave the others waiting.
        let start = match lap.start {
            Some(start) => start,
            None => lap.begin(),
        };
        result.map(|value| Done {
            ops: lap.ops,
            start,
            end: lap.end.unwrap_or_else(Instant::now),
            latencies: lap.latencies,
            value,
        })
    };
    thread::scope(|scope| {
        let one = &one;
        let handles: Vec<_> = (0..threads)
            .map(|number| scope.spawn(move || one(number)))
            .collect();
        let mut ended = Vec::new();
        for handle in handles {
            match handle.join() {
                Ok(result) => ended.push(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        ended.into_iter().collect()
    })
}

/// What several threads did together.
pub(crate) fn merged<'a, T: 'a>(threads: impl IntoIterator<Item = &'a Done<T>>) -> Outcome {
    let mut outcome = Outcome {
        ops: 0,
        seconds: 0.0,
        latencies: Latencies::new(),
    };
    let mut span: Option<(Instant, Instant)> = None;
    for done in threads {
        outcome.ops += done.ops;
        outcome.latencies.merge(&done.latencies);
        let (first, last) = span.unwrap_or((done.start, done.end));
        span = Some((first.min(done.start), last.max(done.end)));
    }
    outcome.seconds = span.map_or(0.0, |(first, last)| (last - first).as_secs_f64());
    outcome
}

#[cfg(test)]
mod tests;
