//! What the commit queue asks of the store.

use std::fmt;
use std::sync::Arc;

use cs_base::{Index, Lsn};
use loom::sync::atomic::{AtomicU64, Ordering};

use super::batch::Batch;
use super::commit::Commit;
use super::commit_queue::CommitQueue;
use super::error::{Error, Result};
use super::options::{CommitOptions, Durability};
use super::packing::Payload;
use super::ticket::Ticket;
use super::writer::Writer;
use crate::locks::Mutex;

/// `engine/kv/src/core/guard.rs`.
#[allow(dead_code, reason = "the text of another crate")]
mod guard {
    include!(concat!(env!("OUT_DIR"), "/guard.rs"));
}

pub(crate) use guard::WriterGuard;

type Callback = Box<dyn FnOnce(Result<()>) + Send>;

/// A log whose sync makes everything durable that was appended.
#[derive(Default)]
pub(crate) struct Log {
    appended: AtomicU64,
    durable: AtomicU64,
    /// Held by who writes.
    writing: Mutex<()>,
    callbacks: Mutex<Vec<(Lsn, Callback)>>,
}

impl Log {
    pub(crate) fn durable_lsn(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn on_durable(&self, lsn: Lsn, call: Callback) {
        let mut callbacks = self.callbacks.lock();
        if self.durable_lsn() >= lsn {
            drop(callbacks);
            call(Ok(()));
        } else {
            callbacks.push((lsn, call));
        }
    }

    fn sync(&self) {
        let writing = self.writing.lock();
        let end = self.appended.load(Ordering::Acquire);
        let due: Vec<_> = {
            let mut callbacks = self.callbacks.lock();
            self.durable.store(end, Ordering::Release);
            callbacks.extract_if(.., |(lsn, _)| lsn.0 <= end).collect()
        };
        drop(writing);
        for (_, call) in due {
            call(Ok(()));
        }
    }
}

pub(crate) struct Options {
    pub(crate) durability: Option<Durability>,
}

pub(crate) struct Runtime;

impl Runtime {
    pub(crate) fn may_block(&self) -> bool {
        true
    }
}

/// Counted by atomics that no protocol depends on.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) commits: std::sync::atomic::AtomicU64,
}

/// The store.
pub struct Core {
    pub(crate) options: Options,
    pub(crate) runtime: Runtime,
    pub(crate) log: Option<Log>,
    pub(crate) queue: CommitQueue,
    pub(crate) counters: Counters,
    writer: Mutex<Writer>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Core")
    }
}

impl Core {
    /// An empty store.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            options: Options { durability: None },
            runtime: Runtime,
            log: Some(Log::default()),
            queue: CommitQueue::default(),
            counters: Counters::default(),
            writer: Mutex::default(),
        })
    }

    /// Commits batch `number`; it must be durable then.
    pub fn commit_one(self: &Arc<Self>, number: usize) {
        let index = self.commit_and_wait(Batch(number), &CommitOptions::default());
        let index = index.expect("nothing is refused here");
        let log = self.log.as_ref().expect("a log");
        assert!(log.durable_lsn().0 >= index.0, "answered before durable");
    }

    /// A reader that comes between: it takes the writer's lock, and gives it back.
    pub fn lock_and_unlock(&self) {
        drop(self.lock_writer());
    }

    /// Each batch was carried out once.
    pub fn assert_each_once(&self, count: usize) {
        let mut applied = self.writer.lock().applied.clone();
        applied.sort_unstable();
        assert_eq!(applied, (0..count).collect::<Vec<_>>());
    }

    pub(crate) fn lock_writer(&self) -> WriterGuard<'_> {
        WriterGuard::new(self, self.writer.lock())
    }

    pub(crate) fn try_lock_writer(&self) -> Option<WriterGuard<'_>> {
        Some(WriterGuard::new(self, self.writer.try_lock()?))
    }

    pub(crate) fn prepare(&self, _: &Commit<'_>) -> Result<Payload> {
        Ok(Payload::default())
    }

    pub(crate) fn plan_and_do_locked(
        self: &Arc<Self>,
        writer: &mut Writer,
        commit: &Commit<'_>,
        _: &mut Payload,
    ) -> Result<Ticket> {
        writer.applied.push(commit.batch.0);
        let end = writer.applied.len() as u64;
        if let Some(log) = &self.log {
            log.appended.store(end, Ordering::Release);
        }
        Ok(Ticket {
            core: Arc::clone(self),
            index: Index(end),
            needs: Lsn(end),
        })
    }

    pub(crate) fn commit(self: &Arc<Self>, commit: &Commit<'_>) -> Result<Ticket> {
        let mut writer = self.lock_writer();
        self.plan_and_do_locked(&mut writer, commit, &mut Payload::default())
    }

    pub(crate) fn wait_durable(&self, lsn: Lsn) -> Result<()> {
        if let Some(log) = &self.log
            && log.durable_lsn() < lsn
        {
            log.sync();
        }
        Ok(())
    }

    pub(crate) fn finish_commit(&self, outcome: Result<Ticket>) -> Result<Ticket> {
        outcome
    }

    pub(crate) fn visible_answer(&self, outcome: Result<Ticket>) -> Result<Ticket> {
        outcome
    }

    pub(crate) fn poison(&self, error: &Error) {
        panic!("poisoned: {error:?}");
    }

    pub(crate) fn poison_reason(&self) -> Option<String> {
        None
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        Ok(())
    }

    pub(crate) fn check_sound(&self) -> Result<()> {
        Ok(())
    }

    pub(crate) fn after_append(&self) {}

    pub(crate) fn fail_waiters(&self) {}
}
