//! The transactions of a database that are under way, by id.
//!
//! Invariants
//! * A transaction is found by its id for as long as a handle to it lives, or it
//!   was detached; then until it ends.
//! * One whose time is over holds nothing from the next look on, and somebody
//!   looks whenever a transaction begins or background work is done.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::session::Session;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    next: AtomicU64,
    known: Mutex<BTreeMap<u64, Known>>,
}

#[derive(Debug)]
struct Known {
    session: Weak<Session>,
    /// Kept, though nobody has a handle.
    detached: Option<Arc<Session>>,
}

impl Registry {
    /// An id that was never given since the database was opened.
    pub(crate) fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn add(&self, session: &Arc<Session>) {
        self.expire();
        let known = Known {
            session: Arc::downgrade(session),
            detached: None,
        };
        self.known.lock().insert(session.id, known);
    }

    /// Keeps it until it ends.
    pub(crate) fn detach(&self, session: &Arc<Session>) {
        if let Some(known) = self.known.lock().get_mut(&session.id) {
            known.detached = Some(Arc::clone(session));
        }
    }

    pub(crate) fn find(&self, id: u64) -> Option<Arc<Session>> {
        self.known.lock().get(&id)?.session.upgrade()
    }

    pub(crate) fn remove(&self, id: u64) {
        self.known.lock().remove(&id);
    }

    /// All that are active, oldest first.
    pub(crate) fn active(&self) -> Vec<Arc<Session>> {
        let known = self.known.lock();
        let live = known.values().filter_map(|known| known.session.upgrade());
        // Looked at without the lock: the last handle may go meanwhile.
        let live: Vec<_> = live.collect();
        drop(known);
        live.into_iter()
            .filter(|session| session.expire())
            .collect()
    }

    /// Ends those whose time is over; says whether there were any.
    pub(crate) fn expire(&self) -> bool {
        let looked: Vec<_> = {
            let known = self.known.lock();
            let sessions = known.iter();
            sessions
                .map(|(id, known)| (*id, known.session.upgrade()))
                .collect()
        };
        // Judged by this look alone: one that began since is not among them.
        let ended = looked.into_iter().filter_map(|(id, session)| {
            let is_active = session.is_some_and(|session| session.expire());
            (!is_active).then_some(id)
        });
        let ended: Vec<u64> = ended.collect();
        let mut known = self.known.lock();
        let before = known.len();
        for id in ended {
            let Some(one) = known.get_mut(&id) else {
                continue;
            };
            one.detached = None;
            // One that timed out is remembered as long as somebody has a handle.
            if one.session.strong_count() == 0 {
                known.remove(&id);
            }
        }
        known.len() < before
    }
}
