//! The most memory that no file stands behind, over some time: the system keeps
//! no such mark, so it is looked at every few milliseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::anonymous_bytes;

/// Between two looks, each some 20 µs: large next to a look, small next to how
/// long memory is held.
const PERIOD: Duration = Duration::from_millis(5);

/// Looks from when it is made until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    /// What was there when it began.
    pub(crate) before: u64,
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    /// Begins; `None` where the system does not tell.
    pub(crate) fn begin() -> Option<Self> {
        let before = anonymous_bytes()?;
        let watch = Self {
            before,
            peak: Arc::new(AtomicU64::new(before)),
            stop: Arc::default(),
        };
        let (peak, stop) = (Arc::clone(&watch.peak), Arc::clone(&watch.stop));
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                peak.fetch_max(anonymous_bytes().unwrap_or(0), Ordering::Relaxed);
                thread::sleep(PERIOD);
            }
        });
        Some(watch)
    }

    /// The most so far, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
