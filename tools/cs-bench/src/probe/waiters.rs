//! The ceiling of a crowd: 64 threads that each append a 200-byte record and
//! wait until it is on disk, in the two shapes that a group commit can have.
//!
//! * *log thread*: a thread of its own takes what has gathered, makes it
//!   durable, and wakes those concerned.
//! * *leader*: whoever finds nobody at work does that for all, and hands over
//!   to one of those who came meanwhile.
//!
//! Invariants:
//! * A writer goes on only when the block that holds its record is durable.
//! * A group starts on a block of its own: two groups never share one.
//! * After a failed write nobody waits for ever: all are told, and end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use cs_io::AlignedBuf;

use crate::error::BenchError;
use crate::latency::Latencies;

use super::Measurement;
use super::sample::{Access, BLOCK, FILE_BYTES, Measured, Outcome, Scratch, unless_refused};

/// How many wait at the same time.
const WRITERS: usize = 64;
/// Bytes of a record.
const RECORD: usize = 200;
/// Room for one record of every writer, in whole blocks.
const GROUP_BYTES: usize = (WRITERS * RECORD).div_ceil(BLOCK) * BLOCK;

pub(super) fn measurements() -> Vec<Measurement> {
    vec![
        Measurement {
            name: "waiting_writers_64_log_thread_fdatasync",
            title: "64 waiting writers, log thread, fdatasync",
            run: |scratch| crowd(scratch, Shape::LogThread, Access::Buffered),
        },
        Measurement {
            name: "waiting_writers_64_log_thread_odsync",
            title: "64 waiting writers, log thread, O_DIRECT + O_DSYNC",
            run: |scratch| crowd(scratch, Shape::LogThread, Access::DirectDurable),
        },
        Measurement {
            name: "waiting_writers_64_leader_fdatasync",
            title: "64 waiting writers, leader, fdatasync",
            run: |scratch| crowd(scratch, Shape::Leader, Access::Buffered),
        },
        Measurement {
            name: "waiting_writers_64_leader_odsync",
            title: "64 waiting writers, leader, O_DIRECT + O_DSYNC",
            run: |scratch| crowd(scratch, Shape::Leader, Access::DirectDurable),
        },
    ]
}

/// Who makes a group durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    LogThread,
    Leader,
}

fn crowd(scratch: &Scratch, shape: Shape, access: Access) -> Result<Outcome, BenchError> {
    let name = "waiting-writers";
    let result = scratch.prewritten(name, access).and_then(|file| {
        scratch.remove(name)?;
        GroupLog::new(file, shape, access).measure(scratch.time)
    });
    unless_refused("write groups of records", result)
}

/// A log that nobody ever reads.
#[derive(Debug)]
struct GroupLog {
    file: File,
    shape: Shape,
    access: Access,
    gathering: Mutex<Gathering>,
    /// Wakes the log thread.
    arrival: Condvar,
    /// Highest ticket that is durable; `u64::MAX` after a failure.
    durable: AtomicU64,
    failed: AtomicBool,
    /// Ticket of the writer that shall lead next.
    next_leader: AtomicU64,
    syncs: AtomicU64,
}

/// The group that is being put together.
#[derive(Debug)]
struct Gathering {
    bytes: AlignedBuf,
    used: usize,
    waiting: Vec<(u64, Thread)>,
    tickets: u64,
    led: bool,
    stop: bool,
    offset: u64,
    failure: Option<io::Error>,
}

/// A group on its way to the disk. Reused, so that nothing is allocated on the way.
#[derive(Debug)]
struct Group {
    bytes: AlignedBuf,
    used: usize,
    waiting: Vec<(u64, Thread)>,
    offset: u64,
}

impl Group {
    fn new() -> Self {
        let bytes = AlignedBuf::zeroed(GROUP_BYTES);
        Self {
            bytes,
            used: 0,
            waiting: Vec::with_capacity(WRITERS),
            offset: 0,
        }
    }
}

impl GroupLog {
    fn new(file: File, shape: Shape, access: Access) -> Self {
        let gathering = Gathering {
            bytes: AlignedBuf::zeroed(GROUP_BYTES),
            used: 0,
            waiting: Vec::with_capacity(WRITERS),
            tickets: 0,
            led: false,
            stop: false,
            offset: 0,
            failure: None,
        };
        Self {
            file,
            shape,
            access,
            gathering: Mutex::new(gathering),
            arrival: Condvar::new(),
            durable: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            next_leader: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
        }
    }

