//! Who waits for which position: a queue ordered by target.
//!
//! The owner of the log keeps one for its visible LSN; the log keeps one for
//! the durable LSN. Completing collects under the lock and wakes after it.
//!
//! Invariants
//! * The completed position only grows; a target at or below it is done, also
//!   after a failure.
//! * After [`WaitQueue::fail`] every other target, also one registered
//!   later, fails with the same error.
//! * Callbacks run on the completing thread, in the order of their targets,
//!   with no lock of the queue held. A failure that is noted under somebody's
//!   lock ([`WaitQueue::fail`]) runs none.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;

use cs_io::Signal;
use parking_lot::Mutex;

use crate::callback::{self, Callback};
use crate::error::{LogError, Result};

/// Waiters and callbacks, by the position they need.
#[derive(Debug, Default)]
pub struct WaitQueue {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    completed: u64,
    failed: Option<LogError>,
    /// In the order of their targets; of one target in the order of coming.
    entries: VecDeque<(u64, Entry)>,
}

enum Entry {
    Waiter(Arc<WaiterState>),
    Callback(Callback),
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiter(_) => "Waiter",
            Self::Callback(_) => "Callback",
        })
    }
}

impl Entry {
    fn finish(self, result: Result<()>) {
        match self {
            Self::Waiter(state) => state.finish(result),
            Self::Callback(call) => callback::run(call, result),
        }
    }
}

/// One who waits for a position.
#[derive(Clone, Debug)]
pub struct Waiter {
    state: Arc<WaiterState>,
}

#[derive(Debug)]
pub(crate) struct WaiterState {
    outcome: OnceLock<Result<()>>,
    /// Raised at the outcome, and by whoever lays leadership down.
    pub(crate) signal: Signal,
}

impl WaiterState {
    fn finish(&self, result: Result<()>) {
        // Only the queue finishes, once: it removed the entry first.
        let _ = self.outcome.set(result);
        self.signal.raise();
    }
}

impl Waiter {
    /// One that nobody has registered; it ends with `outcome` if given.
    fn new(outcome: Option<Result<()>>) -> Self {
        let state = WaiterState {
            outcome: OnceLock::new(),
            signal: Signal::new(),
        };
        if let Some(outcome) = outcome {
            let _ = state.outcome.set(outcome);
        }
        Self {
            state: Arc::new(state),
        }
    }

    /// The outcome, if there is one yet. Never blocks.
    #[must_use]
    pub fn poll(&self) -> Option<Result<()>> {
        self.state.outcome.get().cloned()
    }

    /// Whether there is an outcome.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state.outcome.get().is_some()
    }

    /// Waits without leading: only right where another thread drives the log.
    ///
    /// # Errors
    /// Whatever [`WaitQueue::fail`] was given; [`LogError::WaitInCallback`]
    /// inside a callback.
    pub fn wait(&self) -> Result<()> {
        loop {
            if let Some(outcome) = self.poll() {
                return outcome;
            }
            if callback::is_running() {
                return Err(LogError::WaitInCallback);
            }
            self.state.signal.wait();
        }
    }

    pub(crate) const fn state(&self) -> &Arc<WaiterState> {
        &self.state
    }
}

impl WaitQueue {
    /// An empty queue, complete up to `completed`.
    #[must_use]
    pub fn new(completed: u64) -> Self {
        Self {
            inner: Mutex::new(Inner {
                completed,
                ..Inner::default()
            }),
        }
    }

    /// A waiter for `target`; already done if the queue is complete up to there.
    #[must_use]
    pub fn register(&self, target: u64) -> Waiter {
        let mut inner = self.inner.lock();
        if let Some(outcome) = inner.outcome(target) {
            return Waiter::new(Some(outcome));
        }
        let waiter = Waiter::new(None);
        inner.insert(target, Entry::Waiter(waiter.state.clone()));
        waiter
    }

    /// Calls back when `target` is reached or has failed: here and now where
    /// that is already so, else on the thread that completes.
    ///
    /// That may be the one that writes the log for everybody. So a callback is
    /// short, and does not wait for a log: it would be told
    /// [`LogError::WaitInCallback`]. It may append, or hand the work to
    /// another thread. A panic in it ends there, and nobody else hears of it.
    pub fn on_complete(&self, target: u64, call: Callback) {
        let mut inner = self.inner.lock();
        if let Some(outcome) = inner.outcome(target) {
            drop(inner);
            callback::run(call, outcome);
        } else {
            inner.insert(target, Entry::Callback(call));
        }
    }

    /// Ends all whose target is at or below `position`.
    pub fn complete_up_to(&self, position: u64) {
        let done = {
            let mut inner = self.inner.lock();
            if position <= inner.completed || inner.failed.is_some() {
                return;
            }
            inner.completed = position;
            let count = inner
                .entries
                .partition_point(|(target, _)| *target <= position);
            if count == 0 {
                return;
            }
            inner.entries.drain(..count).collect::<Vec<_>>()
        };
        for (_, entry) in done {
            entry.finish(Ok(()));
        }
    }

    /// Fails all that wait, and all that come for a later position. Callbacks
    /// stay until [`run_failed`](Self::run_failed): nothing of anybody else's
    /// runs here, so the caller may hold its own locks. The first error stays.
    pub fn fail(&self, error: &LogError) {
        let (waiters, error) = {
            let mut inner = self.inner.lock();
            let error = inner.failed.get_or_insert_with(|| error.clone()).clone();
            let (waiters, callbacks) = std::mem::take(&mut inner.entries)
                .into_iter()
                .partition::<VecDeque<_>, _>(|(_, entry)| matches!(entry, Entry::Waiter(_)));
            inner.entries = callbacks;
            (waiters, error)
        };
        for (_, entry) in waiters {
            entry.finish(Err(error.clone()));
        }
    }

    /// Runs the callbacks that a failure left behind; nothing where there are
    /// none, or nothing has failed. Not to be called with a lock held that a
    /// callback could want.
    pub fn run_failed(&self) {
        let (left, error) = {
            let mut inner = self.inner.lock();
            let Some(error) = inner.failed.clone() else {
                return;
            };
            (std::mem::take(&mut inner.entries), error)
        };
        for (_, entry) in left {
            entry.finish(Err(error.clone()));
        }
    }

    /// [`fail`](Self::fail), then [`run_failed`](Self::run_failed).
    pub fn fail_all(&self, error: &LogError) {
        self.fail(error);
        self.run_failed();
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.lock().entries.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    fn outcome(&self, target: u64) -> Option<Result<()>> {
        if target <= self.completed {
            return Some(Ok(()));
        }
        self.failed.clone().map(Err)
    }

    fn insert(&mut self, target: u64, entry: Entry) {
        // Who comes later usually waits for what comes later.
        let mut at = self.entries.len();
        while at > 0 && self.entries[at - 1].0 > target {
            at -= 1;
        }
        self.entries.insert(at, (target, entry));
    }
}

#[cfg(test)]
mod tests;
