//! Cursors of clients: what is left of a query between two requests.
//!
//! ## Invariants
//! * A cursor is asked by one request at a time; meanwhile it can be killed, and then ends.
//! * Only who made a cursor may ask for more of it, and only by its collection's name.
//! * There are at most [`MAX_CURSORS`]; one that nobody asked for [`IDLE_TIMEOUT`] is ended, for
//!   each keeps a state of the database.
//! * A cursor that failed is gone.

mod batch;
mod source;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bson::{RawArrayBuf, RawDocumentBuf, rawdoc};
use collection_store::CancelFlag;
use parking_lot::Mutex;

pub use batch::{Batch, BatchLimits, FIRST_BATCH};
pub(crate) use source::{Aggregated, Found};
pub use source::{Listed, Source, Step};

use crate::error::{CommandError, Result, code};

/// How many cursors there may be at once.
pub const MAX_CURSORS: usize = 10_000;
/// After which time without a request a cursor is ended, as in MongoDB.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// What is left of a query.
#[derive(Debug)]
pub struct Cursor {
    /// `database.collection`, by which it is asked for.
    pub namespace: String,
    /// Where documents come from.
    pub source: Box<dyn Source>,
    /// A document that did not fit into the last batch.
    pub pending: Option<RawDocumentBuf>,
    /// The session that it belongs to.
    pub lsid: Option<[u8; 16]>,
    /// The transaction of that session that it belongs to.
    pub txn_number: Option<i64>,
    /// Who made it.
    pub owner: Option<String>,
    /// Stops what it does.
    pub cancel: CancelFlag,
    /// What is left of the time that the query may take.
    pub time_left: Option<Duration>,
    /// Whether it waits for the client without end.
    pub never_times_out: bool,
}

impl Cursor {
    /// Where a change stream goes on behind what was handed out: not told while a document that
    /// was read waits for the next batch.
    #[must_use]
    pub fn token(&self) -> Option<RawDocumentBuf> {
        match self.pending {
            None => self.source.token(),
            Some(_) => None,
        }
    }
}

#[derive(Debug)]
enum Slot {
    Idle {
        cursor: Box<Cursor>,
        since: Instant,
    },
    /// A request is at it.
    Busy {
        cancel: CancelFlag,
        namespace: String,
    },
}

/// The cursors of all clients.
#[derive(Debug)]
pub struct Cursors {
    limit: usize,
    idle_timeout: Duration,
    slots: Mutex<HashMap<i64, Slot>>,
    made: AtomicU64,
    timed_out: AtomicU64,
    /// Ids are not to be guessed, and do not tell how many there were.
    ids: RandomState,
}

/// Figures about cursors.
#[derive(Clone, Copy, Debug, Default)]
pub struct CursorFigures {
    /// Open now.
    pub open: u64,
    /// Made since the start.
    pub total: u64,
    /// Ended because nobody asked for them.
    pub timed_out: u64,
}

impl Default for Cursors {
    fn default() -> Self {
        Self::new(MAX_CURSORS, IDLE_TIMEOUT)
    }
}

