//! Group commit: from the gather buffer to the durable LSN.
//!
//! The records that share one sync are a *group*. It goes through three steps:
//!
//! 1. **Cut.** The owner takes the lock under which it appends, seals its
//!    version and calls back; the gather buffer is swapped for an empty one.
//!    The group joins the queue of flights while the appender is locked, so
//!    that flights are in the order of the log. Nobody who finishes a group
//!    waits for the owner's lock.
//! 2. **Fly.** Its writes start, each durable by itself (a direct write with
//!    data sync where the disk can). Up to `groups_in_flight` groups fly at
//!    once and may end in any order: they share no block.
//! 3. **Finish.** Only the leader (see the module `lead`) takes groups off the
//!    front of the queue, so the durable LSN advances in order and never over a
//!    gap. The leader starts the next group before it tells anybody that one
//!    has ended: the disk works while followers wake. (Where starting a write
//!    means waiting for it, the other way round.)
//!
//! A write that fails poisons the log. Nothing is tried again: after a failed
//! sync the page cache claims what the disk does not have.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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

/// How much of the caller's time the start of a group may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    /// None where somebody else cuts, or appends.
    IfFree,
    /// Until the owner's lock is free.
    None,
    /// As long as the write: the caller would wait for it next. A lone group is
    /// then written in one call, since there is nothing to overlap with it.
    Stays,
}

/// What the log needs of whoever appends to it. No method is called with a
/// lock held under which the owner could append.
pub trait LogOwner: Send + Sync {
    /// Called when a group is about to leave. The owner takes the lock under
    /// which it appends, seals its version, and calls `cut` once while holding
    /// it. It must not wait for the log in here.
    fn seal_and_cut(&self, cut: &mut dyn FnMut());

    /// As [`seal_and_cut`](Self::seal_and_cut), but only if the owner's lock is
    /// free; says whether it was. Where it is taken the log first tells those
    /// whose group has ended, and does not keep them waiting behind whoever
    /// appends just now. An owner that holds its lock for long should have this.
    fn try_seal_and_cut(&self, cut: &mut dyn FnMut()) -> bool {
        self.seal_and_cut(cut);
        true
    }

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
    /// Held by who cuts a group, so that no more fly than may.
    cutting: Mutex<()>,
    /// Length of the queue, to be asked without its lock.
    pub(crate) count: AtomicUsize,
    /// The disk ends a write before it returns from starting it: nothing can be
    /// done meanwhile.
    blocks: AtomicBool,
    /// Records that wait for their group to leave.
    pub(crate) gathered: AtomicUsize,
    /// Records in flight.
    flying: AtomicUsize,
    /// How many records were on their way at once, lately.
    crowd: AtomicUsize,
}

/// One group in flight.
struct Flight {
    /// Its number: see the module `landings`.
    number: u64,
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
        let landed = self.landings.landed();
        let finished = self.finish_groups(patience == Patience::Oldest);
        if let Some(error) = finished.failed {
            self.poison(&format!("write of a group: {error}"));
            self.report_failure(owner);
            return Drive::Progress;
        }
        // A scheduler that owns the only thread starts what it can.
        let may_start = || patience == Patience::None || self.is_worth_a_flight();
        let started = if finished.groups > 0 {
            // The disk works while they wake, unless that would keep them waiting.
            let at_once = !self.flights.blocks.load(Ordering::Relaxed)
                && may_start()
                && self.start_group(owner, Haste::IfFree);
            self.tell(owner, landed);
            at_once || (may_start() && self.start_group(owner, Haste::None))
        } else if patience == Patience::None {
            self.start_group(owner, Haste::None)
        } else {
            may_start() && self.start_group(owner, Haste::Stays)
        };
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

    /// The groups after `landed` have ended: tells the owner, wakes who waited
    /// and calls back.
    fn tell(&self, owner: &dyn LogOwner, landed: u64) {
        let durable = self.durable_lsn();
        owner.durable_advanced(durable);
        self.landings.wake_landed(landed);
        self.durable_waiters.complete_up_to(durable.0);
    }

