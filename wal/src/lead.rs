//! Who drives the log.
//!
//! There is one *leader* at a time; only it finishes groups. A lone caller of
//! [`Log::wait`] leads itself: cut, write, wait, return, without a thread
//! switch. Whoever comes while another leads starts a second group if one may
//! fly, and parks. A leader whose own wish is fulfilled does not stay to work
//! for others: it hands the *baton* to exactly one parked waiter or, where
//! groups hold more than one record (a crowd), to the log thread. That is
//! started once, leads while the crowd lasts, parks without a system call when
//! there is nothing to do, and gives leadership up after a few groups of a
//! single record.
//!
//! Invariants
//! * While `durable < appended` and somebody waits, there is a leader, or a
//!   parked waiter or the log thread has been given the baton and was woken.
//! * A waiter registers before it looks at its condition for the last time, so
//!   no wake-up is missed; superfluous ones are harmless.
//! * Leadership is never given to a log thread that was told to stop.
//! * No lock but `lead` itself is taken while `lead` is held.

mod thread;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use cs_base::Lsn;
use cs_io::Signal;
use parking_lot::Mutex;

use crate::callback;
use crate::error::{LogError, Result};
use crate::group::{Drive, LogOwner, Patience};
use crate::log::Log;
use crate::tickets::Waiter;
use thread::{Attached, Thread};

/// Groups of one record in a row after which a crowd has gone.
const LONELY_GROUPS: usize = 8;

/// Leadership and those who wait for it.
#[derive(Debug, Default)]
pub(crate) struct Lead {
    state: Mutex<State>,
    /// Groups of a single record since the last with several.
    lonely: AtomicUsize,
    /// Some group had several records, not long ago.
    crowd: AtomicBool,
    owner: OnceLock<Attached>,
    thread: OnceLock<Option<Thread>>,
}

#[derive(Debug, Default)]
struct State {
    led: bool,
    /// The leader is the log thread …
    thread_leads: bool,
    /// … and it is parked, for want of work.
    thread_idle: bool,
    /// Who has been given leadership but has not woken yet.
    baton: Option<u64>,
    next: u64,
    parked: BTreeMap<u64, Parked>,
}

#[derive(Debug)]
struct Parked {
    signal: Arc<Signal>,
    /// Its condition is unknown to us: it is woken whenever something ended.
    coarse: bool,
}

enum Role {
    Leader,
    Parked(u64),
    /// The log is idle under its thread.
    Nothing,
}

impl Lead {
    /// Keeps count of whether there is a crowd.
    pub(crate) fn note_group(&self, records: usize) {
        if records > 1 {
            self.lonely.store(0, Ordering::Relaxed);
            self.crowd.store(true, Ordering::Relaxed);
        } else if self.lonely.fetch_add(1, Ordering::Relaxed) + 1 >= LONELY_GROUPS {
            self.crowd.store(false, Ordering::Relaxed);
        }
    }

    /// Whether some group held several records, not long ago.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowd.load(Ordering::Relaxed)
    }

    /// Removes a parked waiter; says whether it was given the baton.
    fn leave(&self, id: u64) -> bool {
        let mut state = self.state.lock();
        state.parked.remove(&id);
        let given = state.baton == Some(id);
        if given {
            state.baton = None;
        }
        given
    }

    fn wake(&self, which: impl Fn(&Parked) -> bool) {
        let signals: Vec<_> = {
            let state = self.state.lock();
            let chosen = state.parked.values().filter(|parked| which(parked));
            chosen.map(|parked| parked.signal.clone()).collect()
        };
        for signal in signals {
            signal.raise();
        }
    }
}

