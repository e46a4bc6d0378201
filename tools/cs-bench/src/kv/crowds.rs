//! The workloads whose threads differ from each other, or share more than an engine.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::{Engine, Pair, Sync, View};
use crate::error::BenchError;
use crate::machine::written;

use super::bench::{Bench, Written, put_until_told, rate};
use super::laps::{self, Outcome};
use super::measured::{Measured, Unit};
use super::reads::{NO_END, get_until_told};

/// Threads of the queue and of a soak.
pub(super) const CROWD: u64 = 64;
/// Most pairs that the queue commits together.
const MOST_TOGETHER: usize = 4096;
/// Threads of the open loop.
const ARRIVALS: u64 = 8;
/// How long the best rate of a closed loop is looked for, at most.
const CLOSED: Duration = Duration::from_secs(5);

/// A put that waits in the queue, and where its answer goes.
type Waiting = (Pair, mpsc::SyncSender<()>);

impl Bench<'_> {
    /// One durable writer, one reader of the newest state.
    pub(super) fn mixed(&mut self) -> Result<Vec<Measured>, BenchError> {
        let (engine, pairs, live) = (self.engine, self.pairs, *self.live);
        let done = laps::in_threads(2, self.time, |thread, lap| {
            if thread == 0 {
                return put_until_told(engine, pairs, lap, (live.next, 1), 1, Sync::Durable);
            }
            engine
                .read(View::Fresh, &mut |reader| {
                    get_until_told(reader, pairs, &live, lap, thread)
                })
                .map(|()| Written::default())
        })?;
        for done in &done {
            self.written(&done.value);
        }
        let of = |thread: usize| laps::merged(done.get(thread));
        Ok(vec![
            rate("mixed-writes", 1, &of(0)),
            rate("mixed-reads", 1, &of(1)),
        ])
    }

    /// A commit queue as any user could write it: whoever waits is committed
    /// together by one thread.
    pub(super) fn queue(&mut self) -> Result<Outcome, BenchError> {
        let (engine, pairs) = (self.engine, self.pairs);
        let first = self.live.next;
        let (sender, receiver) = mpsc::channel::<Waiting>();
        // Threads take a clone each: the committer ends when all are gone.
        let sender = Mutex::new(Some(sender));
        let clone = || {
            let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
            sender.clone()
        };
        let done = thread::scope(|scope| {
            let committer = scope.spawn(move || commit_what_waits(engine, &receiver));
            let done = laps::in_threads(CROWD, self.time, |thread, lap| {
                let sender = clone().ok_or_else(queue_ended)?;
                let mut written = Written::default();
                let mut next = first + thread;
                lap.begin();
                loop {
                    let pair = pairs.pair(next);
                    // One for each call: it closes if the committer goes away.
                    let (answer, answered) = mpsc::sync_channel(1);
                    let from = Instant::now();
                    sender
                        .send((pair.clone(), answer))
                        .map_err(|_| queue_ended())?;
                    answered.recv().map_err(|_| queue_ended())?;
                    let goes_on = lap.done(from, 1);
                    next += CROWD;
                    written.add(&[pair], next);
                    if !goes_on {
                        return Ok(written);
                    }
                }
            });
            drop(sender.lock().map(|mut sender| sender.take()));
            match committer.join() {
                // Its error is the cause of theirs.
                Ok(committed) => committed.and(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        for done in &done {
            self.written(&done.value);
        }
        Ok(laps::merged(&done))
    }

    /// Calls begin when they are due, whether or not the last has ended.
    pub(super) fn open_loop(&mut self) -> Result<Vec<Measured>, BenchError> {
        let time = self.time;
        self.time = time.min(CLOSED);
        let closed = self.put(ARRIVALS, 1, Sync::Durable)?;
        self.time = time;
        let per_s = closed.per_s() / 2.0;
        let gap = Duration::from_secs_f64(ARRIVALS as f64 / per_s.max(1e-3));
        let (engine, pairs, first) = (self.engine, self.pairs, self.live.next);
        let done = laps::in_threads(ARRIVALS, time, |thread, lap| {
            let mut written = Written::default();
            let mut next = first + thread;
            // Spread over the first gap.
            let mut due = lap.begin() + gap.mul_f64(thread as f64 / ARRIVALS as f64);
            loop {
                let pair = [pairs.pair(next)];
                thread::sleep(due.saturating_duration_since(Instant::now()));
                engine.put(&pair, Sync::Durable)?;
                let goes_on = lap.done(due, 1);
                due += gap;
                next += ARRIVALS;
                written.add(&pair, next);
                if !goes_on {
                    return Ok(written);
                }
            }
        })?;
        for done in &done {
            self.written(&done.value);
        }
        let outcome = laps::merged(&done);
        let latency = outcome.latencies.summary();
        let mut measured = Measured::new("open-loop-p999", ARRIVALS, Unit::Us, latency.p999)
            .with("intended_per_s", per_s)
            .with("per_s", outcome.per_s());
        measured.latency_us = Some(latency);
        Ok(vec![measured])
    }

    /// Fills a database by durable puts; the second half counts.
    pub(super) fn soak(&mut self, keys: u64) -> Result<Vec<Measured>, BenchError> {
        let (engine, pairs, directory) = (self.engine, self.pairs, self.directory);
        let first = self.live.next;
        let half = first + keys / 2;
        let numbers = AtomicU64::new(first);
        let bytes = || (written::by_this_process(), written::to_device_of(directory));
        let halfway = Mutex::new(None);
        let done = laps::in_threads(CROWD, NO_END, |_, lap| {
            let mut written = Written::default();
            lap.begin();
            loop {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                if number >= first + keys {
                    return Ok(written);
                }
                if number == half {
                    let mut halfway = halfway.lock().unwrap_or_else(PoisonError::into_inner);
                    *halfway = Some((Instant::now(), bytes()));
                }
                let pair = [pairs.pair(number)];
                let from = Instant::now();
                engine.put(&pair, Sync::Durable)?;
                let goes_on = if number < half {
                    !lap.is_stopped()
                } else {
                    lap.done(from, 1)
                };
                written.add(&pair, number + 1);
                if !goes_on {
                    return Ok(written);
                }
            }
        })?;
        let at_end = bytes();
        for done in &done {
            self.written(&done.value);
        }
        self.live.known.get_or_insert(first);
        let mut outcome = laps::merged(&done);
        let halfway = halfway.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (start, before) = halfway.ok_or_else(|| {
            BenchError::WrongAnswer(format!("a soak of {keys} keys never came halfway"))
        })?;
        outcome.seconds = start.elapsed().as_secs_f64();
        let payload = (outcome.ops * pairs.bytes()).max(1) as f64;
        let mut measured = vec![rate("soak", CROWD, &outcome)];
        if let Some(times) = times_of(before.0, at_end.0, payload) {
            let row = Measured::new("soak-written", CROWD, Unit::Times, times);
            measured.push(row.with("device", times_of(before.1, at_end.1, payload)));
        }
        Ok(measured)
    }
}

/// Bytes written between two looks, as a multiple of the payload.
fn times_of(before: Option<u64>, after: Option<u64>, payload: f64) -> Option<f64> {
    Some(after?.saturating_sub(before?) as f64 / payload)
}

fn queue_ended() -> BenchError {
    BenchError::WrongAnswer("the committing thread has ended".to_owned())
}

fn commit_what_waits(
    engine: &dyn Engine,
    receiver: &mpsc::Receiver<Waiting>,
) -> Result<(), BenchError> {
    let mut several = Vec::new();
    let mut answers = Vec::new();
    while let Ok((pair, answer)) = receiver.recv() {
        several.push(pair);
        answers.push(answer);
        while several.len() < MOST_TOGETHER
            && let Ok((pair, answer)) = receiver.try_recv()
        {
            several.push(pair);
            answers.push(answer);
        }
        engine.put(&several, Sync::Durable)?;
        several.clear();
        for answer in answers.drain(..) {
            // Its thread has failed meanwhile: that error is shown.
            let _ = answer.send(());
        }
    }
    Ok(())
}
