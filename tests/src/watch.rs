//! A thread that loops cannot be stopped from outside, so a case that hangs
//! ends the process, saying how to see it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A case that takes longer hangs: all of them are bounded and take milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Watches over one thread for as long as it lives.
#[derive(Debug)]
pub(crate) struct Watch {
    at: Arc<AtomicU64>,
}

impl Watch {
    /// `again` says how to run a case again, by its number.
    pub(crate) fn start(again: impl Fn(u64) -> String + Send + 'static) -> Self {
        let at = Arc::new(AtomicU64::new(0));
        let watched = Arc::downgrade(&at);
        std::thread::spawn(move || {
            let mut last = u64::MAX;
            loop {
                std::thread::sleep(PATIENCE);
                let Some(at) = watched.upgrade() else { return };
                let now = at.load(Ordering::Relaxed);
                if now == last {
                    eprintln!("hangs; again with: {}", again(now));
                    println!("0 passed, 1 failed");
                    std::process::exit(1);
                }
                last = now;
            }
        });
        Self { at }
    }

    /// This case begins.
    pub(crate) fn now_at(&self, number: u64) {
        self.at.store(number, Ordering::Relaxed);
    }
}
