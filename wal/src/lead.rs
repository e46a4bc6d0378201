//! Who drives the log.
//!
//! There is one *leader* at a time; only it finishes groups. A lone caller of
//! [`Log::wait`] leads itself: cut, write, wait, return, without a thread
//! switch. Whoever comes while another leads sleeps until his group has landed
//! (see `landings`). A leader whose own wish is fulfilled does not stay to work
//! for others: it lays leadership down and wakes one of those whose group has
//! not landed or, where groups hold more than one record (a crowd), gives it to
//! the log thread. That is started once, leads while the crowd lasts, parks
//! without a system call when there is nothing to do, and gives leadership up
//! after a few groups of a single record.
//!
//! Invariants
//! * While `durable < appended` and somebody waits, there is a leader, or the
//!   log thread has been given the lead and was woken, or one of those who wait
//!   was woken to take it.
//! * A waiter listens before it looks for the last time at its condition *and*
//!   at who leads; whoever lays leadership down does so before it looks whether
//!   work remains, and wakes somebody after that. So no wake-up is missed;
//!   superfluous ones are harmless.
//! * The log thread leads only what it took itself, so what was given to one
//!   that was told to stop can be taken back.
//! * Nothing here is locked.

mod thread;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};

use cs_base::Lsn;
use parking_lot::Mutex;

use crate::callback;
use crate::error::{LogError, Result};
use crate::group::{Drive, LogOwner, Patience};
use crate::log::Log;
use crate::tickets::{Waiter, WaiterState};
use thread::{Attached, Thread};

/// Groups of one record in a row after which a crowd has gone.
const LONELY_GROUPS: usize = 8;

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Role {
    /// Nobody does.
    Free = 0,
    /// Somebody who waits, or drives.
    Caller = 1,
    /// It was given to the log thread, which has not taken it yet.
    Given = 2,
    /// The log thread.
    Thread = 3,
    /// The log thread, parked for want of work.
    Idle = 4,
}

/// A [`Role`] that many threads look at.
#[derive(Debug, Default)]
pub(crate) struct RoleCell(AtomicU8);

impl RoleCell {
    pub(crate) fn get(&self) -> Role {
        match self.0.load(Ordering::SeqCst) {
            0 => Role::Free,
            1 => Role::Caller,
            2 => Role::Given,
            3 => Role::Thread,
            _ => Role::Idle,
        }
    }

    pub(crate) fn set(&self, role: Role) {
        self.0.store(role as u8, Ordering::SeqCst);
        // Pairs with the one in `EventCount::listen`: whoever listens before
        // this sees it, or is seen by the wake-up that follows.
        fence(Ordering::SeqCst);
    }

    /// Changes it, if it is what it is thought to be.
    pub(crate) fn change(&self, from: Role, to: Role) -> bool {
        let changed =
            self.0
                .compare_exchange(from as u8, to as u8, Ordering::SeqCst, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        changed.is_ok()
    }
}

/// Leadership and those who wait for it.
#[derive(Debug, Default)]
pub(crate) struct Lead {
    pub(crate) role: RoleCell,
    /// Groups of a single record since the last with several.
    lonely: AtomicUsize,
    /// Some group had several records, not long ago.
    crowd: AtomicBool,
    /// Waiters of queues that are not the log's own, and sleep in none of its
    /// places.
    guests: Mutex<Vec<Arc<WaiterState>>>,
    owner: OnceLock<Attached>,
    thread: OnceLock<Option<Thread>>,
}

/// What somebody waits for.
#[derive(Clone, Copy)]
enum Wish<'a> {
    Durable(Lsn),
    Condition(&'a dyn Fn() -> bool),
    Outcome(&'a Waiter),
}

/// What somebody who waits has to do.
enum Part {
    Lead,
    Sleep,
    /// The log is idle, or this thread is the only one.
    Nothing,
}

impl Lead {
    /// Keeps count of whether there is a crowd.
    pub(crate) fn note_group(&self, records: usize) {
        if records > 1 {
            if self.lonely.load(Ordering::Relaxed) > 0 || !self.is_crowded() {
                self.lonely.store(0, Ordering::Relaxed);
                self.crowd.store(true, Ordering::Relaxed);
            }
        } else if self.lonely.fetch_add(1, Ordering::Relaxed) + 1 >= LONELY_GROUPS {
            self.crowd.store(false, Ordering::Relaxed);
        }
    }

    /// Whether some group held several records, not long ago.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowd.load(Ordering::Relaxed)
    }

    fn wake_guests(&self) {
        for guest in self.guests.lock().iter() {
            guest.signal.raise();
        }
    }
}

impl Wish<'_> {
    fn is_done(self, log: &Log) -> bool {
        match self {
            Self::Durable(lsn) => log.durable_lsn() >= lsn,
            Self::Condition(done) => done(),
            Self::Outcome(waiter) => waiter.is_complete(),
        }
    }
}

