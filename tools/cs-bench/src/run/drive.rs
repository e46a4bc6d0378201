//! Drives a workload: the same loop in every thread, a clock around it.
//!
//! Invariants:
//! * The clock runs from the moment at which all threads stand ready to the end
//!   of the last one. Loading is outside it, making a document is outside the
//!   latencies.
//! * Each answer is checked; the first wrong one, or the first error, ends the run.
//! * Threads work on disjoint parts, except that each scans the whole.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::Workload;
use crate::error::BenchError;
use crate::latency::Latencies;

use super::documents::{Documents, Scattered};
use super::progress::{Counter, Progress};
use super::target::Target;

/// Documents that loading hands over at once, and their bytes at most.
const LOAD_BATCH: u64 = 10_000;
const LOAD_BATCH_BYTES: u64 = 8 << 20;
/// Documents of a scan that are timed together: one alone takes as long as
/// asking the clock.
pub(crate) const SCAN_BATCH: u64 = 1000;
/// How often progress is looked at.
const TICK: Duration = Duration::from_millis(200);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) workload: Workload,
    pub(crate) threads: u64,
    pub(crate) docs: u64,
    /// Documents for each call (or each latency of a scan).
    pub(crate) batch: u64,
    pub(crate) value_size: u64,
    pub(crate) seed: u64,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Documents inserted, found, read or deleted.
    pub(crate) ops: u64,
    pub(crate) seconds: f64,
    /// One for each call.
    pub(crate) latencies: Latencies,
}

/// Loads what the workload needs, and runs it.
pub(crate) fn drive(target: &dyn Target, plan: &Plan) -> Result<Outcome, BenchError> {
    let documents = Documents::new(plan.seed, plan.value_size as usize);
    if plan.workload.needs_documents() {
        load(target, plan, &documents)?;
        expect_count(target, plan.docs)?;
    }
    let outcome = in_threads(target, plan, &documents)?;
    let left = if plan.workload == Workload::Delete {
        0
    } else {
        plan.docs
    };
    expect_count(target, left)?;
    Ok(outcome)
}

fn expect_count(target: &dyn Target, expected: u64) -> Result<(), BenchError> {
    match target.count()? {
        found if found == expected => Ok(()),
        found => Err(BenchError::WrongAnswer(format!(
            "expected {expected} documents in the collection, found {found}"
        ))),
    }
}

fn load(target: &dyn Target, plan: &Plan, documents: &Documents) -> Result<(), BenchError> {
    let batch = (LOAD_BATCH_BYTES / (plan.value_size + 64)).clamp(1, LOAD_BATCH);
    let mut progress = Progress::new("loading", plan.docs);
    for start in (0..plan.docs).step_by(batch as usize) {
        let end = plan.docs.min(start + batch);
        let several: Vec<_> = (start..end)
            .map(|number| documents.document(number))
            .collect();
        target.insert_many(&several)?;
        progress.show(end);
    }
    progress.finish();
    Ok(())
}

/// What one thread has and needs.
struct Worker<'a> {
    target: &'a dyn Target,
    plan: &'a Plan,
    documents: &'a Documents,
    /// Its own part of the documents.
    numbers: std::ops::Range<u64>,
    done: &'a Counter,
    /// Somebody failed: there is no point in going on.
    stop: &'a AtomicBool,
    latencies: Latencies,
}

