//! Sleeping until another thread says so: straight on the futex, since a lock
//! and a condition around it cost a commit more than the sleep itself.
//!
//! Invariants
//! * What was said before the sleep is not missed: the sleeper names the value
//!   that it saw, and the kernel compares.
//! * Nobody to wake: no system call.
#![allow(unsafe_code, reason = "std offers no futex")]

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::time::Duration;

/// Sleeps while `word` is `expected`, until woken or for `limit`. May return
/// for no reason.
fn futex_wait(word: &AtomicU32, expected: u32, limit: Option<Duration>) {
    let limit = limit.map(|limit| libc::timespec {
        // A limit that does not fit is no limit that anybody lives to see.
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(limit.subsec_nanos().cast_signed()),
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word outlives the call, which only reads it; the time, if
    // any, lives on our stack. Every outcome is one that callers look again after.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            limit,
        );
    }
}

/// Wakes at most `count` that sleep on `word`; says how many did.
fn futex_wake(word: &AtomicU32, count: i32) -> usize {
    // SAFETY: the call takes the address as a name and touches nothing there.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            count,
        )
    };
    usize::try_from(woken).unwrap_or(0)
}

const DOWN: u32 = 0;
const UP: u32 = 1;
/// Down, and the one who waits may sleep.
const AWAITED: u32 = 2;

/// A flag that one thread waits for and others raise. Raising it before the
/// wait is not lost.
#[derive(Default)]
pub struct Signal {
    state: AtomicU32,
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal({})", self.state.load(Ordering::Relaxed) == UP)
    }
}

impl Signal {
    /// A flag that is down.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag and wakes whoever waits.
    pub fn raise(&self) {
        if self.state.swap(UP, Ordering::AcqRel) == AWAITED {
            futex_wake(&self.state, 1);
        }
    }

    /// Takes the flag down; says whether it was up.
    fn take(&self) -> bool {
        let taken = self
            .state
            .compare_exchange(UP, DOWN, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok()
    }

    /// Says that somebody waits, unless the flag is up.
    fn await_it(&self) {
        let _ = self
            .state
            .compare_exchange(DOWN, AWAITED, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Waits until the flag is up, and takes it down.
    pub fn wait(&self) {
        while !self.take() {
            self.await_it();
            futex_wait(&self.state, AWAITED, None);
        }
    }

    /// Like [`wait`](Self::wait), for at most `limit`; returns whether the flag
    /// was up.
    pub fn wait_for(&self, limit: Duration) -> bool {
        if self.take() {
            return true;
        }
        self.await_it();
        futex_wait(&self.state, AWAITED, Some(limit));
        // Nobody waits any more: the next raise need not call the system.
        self.state.swap(DOWN, Ordering::Acquire) == UP
    }
}

/// Something that happens again and again, and that many threads wait for. One
/// call wakes all of them.
///
/// Whoever waits listens first, then looks whether there is still need to
/// wait, and only then sleeps: what happens in between is not missed.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use cs_io::EventCount;
///
/// let (event, ready) = (EventCount::new(), AtomicBool::new(false));
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         while !ready.load(Ordering::Acquire) {
///             let listener = event.listen();
///             if !ready.load(Ordering::Acquire) {
///                 listener.wait();
///             }
///         }
///     });
///     ready.store(true, Ordering::Release);
///     event.notify_all();
/// });
/// ```
#[derive(Debug, Default)]
pub struct EventCount {
    /// How often it happened while somebody listened.
    count: AtomicU32,
    listeners: AtomicU32,
}

impl EventCount {
    /// One that nobody listens to.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            count: AtomicU32::new(0),
            listeners: AtomicU32::new(0),
        }
    }

    /// Begins to listen. What is looked at after this call and is not there
    /// yet will be followed by a notification that the listener hears.
    pub fn listen(&self) -> Listener<'_> {
        self.listeners.fetch_add(1, Ordering::SeqCst);
        // Pairs with the one in `is_heard`: either we see what was done, or
        // whoever did it sees that we listen.
        fence(Ordering::SeqCst);
        Listener {
            event: self,
            seen: self.count.load(Ordering::Acquire),
        }
    }

    /// Wakes all that listen. Whatever they look at has been changed before.
    pub fn notify_all(&self) {
        if self.is_heard() {
            self.count.fetch_add(1, Ordering::Release);
            futex_wake(&self.count, i32::MAX);
        }
    }

    /// Wakes one that sleeps, and lets all look again that are about to. Says
    /// whether one was woken.
    pub fn notify_one(&self) -> bool {
        self.is_heard() && {
            self.count.fetch_add(1, Ordering::Release);
            futex_wake(&self.count, 1) > 0
        }
    }

    fn is_heard(&self) -> bool {
        fence(Ordering::SeqCst);
        self.listeners.load(Ordering::Relaxed) > 0
    }
}

/// One that listens to an [`EventCount`].
#[derive(Debug)]
#[must_use = "listening is half of waiting"]
pub struct Listener<'a> {
    event: &'a EventCount,
    seen: u32,
}

impl Listener<'_> {
    /// Sleeps until it happens, unless it has since this began to listen. May
    /// return for no reason: look again.
    pub fn wait(self) {
        futex_wait(&self.event.count, self.seen, None);
    }

    /// Like [`wait`](Self::wait), for at most `limit`.
    pub fn wait_for(self, limit: Duration) {
        futex_wait(&self.event.count, self.seen, Some(limit));
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.event.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
