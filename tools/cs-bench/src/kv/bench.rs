//! The workloads over one open engine: writes and deletes here, reads in
//! `reads.rs`, those with threads of their own in `crowds.rs`.
//!
//! Invariants:
//! * Every answer is checked as far as it costs nothing; a scan checks all.
//! * What was acknowledged is in `live` when a workload returns.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::engine::{Engine, Pair, Settings, Sync};
use crate::error::BenchError;
use crate::machine;
use crate::machine::watch::Watch;

use super::crowds::CROWD;
use super::laps::{self, Lap, Outcome};
use super::measured::{Measured, Unit};
use super::pairs::{Live, Pairs, sum_of};
use super::reads::NO_END;
use super::workload::Workload;

/// Pairs in one batch of a load, and deletions in one commit, unless memory is limited.
const BATCH: u64 = 10_000;
/// Pairs in one commit of `put-100`, of churn and of what is logged before a kill.
pub(super) const COMMIT: u64 = 100;
/// Most bytes in one batch of a load.
const BATCH_BYTES: u64 = 16 << 20;

/// Share of a limited cache that one batch may have: engines hold it several times.
const BATCH_SHARE: u64 = 128;
/// Fewest pairs in a batch.
const BATCH_MIN: u64 = 50;

/// Pairs in one batch of a load, and deletions in one commit.
pub(super) fn batch_of(settings: &Settings, pair_bytes: u64) -> u64 {
    let most = (BATCH_BYTES / pair_bytes).clamp(1, BATCH);
    match settings.memory_limit {
        None => most,
        Some(_) => {
            (settings.cache_bytes / BATCH_SHARE / pair_bytes).clamp(BATCH_MIN.min(most), most)
        }
    }
}

/// An engine under load, and all that a workload needs beside it.
pub(super) struct Bench<'a> {
    pub(super) engine: &'a dyn Engine,
    pub(super) directory: &'a Path,
    pub(super) pairs: &'a Pairs,
    pub(super) live: &'a mut Live,
    /// For each measurement that has no end of its own.
    pub(super) time: Duration,
    /// Most pairs in one batch of a load, and deletions in one commit.
    pub(super) batch: u64,
    /// The most memory that the engine took, where that is watched.
    pub(super) watch: Option<&'a Watch>,
}

