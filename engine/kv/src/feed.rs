//! Following the changes: each commit, once it can no longer be taken back, in
//! the order of the log.
//!
//! A feed is a place in the history of the database, and reads on from there. It
//! never holds a commit up. As long as it keeps up it is served from memory
//! (`ring.rs`); when it falls behind it reads the log, which is kept for it up to
//! a limit; beyond that it is told that what came next is lost.
//!
//! ## Invariants
//! * A feed shows each commit behind its place exactly once, in order, or an error.
//! * It shows nothing that a crash could take back: a commit is shown when it is
//!   visible and the log is durable up to its end. A store without a log has
//!   nothing that survives, so there a commit is shown when it is visible.
//! * Nor does it begin behind a commit that a crash could take back: another one would
//!   have its index then, and whoever goes on from that place would miss it.
//! * A place outlives the process; one that means something else in this
//!   database (another database, a commit that is not there) is refused.

mod position;
mod record;
mod ring;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use cs_base::mutants::{Mutant, planted};
use cs_base::{FileId, HybridTime, Index, Lsn, Term};
use cs_io::EventCount;
use cs_wal::{Log, LogError, RecordKind, RecordRef, Tail};
use parking_lot::Mutex;

use crate::core::Core;
use crate::effects::unpack_payload;
use crate::error::{Error, Result};
use crate::store::Store;

pub use position::ChangePosition;
pub use record::{ChangeRecord, NotedEffect, RecordEffects};
pub(crate) use ring::Recent;
use ring::{Look, Ring};

/// Records after which a feed that is served from memory tells the log that it
/// needs no more of it.
const RENEW_PIN_EVERY: u32 = 256;

/// What all feeds of a store share.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    /// How many there are: without one nothing is remembered.
    open: AtomicUsize,
    ring: Mutex<Ring>,
    /// Something may have become visible, or durable.
    pub(crate) moved: EventCount,
    next_pin: AtomicU64,
    /// Where the log ended at earlier checkpoints, by the clock.
    ends: Mutex<VecDeque<(u64, Lsn)>>,
}

/// Name of the pin that keeps the log for feeds that are not there now.
const KEPT_CHANGES: &str = "kept changes";

impl Feeds {
    /// Whether anybody follows.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// A commit was appended; the caller holds the writer's lock.
    pub(crate) fn push(&self, recent: Recent) {
        self.ring.lock().push(recent);
    }

    /// What is visible has moved.
    #[inline]
    pub(crate) fn notify(&self) {
        if self.any() {
            self.moved.notify_all();
        }
    }

    fn pin_name(&self) -> String {
        format!("feed {}", self.next_pin.fetch_add(1, Ordering::Relaxed))
    }
}

impl Core {
    /// The log is about to be given back: what `keep_changes` asks for stays.
    pub(crate) fn pin_kept_changes(&self, log: &Log) {
        let Some(keep) = &self.options.keep_changes else {
            return;
        };
        let (now, end) = (self.runtime.unix_ms(), log.durable_lsn());
        let mut ends = self.feeds.ends.lock();
        ends.push_back((now, end));
        let too_old = |then: u64| u128::from(now.saturating_sub(then)) > keep.max_age.as_millis();
        let mut lowest = Lsn(end.0.saturating_sub(keep.max_bytes));
        while let Some(&(then, before)) = ends.front()
            && (too_old(then) || before < lowest)
        {
            if too_old(then) {
                lowest = lowest.max(before);
            }
            ends.pop_front();
        }
        log.pin(KEPT_CHANGES, lowest, None);
    }

    /// Which database this is.
    pub(crate) fn database_id(&self) -> FileId {
        self.pager.file_id()
    }
}

/// Keeps the log from a place on.
#[derive(Debug)]
struct Kept {
    log: Arc<Log>,
    name: String,
    max_bytes: u64,
    since: u32,
}

impl Kept {
    fn new(core: &Core, log: &Arc<Log>, lsn: Lsn) -> Self {
        let kept = Self {
            log: Arc::clone(log),
            name: core.feeds.pin_name(),
            max_bytes: core.options.feed_log_bytes,
            since: 0,
        };
        kept.log.pin(&kept.name, lsn, Some(kept.max_bytes));
        kept
    }