impl Wish<'_> {
    /// Whether it needs a group that has not left yet, as far as is known.
    fn is_gathered(self, log: &Log) -> bool {
        match self {
            Self::Durable(lsn) => log.cut.load(Ordering::Acquire) < lsn.0,
            Self::Condition(_) | Self::Outcome(_) => true,
        }
    }
}

impl Log {
    /// One non-blocking step: finishes the groups that ended, in order, and
    /// starts one if it may. For background threads and schedulers.
    pub fn drive(&self, owner: &dyn LogOwner) -> Drive {
        let role = &self.lead.role;
        if !role.change(Role::Free, Role::Caller) && !role.change(Role::Idle, Role::Caller) {
            return Drive::Busy;
        }
        let driven = self.lead_step(owner, Patience::None);
        self.release();
        driven
    }

    /// Returns once `done` is true; drives the log itself where nobody else
    /// does. `done` is asked often and must be cheap; it must depend on the
    /// log alone. Not to be called with the owner's lock held.
    ///
    /// # Errors
    /// [`LogError::Poisoned`]: the outcome is unknown. [`LogError::Stalled`]:
    /// the log has nothing left to do, and `done` is still false.
    /// [`LogError::WaitInCallback`]: called inside a callback, of this log or
    /// another, and `done` is false.
    pub fn wait(&self, owner: &dyn LogOwner, done: &dyn Fn() -> bool) -> Result<()> {
        self.wait_until(owner, Wish::Condition(done))
    }

    /// [`wait`](Self::wait) for a waiter of a [`WaitQueue`](crate::WaitQueue)
    /// of the owner's.
    ///
    /// # Errors
    /// Its outcome, or as for [`wait`](Self::wait).
    pub fn wait_for(&self, owner: &dyn LogOwner, waiter: &Waiter) -> Result<()> {
        let state = waiter.state();
        self.lead.guests.lock().push(state.clone());
        let waited = self.wait_until(owner, Wish::Outcome(waiter));
        let mut guests = self.lead.guests.lock();
        if let Some(at) = guests.iter().position(|guest| Arc::ptr_eq(guest, state)) {
            guests.swap_remove(at);
        }
        drop(guests);
        waiter.poll().unwrap_or(waited)
    }

    /// Returns once everything below `lsn` is durable.
    ///
    /// # Errors
    /// As for [`wait`](Self::wait).
    pub fn wait_durable(&self, owner: &dyn LogOwner, lsn: Lsn) -> Result<()> {
        if self.durable_lsn() >= lsn {
            return Ok(());
        }
        self.wait_until(owner, Wish::Durable(lsn))
    }

    /// Calls back once everything below `lsn` is durable, or never will be. A
    /// callback may run on the thread that writes the log, and must not wait
    /// for it: see [`WaitQueue::on_complete`](crate::WaitQueue::on_complete).
    ///
    /// One callback can stand for many who wait: whoever appends for others
    /// lets them sleep on one [`EventCount`](cs_io::EventCount), and registers
    /// a callback that notifies it.
    pub fn on_durable(&self, lsn: Lsn, call: Box<dyn FnOnce(Result<()>) + Send>) {
        self.durable_waiters.on_complete(lsn.0, call);
    }

    /// Wakes everybody who sleeps for this log.
    pub(crate) fn wake_all(&self) {
        self.landings.wake_all();
        self.lead.wake_guests();
    }

    fn wait_until(&self, owner: &dyn LogOwner, wish: Wish<'_>) -> Result<()> {
        let waited = self.lead_or_sleep(owner, wish);
        // Whoever poisoned the log ended the waiters, and told nobody else.
        self.report_failure(owner);
        waited
    }

    fn lead_or_sleep(&self, owner: &dyn LogOwner, wish: Wish<'_>) -> Result<()> {
        loop {
            if let Some(outcome) = self.outcome(owner, wish) {
                return outcome;
            }
            // Whoever leads may be below us on this very stack.
            if callback::is_running() {
                return Err(LogError::WaitInCallback);
            }
            match self.take_part() {
                Part::Lead => {
                    let result = self.lead_until(owner, wish);
                    self.release();
                    return result;
                }
                Part::Nothing if self.is_poisoned() => {}
                Part::Nothing if wish.is_done(self) => return Ok(()),
                Part::Nothing => return Err(LogError::Stalled),
                Part::Sleep => {
                    if wish.is_gathered(self) {
                        self.help(owner);
                    }
                    self.sleep(wish);
                }
            }
        }
    }

