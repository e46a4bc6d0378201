//! Group commit: from the gather buffer to the durable LSN.
//!
//! The records that share one sync are a *group*. It goes through three steps:
//!
//! 1. **Cut.** The owner takes the lock under which it appends, seals its
//!    version and calls back; the gather buffer is swapped for an empty one.
//!    The group joins the queue of flights while the queue is locked, so that
//!    flights are in the order of the log.
//! 2. **Fly.** Its writes start, each durable by itself (a direct write with
//!    data sync where the disk can). Up to `groups_in_flight` groups fly at
//!    once and may end in any order: they share no block.
//! 3. **Finish.** Only the leader (see the module `lead`) takes groups off the
//!    front of the queue, so the durable LSN advances in order and never over a
//!    gap. The leader starts the next group before it tells anybody that one
//!    has ended: the disk works while followers wake.
//!
//! A write that fails poisons the log. Nothing is tried again: after a failed
//! sync the page cache claims what the disk does not have.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cs_base::Lsn;
use cs_base::mutants::{Mutant, planted};
use cs_io::{Pending, WriteMode};
use parking_lot::{Condvar, Mutex};

use crate::error::LogError;
use crate::gather::{Chunk, GroupBytes};
use crate::log::Log;

/// How long a step of the leader may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It must not wait.
    None,
    /// It may wait for a group that it starts itself.
    Own,
    /// It waits until the oldest group in flight has ended.
    Oldest,
}

/// What the log needs of whoever appends to it. No method is called with a
/// lock held under which the owner could append.
pub trait LogOwner: Send + Sync {
    /// Called when a group is about to leave. The owner takes the lock under
    /// which it appends, seals its version, and calls `cut` once while holding
    /// it. It must not wait for the log in here.
    fn seal_and_cut(&self, cut: &mut dyn FnMut());

    /// The durable LSN moved: in order, one call at a time.
    fn durable_advanced(&self, durable: Lsn);

    /// A write or sync failed, or somebody poisoned the log: nothing more will
    /// become durable. Called once.
    fn log_failed(&self, error: &LogError);
}

/// What one step of driving came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// Nothing is buffered and nothing is in flight, or the log has failed.
    Idle,
    /// Writes are in flight, or somebody else drives.
    Busy,
    /// A group started or ended.
    Progress,
}

/// Groups on their way to the disk, in the order of the log.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    queue: Mutex<VecDeque<Arc<Flight>>>,
    /// Length of the queue, to be asked without its lock.
    pub(crate) count: AtomicUsize,
}

/// One group in flight.
struct Flight {
    end: Lsn,
    records: usize,
    /// `None` until its writes have been started by whoever cut it.
    writes: Mutex<Option<Vec<Write>>>,
    started: Condvar,
}

type Write = (Pending, Arc<GroupBytes>);

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flight(to {}, {} records)", self.end, self.records)
    }
}

/// What the leader learnt of one or more groups that ended.
#[derive(Debug, Default)]
struct Finished {
    groups: usize,
    failed: Option<std::io::Error>,
}

impl Log {
    /// One step of the leader: finish what has ended, start the next group,
    /// tell the owner. How long it may take is the patience's to say.
    pub(crate) fn lead_step(&self, owner: &dyn LogOwner, patience: Patience) -> Drive {
        if self.is_poisoned() {
            self.report_failure(owner);
            return Drive::Idle;
        }
        let finished = self.finish_groups(patience == Patience::Oldest);
        if let Some(error) = finished.failed {
            self.poison(&format!("write of a group: {error}"));
            self.report_failure(owner);
            return Drive::Progress;
        }
        // Whoever was served by what ended must not wait for another write.
        let stays = patience != Patience::None && finished.groups == 0;
        let started = self.start_group(owner, stays);
        if finished.groups > 0 {
            let durable = self.durable_lsn();
            owner.durable_advanced(durable);
            self.durable_waiters.complete_up_to(durable.0);
            self.wake_coarse();
        }
        // The owner may have found a failure while it sealed.
        self.report_failure(owner);
        if started || finished.groups > 0 {
            Drive::Progress
        } else if self.flights.queue.lock().is_empty() {
            Drive::Idle
        } else {
            Drive::Busy
        }
    }

