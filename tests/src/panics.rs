//! A panic is a failure of the case, not of the harness.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::{Failure, Verdict};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs a case; a panic in it becomes a failure that says where it was.
/// Nothing is printed.
pub(crate) fn catch<T>(case: impl FnOnce() -> Verdict<T>) -> Verdict<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                MESSAGE.with_borrow_mut(|message| *message = info.to_string());
            } else {
                previous(info);
            }
        }));
    });
    let was_quiet = QUIET.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(case));
    QUIET.set(was_quiet);
    outcome.unwrap_or_else(|_| Err(Failure(MESSAGE.with_borrow_mut(std::mem::take))))
}
