//! What a reader owes who took memory beyond the reserve.
//!
//! Frames that were evicted give their memory back when every reader has left
//! the epoch in which he could have seen them. A reader who finds no memory
//! cannot wait for that: he is in an epoch himself, and with several who wait
//! like this nobody would ever leave. So he takes memory beyond the limit, goes
//! on, and gives way *after* he has left: before his thread begins anything else,
//! others get the time to leave too. What is in use beyond the limit is thereby
//! bounded by what single operations take, one for each thread.
//!
//! Nothing that is seen depends on it: only when memory comes back does.

use std::cell::{Cell, RefCell};

use cs_io::PageArena;

/// How often a thread gives way for one debt: some tens of microseconds. Somebody who
/// stays in an epoch for longer (a closure of the user's that takes its time)
/// holds nobody up for ever.
const PATIENCE: usize = 64;

thread_local! {
    static OWES: Cell<bool> = const { Cell::new(false) };
    static OWED: RefCell<Option<Owed>> = const { RefCell::new(None) };
}

struct Owed {
    arena: PageArena,
    /// When so little is in use again the debt is paid.
    until: u64,
}

/// This thread has found no memory in `arena`, and goes on beyond its limit;
/// `garbage` bytes of what is in use wait for readers to leave.
#[cold]
pub(crate) fn owe(arena: &PageArena, garbage: u64) {
    let owed = Owed {
        until: arena.used_bytes().saturating_sub(garbage / 2),
        arena: arena.clone(),
    };
    // A thread that is ending has nothing to give way for.
    let _ = OWED.try_with(|slot| slot.replace(Some(owed)));
    let _ = OWES.try_with(|owes| owes.set(true));
}

/// Gives way if this thread owes it and has left its last epoch.
#[inline]
pub(crate) fn pay() {
    if OWES.try_with(Cell::get).unwrap_or(false) && !crossbeam_epoch::is_pinned() {
        give_way();
    }
}

#[cold]
fn give_way() {
    OWES.with(|owes| owes.set(false));
    let Ok(Some(owed)) = OWED.try_with(RefCell::take) else {
        return;
    };
    for _ in 0..PATIENCE {
        crossbeam_epoch::pin().flush();
        if owed.arena.used_bytes() <= owed.until {
            return;
        }
        std::thread::yield_now();
    }
}
