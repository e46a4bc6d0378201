//! Whether anybody reads, so that versions are sealed for readers only.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Whether anybody reads: a version is sealed for readers, and where there are
/// none its pages go on changing in place.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// A snapshot was asked for since the last group left.
    asked: AtomicBool,
    /// So many groups more are sealed without being asked.
    grace: AtomicU32,
}

impl Demand {
    /// Groups sealed after the last reader came: sealing too often costs copies
    /// of pages, sealing too late costs a reader the undoing of a group.
    const GRACE: u32 = 4;

    /// Writes only when it changes something: readers do not fight over the line.
    #[inline]
    pub(super) fn ask(&self) {
        if !self.asked.load(Ordering::Relaxed) {
            self.asked.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the group that leaves now is to be sealed.
    pub(super) fn take(&self) -> bool {
        if self.asked.swap(false, Ordering::Relaxed) {
            self.grace.store(Self::GRACE, Ordering::Relaxed);
            return true;
        }
        let spend = |left: u32| left.checked_sub(1);
        let relaxed = Ordering::Relaxed;
        self.grace.fetch_update(relaxed, relaxed, spend).is_ok()
    }
}