    /// Starts a group, if one may fly and there is something to write. A lone
    /// group of somebody who would wait for it next (`stays`) is written in one
    /// call: there is nothing that could overlap with it.
    pub(crate) fn start_group(&self, owner: &dyn LogOwner, stays: bool) -> bool {
        let waiting = || self.cut.load(Ordering::Acquire) < self.appended.load(Ordering::Acquire);
        if !waiting() || self.is_poisoned() {
            return false;
        }
        let (flight, chunks, alone) = {
            let mut queue = self.flights.queue.lock();
            if queue.len() >= self.options.groups_in_flight || !waiting() {
                return false;
            }
            let mut cut = None;
            owner.seal_and_cut(&mut || {
                if cut.is_none() {
                    cut = self.cut_group();
                }
            });
            let Some((flight, chunks)) = cut else {
                return false;
            };
            queue.push_back(flight.clone());
            self.flights.count.store(queue.len(), Ordering::Release);
            (flight, chunks, queue.len() == 1)
        };
        let in_one = stays && alone && chunks.len() == 1 && !self.lead.is_crowded();
        let write = if in_one { write_alone } else { start_write };
        let writes = chunks.into_iter().map(write).collect();
        *flight.writes.lock() = Some(writes);
        flight.started.notify_all();
        true
    }

    /// Takes the group out of the gather buffer; the caller holds the owner's
    /// lock. Nothing leaves a poisoned log: the owner poisons it under that
    /// lock when it could not apply what it had appended.
    fn cut_group(&self) -> Option<(Arc<Flight>, Vec<Chunk>)> {
        let mut appender = self.appender.lock();
        if self.is_poisoned() {
            return None;
        }
        let (chunks, records) = appender.gather.cut();
        if chunks.is_empty() {
            return None;
        }
        let end = appender.end;
        self.cut.store(end.0, Ordering::Release);
        let flight = Flight {
            end,
            records,
            writes: Mutex::new(None),
            started: Condvar::new(),
        };
        Some((Arc::new(flight), chunks))
    }

    /// Takes every group that has ended off the front; waits for the first if
    /// `block`. Moves the durable LSN.
    fn finish_groups(&self, block: bool) -> Finished {
        let mut finished = Finished::default();
        while finished.failed.is_none() {
            match self.finish_one(block && finished.groups == 0) {
                Some(Ok(())) => finished.groups += 1,
                Some(Err(error)) => finished.failed = Some(error),
                None => break,
            }
        }
        finished
    }

    fn finish_one(&self, block: bool) -> Option<std::io::Result<()>> {
        let flight = {
            let queue = self.flights.queue.lock();
            if planted(Mutant::SecondGroupWithoutFirst) && queue.len() > 1 {
                queue.back()?.clone()
            } else {
                queue.front()?.clone()
            }
        };
        let writes = {
            let mut slot = flight.writes.lock();
            while block && slot.is_none() {
                flight.started.wait(&mut slot);
            }
            let flying = slot.as_mut()?;
            if !block && !flying.iter_mut().all(|(pending, _)| pending.is_finished()) {
                return None;
            }
            std::mem::take(flying)
        };
        let mut result = Ok(());
        for (pending, bytes) in writes {
            // Each is waited for, also after a failure: its buffer is in use until then.
            result = result.and(pending.wait());
            self.pool.give_back(bytes);
        }
        let mut queue = self.flights.queue.lock();
        queue.retain(|other| !Arc::ptr_eq(other, &flight));
        self.flights.count.store(queue.len(), Ordering::Release);
        drop(queue);
        if result.is_ok() {
            self.durable.fetch_max(flight.end.0, Ordering::AcqRel);
            self.lead.note_group(flight.records);
        }
        Some(result)
    }

    /// If the log is poisoned, tells the owner, once, and runs the callbacks
    /// that still wait. With no lock held.
    pub(crate) fn report_failure(&self, owner: &dyn LogOwner) {
        if !self.is_poisoned() {
            return;
        }
        if !self.poison.reported.swap(true, Ordering::AcqRel) {
            owner.log_failed(&self.poisoned_error());
            self.wake_parked();
        }
        self.fail_waiters();
    }
}

fn write_alone(chunk: Chunk) -> Write {
    if planted(Mutant::AcknowledgeBeforeSync) {
        return start_write(chunk);
    }
    let (segment, start, bytes) = chunk.close();
    let offset = segment.header.offset(start);
    (
        Pending::Ready(segment.file.write_durable(bytes.clone(), offset)),
        bytes,
    )
}

fn start_write(chunk: Chunk) -> Write {
    let mode = if planted(Mutant::AcknowledgeBeforeSync) {
        WriteMode::Plain
    } else {
        WriteMode::Durable
    };
    let (segment, start, bytes) = chunk.close();
    let offset = segment.header.offset(start);
    (segment.file.start_write(bytes.clone(), offset, mode), bytes)
}

#[cfg(test)]
mod tests;
