//! What an operation carries with it: how long it may take, who may stop it,
//! how much memory it may hold, how durable its writes are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cs_kv::io::Runtime;
use cs_kv::{CommitOptions, Durability};

use crate::error::{Error, ErrorKind, Result};

/// MongoDB's code for an operation that cannot be sent again by name.
const NO_STATEMENT: i32 = 50768;

/// Stops the operations that were given a clone of it.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is down.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag, for good.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is up.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Limits and wishes of one operation; the default has none.
///
/// ```
/// use std::time::Duration;
/// use collection_store::{CancelFlag, Durability, OperationContext};
/// let stop = CancelFlag::new();
/// let context = OperationContext::new()
///     .timeout(Duration::from_millis(200))
///     .cancel_flag(stop.clone())
///     .durability(Durability::Async);
/// # let _ = context;
/// ```
#[derive(Clone, Debug, Default)]
pub struct OperationContext {
    timeout: Option<Duration>,
    cancel: Option<CancelFlag>,
    memory_limit: Option<u64>,
    durability: Option<Durability>,
    statement: Option<Statement>,
}

/// The name of a write that may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) session: [u8; 16],
    pub(crate) number: u64,
}

impl OperationContext {
    /// No limits, no wishes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The operation ends with code 50 when it has taken so long. A cursor's
    /// time runs from its creation.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The operation ends with code 11601 when the flag is raised.
    #[must_use]
    pub fn cancel_flag(mut self, flag: CancelFlag) -> Self {
        self.cancel = Some(flag);
        self
    }

    /// The operation ends with code 146 when it would hold more bytes than
    /// these of documents and keys at once: the document that a query is at,
    /// what waits for its commit, the `_id`s of the answer. (Pages have a budget
    /// of their own.)
    #[must_use]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// What the operation's commits survive; that of the database unless told.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// The operation is this statement of a session of the caller's: sent again,
    /// also after a restart, it is not carried out a second time and comes to what
    /// it came to the first time. Numbers grow within a session, which keeps its
    /// last statement alone: an earlier one is refused
    /// ([`ErrorKind::AlreadyApplied`]). One that failed left nothing behind and may
    /// be sent again. For inserts, updates, replacements and deletions; one that
    /// writes many documents writes all of them or none, in one commit. All else
    /// refuses it.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::{Database, OperationContext, UpdateOptions};
    ///
    /// let database = Database::open_in_memory()?;
    /// let counters = database.collection("counters");
    /// counters.insert_one(doc! { "_id": "hits", "n": 0 })?;
    /// let context = OperationContext::new().statement([7; 16], 1);
    /// for _ in 0..3 {
    ///     let (filter, update) = (doc! { "_id": "hits" }, doc! { "$inc": { "n": 1 } });
    ///     let updated = counters.update_one_with(&context, filter, update, &UpdateOptions::default())?;
    ///     assert_eq!(updated.modified, 1);
    /// }
    /// assert_eq!(counters.count(doc! { "n": 1 })?, 1);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    #[must_use]
    pub fn statement(mut self, session: [u8; 16], number: u64) -> Self {
        self.statement = Some(Statement { session, number });
        self
    }

    /// Which statement it is, for operations that may be one.
    pub(crate) fn as_statement(&self) -> Option<Statement> {
        self.statement
    }

    /// The same, of no session.
    pub(crate) fn without_statement(&self) -> Self {
        Self {
            statement: None,
            ..self.clone()
        }
    }

    pub(crate) fn commit_options(&self) -> CommitOptions {
        let mut options = CommitOptions::default();
        options.durability = self.durability;
        options
    }

    /// The operation begins.
    pub(crate) fn start(&self, runtime: &Arc<dyn Runtime>) -> Watch {
        let deadline = self
            .timeout
            .map(|timeout| runtime.monotonic().saturating_add(timeout));
        Watch {
            runtime: Arc::clone(runtime),
            deadline,
            cancel: self.cancel.clone(),
            memory_left: self.memory_limit.unwrap_or(u64::MAX),
            is_bound: deadline.is_some() || self.cancel.is_some() || self.statement.is_some(),
            is_statement: self.statement.is_some(),
        }
    }
}

/// The limits of an operation that is under way; asked at each step of each loop.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    runtime: Arc<dyn Runtime>,
    deadline: Option<Duration>,
    cancel: Option<CancelFlag>,
    memory_left: u64,
    /// There is something to look at.
    is_bound: bool,
    /// The operation is called a statement, and knows nothing of it.
    is_statement: bool,
}

impl Watch {
    /// Whether the operation may go on.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        match self.is_bound {
            true => self.check_bounds(),
            false => Ok(()),
        }
    }

    fn check_bounds(&self) -> Result<()> {
        if self.is_statement {
            let message = "only an insert, update, replacement or deletion can be a statement \
                           of a session";
            return Err(Error::bad_value(message).with_code(NO_STATEMENT));
        }
        if let Some(cancel) = &self.cancel
            && cancel.is_cancelled()
        {
            return Err(Error::new(
                ErrorKind::Interrupted,
                "the operation was interrupted",
            ));
        }
        if let Some(deadline) = self.deadline
            && self.runtime.monotonic() >= deadline
        {
            return Err(Error::new(
                ErrorKind::TimedOut,
                "the operation exceeded its time limit",
            ));
        }
        Ok(())
    }

    /// What a sort or a group may hold: a share of what the operation may hold,
    /// 100 MiB at most.
    pub(crate) fn sort_budget(&self) -> u64 {
        (self.memory_left / 2).min(crate::sort::DEFAULT_BUDGET)
    }

    /// How long it may wait at once of the time that it wants: until its deadline,
    /// and no longer than `look_every` where there is a flag to look at.
    pub(crate) fn longest_wait(&self, wanted: Duration, look_every: Duration) -> Duration {
        let mut longest = wanted;
        if let Some(deadline) = self.deadline {
            longest = longest.min(deadline.saturating_sub(self.runtime.monotonic()));
        }
        if self.cancel.is_some() {
            longest = longest.min(look_every);
        }
        longest
    }

    /// The operation takes so many bytes until it [releases](Self::release) them.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<()> {
        self.room_for(bytes)?;
        self.memory_left -= bytes as u64;
        Ok(())
    }

    /// Whether the operation may take so many bytes for a moment.
    pub(crate) fn room_for(&self, bytes: usize) -> Result<()> {
        if bytes as u64 <= self.memory_left {
            return Ok(());
        }
        let message = format!(
            "the operation would hold {bytes} bytes more, {} are left of its memory limit",
            self.memory_left
        );
        Err(Error::new(ErrorKind::MemoryExceeded, message))
    }

    /// The operation gives bytes back.
    pub(crate) fn release(&mut self, bytes: usize) {
        self.memory_left = self.memory_left.saturating_add(bytes as u64);
    }
}

#[cfg(test)]
mod tests;
