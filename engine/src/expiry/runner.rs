//! Who carries passes out: a thread, or where there is one thread only the background
//! work of the store.
//!
//! ## Invariants
//! * The thread is made when the database is opened with collections, or one is made that
//!   expires. If a pass finds that none does, and none was made, it waits without a time:
//!   such a database makes no system call while it is idle.
//! * It works in an environment of its own, over the same store, catalog and figures: the
//!   user's is dropped by its last user and nobody else, and waits there for the thread.
//! * One pass at a time; a step that comes to be called within another does nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cs_kv::io::{Signal, Task};
use parking_lot::Mutex;

use super::pass::Pass;
use crate::context::{CancelFlag, OperationContext};
use crate::environment::Environment;
use crate::stats::Counters;

/// Expiry of a database.
#[derive(Debug)]
pub(crate) struct Expiry {
    /// `None`: never by itself.
    interval: Option<Duration>,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

/// What it shares with the thread.
#[derive(Debug, Default)]
struct Shared {
    stop: CancelFlag,
    /// Something was made that expires, or will be when its transaction is committed.
    was_made: AtomicBool,
    signal: Signal,
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one, and its size depends on features"
)]
enum State {
    Off,
    Thread(Option<Task>),
    /// There is no other thread: whoever does background work steps.
    ByHand {
        due: Duration,
        pass: Option<Box<Pass>>,
    },
}

impl Expiry {
    pub(crate) fn new(interval: Option<Duration>) -> Self {
        Self {
            interval,
            shared: Arc::default(),
            state: Mutex::new(State::Off),
        }
    }

    /// Something was made that expires.
    pub(crate) fn made(&self, environment: &Environment) {
        self.shared.was_made.store(true, Ordering::Release);
        self.start(environment);
    }

    /// Something may expire from now on.
    pub(crate) fn start(&self, environment: &Environment) {
        let Some(interval) = self.interval else {
            return;
        };
        if environment.writable().is_err() {
            return;
        }
        // Taken already: by a step that is under way, so it has started.
        let Some(mut state) = self.state.try_lock() else {
            return;
        };
        if self.shared.stop.is_cancelled() {
            return;
        }
        match &*state {
            State::Off => {}
            State::Thread(_) => return self.shared.signal.raise(),
            State::ByHand { .. } => return,
        }
        let (shared, worker) = (Arc::clone(&self.shared), environment.worker());
        let runtime = &environment.runtime;
        let work = Box::new(move || shared.run(&worker, interval));
        *state = match runtime.spawn("cs-expiry", work) {
            Ok(Some(task)) => State::Thread(Some(task)),
            Ok(None) => State::ByHand {
                due: runtime.monotonic().saturating_add(interval),
                pass: None,
            },
            // Asked for again with the next index or collection that expires.
            Err(_) => State::Off,
        };
    }

    /// A step of the pass that is due, where there is no other thread; says whether there
    /// was something to do.
    pub(crate) fn step(&self, environment: &Arc<Environment>) -> bool {
        let Some(interval) = self.interval else {
            return false;
        };
        let Some(mut state) = self.state.try_lock() else {
            return false;
        };
        let State::ByHand { due, pass } = &mut *state else {
            return false;
        };
        if self.shared.stop.is_cancelled() {
            return false;
        }
        let now = environment.runtime.monotonic();
        if pass.is_none() {
            if now < *due {
                return false;
            }
            *due = now.saturating_add(interval);
            *pass = Pass::begin(environment, &self.shared.context())
                .ok()
                .map(Box::new);
        }
        let Some(running) = pass else { return false };
        if running.step(environment) {
            return true;
        }
        *pass = None;
        Counters::add(&environment.counters.expiry_passes, 1);
        true
    }

    /// Ends it for good: when this returns, the thread is gone.
    pub(crate) fn stop(&self) {
        self.shared.stop.cancel();
        self.shared.signal.raise();
        let state = std::mem::replace(&mut *self.state.lock(), State::Off);
        if let State::Thread(Some(task)) = state {
            task.join();
        }
    }
}

impl Drop for Expiry {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn context(&self) -> OperationContext {
        OperationContext::new().cancel_flag(self.stop.clone())
    }

    fn run(&self, worker: &Arc<Environment>, interval: Duration) {
        let now = || worker.runtime.monotonic();
        let (mut due, mut is_idle) = (now().saturating_add(interval), false);
        loop {
            // Woken by something that can expire, or to end.
            if is_idle {
                self.signal.wait();
                due = now().saturating_add(interval);
            }
            while !self.stop.is_cancelled() && now() < due {
                self.signal.wait_for(due.saturating_sub(now()));
            }
            if self.stop.is_cancelled() {
                return;
            }
            due = now().saturating_add(interval);
            // What cannot be read now may be readable next time.
            is_idle = false;
            if let Ok(mut pass) = Pass::begin(worker, &self.context()) {
                is_idle = pass.is_empty() && !self.was_made.load(Ordering::Acquire);
                pass.run(worker);
                Counters::add(&worker.counters.expiry_passes, 1);
            }
        }
    }
}
