//! Commits beside live snapshots, and what an idle snapshot takes.
//!
//! Invariant: snapshots "of distinct states" are of as many roots as there are snapshots.

use std::time::Instant;

use cs_kv::{Batch, CommitOptions, Durability, Expect, Snapshot};
use oorandom::Rand64;

use crate::engine::refused;
use crate::error::BenchError;
use crate::kv::laps;
use crate::kv::measured::{Measured, Unit};
use crate::machine;

use super::bed::{Bed, value};
use super::contention::random;
use super::plan::Plan;

/// Live snapshots beside which commits are measured.
const LIVE: [u64; 3] = [0, 100, 10_000];
/// Snapshots whose memory is measured: of distinct states, and of one state.
const DISTINCT: u64 = 10_000;
const SAME: u64 = 100_000;

/// `txn-snapshots`: each number of them in turn; they pile up.
pub(super) fn run(bed: &Bed, plan: &Plan, threads: u64) -> Result<Vec<Measured>, BenchError> {
    let mut random_of_ours = random(plan, u64::MAX);
    let mut held = Vec::new();
    let mut rows = Vec::new();
    for live in LIVE {
        while (held.len() as u64) < live {
            held.push(change_and_look(bed, &mut random_of_ours)?);
        }
        let states = expect_states(bed, live)?;
        let cpu = machine::cpu_time();
        let done = laps::in_threads(threads, plan.time(), |thread, lap| {
            let mut random = random(plan, thread);
            lap.begin();
            loop {
                let batch = one_put(bed, &mut random);
                let from = Instant::now();
                let committed = bed.store.write_and_wait(batch, &bed.options);
                committed.map_err(refused("commit"))?;
                if !lap.done(from, 1) {
                    return Ok(());
                }
            }
        })?;
        let outcome = laps::merged(&done);
        let name = format!("txn-snapshots: puts beside {live}");
        let row = Measured {
            latency_us: Some(outcome.latencies.summary()),
            ..Measured::new(name, threads, Unit::PerS, outcome.per_s())
        };
        let cpu = machine::cpu_time().zip(cpu);
        let cpu = cpu.map(|(now, then)| now.saturating_sub(then).as_secs_f64());
        let cpu_us = cpu.map(|seconds| seconds * 1e6 / outcome.ops.max(1) as f64);
        let kept = bed.store.stats().snapshots.retained_bytes;
        let row = row.with("cpu_us", cpu_us);
        rows.push(
            row.with("states", states as f64)
                .with("retained_bytes", kept as f64),
        );
    }
    Ok(rows)
}

/// `txn-snapshot-memory`: what the process has more of with the snapshots than without, for
/// each of them. The cache is full before (the same commits, with snapshots that go at once),
/// so that it is not pages that come.
pub(super) fn memory(bed: &Bed, plan: &Plan) -> Result<Vec<Measured>, BenchError> {
    let mut random = random(plan, u64::MAX);
    for _ in 0..DISTINCT {
        drop(change_and_look(bed, &mut random)?);
    }
    let before = Taken::now(bed);
    let mut same = Vec::with_capacity(SAME as usize);
    for _ in 0..SAME {
        same.push(bed.store.snapshot().map_err(refused("take a snapshot"))?);
    }
    let of_one = Taken::now(bed).row(&before, "txn-snapshot-memory: of one state", SAME);

    let before = Taken::now(bed);
    let mut held = Vec::with_capacity(DISTINCT as usize);
    for _ in 0..DISTINCT {
        held.push(change_and_look(bed, &mut random)?);
    }
    // The many of one state are of one more.
    let states = expect_states(bed, DISTINCT + 1)?;
    let kept = bed.store.stats().snapshots.retained_bytes as f64;
    let distinct = Taken::now(bed)
        .row(&before, "txn-snapshot-memory: of distinct states", DISTINCT)
        .with("states", states as f64)
        .with("retained_bytes", kept / DISTINCT as f64);
    drop(same);
    Ok(vec![distinct, of_one])
}

/// Memory of this process.
struct Taken {
    anonymous: Option<u64>,
    /// Part of it that holds pages: a matter of the cache, not of snapshots.
    pages: u64,
}

impl Taken {
    fn now(bed: &Bed) -> Self {
        Self {
            anonymous: machine::anonymous_bytes(),
            pages: bed.store.stats().pool.arena_bytes,
        }
    }

    fn row(&self, before: &Self, name: &str, snapshots: u64) -> Measured {
        let each = |now: u64, then: u64| (now as f64 - then as f64) / snapshots as f64;
        let all = self.anonymous.zip(before.anonymous);
        let all = all.map_or(0.0, |(now, then)| each(now, then));
        Measured::new(name, 1, Unit::Bytes, all.max(0.0))
            .with("arena_bytes", each(self.pages, before.pages))
    }
}

/// A commit that is not synced, and a snapshot of the state that it leaves.
fn change_and_look(bed: &Bed, random: &mut Rand64) -> Result<Snapshot, BenchError> {
    let options = CommitOptions::with_durability(Durability::Memory);
    let batch = one_put(bed, random);
    let committed = bed.store.write(&batch, &options);
    committed
        .and_then(|ticket| ticket.wait())
        .map_err(refused("commit"))?;
    bed.store.snapshot().map_err(refused("take a snapshot"))
}

fn one_put(bed: &Bed, random: &mut Rand64) -> Batch {
    let key = bed.key(random.rand_range(0..bed.keys));
    let mut batch = Batch::new();
    batch.put(
        bed.tree,
        key,
        value(random.rand_u64() >> 32, bed.value_bytes),
        Expect::Any,
    );
    batch
}

fn expect_states(bed: &Bed, live: u64) -> Result<u64, BenchError> {
    let states = bed.store.stats().snapshots.states;
    // The newest state is nobody's history yet.
    if states + 1 >= live && states <= live {
        return Ok(states);
    }
    Err(BenchError::WrongAnswer(format!(
        "{live} snapshots of distinct states are held, the store knows {states}"
    )))
}