impl Log {
    /// One non-blocking step: finishes the groups that ended, in order, and
    /// starts one if it may. For background threads and schedulers.
    pub fn drive(&self, owner: &dyn LogOwner) -> Drive {
        {
            let mut state = self.lead.state.lock();
            if state.led && !(state.thread_leads && state.thread_idle) {
                return Drive::Busy;
            }
            (state.led, state.thread_leads, state.thread_idle) = (true, false, false);
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
        self.wait_until(owner, done, None)
    }

    /// [`wait`](Self::wait) for a waiter of a
    /// [`WaitQueue`](crate::WaitQueue): woken only by its own outcome.
    ///
    /// # Errors
    /// Its outcome, or as for [`wait`](Self::wait).
    pub fn wait_for(&self, owner: &dyn LogOwner, waiter: &Waiter) -> Result<()> {
        let waited = self.wait_until(owner, &|| waiter.is_complete(), Some(waiter));
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
        self.wait_for(owner, &self.durable_waiters.register(lsn.0))
    }

    /// Calls back once everything below `lsn` is durable, or never will be. A
    /// callback may run on the thread that writes the log, and must not wait
    /// for it: see [`WaitQueue::on_complete`](crate::WaitQueue::on_complete).
    pub fn on_durable(&self, lsn: Lsn, call: Box<dyn FnOnce(Result<()>) + Send>) {
        self.durable_waiters.on_complete(lsn.0, call);
    }

    pub(crate) fn wake_parked(&self) {
        self.lead.wake(|_| true);
    }

    pub(crate) fn wake_coarse(&self) {
        self.lead.wake(|parked| parked.coarse);
    }

    fn wait_until(
        &self,
        owner: &dyn LogOwner,
        done: &dyn Fn() -> bool,
        waiter: Option<&Waiter>,
    ) -> Result<()> {
        let waited = self.lead_or_park(owner, done, waiter);
        // Whoever poisoned the log ended the waiters, and told nobody else.
        self.report_failure(owner);
        waited
    }

    fn lead_or_park(
        &self,
        owner: &dyn LogOwner,
        done: &dyn Fn() -> bool,
        waiter: Option<&Waiter>,
    ) -> Result<()> {
        let mut own_signal = None;
        loop {
            if done() {
                return Ok(());
            }
            if self.is_poisoned() {
                self.report_failure(owner);
                return if done() {
                    Ok(())
                } else {
                    Err(self.poisoned_error())
                };
            }
            // Whoever leads may be below us on this very stack.
            if callback::is_running() {
                return Err(LogError::WaitInCallback);
            }
            let signal = match waiter {
                Some(waiter) => waiter.signal(),
                None => own_signal.get_or_insert_with(Arc::default),
            };
            match self.take_role(signal, waiter.is_none()) {
                Role::Leader => {
                    let result = self.lead_until(owner, done);
                    self.release();
                    return result;
                }
                Role::Nothing if self.is_poisoned() => {}
                Role::Nothing => {
                    return if done() {
                        Ok(())
                    } else {
                        Err(LogError::Stalled)
                    };
                }
                Role::Parked(id) => {
                    self.help(owner);
                    if !done() && !self.is_poisoned() {
                        signal.wait();
                    }
                    if self.lead.leave(id) {
                        let result = self.lead_until(owner, done);
                        self.release();
                        return result;
                    }
                }
            }
        }
    }

    /// Becomes leader if there is none, else parks.
    fn take_role(&self, signal: &Arc<Signal>, coarse: bool) -> Role {
        let mut state = self.lead.state.lock();
        if !state.led {
            state.led = true;
            return Role::Leader;
        }
        // One thread only: whoever leads is below us on this very stack.
        if !self.runtime.may_block() {
            return Role::Nothing;
        }
        if state.thread_leads && state.thread_idle {
            if !self.work_remains() {
                return Role::Nothing;
            }
            state.thread_idle = false;
            if let Some(thread) = self.lead.thread() {
                thread.control.signal.raise();
            }
        }
        let id = state.next;
        state.next += 1;
        state.parked.insert(
            id,
            Parked {
                signal: signal.clone(),
                coarse,
            },
        );
        Role::Parked(id)
    }

    /// A follower starts a group if one more may fly. In a crowd it does not:
    /// the log thread then gathers larger ones.
    fn help(&self, owner: &dyn LogOwner) {
        let free = self.flights.count.load(Ordering::Acquire) < self.options.groups_in_flight;
        if free && !self.lead.crowd.load(Ordering::Relaxed) {
            self.start_group(owner, false);
        }
    }

    /// Something was appended that is not durable yet.
    fn work_remains(&self) -> bool {
        !self.is_poisoned() && self.durable_lsn() < self.appended_lsn()
    }

    /// As leader: works until `done`.
    fn lead_until(&self, owner: &dyn LogOwner, done: &dyn Fn() -> bool) -> Result<()> {
        loop {
            if done() {
                return Ok(());
            }
            if self.is_poisoned() {
                self.report_failure(owner);
                return if done() {
                    Ok(())
                } else {
                    Err(self.poisoned_error())
                };
            }
            match self.lead_step(owner, Patience::Own) {
                Drive::Progress => {}
                Drive::Busy => {
                    self.lead_step(owner, Patience::Oldest);
                }
                Drive::Idle if self.is_poisoned() || done() => {}
                Drive::Idle => return Err(LogError::Stalled),
            }
        }
    }

    /// As leader: hands over, or lays leadership down.
    fn release(&self) {
        let crowd = self.lead.crowd.load(Ordering::Relaxed) && self.work_remains();
        self.hand_over(if crowd { self.log_thread() } else { None });
    }

    /// As leader: gives leadership to the log thread, to a parked waiter, or
    /// to nobody.
    fn hand_over(&self, thread: Option<&Thread>) {
        let signals: Vec<_> = {
            let mut state = self.lead.state.lock();
            if self.work_remains() {
                // Asked again under the lock: a thread that is told to stop
                // later finds that it leads, and lays it down.
                if let Some(thread) = thread.filter(|thread| !thread.control.has_to_stop()) {
                    (state.thread_leads, state.thread_idle) = (true, false);
                    thread.control.signal.raise();
                    return;
                }
                if let Some((&id, parked)) = state.parked.first_key_value() {
                    parked.signal.raise();
                    state.baton = Some(id);
                    return;
                }
            }
            state.led = false;
            state
                .parked
                .values()
                .map(|parked| parked.signal.clone())
                .collect()
        };
        // Their wishes are fulfilled, or they will lead themselves.
        for signal in signals {
            signal.raise();
        }
    }
}

#[cfg(test)]
mod tests;