fn in_threads(
    target: &dyn Target,
    plan: &Plan,
    documents: &Documents,
) -> Result<Outcome, BenchError> {
    let threads = plan.threads;
    let counters: Vec<Counter> = (0..threads).map(|_| Counter::default()).collect();
    let stop = AtomicBool::new(false);
    let ready = Barrier::new(threads as usize + 1);
    let total = if plan.workload == Workload::Scan {
        plan.docs * threads
    } else {
        plan.docs
    };
    let mut progress = Progress::new("running", total);

    thread::scope(|scope| {
        // Dropped by each worker at its end: when all are, receiving fails.
        let (running, ended) = mpsc::channel::<()>();
        let mut handles = Vec::new();
        for (number, done) in (0..threads).zip(&counters) {
            let numbers = plan.docs * number / threads..plan.docs * (number + 1) / threads;
            let latencies = Latencies::new();
            let (stop, ready, running) = (&stop, &ready, running.clone());
            let mut worker = Worker {
                target,
                plan,
                documents,
                numbers,
                done,
                stop,
                latencies,
            };
            handles.push(scope.spawn(move || {
                let _running = running;
                ready.wait();
                let start = Instant::now();
                let result = worker.work();
                let end = Instant::now();
                if result.is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
                result.map(|()| (worker.latencies, start, end))
            }));
        }
        drop(running);
        ready.wait();
        while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            progress.show(counters.iter().map(Counter::get).sum());
        }
        progress.finish();

        let mut latencies = Latencies::new();
        // By the threads' own clocks: with more threads than processors this one
        // may be the last to learn that it all has begun.
        let mut span: Option<(Instant, Instant)> = None;
        let mut failure = None;
        for handle in handles {
            match handle.join() {
                Ok(Ok((seen, start, end))) => {
                    latencies.merge(&seen);
                    let (first, last) = span.unwrap_or((start, end));
                    span = Some((first.min(start), last.max(end)));
                }
                Ok(Err(error)) => {
                    failure.get_or_insert(error);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(Outcome {
                ops: counters.iter().map(Counter::get).sum(),
                seconds: span.map_or(0.0, |(first, last)| (last - first).as_secs_f64()),
                latencies,
            }),
        }
    })
}

impl Worker<'_> {
    fn work(&mut self) -> Result<(), BenchError> {
        match self.plan.workload {
            Workload::Insert1 => self.insert(),
            Workload::InsertBatch | Workload::LoadBulk => self.insert_batches(),
            Workload::FindId => self.find(),
            Workload::Scan => self.scan(),
            Workload::Delete => self.delete(),
        }
    }

    fn insert(&mut self) -> Result<(), BenchError> {
        for number in self.numbers.clone() {
            let document = self.documents.document(number);
            let start = Instant::now();
            self.target.insert(&document)?;
            if self.counted(start, 1) {
                break;
            }
        }
        Ok(())
    }

    fn insert_batches(&mut self) -> Result<(), BenchError> {
        let numbers = self.numbers.clone();
        for first in numbers.clone().step_by(self.plan.batch as usize) {
            let end = numbers.end.min(first + self.plan.batch);
            let several: Vec<_> = (first..end)
                .map(|number| self.documents.document(number))
                .collect();
            let start = Instant::now();
            self.target.insert_many(&several)?;
            if self.counted(start, end - first) {
                break;
            }
        }
        Ok(())
    }

    fn find(&mut self) -> Result<(), BenchError> {
        let order = Scattered::new(self.plan.docs);
        let expected = self.documents.document(0).as_bytes().len();
        for position in self.numbers.clone() {
            let id = self.documents.id(order.at(position));
            let start = Instant::now();
            let found = self.target.find(&id)?;
            if found != Some(expected) {
                let found = found.map_or("nothing".to_owned(), |len| format!("{len} bytes"));
                return Err(BenchError::WrongAnswer(format!(
                    "expected a document of {expected} bytes for _id {id}, found {found}"
                )));
            }
            if self.counted(start, 1) {
                break;
            }
        }
        Ok(())
    }

    fn scan(&mut self) -> Result<(), BenchError> {
        let target = self.target;
        let batch = self.plan.batch;
        let mut documents = 0;
        let mut bytes = 0;
        let mut start = Instant::now();
        target.scan(&mut |document| {
            documents += 1;
            bytes += document.as_bytes().len() as u64;
            if documents % batch == 0 {
                self.counted(start, batch);
                start = Instant::now();
            }
            Ok(())
        })?;
        if documents % batch != 0 {
            self.counted(start, documents % batch);
        }
        let expected = (
            self.plan.docs,
            self.plan.docs * self.documents.document(0).as_bytes().len() as u64,
        );
        if (documents, bytes) == expected {
            return Ok(());
        }
        Err(BenchError::WrongAnswer(format!(
            "expected a scan of {} documents and {} bytes, found {documents} and {bytes}",
            expected.0, expected.1
        )))
    }

    fn delete(&mut self) -> Result<(), BenchError> {
        let order = Scattered::new(self.plan.docs);
        for position in self.numbers.clone() {
            let id = self.documents.id(order.at(position));
            let start = Instant::now();
            if !self.target.delete(&id)? {
                return Err(BenchError::WrongAnswer(format!(
                    "expected to delete the document with _id {id}, found none"
                )));
            }
            if self.counted(start, 1) {
                break;
            }
        }
        Ok(())
    }

    /// Counts a call that began at `start` and did `ops` documents; whether to stop.
    fn counted(&mut self, start: Instant, ops: u64) -> bool {
        self.latencies.record(start.elapsed());
        self.done.add(ops);
        self.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