    /// A record was read that ends there.
    fn passed(&mut self, end: Lsn) {
        self.since += 1;
        if self.since >= RENEW_PIN_EVERY {
            self.since = 0;
            self.log.pin(&self.name, end, Some(self.max_bytes));
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.log.unpin(&self.name);
    }
}

/// Where a feed reads.
#[derive(Debug)]
enum Source {
    /// What was committed lately, in memory; the log is kept in case.
    Memory(Option<Kept>),
    Log(Box<Tail>),
}

/// A place in the history, and the way on from it. See [`Store::changes`].
#[derive(Debug)]
pub struct ChangeFeed {
    core: Arc<Core>,
    after: Index,
    term: Term,
    source: Source,
    /// Parts of a transaction, of which the end is still to come.
    parts: Vec<u8>,
    /// Index before the first of them.
    before_parts: Index,
    /// How far the log was durable when there was nothing more to show.
    seen: Lsn,
}

impl Store {
    /// Follows all changes from now on. Whatever is visible now is made durable first.
    ///
    /// ```
    /// use cs_io::{RealRuntime, memory::MemoryDisk};
    /// use cs_kv::{CommitOptions, Effect, Store, StoreOptions};
    ///
    /// let store = Store::open(MemoryDisk::new(), RealRuntime::new(), StoreOptions::default())?;
    /// let mut feed = store.changes()?;
    /// let mut txn = store.begin()?;
    /// let tree = txn.create_tree();
    /// txn.put(tree, b"k".to_vec(), b"v".to_vec())?;
    /// txn.commit(&CommitOptions::default())?.wait()?;
    /// let change = feed.next()?.expect("one commit");
    /// let effects: Result<Vec<_>, _> = change.effects()?.collect();
    /// let put = Effect::Put { tree, key: b"k", value: b"v" };
    /// assert_eq!(effects?, [Effect::CreateTree { tree }, put]);
    /// assert!(feed.next()?.is_none());
    /// # Ok::<(), cs_kv::Error>(())
    /// ```
    ///
    /// # Errors
    /// The database has failed.
    pub fn changes(&self) -> Result<ChangeFeed> {
        let feed = self.follow()?;
        if !feed.core.options.read_only {
            self.flush()?;
        }
        Ok(feed)
    }

    /// A feed behind what is visible, durable or not.
    fn follow(&self) -> Result<ChangeFeed> {
        let core = Arc::clone(self.core());
        core.check_sound()?;
        core.feeds.open.fetch_add(1, Ordering::SeqCst);
        // In this order: whatever is not visible yet lies behind what is durable.
        let kept = core
            .log
            .as_ref()
            .map(|log| Kept::new(&core, log, log.durable_lsn()));
        Ok(ChangeFeed {
            after: core.visible_index(),
            term: crate::commit::OWN_TERM,
            source: Source::Memory(kept),
            parts: Vec::new(),
            before_parts: Index(0),
            seen: Lsn::MAX,
            core,
        })
    }

    /// Has everybody who waits for changes look again at what he waits for.
    pub fn wake_followers(&self) {
        self.core().feeds.moved.notify_all();
    }

    /// Follows all changes behind a place where another feed was, in this process
    /// or an earlier one.
    ///
    /// # Errors
    /// [`Error::ChangesLost`]: what comes next is not kept any more, or the place
    /// is none of this database; the database has failed.
    pub fn changes_after(&self, position: &ChangePosition) -> Result<ChangeFeed> {
        let mut feed = self.follow()?;
        position.check(&feed.core.database_id(), feed.after)?;
        feed.after = position.index;
        feed.term = position.term;
        // What was forgotten is found out now, not at the first change.
        if feed.after < feed.core.visible_index() && feed.core.log.is_some() {
            feed.read_log()?;
        }
        Ok(feed)
    }
}

/// Hears of each move of what feeds may show, for whoever waits for several of them.
#[derive(Clone, Debug)]
pub struct ChangeMoves(Arc<Core>);

impl ChangeMoves {
    /// Waits until `is_over` says so, which is asked now and at each move, or
    /// `limit` has passed; says whether it was the former. In simulation it does
    /// not wait.
    ///
    /// # Errors
    /// The database has failed.
    pub fn wait(&self, limit: Duration, is_over: impl Fn() -> bool) -> Result<bool> {
        let runtime = &self.0.runtime;
        let deadline = runtime.monotonic().saturating_add(limit);
        loop {
            let listener = self.0.feeds.moved.listen();
            if is_over() {
                return Ok(true);
            }
            self.0.check_sound()?;
            let left = deadline.saturating_sub(runtime.monotonic());
            if left.is_zero() || !runtime.may_block() {
                return Ok(false);
            }
            listener.wait_for(left);
        }
    }

    /// Has everybody who waits for changes look again at what he waits for.
    pub fn wake(&self) {
        self.0.feeds.moved.notify_all();
    }
}

impl ChangeFeed {
    /// Where it is: behind all that it has shown.
    #[must_use]
    pub fn position(&self) -> ChangePosition {
        ChangePosition {
            database: self.core.database_id(),
            term: self.term,
            index: self.after,
            ordinal: 0,
        }
    }