impl Bench<'_> {
    /// Runs one workload; its figures.
    pub(super) fn work(
        &mut self,
        workload: Workload,
        threads: u64,
    ) -> Result<Vec<Measured>, BenchError> {
        let one = |outcome: Outcome| vec![rate(workload.to_string(), threads, &outcome)];
        match workload {
            Workload::Get | Workload::GetFresh => self.get(workload, threads).map(one),
            Workload::Range10 => self.range(threads).map(one),
            Workload::Scan => self.scan().map(one),
            Workload::Put1 => self.put(threads, 1, Sync::Durable).map(one),
            Workload::Put100 => self.put(threads, COMMIT, Sync::Durable).map(one),
            Workload::Put1Nosync => self.put(threads, 1, Sync::Later).map(one),
            Workload::Put100Nosync => self.put(threads, COMMIT, Sync::Later).map(one),
            Workload::Queue64 => Ok(vec![rate("queue-64", CROWD, &self.queue()?)]),
            Workload::Mixed => self.mixed(),
            Workload::DeleteHalf => self.delete_half().map(one),
            Workload::SizeLoad => self.size("size-load"),
            Workload::SizeChurn => self.size_after_churn(),
            Workload::Memory => self.memory(),
            Workload::OpenLoop => self.open_loop(),
            Workload::BulkLoad
            | Workload::Reopen
            | Workload::Recover
            | Workload::Soak
            | Workload::Growth
            | Workload::LargerThanMemory => Err(BenchError::WrongAnswer(format!(
                "{workload} is no workload of a loaded database"
            ))),
        }
    }

    /// Loads `keys` pairs into an empty database, and lets it settle. Making
    /// them is outside the clock, settling is a detail.
    pub(super) fn load(&mut self, keys: u64) -> Result<Vec<Measured>, BenchError> {
        let batch = self.batch;
        let making = Cell::new(Duration::ZERO);
        let mut next = 0;
        let mut sum = 0u64;
        let start = Instant::now();
        self.engine.load(&mut || {
            let from = Instant::now();
            let numbers = next..keys.min(next + batch);
            next = numbers.end;
            let mut several: Vec<Pair> = numbers.map(|number| self.pairs.pair(number)).collect();
            for pair in &several {
                sum = sum.wrapping_add(sum_of(&pair.key, &pair.value));
            }
            several.sort_unstable_by_key(|pair| pair.key);
            making.set(making.get() + from.elapsed());
            (!several.is_empty()).then_some(several)
        })?;
        let seconds = (start.elapsed() - making.get()).as_secs_f64();
        self.live.loaded = keys;
        self.live.next = keys;
        // An odd one: those stay when half are deleted.
        self.live.known = Some(1);
        self.live.put(keys, sum);
        let per_s = keys as f64 / seconds.max(1e-9);
        let start = Instant::now();
        self.engine.settle()?;
        let settle_s = start.elapsed().as_secs_f64();
        let row = Measured::new("bulk-load", 1, Unit::PerS, per_s);
        Ok(vec![row.with("settle_s", settle_s)])
    }

    /// Writes `records` pairs in durable commits of 100, for a kill to come.
    pub(super) fn log(&mut self, records: u64) -> Result<(), BenchError> {
        self.put_exactly(records, Sync::Durable)
    }

    fn put_exactly(&mut self, records: u64, sync: Sync) -> Result<(), BenchError> {
        let end = self.live.next + records;
        while self.live.next < end {
            let numbers = self.live.next..end.min(self.live.next + COMMIT);
            let several: Vec<Pair> = numbers
                .clone()
                .map(|number| self.pairs.pair(number))
                .collect();
            self.engine.put(&several, sync)?;
            self.live.next = numbers.end;
            self.live.known.get_or_insert(numbers.start);
            self.live.put(several.len() as u64, sums(&several));
        }
        Ok(())
    }

    pub(super) fn put(
        &mut self,
        threads: u64,
        batch: u64,
        sync: Sync,
    ) -> Result<Outcome, BenchError> {
        let Self { engine, pairs, .. } = *self;
        let first = self.live.next;
        let done = laps::in_threads(threads, self.time, |thread, lap| {
            put_until_told(engine, pairs, lap, (first + thread, threads), batch, sync)
        })?;
        for done in &done {
            self.written(&done.value);
        }
        Ok(laps::merged(&done))
    }

    /// Books what a thread has put.
    pub(super) fn written(&mut self, written: &Written) {
        self.live.next = self.live.next.max(written.next);
        self.live.put(written.pairs, written.sum);
    }

    fn delete_half(&mut self) -> Result<Outcome, BenchError> {
        let Self { engine, pairs, .. } = *self;
        let batch = self.batch.min(BATCH);
        let loaded = if self.live.halved {
            0
        } else {
            self.live.loaded
        };
        let done = laps::in_threads(1, NO_END, |_, lap| {
            let mut deleted = (0, 0u64);
            let mut next = 0;
            lap.begin();
            while next < loaded {
                let end = loaded.min(next + 2 * batch);
                let numbers = (next..end).step_by(2);
                let keys: Vec<_> = numbers.clone().map(|number| pairs.key(number)).collect();
                let from = Instant::now();
                engine.delete(&keys, Sync::Durable)?;
                lap.done(from, keys.len() as u64);
                deleted.0 += keys.len() as u64;
                deleted.1 =
                    numbers.fold(deleted.1, |sum, number| sum.wrapping_add(pairs.sum(number)));
                next = end;
            }
            Ok(deleted)
        })?;
        for done in &done {
            self.live.deleted(done.value.0, done.value.1);
        }
        self.live.halved = true;
        let mut outcome = laps::merged(&done);
        // Making the keys and their sums is outside.
        outcome.seconds = outcome.latencies.total_s();
        Ok(outcome)
    }

    fn size_after_churn(&mut self) -> Result<Vec<Measured>, BenchError> {
        if !self.live.halved {
            self.put_exactly(self.live.loaded / 2, Sync::Later)?;
            self.delete_half()?;
        }
        self.size("size-churn")
    }

    fn size(&mut self, name: &str) -> Result<Vec<Measured>, BenchError> {
        let start = Instant::now();
        self.engine.settle()?;
        let settle_s = start.elapsed().as_secs_f64();
        let measure = |of: fn(&Path) -> std::io::Result<u64>| {
            of(self.directory).map_err(BenchError::at("measure the files in", self.directory))
        };
        let payload = (self.live.pairs * self.pairs.bytes()).max(1) as f64;
        let times = |name: String, bytes: u64| {
            Measured::new(name, 1, Unit::Times, bytes as f64 / payload)
                .with("bytes", bytes as f64)
                .with("payload_bytes", payload)
        };
        Ok(vec![
            times(name.to_owned(), measure(machine::allocated_bytes)?).with("settle_s", settle_s),
            times(
                format!("{name}-apparent"),
                measure(machine::directory_bytes)?,
            ),
        ])
    }

    fn memory(&mut self) -> Result<Vec<Measured>, BenchError> {
        self.get(Workload::Get, 1)?;
        let bytes = |name: &str, bytes: Option<u64>| {
            bytes.map(|bytes| Measured::new(name, 1, Unit::Bytes, bytes as f64))
        };
        Ok(bytes("memory-peak", machine::peak_rss_bytes())
            .into_iter()
            .chain(bytes("memory-anonymous", machine::anonymous_bytes()))
            .chain(self.watch.map(|watch| {
                // Without what the program had before it opened the engine.
                let most = watch.peak().saturating_sub(watch.before) as f64;
                Measured::new("memory-engine", 1, Unit::Bytes, most)
                    .with("before_bytes", watch.before as f64)
            }))
            .collect())
    }
}