impl Cursors {
    /// So many at most, and none that nobody asked for so long.
    #[must_use]
    pub fn new(limit: usize, idle_timeout: Duration) -> Self {
        Self {
            limit,
            idle_timeout,
            slots: Mutex::default(),
            made: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            ids: RandomState::default(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn open(&self) -> usize {
        self.slots.lock().len()
    }

    /// Keeps a cursor, and returns its id.
    ///
    /// # Errors
    /// There are too many.
    pub fn keep(&self, cursor: Cursor) -> Result<i64> {
        let mut slots = self.slots.lock();
        let limit = self.limit;
        if slots.len() >= limit {
            let message = format!("there are {limit} cursors, which is the limit");
            return Err(CommandError::new(code::EXCEEDED_MEMORY, message));
        }
        let id = loop {
            let number = self.made.fetch_add(1, Ordering::Relaxed);
            #[allow(clippy::cast_possible_wrap, reason = "the sign bit is cut off")]
            let id = (self.ids.hash_one(number) >> 1) as i64;
            if id != 0 && !slots.contains_key(&id) {
                break id;
            }
        };
        let since = Instant::now();
        let cursor = Box::new(cursor);
        slots.insert(id, Slot::Idle { cursor, since });
        Ok(id)
    }

    /// Takes a cursor out, to be put back or ended.
    ///
    /// # Errors
    /// There is none (43), a request is at it (12051), or it is somebody else's (13).
    pub fn take(&self, id: i64, namespace: &str, owner: Option<&str>) -> Result<Box<Cursor>> {
        let mut slots = self.slots.lock();
        match slots.remove(&id) {
            None => Err(not_found(id)),
            Some(busy @ Slot::Busy { .. }) => {
                slots.insert(id, busy);
                let message = format!("cursor id {id} is already in use");
                Err(CommandError::new(code::CURSOR_IN_USE, message))
            }
            Some(Slot::Idle { cursor, since }) => {
                let refused = if cursor.owner.as_deref() != owner {
                    Some(format!("cursor id {id} was made by another user"))
                } else if cursor.namespace != namespace {
                    Some(format!(
                        "Requested getMore on namespace '{namespace}', but cursor belongs to a \
                         different namespace {}",
                        cursor.namespace
                    ))
                } else {
                    None
                };
                if let Some(message) = refused {
                    slots.insert(id, Slot::Idle { cursor, since });
                    return Err(CommandError::new(code::UNAUTHORIZED, message));
                }
                let busy = Slot::Busy {
                    cancel: cursor.cancel.clone(),
                    namespace: cursor.namespace.clone(),
                };
                slots.insert(id, busy);
                Ok(cursor)
            }
        }
    }

    /// Puts a cursor back that has more; one that was killed meanwhile is ended.
    pub fn put_back(&self, id: i64, cursor: Box<Cursor>) {
        let since = Instant::now();
        // A cursor that is not put back is dropped here, outside the lock.
        let _ended = {
            let mut slots = self.slots.lock();
            match slots.get_mut(&id) {
                Some(slot) if !cursor.cancel.is_cancelled() => {
                    *slot = Slot::Idle { cursor, since };
                    None
                }
                _ => {
                    slots.remove(&id);
                    Some(cursor)
                }
            }
        };
    }

    /// A cursor that was taken has come to its end.
    pub fn end(&self, id: i64) {
        self.slots.lock().remove(&id);
    }

    /// Ends a cursor; returns whether there was one.
    pub fn kill(&self, id: i64) -> bool {
        let removed = self.slots.lock().remove(&id);
        match &removed {
            Some(Slot::Busy { cancel, .. }) => cancel.cancel(),
            Some(Slot::Idle { cursor, .. }) => cursor.cancel.cancel(),
            None => {}
        }
        removed.is_some()
    }

    /// Ends cursors by order of a client: of this namespace and owner alone. What came of it,
    /// as `killCursors` answers.
    #[must_use]
    pub fn kill_all(&self, ids: &[i64], namespace: &str, owner: Option<&str>) -> RawDocumentBuf {
        let (mut killed, mut not_found) = (RawArrayBuf::new(), RawArrayBuf::new());
        for &id in ids {
            let is_theirs = match self.slots.lock().get(&id) {
                Some(Slot::Idle { cursor, .. }) => {
                    cursor.namespace == namespace && cursor.owner.as_deref() == owner
                }
                Some(Slot::Busy { namespace: its, .. }) => its == namespace,
                None => false,
            };
            if is_theirs && self.kill(id) {
                killed.push(id);
            } else {
                not_found.push(id);
            }
        }
        rawdoc! {
            "cursorsKilled": killed,
            "cursorsNotFound": not_found,
            "cursorsAlive": RawArrayBuf::new(),
            "cursorsUnknown": RawArrayBuf::new(),
        }
    }

    /// Ends the cursors of a session, or of one of its transactions.
    pub fn kill_session(&self, lsid: &[u8; 16], txn_number: Option<i64>) {
        self.retain(|cursor, _| {
            cursor.lsid.as_ref() != Some(lsid)
                || (txn_number.is_some() && cursor.txn_number != txn_number)
        });
    }

    /// Ends those that nobody asked for long.
    pub fn reap(&self, now: Instant) {
        let ended = self.retain(|cursor, since| {
            cursor.never_times_out || now.saturating_duration_since(since) < self.idle_timeout
        });
        self.timed_out.fetch_add(ended, Ordering::Relaxed);
    }

    /// Ends all.
    pub fn clear(&self) {
        let slots = std::mem::take(&mut *self.slots.lock());
        for slot in slots.values() {
            if let Slot::Busy { cancel, .. } = slot {
                cancel.cancel();
            }
        }
    }

    /// Figures.
    #[must_use]
    pub fn figures(&self) -> CursorFigures {
        CursorFigures {
            open: self.slots.lock().len() as u64,
            total: self.made.load(Ordering::Relaxed),
            timed_out: self.timed_out.load(Ordering::Relaxed),
        }
    }

    /// Ends the idle cursors that are not to be kept; returns how many.
    fn retain(&self, keeps: impl Fn(&Cursor, Instant) -> bool) -> u64 {
        let mut ended = Vec::new();
        let mut slots = self.slots.lock();
        let ids: Vec<i64> = slots
            .iter()
            .filter(|(_, slot)| match slot {
                Slot::Idle { cursor, since } => !keeps(cursor, *since),
                Slot::Busy { .. } => false,
            })
            .map(|(id, _)| *id)
            .collect();
        ended.extend(ids.iter().filter_map(|id| slots.remove(id)));
        drop(slots);
        ended.len() as u64
    }
}

/// There is no cursor of this id.
#[must_use]
pub fn not_found(id: i64) -> CommandError {
    CommandError::new(code::CURSOR_NOT_FOUND, format!("cursor id {id} not found"))
}

#[cfg(test)]
mod tests;
