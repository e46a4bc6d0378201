//! The futex as the kernel promises it: comparing and falling asleep are one step, and a
//! wake-up reaches those who sleep by then.
//!
//! A wait with a limit returns at once: its time has passed. The lock stands for that of the
//! kernel's queue, so a sleeper and a waker are ordered by it, as they are there.

use std::time::Duration;

use loom::sync::atomic::{self, Ordering};
use loom::sync::{Condvar, Mutex};

/// A word to sleep on.
#[derive(Debug, Default)]
pub struct AtomicU32 {
    word: atomic::AtomicU32,
    sleeping: Mutex<usize>,
    woken: Condvar,
}

impl AtomicU32 {
    /// One with this value.
    #[must_use]
    pub fn new(value: u32) -> Self {
        Self {
            word: atomic::AtomicU32::new(value),
            ..Self::default()
        }
    }
}

impl std::ops::Deref for AtomicU32 {
    type Target = atomic::AtomicU32;

    fn deref(&self) -> &Self::Target {
        &self.word
    }
}

/// Sleeps while `word` is `expected`, until woken.
pub fn futex_wait(word: &AtomicU32, expected: u32, limit: Option<Duration>) {
    let mut sleeping = word.sleeping.lock().expect("no panic goes on");
    if limit.is_some() || word.word.load(Ordering::Relaxed) != expected {
        return;
    }
    *sleeping += 1;
    drop(word.woken.wait(sleeping).expect("no panic goes on"));
}

/// Wakes at most `count` that sleep on `word`; says how many did.
pub fn futex_wake(word: &AtomicU32, count: i32) -> usize {
    let mut sleeping = word.sleeping.lock().expect("no panic goes on");
    let woken = (*sleeping).min(usize::try_from(count).unwrap_or(0));
    *sleeping -= woken;
    for _ in 0..woken {
        word.woken.notify_one();
    }
    woken
}