/// What one thread has put.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// From this number on it wrote nothing.
    pub(super) next: u64,
    pub(super) pairs: u64,
    pub(super) sum: u64,
}

impl Written {
    /// Adds a batch, which ended before number `next`.
    pub(super) fn add(&mut self, several: &[Pair], next: u64) {
        self.next = next;
        self.pairs += several.len() as u64;
        self.sum = self.sum.wrapping_add(sums(several));
    }
}

pub(super) fn sums(several: &[Pair]) -> u64 {
    several.iter().fold(0, |sum, pair| {
        sum.wrapping_add(sum_of(&pair.key, &pair.value))
    })
}

/// Puts new pairs, in batches, until the lap is over. Numbers begin at
/// `numbers.0`, in steps of `numbers.1`.
pub(super) fn put_until_told(
    engine: &dyn Engine,
    pairs: &Pairs,
    lap: &mut Lap<'_>,
    numbers: (u64, u64),
    batch: u64,
    sync: Sync,
) -> Result<Written, BenchError> {
    let mut written = Written::default();
    let mut next = numbers.0;
    lap.begin();
    loop {
        let end = next + batch * numbers.1;
        let several: Vec<Pair> = (next..end)
            .step_by(numbers.1 as usize)
            .map(|number| pairs.pair(number))
            .collect();
        let from = Instant::now();
        engine.put(&several, sync)?;
        let goes_on = lap.done(from, batch);
        written.add(&several, end);
        next = end;
        if !goes_on {
            return Ok(written);
        }
    }
}

/// The figure of a loop.
pub(super) fn rate(name: impl Into<String>, threads: u64, outcome: &Outcome) -> Measured {
    let mut measured = Measured::new(name, threads, Unit::PerS, outcome.per_s());
    measured.latency_us = Some(outcome.latencies.summary());
    measured
}

#[cfg(test)]
mod tests;
