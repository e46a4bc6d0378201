//! The store: opening, snapshots, commits, checkpoints, closing.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use cs_base::{Index, Lsn, TreeId};
use cs_io::{BackendReport, Disk, Runtime};
use cs_pager::{PoolStats, SpaceStats};

use crate::account::{Account, SpaceReport, account, space};
use crate::background::Housekeeping;
use crate::batch::Batch;
use crate::bulk::{BulkLoad, BulkOptions, BulkProgress, BulkReport};
use crate::check::{CheckReport, check};
use crate::commit::Commit;
use crate::compaction::{CompactOptions, CompactProgress, CompactReport};
use crate::core::Core;
use crate::error::Result;
use crate::options::{CommitOptions, StoreOptions};
use crate::packing::CompressionStats;
use crate::pinned::SnapshotStats;
use crate::recorder::Event;
use crate::recovery::{RecoveryReport, open};
use crate::snapshot::Snapshot;
use crate::ticket::Ticket;
use crate::transaction::{Transaction, TransactionOptions};

/// An open database of ordered keys and values in any number of trees.
///
/// Cheap to clone; all clones are the same database. When the last clone goes,
/// the log is flushed and the background thread ends. [`close`](Self::close)
/// makes the next open quick, and says so if something fails.
///
/// ```
/// use cs_io::{RealRuntime, memory::MemoryDisk};
/// use cs_kv::{CommitOptions, Store, StoreOptions};
///
/// let store = Store::open(MemoryDisk::new(), RealRuntime::new(), StoreOptions::default())?;
/// let mut txn = store.begin()?;
/// let tree = txn.create_tree();
/// txn.put(tree, b"key".to_vec(), b"value".to_vec())?;
/// txn.commit(&CommitOptions::default())?.wait()?;
/// assert_eq!(store.snapshot()?.get(tree, b"key")?.as_deref(), Some(&b"value"[..]));
/// # Ok::<(), cs_kv::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store(Arc<Handle>);

/// Flushes the log and ends the background thread with the last handle.
#[derive(Debug)]
struct Handle {
    core: Arc<Core>,
    recovery: RecoveryReport,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // A transaction that outlives the last handle has nobody to flush it.
        self.core.closed.store(true, Ordering::Release);
        stop_background(&self.core);
        // What was acknowledged before it was durable: nobody else will see to
        // it now. An error has poisoned the store, and nobody is left to hear.
        if self.core.check_sound().is_ok() {
            let _ = self.core.flush();
        }
    }
}

fn stop_background(core: &Core) {
    core.background.stop.store(true, Ordering::Release);
    core.background.signal.raise();
    let task = core.background.task.lock().take();
    if let Some(task) = task {
        task.join();
    }
    if let Some(log) = &core.log {
        log.shutdown();
    }
}

/// Figures of a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreStats {
    /// Memory for pages.
    pub pool: PoolStats,
    /// Pages of the data file.
    pub space: SpaceStats,
    /// Bytes a page.
    pub page_size: usize,
    /// Commits since open.
    pub commits: u64,
    /// Commits refused because of a conflict.
    pub conflicts: u64,
    /// Commits refused for another reason.
    pub refusals: u64,
    /// Checkpoints completed since open.
    pub checkpoints: u64,
    /// What compression saved.
    pub compression: CompressionStats,
    /// Bytes of log that a recovery would read.
    pub log_bytes: u64,
    /// Index of the newest visible commit.
    pub visible_index: Index,
    /// How far the log is synced.
    pub durable_lsn: Lsn,
    /// What snapshots keep.
    pub snapshots: SnapshotStats,
    /// Pinned versions, the metas' included.
    pub pinned_versions: usize,
    /// Why writes are refused, if they are.
    pub poisoned: Option<String>,
    /// What the disk turned out to be able to do.
    pub io: BackendReport,
}

impl Store {
    /// Opens the database on `disk`, and makes one if there is none. What an
    /// interrupted predecessor left is recovered.
    ///
    /// # Errors
    /// [`Error::Locked`](crate::Error::Locked), damage, or the system refused.
    pub fn open(
        disk: Arc<dyn Disk>,
        runtime: Arc<dyn Runtime>,
        options: StoreOptions,
    ) -> Result<Self> {
        let (core, recovery) = open(disk, runtime, options)?;
        core.note(Event::Opened {
            records: recovery.records,
        });
        core.adopt_prepared()?;
        Ok(Self(Arc::new(Handle { core, recovery })))
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.0.core
    }

