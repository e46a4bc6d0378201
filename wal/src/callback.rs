//! Running what a caller gave us to call.
//!
//! Invariants
//! * A callback's panic ends with the callback: whoever runs it may be the
//!   leader, and others depend on it.
//! * While a callback runs its thread is marked, and a marked thread does not
//!   wait for a log: whoever would write for it may be below on its stack.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Result;

/// What is called with an outcome, once.
pub(crate) type Callback = Box<dyn FnOnce(Result<()>) + Send>;

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Marks the thread; what was before comes back at the end, also on unwinding,
/// so that a callback run from within another does not clear its mark.
struct Mark(bool);

impl Drop for Mark {
    fn drop(&mut self) {
        RUNNING.set(self.0);
    }
}

/// Whether this thread is inside a callback.
pub(crate) fn is_running() -> bool {
    RUNNING.get()
}

/// Calls; a panic was reported by the panic hook and goes no further.
pub(crate) fn run(call: Callback, outcome: Result<()>) {
    let _mark = Mark(RUNNING.replace(true));
    let _ = catch_unwind(AssertUnwindSafe(|| call(outcome)));
}

#[cfg(test)]
mod tests;