    /// Whether a group should leave now, whoever asks. Where others fly, and
    /// there is a crowd, only one that holds its share of it: small ones cost
    /// the machine more than they save the few who are in them.
    fn is_worth_a_flight(&self) -> bool {
        let flying = self.flights.count.load(Ordering::Acquire);
        flying == 0
            || flying < self.options.groups_in_flight
                && (!self.lead.is_crowded() || self.gathered_is_a_share())
    }

    /// What has gathered is as much of the crowd as each flight should hold.
    fn gathered_is_a_share(&self) -> bool {
        let gathered = self.flights.gathered.load(Ordering::Relaxed);
        gathered * self.options.groups_in_flight >= self.flights.crowd.load(Ordering::Relaxed)
    }

    /// Somebody who will sleep next starts a group, if one more may fly and is
    /// worth it. Where none flies in a crowd he leaves it to the leader, who is
    /// about to, and by then has more.
    pub(crate) fn help(&self, owner: &dyn LogOwner) {
        let is_share = !self.lead.is_crowded() || self.gathered_is_a_share();
        if is_share && self.is_worth_a_flight() {
            self.start_group(owner, Haste::IfFree);
        }
    }

    /// Starts a group, if one may fly and there is something to write.
    fn start_group(&self, owner: &dyn LogOwner, haste: Haste) -> bool {
        let waiting = || self.cut.load(Ordering::Acquire) < self.appended.load(Ordering::Acquire);
        if !waiting() || self.is_poisoned() {
            return false;
        }
        let (flight, chunks, alone) = {
            let cutting = &self.flights.cutting;
            let cutting = match haste {
                // Whoever cuts just now takes what we would.
                Haste::IfFree => cutting.try_lock(),
                Haste::None | Haste::Stays => Some(cutting.lock()),
            };
            let flying = self.flights.count.load(Ordering::Acquire);
            if cutting.is_none() || flying >= self.options.groups_in_flight || !waiting() {
                return false;
            }
            let mut cut = None;
            let mut cut_once = || {
                if cut.is_none() {
                    cut = self.cut_group();
                }
            };
            match haste {
                // Where it was taken nothing has been cut.
                Haste::IfFree => drop(owner.try_seal_and_cut(&mut cut_once)),
                Haste::None | Haste::Stays => owner.seal_and_cut(&mut cut_once),
            }
            let Some((flight, chunks)) = cut else {
                return false;
            };
            (flight, chunks, flying == 0)
        };
        let stays = haste == Haste::Stays;
        let in_one = stays && alone && chunks.len() == 1 && !self.lead.is_crowded();
        let write = if in_one { write_alone } else { start_write };
        let writes: Vec<Write> = chunks.into_iter().map(write).collect();
        if !in_one {
            let blocked = |(pending, _): &Write| matches!(pending, Pending::Ready(_));
            let blocks = writes.iter().all(blocked);
            self.flights.blocks.store(blocks, Ordering::Relaxed);
        }
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
        self.flights.gathered.store(0, Ordering::Relaxed);
        self.flights.flying.fetch_add(records, Ordering::Relaxed);
        let end = appender.end;
        let flight = Flight {
            number: self.landings.cut(end),
            end,
            records,
            writes: Mutex::new(None),
            started: Condvar::new(),
        };
        let flight = Arc::new(flight);
        let mut queue = self.flights.queue.lock();
        queue.push_back(flight.clone());
        self.flights.count.store(queue.len(), Ordering::Release);
        // Last: a leader that sees nothing left to cut must find the flight.
        self.cut.store(end.0, Ordering::Release);
        drop(queue);
        Some((flight, chunks))
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
            self.landings.land(flight.number);
            self.counters.groups.fetch_add(1, Ordering::Relaxed);
            self.counters
                .records
                .fetch_add(flight.records as u64, Ordering::Relaxed);
            self.lead.note_group(flight.records);
            let flying = self
                .flights
                .flying
                .fetch_sub(flight.records, Ordering::Relaxed);
            let crowd = flying + self.flights.gathered.load(Ordering::Relaxed);
            let before = self.flights.crowd.load(Ordering::Relaxed);
            let faded = before - before.div_ceil(16);
            self.flights
                .crowd
                .store(crowd.max(faded), Ordering::Relaxed);
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
            self.wake_all();
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