    /// Whether the waiting is over, and how.
    fn outcome(&self, owner: &dyn LogOwner, wish: Wish<'_>) -> Option<Result<()>> {
        if wish.is_done(self) {
            return Some(Ok(()));
        }
        if !self.is_poisoned() {
            return None;
        }
        self.report_failure(owner);
        let is_done = wish.is_done(self);
        Some(if is_done {
            Ok(())
        } else {
            Err(self.poisoned_error())
        })
    }

    /// Takes the lead if nobody has it; else sees to it that somebody works.
    fn take_part(&self) -> Part {
        loop {
            match self.lead.role.get() {
                Role::Free => {
                    if self.lead.role.change(Role::Free, Role::Caller) {
                        return Part::Lead;
                    }
                }
                // One thread only: whoever leads is below us on this very stack.
                _ if !self.runtime.may_block() => return Part::Nothing,
                Role::Idle => {
                    if !self.work_remains() {
                        return Part::Nothing;
                    }
                    if self.lead.role.change(Role::Idle, Role::Given) {
                        if let Some(thread) = self.lead.thread() {
                            thread.control.signal.raise();
                        }
                        return Part::Sleep;
                    }
                }
                Role::Caller | Role::Given | Role::Thread => return Part::Sleep,
            }
        }
    }

    /// Sleeps until there is reason to look again.
    fn sleep(&self, wish: Wish<'_>) {
        let stays = || {
            !wish.is_done(self)
                && !self.is_poisoned()
                && !matches!(self.lead.role.get(), Role::Free | Role::Idle)
        };
        let event = match wish {
            Wish::Durable(lsn) => self.landings.event_of(lsn),
            Wish::Condition(_) => &self.landings.any,
            Wish::Outcome(waiter) => {
                // A raised signal stays so: what comes now is not missed.
                fence(Ordering::SeqCst);
                if stays() {
                    waiter.state().signal.wait();
                }
                return;
            }
        };
        let listener = event.listen();
        if stays() {
            listener.wait();
        }
    }

    /// Something was appended that is not durable yet.
    pub(crate) fn work_remains(&self) -> bool {
        !self.is_poisoned() && self.durable_lsn() < self.appended_lsn()
    }

    /// As leader: works until the wish is fulfilled.
    fn lead_until(&self, owner: &dyn LogOwner, wish: Wish<'_>) -> Result<()> {
        loop {
            if let Some(outcome) = self.outcome(owner, wish) {
                return outcome;
            }
            match self.lead_step(owner, Patience::Own) {
                Drive::Progress => {}
                Drive::Busy => {
                    self.lead_step(owner, Patience::Oldest);
                }
                Drive::Idle if self.is_poisoned() || wish.is_done(self) => {}
                // Appended, or cut by another, between two looks.
                Drive::Idle if self.work_remains() => {}
                Drive::Idle => return Err(LogError::Stalled),
            }
        }
    }

    /// As leader: hands over, or lays leadership down.
    fn release(&self) {
        let crowd = self.lead.is_crowded() && self.work_remains();
        self.hand_over(if crowd { self.log_thread() } else { None });
    }

    /// As leader: gives leadership to the log thread, or lays it down and wakes
    /// somebody to take it.
    fn hand_over(&self, thread: Option<&Thread>) {
        if let Some(thread) = thread.filter(|_| self.work_remains()) {
            self.lead.role.set(Role::Given);
            // Asked after giving: one that is told to stop later finds the lead
            // in its hands, and lays it down.
            if !thread.control.has_to_stop() {
                thread.control.signal.raise();
                return;
            }
            // Taken back, unless it was laid down or taken already.
            if !self.lead.role.change(Role::Given, Role::Free) {
                return;
            }
        } else {
            self.lead.role.set(Role::Free);
        }
        self.wake_successor();
    }

    /// Nobody leads any more: somebody is woken who will, if there is work; if
    /// there is none, whoever still waits, to learn just that.
    fn wake_successor(&self) {
        if self.work_remains() {
            self.landings.wake_one();
            self.lead.wake_guests();
        } else {
            self.wake_all();
        }
    }
}

#[cfg(test)]
mod tests;
