//! A log that writes nothing: its records are numbers, and a group is a range of them.
//!
//! Follows `wal/src/group.rs`: `lead_step`, `help`, `start_group`, `cut_group` and `finish_one`,
//! with at most two groups in flight.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use cs_base::Lsn;
use loom::sync::Condvar;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::error::{LogError, Result};
use super::group::{Drive, LogOwner, Patience};
use super::landings::Landings;
use super::lead::{Lead, Role};
use crate::locks::Mutex;
use crate::plant::{Plant, planted};

const GROUPS_IN_FLIGHT: usize = 2;

struct Flight {
    number: u64,
    begin: u64,
    end: u64,
    /// Whether its writes were started by whoever cut it.
    writes: loom::sync::Mutex<bool>,
    started: Condvar,
}

pub(crate) struct Runtime;

impl Runtime {
    pub(crate) fn may_block(&self) -> bool {
        true
    }

    pub(crate) fn spawn(
        &self,
        _: &str,
        work: Box<dyn FnOnce() + Send>,
    ) -> std::io::Result<Option<Task>> {
        Ok(Some(Task(loom::thread::spawn(work))))
    }
}

/// The log thread.
#[derive(Debug)]
pub(crate) struct Task(loom::thread::JoinHandle<()>);

impl Task {
    pub(crate) fn join(self) {
        self.0.join().expect("no panic goes on");
    }
}

/// Callbacks: none here.
pub(crate) struct DurableWaiters;

impl DurableWaiters {
    pub(crate) fn on_complete(&self, _: u64, _: Box<dyn FnOnce(Result<()>) + Send>) {
        unreachable!("nobody asks to be called back");
    }
}

/// See the module's text.
pub struct Log {
    pub(crate) lead: Lead,
    pub(crate) landings: Landings,
    pub(crate) cut: AtomicU64,
    pub(crate) durable_waiters: DurableWaiters,
    pub(crate) runtime: Runtime,
    appended: AtomicU64,
    durable: AtomicU64,
    cutting: Mutex<()>,
    queue: Mutex<VecDeque<Arc<Flight>>>,
    count: AtomicUsize,
    /// Of the owner.
    appender: Mutex<()>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            lead: Lead::default(),
            landings: Landings::new(GROUPS_IN_FLIGHT, Lsn(0)),
            cut: AtomicU64::new(0),
            durable_waiters: DurableWaiters,
            runtime: Runtime,
            appended: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            cutting: Mutex::default(),
            queue: Mutex::default(),
            count: AtomicUsize::new(0),
            appender: Mutex::default(),
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl LogOwner for Log {
    fn seal_and_cut(&self, cut: &mut dyn FnMut()) {
        let _appender = self.appender.lock();
        cut();
    }
}

impl Log {
    /// One that has just seen a crowd: its leader has left with a record not durable
    /// yet, and given the lead to the log thread.
    #[must_use]
    pub fn crowded() -> Arc<Self> {
        let log = Arc::new(Self::default());
        log.lead.note_group(2);
        let owner: Weak<dyn LogOwner> = Arc::<Self>::downgrade(&log);
        log.attach(owner);
        assert!(log.lead.role.change(Role::Free, Role::Caller));
        log.appended.store(1, Ordering::Release);
        log.release();
        log
    }

    /// Ends its thread.
    pub fn end(&self) {
        self.shutdown();
    }

    /// Appends a record, and waits until it is durable.
    pub fn append_and_wait(&self) {
        let lsn = {
            let _appender = self.appender.lock();
            Lsn(self.appended.fetch_add(1, Ordering::AcqRel) + 1)
        };
        let waited = self.wait_durable(self, lsn);
        assert!(waited.is_ok(), "record {lsn}: {waited:?}");
        assert!(self.durable_lsn() >= lsn, "answered before durable");
    }

    /// Everything appended is durable.
    pub fn assert_all_durable(&self) {
        assert_eq!(self.durable_lsn(), self.appended_lsn());
    }

