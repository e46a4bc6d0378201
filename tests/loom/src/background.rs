//! A store of which the background thread and the way to wake it are real: a commit is a
//! number, flushing notes how far it came. `Core::flush` ends the thread when all commits that
//! the model makes are on disk; if it never gets there it sleeps, and loom sees that nobody runs.

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use crate::plant::{Plant, planted};
use crate::signal::Signal;

const IDLE: Duration = Duration::from_millis(50);
const PIECE_PAUSE: Duration = Duration::from_millis(2);

include!(concat!(env!("OUT_DIR"), "/background.rs"));

#[derive(Debug, Default)]
struct Background {
    signal: Signal,
    stop: AtomicBool,
    armed: AtomicBool,
}

#[derive(Debug, Default)]
struct Counters {
    commits: AtomicU64,
}

#[derive(Debug)]
struct Options {
    flush_interval: Duration,
}

/// The store.
#[derive(Debug)]
pub struct Core {
    background: Background,
    counters: Counters,
    options: Options,
    appended: AtomicU64,
    flushed: AtomicU64,
    /// How many commits there will be.
    expected: u64,
}

impl Core {
    /// One that will see so many commits.
    #[must_use]
    pub fn new(expected: u64) -> Arc<Self> {
        Arc::new(Self {
            background: Background::default(),
            counters: Counters::default(),
            options: Options {
                flush_interval: IDLE,
            },
            appended: AtomicU64::new(0),
            flushed: AtomicU64::new(0),
            expected,
        })
    }

    /// The thread, until everything is flushed.
    pub fn run(self: &Arc<Self>) {
        self.run_background();
    }

    /// A commit that nobody waits for.
    pub fn commit(&self) {
        self.appended.fetch_add(1, Ordering::Release);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.after_append();
    }

    fn flush(&self) {
        let end = self.appended.load(Ordering::Acquire);
        self.flushed.store(end, Ordering::Release);
        if end == self.expected {
            self.background.stop.store(true, Ordering::Release);
        }
    }

    fn seal_log(&self) -> Result<(), ()> {
        self.flush();
        Ok(())
    }

    fn background_round(&self, flush: bool, _is_busy: bool) -> Result<(), ()> {
        if flush {
            self.flush();
        }
        Ok(())
    }

    fn tidy_when_idle(&self, _: bool) -> bool {
        false
    }

    fn check_sound(&self) -> Result<(), ()> {
        Ok(())
    }

    fn log_is_making(&self) -> bool {
        false
    }

    fn log_wants_step(&self) -> bool {
        false
    }

    fn wants_checkpoint(&self) -> bool {
        false
    }

    fn flushed_now(&self) {}

    fn fail_waiters(&self) {}
}
