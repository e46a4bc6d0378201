//! Increments of one key by many, and puts of keys of their own by as many, in one run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cs_kv::{Batch, Declined, Evaluate, Expect, Outcome};

use crate::engine::refused;
use crate::error::BenchError;
use crate::kv::laps;
use crate::kv::measured::{Measured, Unit};

use super::bed::{Bed, counter, value};
use super::plan::Plan;

/// Adds one to the counter of a value.
#[derive(Debug)]
struct Increment(usize);

impl Evaluate for Increment {
    fn evaluate(&self, current: Option<&[u8]>) -> Result<Outcome, Declined> {
        let next = current.map_or(0, counter) + 1;
        Ok(Outcome::Put(value(next, self.0)))
    }
}

/// `txn-hot`.
pub(super) fn run(
    bed: &Bed,
    plan: &Plan,
    threads: u64,
    turn: u64,
) -> Result<Vec<Measured>, BenchError> {
    let fresh = AtomicU64::new(bed.keys);
    beside(
        "txn-hot",
        turn,
        || increments(bed, plan, threads),
        || puts(bed, plan, threads, &fresh),
    )
}

/// Both rates, and how many times better the disjoint one is. Which of them comes first
/// alternates with the turns.
pub(super) fn beside(
    name: &str,
    turn: u64,
    hot: impl FnOnce() -> Result<Measured, BenchError>,
    disjoint: impl FnOnce() -> Result<Measured, BenchError>,
) -> Result<Vec<Measured>, BenchError> {
    let (hot, disjoint) = if turn.is_multiple_of(2) {
        let hot = hot()?;
        (hot, disjoint()?)
    } else {
        let disjoint = disjoint()?;
        (hot()?, disjoint)
    };
    let times = disjoint.value / hot.value.max(1e-9);
    let name = format!("{name}: disjoint over hot");
    let ratio = Measured::new(name, hot.subject.threads, Unit::Times, times);
    Ok(vec![hot, disjoint, ratio])
}

fn increments(bed: &Bed, plan: &Plan, threads: u64) -> Result<Measured, BenchError> {
    let before = bed.sum()?;
    let hot = bed.key(0);
    let row = commits(
        bed,
        plan,
        threads,
        "txn-hot: increments of one key",
        |batch| {
            batch.evaluate(bed.tree, hot.clone(), Arc::new(Increment(bed.value_bytes)));
        },
    )?;
    bed.expect_sum(before, row.1)?;
    Ok(row.0)
}

fn puts(bed: &Bed, plan: &Plan, threads: u64, fresh: &AtomicU64) -> Result<Measured, BenchError> {
    let row = commits(bed, plan, threads, "txn-hot: puts of new keys", |batch| {
        let key = bed.key(fresh.fetch_add(1, Ordering::Relaxed));
        batch.put(bed.tree, key, value(0, bed.value_bytes), Expect::Any);
    })?;
    Ok(row.0)
}

fn commits(
    bed: &Bed,
    plan: &Plan,
    threads: u64,
    name: &str,
    fill: impl Fn(&mut Batch) + Sync,
) -> Result<(Measured, u64), BenchError> {
    calls(plan, threads, name, || {
        let mut batch = Batch::new();
        fill(&mut batch);
        let from = Instant::now();
        let committed = bed.store.write_and_wait(batch, &bed.options);
        committed.map(|_| from).map_err(refused("commit"))
    })
}

/// The rate of a call that says when it began, and how many there were.
pub(super) fn calls(
    plan: &Plan,
    threads: u64,
    name: &str,
    call: impl Fn() -> Result<Instant, BenchError> + Sync,
) -> Result<(Measured, u64), BenchError> {
    let done = laps::in_threads(threads, plan.time(), |_, lap| {
        lap.begin();
        while lap.done(call()?, 1) {}
        Ok(())
    })?;
    let outcome = laps::merged(&done);
    let row = Measured {
        latency_us: Some(outcome.latencies.summary()),
        ..Measured::new(name, threads, Unit::PerS, outcome.per_s())
    };
    Ok((row, outcome.ops))
}
