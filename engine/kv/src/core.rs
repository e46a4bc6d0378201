//! What all handles of a store share.
//!
//! All state that a commit changes hangs off the root, so that dropping a root
//! drops it. A test holds this table to the fields:
//!
//! | field | hangs off |
//! |---|---|
//! | `options`, `disk`, `runtime`, `fork`, `_lock` | opening: never changes |
//! | `writer` | the root, while it is open: pages, allocation, trees, sessions |
//! | `published`, `live_roots` | a root: the one that readers see, and those that somebody still reads |
//! | `demand` | nothing: whether somebody reads |
//! | `queue` | nothing: commits that have not begun |
//! | `visibility`, `target`, `advanced` | the log's durable end: which root is `published` next |
//! | `pager` | disk and pins: frames that never change, the register of pinned versions |
//! | `log` | disk: its end, its durable LSN, groups in flight |
//! | `maintenance`, `checkpoint_lsn`, `data_bytes` | disk: the metas, the checkpoint being written |
//! | `compaction` | nothing: how far a compaction has come, and how the last one ended |
//! | `next_tree` | nothing: ids that a dropped root had used are not given again |
//! | `poisoned`, `closed` | nothing: they only ever go up |
//! | `background`, `housekeeping`, `counters`, `recorder` | nothing: a thread, what it does for others, figures since open |
//! | `named` | the root: the content of a system tree, pinned |
//! | `feeds` | the log: what of it was appended lately, shown when it is durable |
//!
//! Parts: `roots` from the appended root to the visible one, `guard` the writer's
//! lock, `demand` whether anybody reads.
//!
//! Locks are taken in this order: `compaction`, `maintenance`, `writer`, the log's, `visibility`,
//! the pager's. Nothing waits for the log with `writer` held.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;
use cs_base::TreeId;
use cs_io::{Disk, ForkMark, LockGuard, Runtime, Signal};
use cs_pager::{CheckpointRun, Metas, Pager};
use cs_wal::Log;
use parking_lot::Mutex;

use crate::background::Housekeeping;
use crate::commit_queue::CommitQueue;
use crate::compaction::Compaction;
use crate::error::{Error, Result};
use crate::feed::Feeds;
use crate::named::Named;
use crate::options::StoreOptions;
use crate::packing::Packing;
use crate::pinned::{LiveRoots, Pinned};
use crate::recorder::{Event, Recorder};
use crate::root::Root;
use crate::visibility::Visibility;
use crate::writer::Writer;

mod demand;
mod guard;
mod roots;

use demand::Demand;
pub(crate) use guard::WriterGuard;

/// What the checkpointer and other slow work need for themselves.
#[derive(Debug)]
pub(crate) struct Maintenance {
    pub(crate) metas: Metas,
    pub(crate) run: Option<CheckpointRun>,
    /// Checkpoints completed since open.
    pub(crate) checkpoints: u64,
}

/// See the module's text.
pub(crate) struct Core {
    pub(crate) options: StoreOptions,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) pager: Arc<Pager>,
    /// None where durability is `Memory` for the whole store.
    pub(crate) log: Option<Arc<Log>>,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) visibility: Mutex<Visibility>,
    /// Commits left for whoever has the writer's lock.
    pub(crate) queue: CommitQueue,
    published: ArcSwap<Pinned>,
    pub(crate) live_roots: Arc<LiveRoots>,
    demand: Demand,
    /// `visibility.target()`, for readers in a hurry.
    target: AtomicU64,
    /// Durable LSN up to which `target` was moved; the log's own runs ahead.
    advanced: AtomicU64,
    pub(crate) maintenance: Mutex<Maintenance>,
    pub(crate) compaction: Mutex<Compaction>,
    /// Log position of the newest durable meta.
    pub(crate) checkpoint_lsn: AtomicU64,
    /// Bytes of the pages in use, as of the last checkpoint.
    pub(crate) data_bytes: AtomicU64,
    next_tree: AtomicU32,
    poisoned: OnceLock<String>,
    pub(crate) closed: AtomicBool,
    pub(crate) background: Background,
    pub(crate) counters: Counters,
    pub(crate) recorder: Recorder,
    pub(crate) feeds: Feeds,
    pub(crate) named: Named,
    pub(crate) housekeeping: OnceLock<Weak<dyn Housekeeping>>,
    fork: ForkMark,
    _lock: Box<dyn LockGuard>,
}

/// How the background thread is reached.
#[derive(Debug, Default)]
pub(crate) struct Background {
    pub(crate) signal: Signal,
    pub(crate) stop: AtomicBool,
    /// The thread knows that there is something to do.
    pub(crate) armed: AtomicBool,
    /// The thread is writing a checkpoint.
    pub(crate) checkpoints: AtomicBool,
    pub(crate) task: Mutex<Option<cs_io::Task>>,
    pub(crate) started: AtomicBool,
    /// When everything appended was last made durable on purpose.
    pub(crate) flushed_ms: AtomicU64,
    /// When the last checkpoint ended, or the first write came.
    pub(crate) checkpointed_ms: AtomicU64,
    /// How many wait for a checkpoint and want no pauses in it.
    pub(crate) hurry: AtomicU32,
}

