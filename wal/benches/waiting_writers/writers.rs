//! Writers of a real log.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use cs_base::{FileId, HybridTime, Index, Lsn, Term};
use cs_io::{Disk, RealRuntime};
use cs_wal::{Log, LogError, LogOptions, LogOwner, RecordHead, RecordKind};
use parking_lot::Mutex;

/// Bytes of a record's payload.
pub(crate) const RECORD: usize = 200;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) groups_in_flight: usize,
    pub(crate) has_thread: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            groups_in_flight: LogOptions::default().groups_in_flight,
            has_thread: true,
        }
    }
}

pub(crate) struct Measured {
    pub(crate) per_s: f64,
    pub(crate) records_per_group: f64,
    /// Processor time of the whole process, which noise changes least.
    pub(crate) cpu_us_per_record: f64,
}

/// Processor time of this process so far, in microseconds.
pub(crate) fn cpu_us() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name, in brackets, may hold anything; times are in hundredths of a second.
    let after_name = text.rsplit(')').next().unwrap();
    let fields: Vec<f64> = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().unwrap())
        .collect();
    (fields[0] + fields[1]) * 10_000.0
}

/// An owner that keeps nothing but its lock.
#[derive(Default)]
struct Owner {
    /// Index of the last record.
    writer: Mutex<u64>,
    groups: AtomicU64,
}

impl LogOwner for Owner {
    fn seal_and_cut(&self, cut: &mut dyn FnMut()) {
        let _writer = self.writer.lock();
        cut();
        self.groups.fetch_add(1, Ordering::Relaxed);
    }

    fn durable_advanced(&self, _durable: Lsn) {}

    fn log_failed(&self, error: &LogError) {
        panic!("{error}");
    }
}

pub(crate) fn run(disk: Arc<dyn Disk>, setup: Setup, writers: usize, time: Duration) -> Measured {
    let options = LogOptions {
        groups_in_flight: setup.groups_in_flight,
        segment_bytes_min: 32 << 20,
        segment_bytes_max: 32 << 20,
        spare_segments: 4,
        ..LogOptions::default()
    };
    let log = Log::create(disk, RealRuntime::new(), FileId(1), options).unwrap();
    let log = Arc::new(log);
    let owner = Arc::new(Owner::default());
    if setup.has_thread {
        log.attach(Arc::downgrade(&owner) as Weak<dyn LogOwner>);
    }
    let over = AtomicBool::new(false);
    let (start, cpu_before) = (Instant::now(), cpu_us());
    let records: u64 = thread::scope(|scope| {
        let all: Vec<_> = (0..writers)
            .map(|_| scope.spawn(|| write(&log, &owner, &over)))
            .collect();
        // The owner's background thread.
        while start.elapsed() < time {
            thread::sleep(Duration::from_millis(10).min(time));
            if log.wants_step() {
                while log.step().unwrap() {}
            }
            if log.bytes_retained() > 64 << 20 {
                log.recycle_below(log.durable_lsn()).unwrap();
            }
        }
        over.store(true, Ordering::Relaxed);
        all.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    let seconds = start.elapsed().as_secs_f64();
    log.shutdown();
    let cpu = cpu_us() - cpu_before;
    let groups = owner.groups.load(Ordering::Relaxed).max(1);
    Measured {
        per_s: records as f64 / seconds,
        records_per_group: records as f64 / groups as f64,
        cpu_us_per_record: cpu / records as f64,
    }
}

/// Appends and waits until told to stop.
fn write(log: &Log, owner: &Owner, over: &AtomicBool) -> u64 {
    let payload = [0x5A; RECORD];
    let mut records = 0;
    while !over.load(Ordering::Relaxed) {
        let end = {
            let mut last = owner.writer.lock();
            *last += 1;
            let head = RecordHead {
                kind: RecordKind::Transaction,
                flags: 0,
                term: Term(1),
                index: Index(*last),
                time: HybridTime(*last),
            };
            let space = log.reserve(RECORD).unwrap();
            log.append(space, head, &[&payload]).end
        };
        log.wait_durable(owner, end).unwrap();
        records += 1;
    }
    records
}
