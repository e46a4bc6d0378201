//! The workloads that only read.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::engine::{Engine, KEY_BYTES, Reader, View};
use crate::error::BenchError;

use super::bench::Bench;
use super::laps::{self, Lap, Outcome};
use super::pairs::{Live, Pairs, mix, sum_of};
use super::workload::Workload;

/// One get in so many is timed: asking the clock takes a part of a get.
const TIMED: u64 = 16;
/// Pairs of a short range.
const SHORT: u64 = 10;
/// One range in so many is timed.
const TIMED_RANGES: u64 = 4;

/// What a reader does with a value at the least: both ends of it are read, so
/// that no engine gets away with handing out a pointer.
fn look_at(value: &[u8]) -> usize {
    let ends = value.first().zip(value.last());
    value.len() + ends.map_or(0, |(&first, &last)| usize::from(first ^ last))
}

impl Bench<'_> {
    pub(super) fn get(&self, workload: Workload, threads: u64) -> Result<Outcome, BenchError> {
        let view = if workload == Workload::GetFresh {
            View::Fresh
        } else {
            View::Held
        };
        let (engine, pairs, live) = (self.engine, self.pairs, &*self.live);
        let done = laps::in_threads(threads, self.time, |thread, lap| {
            engine.read(view, &mut |reader| {
                get_until_told(reader, pairs, live, lap, thread)
            })
        })?;
        Ok(laps::merged(&done))
    }

    pub(super) fn range(&self, threads: u64) -> Result<Outcome, BenchError> {
        let (engine, pairs, live) = (self.engine, self.pairs, &*self.live);
        let done = laps::in_threads(threads, self.time, |thread, lap| {
            engine.read(View::Held, &mut |reader| {
                ranges_until_told(reader, pairs, live, lap, thread)
            })
        })?;
        Ok(laps::merged(&done))
    }

    /// One pass at least; until the time is over.
    pub(super) fn scan(&self) -> Result<Outcome, BenchError> {
        let done = laps::in_threads(1, self.time, |_, lap| {
            self.engine.read(View::Held, &mut |reader| {
                lap.begin();
                loop {
                    let from = Instant::now();
                    let pairs = scan_once(reader, self.live)?;
                    if !lap.done(from, pairs) {
                        return Ok(());
                    }
                }
            })
        })?;
        Ok(laps::merged(&done))
    }

    /// Checks that exactly what was acknowledged is there.
    pub(super) fn verify(&self) -> Result<(), BenchError> {
        self.engine.read(View::Held, &mut |reader| {
            scan_once(reader, self.live).map(drop)
        })
    }
}

/// Gets random loaded pairs until the lap is over.
pub(super) fn get_until_told(
    reader: &mut dyn Reader,
    pairs: &Pairs,
    live: &Live,
    lap: &mut Lap<'_>,
    thread: u64,
) -> Result<(), BenchError> {
    let mut random = mix(thread);
    let mut looked = 0;
    lap.begin();
    loop {
        for _ in 1..TIMED {
            random = mix(random);
            looked += get(reader, pairs, live.choose(random))?;
        }
        lap.count(TIMED - 1);
        random = mix(random);
        let number = live.choose(random);
        let from = Instant::now();
        looked += get(reader, pairs, number)?;
        if !lap.done(from, 1) {
            black_box(looked);
            return Ok(());
        }
    }
}

fn get(reader: &mut dyn Reader, pairs: &Pairs, number: u64) -> Result<usize, BenchError> {
    let mut len = None;
    let mut looked = 0;
    let found = reader.get(&pairs.key(number), &mut |value| {
        len = Some(value.len());
        looked = look_at(value);
    })?;
    if !found || len != Some(pairs.value_len()) {
        let found = len.map_or("nothing".to_owned(), |len| format!("{len} bytes"));
        return Err(BenchError::WrongAnswer(format!(
            "expected a value of {} bytes for pair {number}, found {found}",
            pairs.value_len()
        )));
    }
    Ok(looked)
}

fn ranges_until_told(
    reader: &mut dyn Reader,
    pairs: &Pairs,
    live: &Live,
    lap: &mut Lap<'_>,
    thread: u64,
) -> Result<(), BenchError> {
    let mut random = mix(thread);
    let mut looked = 0;
    let mut one = |random: u64| {
        let from = pairs.key(live.choose(random));
        let mut first: Option<bool> = None;
        let seen = reader.range(&from, SHORT, &mut |key, value| {
            first.get_or_insert_with(|| key == from.as_slice());
            looked += look_at(key) + look_at(value);
        })?;
        // Near the end of the keys there are fewer.
        if first == Some(true) && (1..=SHORT).contains(&seen) {
            return Ok(());
        }
        Err(BenchError::WrongAnswer(format!(
            "expected a range of {SHORT} from a key that is there, found {seen}, the first its own: {first:?}"
        )))
    };
    lap.begin();
    loop {
        for _ in 1..TIMED_RANGES {
            random = mix(random);
            one(random)?;
        }
        lap.count(TIMED_RANGES - 1);
        random = mix(random);
        let from = Instant::now();
        one(random)?;
        if !lap.done(from, 1) {
            black_box(looked);
            return Ok(());
        }
    }
}

/// Reads all there is and compares it with what was acknowledged; how much it was.
fn scan_once(reader: &mut dyn Reader, live: &Live) -> Result<u64, BenchError> {
    let mut sum = 0u64;
    let mut ordered = true;
    let mut last = [0u8; KEY_BYTES];
    // LMDB knows no empty key; no key is below this one.
    let pairs = reader.range(&[0; KEY_BYTES], u64::MAX, &mut |key, value| {
        sum = sum.wrapping_add(sum_of(key, value));
        ordered &= last.as_slice() <= key;
        last.copy_from_slice(key.get(..KEY_BYTES).unwrap_or(&[0xff; KEY_BYTES]));
    })?;
    if (pairs, sum) == (live.pairs, live.sum) && ordered {
        return Ok(pairs);
    }
    let order = if ordered { "" } else { ", out of order" };
    Err(BenchError::WrongAnswer(format!(
        "expected a scan of {} pairs with the sum {:016x}, found {pairs} with {sum:016x}{order}",
        live.pairs, live.sum
    )))
}

/// Gets the value of a pair that is there, if there is any.
pub(super) fn first_get(engine: &dyn Engine, pairs: &Pairs, live: &Live) -> Result<(), BenchError> {
    let Some(number) = live.known else {
        return Ok(());
    };
    engine.read(View::Held, &mut |reader| {
        get(reader, pairs, number).map(drop)
    })
}

/// A time that no measurement reaches.
pub(super) const NO_END: Duration = Duration::MAX;
