//! Room for what one record changes, however much it is.
//!
//! A record is carried out in one go, and what it changes stays in memory until
//! its version is sealed. Where that is more than memory has room for, the
//! version is sealed in the middle, without a root, so that nobody can see or
//! name it, and its pages are written early like any other dirty ones. What the
//! plan could not keep at hand is read again.
//!
//! Invariant: after each change of a tree, what cannot be evicted is at most
//! three quarters of the budget, and [`STEP`] pages; but for what one change
//! makes (a large value, a run of entries).

use cs_pager::{Pager, Shadow};

use crate::error::Result;

/// Pages changed between two looks.
const STEP: u64 = 64;

/// When to look next.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// Bytes of open pages at the last look: fewer mean that a version was sealed.
    seen: u64,
    /// Bytes of open pages at which to look again.
    next: u64,
}

impl Room {
    /// Makes room if need be; called between two changes.
    ///
    /// # Errors
    /// A write failed, and the open version is half changed: as for any other
    /// error in there.
    #[inline]
    pub(crate) fn keep(&mut self, shadow: &mut Shadow, pager: &Pager) -> Result<()> {
        let open = shadow.open_bytes(pager);
        if (self.seen..self.next).contains(&open) {
            return Ok(());
        }
        self.look(shadow, pager, open)
    }

    #[cold]
    fn look(&mut self, shadow: &mut Shadow, pager: &Pager, open: u64) -> Result<()> {
        self.seen = open;
        if pager.is_full() {
            shadow.seal(pager);
            pager.make_room_for_changes()?;
            self.seen = 0;
        }
        self.next = self.seen + STEP * pager.page_size() as u64;
        Ok(())
    }
}
