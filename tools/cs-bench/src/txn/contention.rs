//! Transactions of ten operations from many threads: 5 gets, then 5 increments (a get and a
//! put), ten different keys. Whoever loses tries again, with the same keys and after a pause,
//! until it commits.

use std::thread;
use std::time::{Duration, Instant};

use cs_kv::Error;
use oorandom::Rand64;

use crate::engine::refused;
use crate::error::BenchError;
use crate::kv::laps;
use crate::kv::measured::{Measured, Unit};

use super::bed::{Bed, counter, value};
use super::draw::{Draw, KEYS, Zipf};
use super::plan::Plan;
use super::workload::Workload;

/// Keys of a transaction that it only reads.
pub(super) const READS: usize = 5;

/// How often transactions were tried in vain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tries {
    pub(super) conflicts: u64,
    /// The most that one of them needed.
    pub(super) most: u64,
}

impl Tries {
    /// One transaction has committed after so many conflicts.
    pub(super) fn note(&mut self, conflicts: u64) {
        self.conflicts += conflicts;
        self.most = self.most.max(conflicts + 1);
    }
}

/// How the keys of a thread are drawn.
pub(super) fn draw(contended: Option<Zipf>, thread: u64, threads: u64, keys: u64) -> Draw {
    match contended {
        Some(zipf) => Draw::Shared(zipf),
        None => Draw::Own {
            thread,
            threads,
            keys,
        },
    }
}

/// Random numbers of one thread.
pub(super) fn random(plan: &Plan, thread: u64) -> Rand64 {
    Rand64::new(u128::from(plan.seed) << 64 | u128::from(thread))
}

/// The figure of transactions that ran in threads.
pub(super) fn figure(
    workload: Workload,
    threads: u64,
    done: &[laps::Done<Tries>],
) -> (Measured, u64) {
    let outcome = laps::merged(done);
    let conflicts: u64 = done.iter().map(|done| done.value.conflicts).sum();
    let most = done.iter().map(|done| done.value.most).max().unwrap_or(0);
    let attempts = (outcome.ops + conflicts).max(1);
    let row = Measured::new(workload.to_string(), threads, Unit::PerS, outcome.per_s());
    let row = Measured {
        latency_us: Some(outcome.latencies.summary()),
        ..row
    };
    let row = row
        .with("conflict_rate", conflicts as f64 / attempts as f64)
        .with("attempts_most", most as f64);
    (row, outcome.ops)
}

/// `txn-disjoint` and `txn-zipf`.
pub(super) fn run(
    bed: &Bed,
    plan: &Plan,
    workload: Workload,
    threads: u64,
) -> Result<Measured, BenchError> {
    let zipf = (workload == Workload::Zipf).then(|| Zipf::new(bed.keys));
    let before = bed.sum()?;
    let done = laps::in_threads(threads, plan.time(), |thread, lap| {
        // The pauses have numbers of their own, so that a conflict moves no key.
        let mut pauses = random(plan, !thread);
        let mut random = random(plan, thread);
        let draw = draw(zipf, thread, threads, bed.keys);
        let mut tries = Tries::default();
        lap.begin();
        loop {
            let keys = draw.next(&mut random);
            let from = Instant::now();
            let mut conflicts = 0;
            while let Err(error) = attempt(bed, &keys) {
                if !error.is_retryable() {
                    return Err(refused("commit a transaction")(error));
                }
                pause(&mut pauses, conflicts);
                conflicts += 1;
            }
            tries.note(conflicts);
            if !lap.done(from, 1) {
                return Ok(tries);
            }
        }
    })?;
    let (row, commits) = figure(workload, threads, &done);
    bed.expect_sum(before, commits * (KEYS - READS) as u64)?;
    Ok(row)
}

/// Lets the others go ahead, as `with_transaction` of the documents does it: for a
/// random part of a time that doubles with the conflicts, from 100 µs to 50 ms.
pub(super) fn pause(random: &mut Rand64, conflicts: u64) {
    let longest = (100_u64 << conflicts.min(16)).min(50_000);
    thread::sleep(Duration::from_micros(random.rand_range(0..longest + 1)));
}

fn attempt(bed: &Bed, keys: &[u64; KEYS]) -> Result<(), Error> {
    let mut txn = bed.store.begin()?;
    for (at, number) in keys.iter().enumerate() {
        let key = bed.key(*number);
        let found = txn.get(bed.tree, &key)?.unwrap_or_default();
        if at >= READS {
            let next = value(counter(&found) + 1, bed.value_bytes);
            txn.put(bed.tree, key, next)?;
        }
    }
    txn.commit(&bed.options)?.wait()
}
