//! The log itself: its state, and what can be asked of it.
//!
//! Invariants
//! * `durable <= cut <= appended`, each only grows; a poisoned log's durable
//!   LSN stands still.
//! * Locks are taken in this order: the owner's writer lock may be held before
//!   `appender`; who cuts a group holds `flights.cutting` before the owner's
//!   lock before `appender` before `flights.queue`. `maintenance` is never held
//!   while a lock before it is taken from inside.

use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cs_base::{FileId, HybridTime, Incarnation, Index, Lsn};
use cs_io::{Disk, Runtime};
use parking_lot::Mutex;

use crate::append::Appender;
use crate::error::{LogError, Result};
use crate::format::{HardState, checksum_seed};
use crate::gather::BufferPool;
use crate::group::Flights;
use crate::landings::Landings;
use crate::lead::Lead;
use crate::options::{LogOptions, StartPoint};
use crate::pins::{PinInfo, Pins};
use crate::segment::Making;
use crate::stats::Counters;
use crate::tickets::WaitQueue;

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its first byte.
    pub lsn: Lsn,
    /// Just after its last, padding included. Durable once
    /// [`Log::durable_lsn`] is at least this.
    pub end: Lsn,
    /// Its checksum, which the next record repeats.
    pub chain: u32,
}

/// An open log that can be appended to. Shared in an [`Arc`] by its owner.
pub struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) options: LogOptions,
    pub(crate) file_id: FileId,
    /// Opens every record's checksum.
    pub(crate) seed: u32,
    pub(crate) appender: Mutex<Appender>,
    pub(crate) pool: BufferPool,
    pub(crate) appended: AtomicU64,
    /// End of the last group that left.
    pub(crate) cut: AtomicU64,
    pub(crate) durable: AtomicU64,
    pub(crate) poison: Poison,
    pub(crate) flights: Flights,
    pub(crate) lead: Lead,
    pub(crate) landings: Landings,
    /// Callbacks; whoever waits himself sleeps in `landings`.
    pub(crate) durable_waiters: WaitQueue,
    pub(crate) pins: Mutex<Pins>,
    /// The next segment should be made; cleared by who tries.
    pub(crate) wants_step: AtomicBool,
    /// One maker, trimmer or recycler of files at a time; and the spare that is being made.
    pub(crate) maintenance: Mutex<Option<Making>>,
    /// Bytes of spares that are kept, see [`keep_spares`](Self::keep_spares).
    pub(crate) spare_bytes: AtomicU64,
    /// Number of the next file made.
    pub(crate) next_file: AtomicU64,
    pub(crate) counters: Counters,
}

/// The first failure, and whether the owner knows of it.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    reason: OnceLock<Arc<str>>,
    pub(crate) reported: AtomicBool,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("appended", &self.appended_lsn())
            .field("durable", &self.durable_lsn())
            .field("poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}

/// What a new [`Log`] is put together from.
pub(crate) struct Parts {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) file_id: FileId,
    pub(crate) options: LogOptions,
    pub(crate) appender: Appender,
    pub(crate) next_file: u64,
}

impl Log {
    /// A log that ends, durably, where the appender says.
    pub(crate) fn assemble(parts: Parts) -> Self {
        let Parts {
            disk,
            runtime,
            file_id,
            options,
            appender,
            next_file,
        } = parts;
        let appender_end = appender.end;
        let end = appender_end.0;
        // What an earlier life left is in the way as much as what comes now.
        // One buffer being filled, one per group in flight, one to spare.
        let pool = BufferPool::new(options.group_bytes_max, options.groups_in_flight + 2);
        Self {
            disk,
            runtime,
            file_id,
            seed: checksum_seed(file_id),
            appender: Mutex::new(appender),
            pool,
            appended: AtomicU64::new(end),
            cut: AtomicU64::new(end),
            durable: AtomicU64::new(end),
            poison: Poison::default(),
            flights: Flights::default(),
            lead: Lead::default(),
            landings: Landings::new(options.groups_in_flight, appender_end),
            durable_waiters: WaitQueue::new(end),
            pins: Mutex::default(),
            wants_step: AtomicBool::new(false),
            maintenance: Mutex::new(None),
            spare_bytes: AtomicU64::new(0),
            next_file: AtomicU64::new(next_file),
            counters: Counters::default(),
            options,
        }
    }