    fn measure(&self, time: Duration) -> io::Result<Measured> {
        let start = Instant::now();
        let until = start + time;
        let mut latencies = Latencies::new();
        thread::scope(|scope| {
            let log = (self.shape == Shape::LogThread).then(|| scope.spawn(|| self.serve()));
            let writers: Vec<_> = (0..WRITERS)
                .map(|_| scope.spawn(move || self.write_until(until)))
                .collect();
            for writer in writers {
                let seen = writer
                    .join()
                    .map_err(|_| io::Error::other("a writer panicked"))?;
                latencies.merge(&seen);
            }
            self.lock().stop = true;
            self.arrival.notify_one();
            if let Some(log) = log {
                log.join()
                    .map_err(|_| io::Error::other("the log thread panicked"))?;
            }
            Ok::<(), io::Error>(())
        })?;
        if let Some(failure) = self.lock().failure.take() {
            return Err(failure);
        }
        let seconds = start.elapsed().as_secs_f64();
        let syncs = self.syncs.load(Ordering::Relaxed).max(1);
        Ok(Measured {
            per_s: latencies.count() as f64 / seconds,
            latency: latencies.summary(),
            records_per_sync: Some(latencies.count() as f64 / syncs as f64),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Gathering> {
        self.gathering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// One of the crowd.
    fn write_until(&self, until: Instant) -> Latencies {
        let record = [0x5A; RECORD];
        let mut latencies = Latencies::new();
        let mut group = Group::new();
        let mut before = Instant::now();
        while before < until {
            self.append(&record, &mut group);
            if self.failed.load(Ordering::Acquire) {
                break;
            }
            let now = Instant::now();
            latencies.record(now - before);
            before = now;
        }
        latencies
    }

    /// Appends `record` and waits until it is durable.
    fn append(&self, record: &[u8], group: &mut Group) {
        let mut gathering = self.lock();
        let end = gathering.used + record.len();
        let used = gathering.used;
        gathering.bytes[used..end].copy_from_slice(record);
        gathering.used = end;
        gathering.tickets += 1;
        let ticket = gathering.tickets;
        gathering.waiting.push((ticket, thread::current()));
        let leads = self.shape == Shape::Leader && !std::mem::replace(&mut gathering.led, true);
        let first = gathering.waiting.len() == 1;
        drop(gathering);

        if self.shape == Shape::LogThread && first {
            self.arrival.notify_one();
        }
        if leads {
            self.lead(group);
        }
        while self.durable.load(Ordering::Acquire) < ticket {
            thread::park();
            if self.next_leader.load(Ordering::Acquire) == ticket {
                self.lead(group);
            }
        }
    }

    /// The log thread.
    fn serve(&self) {
        let mut group = Group::new();
        loop {
            let mut gathering = self.lock();
            while gathering.used == 0 && !gathering.stop {
                gathering = self
                    .arrival
                    .wait(gathering)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if gathering.used == 0 {
                return;
            }
            gathering.hand_to(&mut group);
            drop(gathering);
            self.make_durable(&group);
            wake(&mut group);
        }
    }

    /// Makes one group durable for all that are in it, itself included, and
    /// hands over to the first of those who came meanwhile.
    fn lead(&self, group: &mut Group) {
        // Nobody leads without a record of its own in the group.
        self.next_leader.store(0, Ordering::Relaxed);
        self.lock().hand_to(group);
        self.make_durable(group);
        let successor = {
            let mut gathering = self.lock();
            let successor = gathering.waiting.first().cloned();
            gathering.led = successor.is_some();
            successor
        };
        if let Some((ticket, thread)) = successor {
            self.next_leader.store(ticket, Ordering::Release);
            thread.unpark();
        }
        wake(group);
    }

    fn make_durable(&self, group: &Group) {
        let result = match self.access {
            Access::Buffered => self
                .file
                .write_all_at(&group.bytes[..group.used], group.offset)
                .and_then(|()| self.file.sync_data()),
            Access::DirectDurable => {
                let whole_blocks = group.used.next_multiple_of(BLOCK);
                self.file
                    .write_all_at(&group.bytes[..whole_blocks], group.offset)
            }
        };
        self.syncs.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = result {
            self.lock().failure.get_or_insert(error);
            self.failed.store(true, Ordering::Release);
        }
        let last = match group.waiting.last() {
            Some((ticket, _)) if !self.failed.load(Ordering::Acquire) => *ticket,
            _ => u64::MAX,
        };
        self.durable.store(last, Ordering::Release);
    }
}

impl Gathering {
    /// Exchanges what has gathered for the empty `group`.
    fn hand_to(&mut self, group: &mut Group) {
        std::mem::swap(&mut self.bytes, &mut group.bytes);
        std::mem::swap(&mut self.waiting, &mut group.waiting);
        group.used = std::mem::take(&mut self.used);
        group.offset = self.offset;
        self.offset += group.used.next_multiple_of(BLOCK) as u64;
        if self.offset + GROUP_BYTES as u64 > FILE_BYTES {
            self.offset = 0;
        }
    }
}

/// Wakes all that are in the group, and leaves it empty.
fn wake(group: &mut Group) {
    for (_, thread) in group.waiting.drain(..) {
        thread.unpark();
    }
}

#[cfg(test)]
mod tests;
