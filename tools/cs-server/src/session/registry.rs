//! The sessions of all clients.
//!
//! ## Invariants
//! * There are at most [`MAX_SESSIONS`]; one that nobody used for [`SESSION_TIMEOUT`] is ended, and
//!   what it left: its transaction, its cursors, what the engine keeps of its last write.
//! * A session that the engine keeps something of is known here, also after a restart, so that
//!   nothing is kept for ever.
//! * Commands of a session that have a `txnNumber` are carried out one at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use collection_store::Database;
use parking_lot::{Mutex, MutexGuard};

use super::State;
use crate::error::{CommandError, Result};

/// How many sessions there may be at once.
pub const MAX_SESSIONS: usize = 200_000;
/// After which time without use a session is ended, as in MongoDB.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// How many ended sessions are forgotten by the engine in one go: each is a commit.
const FORGET_AT_ONCE: usize = 1000;

/// Which session: the bytes of its UUID.
pub type SessionId = [u8; 16];

/// A session of a client.
#[derive(Debug)]
pub struct Session {
    /// Which.
    pub id: SessionId,
    /// Milliseconds from the start of the registry to its last use.
    last_use: AtomicU64,
    /// Held by the command that is carried out.
    turn: Mutex<()>,
    state: Mutex<State>,
}

impl Session {
    /// Waits until it is the caller's turn.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock()
    }

    /// What it is at.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Rolls the transaction back that is under way; its number, if there was one.
    pub(crate) fn abort(&self, database: &Database) -> Option<i64> {
        let (number, id) = self.state().abort()?;
        // One that has ended by itself is as good as rolled back.
        if let Ok(transaction) = database.transaction(id) {
            let _ = transaction.rollback();
        }
        Some(number)
    }
}

/// The sessions of all clients.
#[derive(Debug)]
pub struct Sessions {
    known: Mutex<HashMap<SessionId, Arc<Session>>>,
    /// Ended, and still kept by the engine.
    to_forget: Mutex<Vec<SessionId>>,
    began: Instant,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            to_forget: Mutex::default(),
            began: Instant::now(),
        }
    }
}

impl Sessions {
    /// Those that the engine keeps something of.
    ///
    /// # Errors
    /// It could not be read.
    pub(crate) fn of(database: &Database) -> collection_store::Result<Self> {
        let sessions = Self::default();
        let kept = database.list_sessions()?;
        let mut known = sessions.known.lock();
        // What there is too many of was made by a server that had as many: they stay within it.
        known.extend(kept.into_iter().map(|id| (id, sessions.made(id))));
        drop(known);
        Ok(sessions)
    }

    fn made(&self, id: SessionId) -> Arc<Session> {
        Arc::new(Session {
            id,
            last_use: AtomicU64::new(self.now()),
            turn: Mutex::default(),
            state: Mutex::default(),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The session of this id, which is begun if there is none.
    ///
    /// # Errors
    /// There are too many (261).
    pub fn enter(&self, id: SessionId) -> Result<Arc<Session>> {
        let mut known = self.known.lock();
        if let Some(session) = known.get(&id) {
            session.last_use.store(self.now(), Ordering::Relaxed);
            return Ok(Arc::clone(session));
        }
        if known.len() >= MAX_SESSIONS {
            let message = format!("there are {MAX_SESSIONS} sessions, which is the limit");
            return Err(CommandError::new(261, message));
        }
        let session = self.made(id);
        known.insert(id, Arc::clone(&session));
        Ok(session)
    }

    /// The session of this id, if there is one.
    #[must_use]
    pub fn find(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.known.lock().get(id).cloned()
    }

    /// Ends a session: nobody will go on with it.
    pub(crate) fn end(&self, id: &SessionId) -> Option<Arc<Session>> {
        let ended = self.known.lock().remove(id)?;
        self.to_forget.lock().push(*id);
        Some(ended)
    }

    /// All there are.
    pub(crate) fn all(&self) -> Vec<SessionId> {
        self.known.lock().keys().copied().collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.known.lock().len()
    }

    /// How many transactions are under way.
    #[must_use]
    pub fn open_transactions(&self) -> usize {
        let known = self.known.lock();
        let sessions = known.values();
        sessions
            .filter(|session| session.state().open().is_some())
            .count()
    }

    /// Those that nobody used for so long.
    pub(crate) fn unused_for(&self, idle: Duration) -> Vec<SessionId> {
        let idle = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        let (now, known) = (self.now(), self.known.lock());
        let unused = known.values().filter(|session| {
            let last_use = session.last_use.load(Ordering::Relaxed);
            now.saturating_sub(last_use) >= idle && session.turn.try_lock().is_some()
        });
        unused.map(|session| session.id).collect()
    }

    /// Has the engine forget some of those that have ended.
    pub(crate) fn forget(&self, database: &Database) {
        for _ in 0..FORGET_AT_ONCE {
            let Some(id) = self.to_forget.lock().pop() else {
                return;
            };
            // One that has begun anew meanwhile keeps what it has.
            if self.find(&id).is_some() {
                continue;
            }
            match database.forget_session(&id) {
                Ok(true) => crate::transaction::forget_answer(database, &id),
                Ok(false) => {}
                Err(_) => {
                    self.to_forget.lock().push(id);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