/// Figures since open.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) refusals: AtomicU64,
    /// States that were ended because of the limits of snapshots.
    pub(crate) evicted: AtomicU64,
    /// What compression came to, and whether it is worth trying.
    pub(crate) packing: Packing,
}

/// Short, and without anything that is stored.
impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("visible_index", &self.visible_index())
            .field("poisoned", &self.poisoned.get())
            .finish_non_exhaustive()
    }
}

/// The parts that opening brings together.
pub(crate) struct Parts {
    pub(crate) options: StoreOptions,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) pager: Pager,
    pub(crate) log: Option<Arc<Log>>,
    pub(crate) writer: Writer,
    pub(crate) metas: Metas,
    pub(crate) root: Arc<Root>,
    pub(crate) lock: Box<dyn LockGuard>,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let index = parts.root.record.index;
        let pager = Arc::new(parts.pager);
        pager.set_visible(parts.root.record.version);
        let live_roots = Arc::default();
        let published = ArcSwap::new(Pinned::new(&pager, &live_roots, parts.root));
        let next_tree = AtomicU32::new(parts.writer.next_tree());
        let checkpoint_lsn = AtomicU64::new(parts.metas.newest().root.lsn.0);
        let in_use = parts.writer.shadow.space().used * pager.page_size() as u64;
        let core = Arc::new(Self {
            options: parts.options,
            disk: parts.disk,
            runtime: parts.runtime,
            pager,
            log: parts.log,
            writer: Mutex::new(parts.writer),
            visibility: Mutex::new(Visibility::new(index)),
            queue: CommitQueue::default(),
            published,
            live_roots,
            demand: Demand::default(),
            target: AtomicU64::new(index.0),
            advanced: AtomicU64::new(0),
            maintenance: Mutex::new(Maintenance {
                metas: parts.metas,
                run: None,
                checkpoints: 0,
            }),
            compaction: Mutex::default(),
            checkpoint_lsn,
            data_bytes: AtomicU64::new(in_use),
            next_tree,
            poisoned: OnceLock::new(),
            closed: AtomicBool::new(false),
            background: Background::default(),
            counters: Counters::default(),
            recorder: Recorder::default(),
            feeds: Feeds::default(),
            named: Named::default(),
            housekeeping: OnceLock::new(),
            fork: ForkMark::new(),
            _lock: parts.lock,
        });
        if let Some(log) = &core.log {
            let owner: Weak<Self> = Arc::downgrade(&core);
            log.attach(owner);
        }
        core
    }

    // ---- refusals ----

    /// Whether a change may be made now.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if let Some(reason) = self.poisoned.get() {
            return Err(Error::Poisoned(reason.clone()));
        }
        if self.options.read_only {
            return Err(Error::Refused("the database was opened read-only"));
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Refused("the database is closed"));
        }
        self.check_process()
    }

    /// Refuses a child of the process that opened the database.
    fn check_process(&self) -> Result<()> {
        if self.fork.is_forked() {
            return Err(Error::Refused(
                "the database was opened before this process was forked off",
            ));
        }
        Ok(())
    }

    /// Refuses all changes from now on. The first reason stays.
    pub(crate) fn poison(&self, error: &Error) {
        let reason = error.to_string();
        if self.poisoned.set(reason.clone()).is_ok() {
            self.note(Event::Poisoned(reason.clone()));
            if let Some(log) = &self.log {
                log.poison(&reason);
            }
        }
    }

    /// For the flight recorder.
    pub(crate) fn note(&self, event: Event) {
        self.recorder.record(&*self.runtime, event);
    }

    pub(crate) fn poison_reason(&self) -> Option<String> {
        self.poisoned.get().cloned()
    }

    /// Refuses if the database has failed; for whatever must not build on a
    /// state that a failure left half changed.
    pub(crate) fn check_sound(&self) -> Result<()> {
        match self.poisoned.get() {
            Some(reason) => Err(Error::Poisoned(reason.clone())),
            None => match &self.log {
                Some(log) => Ok(log.check()?),
                None => Ok(()),
            },
        }
    }

    /// Tells those who wait that nothing more will become durable; they may be
    /// closures of the caller's, so no lock may be held here.
    pub(crate) fn fail_waiters(&self) {
        if self.poisoned.get().is_none() {
            return;
        }
        self.recorder.write(&*self.disk);
        if let Some(log) = &self.log {
            log.fail_waiters();
        }
    }

    /// Passes a result on, and poisons on an error: for whatever must not fail.
    pub(crate) fn must<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| self.poison(error))
    }

    /// A tree id that was never given before.
    pub(crate) fn new_tree_id(&self) -> TreeId {
        TreeId(self.next_tree.fetch_add(1, Ordering::Relaxed))
    }

    /// These ids are taken, though no tree has them yet.
    pub(crate) fn reserve_tree_ids(&self, taken: &[TreeId]) {
        for tree in taken {
            self.next_tree.fetch_max(tree.0 + 1, Ordering::Relaxed);
        }
    }

    pub(crate) fn lock_writer(&self) -> WriterGuard<'_> {
        WriterGuard::new(self, self.writer.lock())
    }

    /// The same, if nobody has it.
    pub(crate) fn try_lock_writer(&self) -> Option<WriterGuard<'_>> {
        Some(WriterGuard::new(self, self.writer.try_lock()?))
    }
}

#[cfg(test)]
mod tests;