    /// End of the last record appended.
    #[must_use]
    pub fn appended_lsn(&self) -> Lsn {
        Lsn(self.appended.load(Ordering::Acquire))
    }

    /// Everything below is on disk.
    #[must_use]
    pub fn durable_lsn(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    /// The place behind the last record: what a checkpoint of everything
    /// appended would name.
    #[must_use]
    pub fn last_appended(&self) -> StartPoint {
        self.appender.lock().start_point()
    }

    /// Time of the last record.
    #[must_use]
    pub fn last_time(&self) -> HybridTime {
        self.appender.lock().last_time
    }

    /// Present incarnation.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.appender.lock().active.header.incarnation
    }

    /// Index of the last record that took one.
    #[must_use]
    pub fn last_index(&self) -> Index {
        self.appender.lock().last_index
    }

    /// The newest hard state, durable or not.
    #[must_use]
    pub fn hard_state(&self) -> HardState {
        self.appender.lock().hard_state.clone()
    }

    /// The options in force, sizes rounded to whole blocks.
    #[must_use]
    pub const fn options(&self) -> &LogOptions {
        &self.options
    }

    /// Keeps everything from `lsn` on under that name, or renews the name;
    /// lost once it keeps more than `max_bytes`.
    pub fn pin(&self, name: &str, lsn: Lsn, max_bytes: Option<u64>) {
        self.pins.lock().set(name, lsn, max_bytes);
    }

    /// Removes a pin; says whether it was there.
    pub fn unpin(&self, name: &str) -> bool {
        self.pins.lock().remove(name)
    }

    /// All pins by name, with those over budget marked lost.
    #[must_use]
    pub fn pins(&self) -> Vec<PinInfo> {
        let mut pins = self.pins.lock();
        pins.enforce(self.appended_lsn());
        pins.list()
    }

    /// Refuses everything from now on: what is not durable yet has an unknown
    /// outcome. The first reason stays. No group leaves any more once the
    /// caller has let go of the lock under which it appends.
    ///
    /// May be called with that lock held: waiters are woken, but no callback
    /// runs. That is for [`fail_waiters`](Self::fail_waiters), or whoever next
    /// waits for the log or drives it.
    pub fn poison(&self, reason: &str) {
        let _ = self.poison.reason.set(reason.into());
        self.durable_waiters.fail(&self.poisoned_error());
        self.wake_all();
    }

    /// Runs every callback that still waits, if the log is poisoned, with the
    /// error. For whoever poisoned it, once no lock is held; again is harmless.
    pub fn fail_waiters(&self) {
        if self.is_poisoned() {
            self.durable_waiters.fail_all(&self.poisoned_error());
        }
    }

    /// Whether [`step`](Self::step) should run soon: the active segment has
    /// become more than an eighth full, and the next is not ready. Takes no lock;
    /// the owner asks after each append, and wakes its background thread. Asked
    /// for once per segment, so that a full disk is not tried at every commit.
    #[must_use]
    pub fn wants_step(&self) -> bool {
        self.wants_step.load(Ordering::Relaxed)
    }

    /// Whether a write or sync failed, or somebody poisoned the log.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poison.reason.get().is_some()
    }

    /// The error that a poisoned log answers with; `Ok` where it is sound.
    ///
    /// # Errors
    /// [`LogError::Poisoned`].
    pub fn check(&self) -> Result<()> {
        if self.is_poisoned() {
            Err(self.poisoned_error())
        } else {
            Ok(())
        }
    }

    pub(crate) fn poisoned_error(&self) -> LogError {
        let reason = self
            .poison
            .reason
            .get()
            .cloned()
            .unwrap_or_else(|| "not poisoned".into());
        LogError::Poisoned { reason }
    }
}

#[cfg(test)]
pub(crate) mod tests;