    /// Brings a database in order that was not closed: opens it, recovers it
    /// and closes it again. Opening does the same by itself.
    ///
    /// # Errors
    /// As for [`open`](Self::open) and [`close`](Self::close).
    pub fn recover(
        disk: Arc<dyn Disk>,
        runtime: Arc<dyn Runtime>,
        options: StoreOptions,
    ) -> Result<RecoveryReport> {
        let store = Self::open(
            disk,
            runtime,
            StoreOptions {
                create: false,
                ..options
            },
        )?;
        store.close()?;
        Ok(store.recovery())
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovery(&self) -> RecoveryReport {
        self.0.recovery
    }

    /// The newest visible state.
    ///
    /// # Errors
    /// The state could not be sealed: the database is poisoned.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::visible(self.core())
    }

    /// Begins a write transaction on the newest visible state.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot), or writes are refused.
    pub fn begin(&self) -> Result<Transaction> {
        self.begin_with(TransactionOptions::default())
    }

    /// [`begin`](Self::begin), with an isolation of its own.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn begin_with(&self, options: TransactionOptions) -> Result<Transaction> {
        self.core().check_writable()?;
        Ok(Transaction::new(self.snapshot()?, options))
    }

    /// Commits a batch, judged on the appended root: it never conflicts.
    ///
    /// # Errors
    /// [`Error::Expectation`](crate::Error::Expectation), or why it could not
    /// be done. Nothing has changed then.
    pub fn write(&self, batch: &Batch, options: &CommitOptions) -> Result<Ticket> {
        self.core().commit(&Commit::of(batch, options))
    }

    /// [`write`](Self::write), and waits until it is visible. In a crowd of
    /// callers this costs less than the two by themselves: whoever is at it
    /// commits for all, and each sleeps once. Returns the commit's index.
    ///
    /// ```
    /// # use cs_io::{RealRuntime, memory::MemoryDisk};
    /// # use cs_kv::{Batch, CommitOptions, Error, Expect, Store, StoreOptions};
    /// let store = Store::open(MemoryDisk::new(), RealRuntime::new(), StoreOptions::default())?;
    /// let tree = store.new_tree_id();
    /// let mut batch = Batch::new();
    /// batch.create_tree(tree);
    /// batch.put(tree, b"key".to_vec(), b"value".to_vec(), Expect::Absent);
    /// let index = store.write_and_wait(batch, &CommitOptions::default())?;
    /// assert!(store.snapshot()?.index() >= index);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`write`](Self::write) and [`Ticket::wait`].
    pub fn write_and_wait(&self, batch: Batch, options: &CommitOptions) -> Result<Index> {
        self.core().commit_and_wait(batch, options)
    }

    /// Puts many entries into a tree, at the speed of the disk: see [`BulkOptions`].
    /// Entries in ascending order behind the last key of the tree (any order
    /// among themselves, where the tree is empty) are built into full pages. `progress` is told now and
    /// then how far the load has come.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// use cs_io::{RealRuntime, memory::MemoryDisk};
    /// use cs_kv::{BulkOptions, CommitOptions, Error, Store, StoreOptions};
    ///
    /// let store = Store::open(MemoryDisk::new(), RealRuntime::new(), StoreOptions::default())?;
    /// let mut txn = store.begin()?;
    /// let tree = txn.create_tree();
    /// txn.commit(&CommitOptions::default())?.wait()?;
    /// let entries = (0..1000_u32).map(|number| Ok::<_, Error>((number.to_be_bytes(), "value")));
    /// let mut progress = |_: &_| ControlFlow::Continue(());
    /// let report = store.bulk_load(tree, entries, &BulkOptions::default(), &mut progress)?;
    /// assert_eq!(report.entries, 1000);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// An entry was an error, [`Error::DuplicateEntry`](crate::Error::DuplicateEntry),
    /// [`Error::Cancelled`](crate::Error::Cancelled) if `progress` said so, or why a
    /// commit could not be done. What was committed before stays.
    pub fn bulk_load<'a, K, V, E>(
        &self,
        tree: TreeId,
        entries: impl IntoIterator<Item = std::result::Result<(K, V), E>>,
        options: &'a BulkOptions,
        progress: &'a mut (dyn FnMut(&BulkProgress) -> ControlFlow<()> + 'a),
    ) -> std::result::Result<BulkReport, E>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
        E: From<crate::Error>,
    {
        let mut load = BulkLoad::begin(self.core(), tree, options, progress)?;
        for entry in entries {
            let (key, value) = entry?;
            load.push(key.as_ref(), value.as_ref())?;
        }
        Ok(load.finish()?)
    }

    /// Sorts in about `memory` bytes; what is beyond goes to a temporary file beside
    /// the store's own.
    #[must_use]
    pub fn sorter(&self, memory: usize) -> crate::bulk::Sorter {
        crate::bulk::Sorter::new(Arc::clone(&self.core().disk), memory)
    }

    /// What the store did last, as text: what it writes to
    /// [`RECORDER_FILE`](crate::RECORDER_FILE) when it fails.
    #[must_use]
    pub fn recorder(&self) -> String {
        self.core().recorder.text()
    }

    /// An id for a tree to be made by a [`Batch`]; never given twice.
    #[must_use]
    pub fn new_tree_id(&self) -> TreeId {
        self.core().new_tree_id()
    }

    /// Makes everything committed so far part of the data file.
    ///
    /// # Errors
    /// A write or sync failed: the database is poisoned.
    pub fn checkpoint(&self) -> Result<()> {
        self.core().check_writable()?;
        self.core().checkpoint_now()
    }

    /// Makes everything in the log durable. A store without a log has nothing to
    /// flush: only a [`checkpoint`](Self::checkpoint) saves what it holds.
    ///
    /// # Errors
    /// A write or sync failed: the database is poisoned.
    pub fn flush(&self) -> Result<()> {
        self.core().flush()
    }

    /// Refuses further writes, makes everything durable, and writes a
    /// checkpoint, so that the next open has nothing to recover. Snapshots go on.
    ///
    /// # Errors
    /// A write or sync failed.
    pub fn close(&self) -> Result<()> {
        let core = self.core();
        if core.options.read_only || core.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        if let Some(reason) = core.poison_reason() {
            stop_background(core);
            return Err(crate::Error::Poisoned(reason));
        }
        let closed = core
            .flush()
            .and_then(|()| core.shorten_log())
            .and_then(|()| core.checkpoint_now())
            .and_then(|()| core.settle_log())
            .and_then(|()| core.seal_log())
            .and_then(|()| core.trim());
        stop_background(core);
        closed
    }

    /// Where every byte of the files went: reads all pages of the newest state
    /// once. `progress` is told how many of how many, and may end it.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled), or a page could not be read.
    pub fn account(
        &self,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Account> {
        account(self.core(), progress)
    }

    /// What the files take, without reading any.
    ///
    /// # Errors
    /// The size of a file could not be asked for.
    pub fn space(&self) -> Result<SpaceReport> {
        space(self.core())
    }

    /// Gives space back to the file system, beside readers and writers: pages
    /// that are half empty are joined, pages at the end of the data file move
    /// down, the file is cut, and spare files of the log go. What snapshots keep
    /// stays. Reads the whole database once, at least; makes several checkpoints.
    ///
    /// `progress` is told after each small step, and may end the work: what was
    /// done by then stays done.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled), a page could not be read, or
    /// a write or sync failed.
    pub fn compact(
        &self,
        options: &CompactOptions,
        progress: &mut dyn FnMut(&CompactProgress) -> ControlFlow<()>,
    ) -> Result<CompactReport> {
        self.core().compact(options, progress)
    }

    /// One small step of background work, for schedulers that own the only
    /// thread; false if there was nothing to do.
    ///
    /// # Errors
    /// As for commits.
    pub fn step(&self) -> Result<bool> {
        self.core().step()
    }

    /// Has somebody do a piece of his own work whenever background work is done;
    /// once for a store: a second one is not heard.
    pub fn attach(&self, housekeeping: Weak<dyn Housekeeping>) {
        let _ = self.core().housekeeping.set(housekeeping);
    }

    /// Proves the inner order of the newest visible state; see [`CheckReport`].
    ///
    /// # Errors
    /// The check itself could not go on. What it found wrong is in the report.
    pub fn check(&self) -> Result<CheckReport> {
        check(self.core(), &mut |_, _| {})
    }

    /// The same, telling `progress` how many pages of how many were looked at.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_with_progress(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<CheckReport> {
        check(self.core(), progress)
    }

    /// Figures since open.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let core = self.core();
        let counters = &core.counters;
        // One lock at a time: a temporary in the literal would live to its end.
        let checkpoints = core.maintenance.lock().checkpoints;
        let (space, snapshots) = {
            let writer = core.lock_writer();
            (writer.shadow.space(), core.snapshot_stats(&writer))
        };
        StoreStats {
            pool: core.pager.stats(),
            space,
            page_size: core.pager.page_size(),
            commits: counters.commits.load(Ordering::Relaxed),
            conflicts: counters.conflicts.load(Ordering::Relaxed),
            refusals: counters.refusals.load(Ordering::Relaxed),
            checkpoints,
            compression: counters.packing.stats(),
            log_bytes: core.log_bytes(),
            visible_index: core.visible_index(),
            durable_lsn: core.log.as_ref().map_or(Lsn::ZERO, |log| log.durable_lsn()),
            snapshots,
            pinned_versions: core.pager.pinned().1,
            poisoned: core.poison_reason(),
            io: report(core),
        }
    }

    /// The options in force.
    #[must_use]
    pub fn options(&self) -> &StoreOptions {
        &self.core().options
    }
}

/// What the disk can do, and what it could not do for the pager.
fn report(core: &Core) -> BackendReport {
    let mut report = core.disk.report();
    if let Some(reason) = core.pager.map_refused() {
        report.fallbacks.push(format!("no memory map: {reason}"));
    }
    report
}
