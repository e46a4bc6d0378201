//! From appended to visible: which records have reached the level that their
//! writers asked for, and which sealed state readers therefore see.
//!
//! ## Invariants
//! * Records become visible in log order, and only when every one before them is.
//! * `target` never goes back, and neither does the published root.
//! * Wherever `target` may stand, a sealed state stands there or can be made,
//!   by taking back what is in flight (see `in_flight.rs`).

use std::collections::VecDeque;
use std::sync::Arc;

use cs_base::{Index, Lsn};

use crate::root::Root;

/// An appended record that is not visible yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    index: Index,
    /// Durable when the log is durable up to here; zero if it need not be.
    needs: Lsn,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Visibility {
    waiting: VecDeque<Waiting>,
    sealed: VecDeque<Arc<Root>>,
    target: Index,
}

impl Visibility {
    pub(crate) fn new(index: Index) -> Self {
        Self {
            waiting: VecDeque::new(),
            sealed: VecDeque::new(),
            target: index,
        }
    }

    /// A record was appended. Returns up to where the log must be durable
    /// before it is visible; zero if it is so now.
    pub(crate) fn appended(&mut self, index: Index, needs: Lsn) -> Lsn {
        let needs_before = self.needs();
        if needs_before == Lsn::ZERO && needs == Lsn::ZERO {
            self.target = index;
        } else {
            self.waiting.push_back(Waiting { index, needs });
        }
        needs.max(needs_before)
    }

    /// Up to where the log must be durable for everything appended to be visible.
    pub(crate) fn needs(&self) -> Lsn {
        self.waiting
            .iter()
            .rev()
            .map(|waiting| waiting.needs)
            .find(|&lsn| lsn > Lsn::ZERO)
            .unwrap_or_default()
    }

    /// A state was sealed.
    pub(crate) fn sealed(&mut self, root: Arc<Root>) {
        if self
            .sealed
            .back()
            .is_none_or(|last| !Arc::ptr_eq(last, &root))
        {
            self.sealed.push_back(root);
        }
    }

    /// The visible state was sealed after all, later than states ahead of it:
    /// those are not published any more, for versions only go up.
    pub(crate) fn overtaken(&mut self) {
        self.sealed.clear();
    }

    /// The log is durable up to `durable`: the newest state that is visible
    /// now, if it is another one than before.
    pub(crate) fn advance(&mut self, durable: Lsn) -> Option<Arc<Root>> {
        while let Some(first) = self.waiting.front().filter(|first| first.needs <= durable) {
            self.target = first.index;
            self.waiting.pop_front();
        }
        let mut newest = None;
        while self
            .sealed
            .front()
            .is_some_and(|root| root.record.index <= self.target)
        {
            newest = self.sealed.pop_front();
        }
        newest
    }

    /// The index up to which every record is visible.
    pub(crate) fn target(&self) -> Index {
        self.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsynced_record_waits_for_the_synced_one_before_it() {
        let mut visibility = Visibility::new(Index(0));
        assert_eq!(
            visibility.appended(Index(1), Lsn::ZERO),
            Lsn::ZERO,
            "nothing to wait for"
        );
        assert_eq!(visibility.appended(Index(2), Lsn(100)), Lsn(100));
        assert_eq!(
            visibility.appended(Index(3), Lsn::ZERO),
            Lsn(100),
            "behind a synced one"
        );
        assert_eq!(visibility.target(), Index(1));
        visibility.advance(Lsn(99));
        assert_eq!(visibility.target(), Index(1));
        visibility.advance(Lsn(100));
        assert_eq!(visibility.target(), Index(3));
        assert_eq!(visibility.needs(), Lsn::ZERO);
    }
}
