//! What Serializable costs over Snapshot: the same transactions under both, in short turns.

use std::ops::Bound;
use std::time::{Duration, Instant};

use cs_kv::{Error, Isolation, KeyRange, Scan, Transaction, TransactionOptions};
use oorandom::Rand64;

use crate::engine::refused;
use crate::error::BenchError;
use crate::kv::laps;
use crate::kv::measured::{Measured, Unit};
use crate::machine;

use super::bed::{Bed, value};
use super::contention::{pause, random};
use super::draw::KEYS;
use super::plan::Plan;

/// Puts of a transaction, of keys that it has not read.
const PUTS: usize = 5;
/// Entries of a range.
const RANGE: usize = 100;
/// Turns of each isolation within one measurement.
const SLICES: u32 = 4;

/// What a transaction reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    Points,
    Range,
}

/// What the slices of one isolation came to.
#[derive(Default)]
struct Sum {
    commits: u64,
    conflicts: u64,
    seconds: f64,
    cpu: Duration,
}

/// `txn-serializable`: rates and processor time of both, and how many times more one takes.
pub(super) fn run(bed: &Bed, plan: &Plan, threads: u64) -> Result<Vec<Measured>, BenchError> {
    let mut rows = Vec::new();
    for (reads, name) in [
        (Reads::Points, "txn-serializable: 10 gets, 5 puts"),
        (Reads::Range, "txn-serializable: range of 100, 5 puts"),
    ] {
        let mut sums = [Sum::default(), Sum::default()];
        for slice in 0..SLICES {
            for (isolation, sum) in [Isolation::Snapshot, Isolation::Serializable]
                .into_iter()
                .zip(&mut sums)
            {
                let time = plan.time() / SLICES;
                slice_of(bed, plan, (threads, time, slice), (reads, isolation), sum)?;
            }
        }
        let cpu_us = |sum: &Sum| sum.cpu.as_secs_f64() * 1e6 / sum.commits.max(1) as f64;
        for (sum, isolation) in sums.iter().zip(["snapshot", "serializable"]) {
            let per_s = sum.commits as f64 / sum.seconds.max(1e-9);
            let attempts = (sum.commits + sum.conflicts).max(1) as f64;
            let row = Measured::new(format!("{name}, {isolation}"), threads, Unit::PerS, per_s);
            rows.push(
                row.with("cpu_us", cpu_us(sum))
                    .with("conflict_rate", sum.conflicts as f64 / attempts),
            );
        }
        let times = cpu_us(&sums[1]) / cpu_us(&sums[0]).max(1e-9);
        let name = format!("{name}, processor time serializable over snapshot");
        rows.push(Measured::new(name, threads, Unit::Times, times));
    }
    Ok(rows)
}

fn slice_of(
    bed: &Bed,
    plan: &Plan,
    (threads, time, slice): (u64, Duration, u32),
    (reads, isolation): (Reads, Isolation),
    sum: &mut Sum,
) -> Result<(), BenchError> {
    let cpu = machine::cpu_time();
    let done = laps::in_threads(threads, time, |thread, lap| {
        // The same keys for both isolations.
        // The pauses have numbers of their own, so that a conflict moves no key.
        let mut pauses = random(plan, !thread);
        let mut random = random(plan, thread << 32 | u64::from(slice));
        let (mut conflicts, mut in_a_row) = (0_u64, 0);
        lap.begin();
        loop {
            let from = Instant::now();
            let begun = bed
                .store
                .begin_with(TransactionOptions::with_isolation(isolation));
            let txn = begun.map_err(refused("begin"))?;
            match work(bed, txn, reads, &mut random) {
                Ok(()) => {
                    in_a_row = 0;
                    if !lap.done(from, 1) {
                        return Ok(conflicts);
                    }
                }
                Err(error) if error.is_retryable() => {
                    pause(&mut pauses, in_a_row);
                    (conflicts, in_a_row) = (conflicts + 1, in_a_row + 1);
                }
                Err(error) => return Err(refused("commit a transaction")(error)),
            }
        }
    })?;
    let outcome = laps::merged(&done);
    sum.commits += outcome.ops;
    sum.conflicts += done.iter().map(|done| done.value).sum::<u64>();
    sum.seconds += outcome.seconds;
    let spent = machine::cpu_time().zip(cpu);
    sum.cpu += spent.map_or(Duration::ZERO, |(now, then)| now.saturating_sub(then));
    Ok(())
}

fn work(bed: &Bed, mut txn: Transaction, reads: Reads, random: &mut Rand64) -> Result<(), Error> {
    let mut next = || bed.key(random.rand_range(0..bed.keys));
    match reads {
        Reads::Points => {
            for _ in 0..KEYS {
                txn.get(bed.tree, &next())?;
            }
        }
        Reads::Range => {
            let range = KeyRange {
                lower: Bound::Included(next()),
                upper: Bound::Unbounded,
            };
            let mut left = RANGE;
            txn.scan(bed.tree, &range, false, |_, _| {
                left -= 1;
                Ok(if left == 0 {
                    Scan::Stop
                } else {
                    Scan::Continue
                })
            })?;
        }
    }
    for _ in 0..PUTS {
        txn.put(bed.tree, next(), value(0, bed.value_bytes))?;
    }
    txn.commit(&bed.options)?.wait()
}