    pub(crate) fn durable_lsn(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn appended_lsn(&self) -> Lsn {
        Lsn(self.appended.load(Ordering::Acquire))
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        false
    }

    pub(crate) fn poisoned_error(&self) -> LogError {
        LogError::Poisoned
    }

    pub(crate) fn report_failure(&self, _: &dyn LogOwner) {}

    /// `group.rs`, `lead_step`.
    pub(crate) fn lead_step(&self, owner: &dyn LogOwner, patience: Patience) -> Drive {
        let landed = self.landings.landed();
        let mut finished = 0;
        while self.finish_one(patience == Patience::Oldest && finished == 0) {
            finished += 1;
        }
        let started = self.start_group(owner, true);
        if finished > 0 {
            self.landings.wake_landed(landed);
        }
        if started || finished > 0 {
            Drive::Progress
        } else if self.queue.lock().is_empty() {
            Drive::Idle
        } else {
            Drive::Busy
        }
    }

    /// `group.rs`, `help`.
    pub(crate) fn help(&self, owner: &dyn LogOwner) {
        if self.count.load(Ordering::Acquire) < GROUPS_IN_FLIGHT {
            self.start_group(owner, false);
        }
    }

    /// `group.rs`, `start_group`.
    fn start_group(&self, owner: &dyn LogOwner, patient: bool) -> bool {
        let waiting = || self.cut.load(Ordering::Acquire) < self.appended.load(Ordering::Acquire);
        if !waiting() {
            return false;
        }
        let flight = {
            let cutting = match patient {
                true => Some(self.cutting.lock()),
                false => self.cutting.try_lock(),
            };
            let flying = self.count.load(Ordering::Acquire);
            if cutting.is_none() || flying >= GROUPS_IN_FLIGHT || !waiting() {
                return false;
            }
            let mut cut = None;
            owner.seal_and_cut(&mut || cut = self.cut_group());
            let Some(flight) = cut else { return false };
            flight
        };
        *flight.writes.lock().expect("no panic goes on") = true;
        flight.started.notify_all();
        true
    }

    /// `group.rs`, `cut_group`; the appender is locked.
    fn cut_group(&self) -> Option<Arc<Flight>> {
        let (begin, end) = (self.cut.load(Ordering::Acquire), self.appended_lsn().0);
        if begin == end {
            return None;
        }
        let number = self.landings.cut(Lsn(end));
        let flight = Arc::new(Flight {
            number,
            begin,
            end,
            writes: loom::sync::Mutex::new(false),
            started: Condvar::new(),
        });
        if planted(Plant::CutBeforeFlight) {
            self.cut.store(end, Ordering::Release);
        }
        let mut queue = self.queue.lock();
        queue.push_back(Arc::clone(&flight));
        self.count.store(queue.len(), Ordering::Release);
        self.cut.store(end, Ordering::Release);
        drop(queue);
        Some(flight)
    }

    /// `group.rs`, `finish_one`.
    fn finish_one(&self, block: bool) -> bool {
        let flight = {
            let queue = self.queue.lock();
            let next = match planted(Plant::SecondGroupWithoutFirst) {
                true => queue.back(),
                false => queue.front(),
            };
            let Some(flight) = next else { return false };
            Arc::clone(flight)
        };
        let mut writes = flight.writes.lock().expect("no panic goes on");
        while block && !*writes {
            writes = flight.started.wait(writes).expect("no panic goes on");
        }
        if !*writes {
            return false;
        }
        drop(writes);
        let mut queue = self.queue.lock();
        queue.retain(|other| !Arc::ptr_eq(other, &flight));
        self.count.store(queue.len(), Ordering::Release);
        drop(queue);
        let durable = self.durable.fetch_max(flight.end, Ordering::AcqRel);
        assert_eq!(durable, flight.begin, "the durable LSN passes over a gap");
        self.landings.land(flight.number);
        self.lead.note_group((flight.end - flight.begin) as usize);
        true
    }
}
