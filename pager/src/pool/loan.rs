//! Memory that pages do not use, lent to somebody who gives it back.
//!
//! ## Invariants
//! * What is lent was neither in use nor taken from the system for pages, and is
//!   no part of the budget until it comes back: the sum stays within it.
//! * At least half of what was free stays with the pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Pager;

/// Memory lent by a [`Pager`]; it comes back when this is dropped.
#[derive(Debug)]
pub struct Loan {
    lent: Arc<AtomicU64>,
    bytes: u64,
}

impl Loan {
    /// How much it is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.lent.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Pager {
    /// Lends up to so many bytes of the budget: as many as are not in use and
    /// were never taken from the system, but half of them at most. It may be none.
    #[must_use]
    pub fn lend(&self, asked: u64) -> Loan {
        let taken = self.arena.stats().arena_bytes.max(self.counted_bytes());
        let mut bytes = 0;
        let _ = self
            .lent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lent| {
                let free = self.budget.saturating_sub(taken).saturating_sub(lent);
                bytes = asked.min(free / 2);
                Some(lent + bytes)
            });
        Loan {
            lent: Arc::clone(&self.lent),
            bytes,
        }
    }

    /// The budget, less what is lent.
    pub(super) fn own_budget(&self) -> u64 {
        self.budget - self.lent.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{PAGE_SIZE, options};
    use cs_io::OpenMode;

    #[test]
    fn what_is_lent_is_missing_from_the_budget_until_it_comes_back() {
        let disk = cs_io::memory::MemoryDisk::new();
        let file = cs_base::FileId(1);
        crate::create(&*disk, file, PAGE_SIZE, cs_base::Incarnation(0)).unwrap();
        let opened = crate::open(&*disk, options(1024), OpenMode::ReadWrite).unwrap();
        let pager = &opened.pager;
        let all = pager.own_budget();
        let first = pager.lend(all / 8);
        assert_eq!(
            (first.bytes(), pager.own_budget()),
            (all / 8, all - all / 8)
        );
        let second = pager.lend(u64::MAX);
        assert!(second.bytes() <= (all - all / 8) / 2);
        assert_eq!(pager.own_budget(), all - all / 8 - second.bytes());
        drop(first);
        drop(second);
        assert_eq!(pager.own_budget(), all);
    }
}