    /// The next commit; `None` where there is none yet.
    ///
    /// # Errors
    /// [`Error::ChangesLost`]: the feed fell behind by more than is kept, and
    /// cannot go on. A read failed, or the log is damaged.
    #[expect(
        clippy::should_implement_trait,
        reason = "`None` means not yet, and is no end"
    )]
    pub fn next(&mut self) -> Result<Option<ChangeRecord>> {
        let durable = self
            .core
            .log
            .as_ref()
            .map_or(Lsn::ZERO, |log| log.durable_lsn());
        // What the log has, readers may see.
        self.core.advance(durable);
        let next = self.next_shown()?;
        self.seen = if next.is_none() { durable } else { Lsn::MAX };
        Ok(next)
    }

    fn next_shown(&mut self) -> Result<Option<ChangeRecord>> {
        loop {
            if self.after >= self.core.visible_index() {
                return Ok(None);
            }
            if self.parts.is_empty() {
                let looked = self.core.feeds.ring.lock().look(self.after);
                match looked {
                    Look::Found(recent) => return Ok(self.take_recent(recent)),
                    Look::Nothing => return Ok(None),
                    Look::Behind => {}
                }
            }
            if !matches!(self.source, Source::Log(_)) {
                self.read_log()?;
            }
            match self.next_logged()? {
                Logged::Change(record) => return Ok(Some(record)),
                Logged::None => return Ok(None),
                Logged::Other => {}
            }
        }
    }

    /// Waits until something may have come, or `limit` has passed; says whether
    /// there is something. In simulation it does not wait.
    ///
    /// # Errors
    /// The database has failed.
    pub fn wait(&self, limit: Duration) -> Result<bool> {
        self.moves().wait(limit, || self.has_more())
    }

    /// Hears of each move of what feeds may show.
    #[must_use]
    pub fn moves(&self) -> ChangeMoves {
        ChangeMoves(Arc::clone(&self.core))
    }

    /// Whether it is worth looking: something may have come. A store without a
    /// log shows what is visible.
    #[must_use]
    pub fn has_more(&self) -> bool {
        let moved = |log: &Arc<Log>| self.seen == Lsn::MAX || log.durable_lsn() > self.seen;
        self.core.log.as_ref().is_none_or(moved) && self.after < self.core.visible_index()
    }

    /// A commit that memory still has; nothing while it is not durable.
    fn take_recent(&mut self, recent: Recent) -> Option<ChangeRecord> {
        if recent.index > self.core.visible_index() {
            return None;
        }
        if let Some(log) = &self.core.log {
            if recent.end > log.durable_lsn() && !planted(Mutant::FeedBeforeDurable) {
                return None;
            }
            match &mut self.source {
                Source::Memory(Some(kept)) => kept.passed(recent.end),
                // The new pin first: what the old one kept must not go between.
                source => *source = Source::Memory(Some(Kept::new(&self.core, log, recent.end))),
            }
        }
        self.after = recent.index;
        self.term = recent.term;
        Some(self.record(recent.before, recent.time, recent.payload))
    }

    fn record(&self, before: Index, time: HybridTime, payload: Arc<[u8]>) -> ChangeRecord {
        ChangeRecord {
            position: self.position(),
            before,
            index: self.after,
            time,
            payload,
        }
    }

    /// Goes over to reading the log.
    fn read_log(&mut self) -> Result<()> {
        let Some(log) = &self.core.log else {
            return Err(self.lost());
        };
        let name = self.core.feeds.pin_name();
        let limit = Some(self.core.options.feed_log_bytes);
        let tail = log.tail(&name, self.after, limit);
        let tail = tail.map_err(|error| self.lost_or(error))?;
        self.source = Source::Log(Box::new(tail));
        Ok(())
    }

    fn next_logged(&mut self) -> Result<Logged> {
        let Source::Log(tail) = &mut self.source else {
            return Ok(Logged::Other);
        };
        let (parts, before_parts) = (&mut self.parts, &mut self.before_parts);
        let read = |record: RecordRef<'_>| {
            let head = record.head;
            let payload = match head.kind {
                RecordKind::Part => {
                    if head.flags & crate::commit::FIRST_PART != 0 {
                        parts.clear();
                        *before_parts = Index(head.index.0.saturating_sub(1));
                    }
                    parts.extend_from_slice(record.payload);
                    None
                }
                RecordKind::Transaction if head.flags & crate::commit::HAS_PARTS != 0 => {
                    parts.extend_from_slice(record.payload);
                    Some(unpack_payload(parts).map(|plain| Arc::from(&*plain)))
                }
                RecordKind::Transaction => {
                    Some(unpack_payload(record.payload).map(|plain| Arc::from(&*plain)))
                }
                _ => None,
            };
            (head, payload)
        };
        let (head, payload) = match tail.next(read) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Logged::None),
            Err(error) => return Err(self.lost_or(error)),
        };
        self.after = head.index;
        self.term = head.term;
        let Some(payload) = payload else {
            return Ok(Logged::Other);
        };
        let before = match head.flags & crate::commit::HAS_PARTS {
            0 => Index(head.index.0.saturating_sub(1)),
            _ => self.before_parts,
        };
        self.parts = Vec::new();
        Ok(Logged::Change(self.record(before, head.time, payload?)))
    }

    fn lost(&self) -> Error {
        Error::ChangesLost(format!(
            "what came after index {} is not kept any more",
            self.after
        ))
    }

    fn lost_or(&self, error: LogError) -> Error {
        match error {
            LogError::Unreachable { .. } => self.lost(),
            other => other.into(),
        }
    }
}

impl Drop for ChangeFeed {
    fn drop(&mut self) {
        let feeds = &self.core.feeds;
        if feeds.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            // Nobody is left: the memory is given back.
            feeds.ring.lock().clear();
        }
    }
}

/// What came out of the log.
enum Logged {
    Change(ChangeRecord),
    /// Part of something, or nothing that changes trees.
    Other,
    None,
}

#[cfg(test)]
mod tests;
