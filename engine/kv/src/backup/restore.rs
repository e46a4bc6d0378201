//! Restoring: a new database from a backup.
//!
//! 1. Verify the backup, from beginning to end (not of a stream).
//! 2. Take the directory, which must be new.
//! 3. Build the database under names that mean nothing, tree by tree.
//! 4. Compare each tree with what the backup says, and prove the inner order.
//! 5. Close it, and give its files their names.
//!
//! ## Invariants
//! * Before step 2 nothing has changed; before step 5 nothing opens.
//! * Trees keep their ids, and no id that was given once is given again.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::sync::Arc;

use cs_base::{Index, TreeId};
use cs_io::{Disk, Runtime};

use super::BackupSummary;
use super::chunk::entries;
use super::error::BackupError;
use super::format::{BLOCK_HEAD, MAX_BODY, MAX_CHUNK, RawBlock};
use super::scan::{Scan, Taken, scan};
use super::staging::{Staging, lock};
use crate::batch::Batch;
use crate::bulk::{BulkLoad, BulkOptions};
use crate::error::{Error, Result};
use crate::options::{CommitOptions, Durability, StoreOptions};
use crate::root::is_system;
use crate::store::Store;
use crate::tree_root::TreeStats;

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// How a database is made of a backup.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RestoreOptions {
    /// How the new store is built. Its durability is that of the source (with a
    /// log or without one) unless told; its page size is in `page_size`.
    pub store: StoreOptions,
    /// Bytes a page; those of the source unless told.
    pub page_size: Option<u32>,
    /// Prove the inner order of the new database, which reads all of it once
    /// more; so unless told.
    pub check: bool,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            store: StoreOptions::default(),
            page_size: None,
            check: true,
        }
    }
}

/// How far restoring has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreProgress {
    /// Entries restored.
    pub entries: u64,
    /// Entries that will be; 0 before it is known.
    pub total_entries: u64,
}

/// What restoring came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreReport {
    /// What was in the backup. Positions of the source mean nothing in the new
    /// database, which begins a history of its own.
    pub summary: BackupSummary,
    /// Index of the last commit in the new database.
    pub index: Index,
}

type Tell<'a> = dyn FnMut(&RestoreProgress) -> ControlFlow<()> + 'a;

/// A backup that was verified, and can be read again.
///
/// ```
/// use std::io::Cursor;
/// use std::ops::ControlFlow;
/// use std::sync::Arc;
///
/// use cs_io::{Disk, RealRuntime, memory::MemoryDisk};
/// use cs_kv::{BackupOptions, RestoreOptions, Store, StoreOptions, VerifiedBackup};
///
/// let store = Store::open(MemoryDisk::new(), RealRuntime::new(), StoreOptions::default())?;
/// let mut backup = store.backup(Vec::new(), &BackupOptions::default())?;
/// backup.run(&mut |_| ControlFlow::Continue(()))?;
///
/// let source = Cursor::new(backup.into_sink());
/// let verified = VerifiedBackup::verify(source, &mut |_| ControlFlow::Continue(()))?;
/// let disk: Arc<dyn Disk> = MemoryDisk::new();
/// let options = RestoreOptions::default();
/// verified.restore(&disk, RealRuntime::new(), &options, &mut |_| ControlFlow::Continue(()))?;
/// let copy = Store::open(disk, RealRuntime::new(), options.store)?;
/// # Ok::<(), cs_kv::Error>(())
/// ```
#[derive(Debug)]
pub struct VerifiedBackup<S> {
    source: S,
    /// Where in the source it begins.
    begin: u64,
    scan: Scan,
    summary: BackupSummary,
}

impl<S: Read + Seek> VerifiedBackup<S> {
    /// Reads a backup from where the source stands to its end, and proves all
    /// of it. `progress` is told how many bytes were read, and may end it.
    ///
    /// # Errors
    /// As [`verify_backup`](super::verify_backup).
    pub fn verify(mut source: S, progress: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<Self> {
        let begin = source.stream_position().map_err(BackupError::Source)?;
        let reader = BufReader::with_capacity(READ_BYTES, &mut source);
        let scan = scan(reader, progress, &mut |_, _| Ok(()))?;
        let summary = scan
            .summary
            .clone()
            .ok_or(BackupError::Incomplete { len: 0 })?;
        Ok(Self {
            source,
            begin,
            scan,
            summary,
        })
    }

    /// What is in it.
    #[must_use]
    pub fn summary(&self) -> &BackupSummary {
        &self.summary
    }

    /// Makes a new database on `disk`, whose directory must be new or empty. It
    /// appears whole, or not at all. Trees keep their ids; the data file gets an
    /// id of its own, and the log begins anew. `progress` may end it.
    ///
    /// # Errors
    /// [`BackupError::NotEmpty`], [`BackupError::Mismatch`], [`Error::Locked`],
    /// [`Error::Cancelled`], or the disk refused. What was written is removed
    /// again, or by the next attempt.
    pub fn restore(
        mut self,
        disk: &Arc<dyn Disk>,
        runtime: Arc<dyn Runtime>,
        options: &RestoreOptions,
        progress: &mut dyn FnMut(&RestoreProgress) -> ControlFlow<()>,
    ) -> Result<RestoreReport> {
        options.check()?;
        let mut told = RestoreProgress {
            entries: 0,
            total_entries: self.summary.entries,
        };
        build_in(disk, |target| {
            target.open(&runtime, options, &self.summary)?;
            let mut body = Vec::new();
            for tree in &self.scan.trees {
                target.begin_tree(tree.tree)?;
                for &at in &tree.chunks {
                    let chunk = &self.scan.chunks[at];
                    let place = SeekFrom::Start(self.begin + chunk.offset);
                    self.source.seek(place).map_err(BackupError::Source)?;
                    let plain = read_chunk(&mut self.source, chunk.offset, &mut body)?;
                    target.load(tree.tree, &plain)?;
                    told.entries += chunk.content.stats.count;
                    go_on(progress, &told)?;
                }
                target.finish_tree(tree.tree, &tree.stats)?;
            }
            target.finish(self.summary, options)
        })
    }
}

/// [Verifies](VerifiedBackup::verify) a backup before anything is changed, and
/// [restores](VerifiedBackup::restore) it.
///
/// # Errors
/// As these two.
pub fn restore<S: Read + Seek>(
    source: S,
    disk: &Arc<dyn Disk>,
    runtime: Arc<dyn Runtime>,
    options: &RestoreOptions,
    progress: &mut dyn FnMut(&RestoreProgress) -> ControlFlow<()>,
) -> Result<RestoreReport> {
    options.check()?;
    // A look now and then at whether to end is all that is told of it.
    let mut verifying = |_| progress(&RestoreProgress::default());
    let verified = VerifiedBackup::verify(source, &mut verifying)?;
    verified.restore(disk, runtime, options, progress)
}

/// The same from a stream, which is read once: the database is built while the
/// backup is verified, and gets its names only when both are done.
///
/// # Errors
/// As [`restore`]; [`BackupError::NeedsFile`].
pub fn restore_stream(
    source: impl Read,
    disk: &Arc<dyn Disk>,
    runtime: Arc<dyn Runtime>,
    options: &RestoreOptions,
    progress: &mut dyn FnMut(&RestoreProgress) -> ControlFlow<()>,
) -> Result<RestoreReport> {
    options.check()?;
    build_in(disk, |target| {
        let mut told = RestoreProgress::default();
        let reader = BufReader::with_capacity(READ_BYTES, source);
        let mut each = |scan: &Scan, taken: Taken<'_>| match taken {
            Taken::Snapshot => {
                let summary = scan
                    .summary
                    .as_ref()
                    .filter(|summary| summary.attempts == 1);
                let summary = summary.ok_or(BackupError::NeedsFile)?;
                told.total_entries = summary.entries;
                target.open(&runtime, options, summary)
            }
            Taken::Tree(tree) => {
                if let [.., before, _] = scan.trees.as_slice() {
                    target.finish_tree(before.tree, &before.stats)?;
                }
                target.begin_tree(tree)
            }
            Taken::Entries(plain) => {
                if let Some(tree) = scan.trees.last() {
                    target.load(tree.tree, &plain)?;
                }
                told.entries += entries(&plain).count() as u64;
                go_on(progress, &told)
            }
            Taken::Kept => Err(BackupError::NeedsFile.into()),
            Taken::End => match scan.trees.last() {
                Some(last) => target.finish_tree(last.tree, &last.stats),
                None => Ok(()),
            },
        };
        let scan = scan(reader, &mut |_| ControlFlow::Continue(()), &mut each)?;
        let summary = scan.summary.ok_or(BackupError::Incomplete { len: 0 })?;
        target.finish(summary, options)
    })
}

fn go_on(progress: &mut Tell<'_>, told: &RestoreProgress) -> Result<()> {
    match progress(told) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    }
}

impl RestoreOptions {
    fn check(&self) -> Result<()> {
        let mut store = self.store.clone();
        store.page_size = self.page_size.unwrap_or(store.page_size);
        store.check()
    }
}

/// Reads a chunk again that was found good before.
fn read_chunk(source: &mut impl Read, offset: u64, body: &mut Vec<u8>) -> Result<Vec<u8>> {
    use zerocopy::{FromZeros, IntoBytes};
    let changed = || BackupError::damaged(offset, "the block has changed since it was verified");
    let mut raw = RawBlock::new_zeroed();
    source
        .read_exact(raw.as_mut_bytes())
        .map_err(BackupError::Source)?;
    let len = raw.body_len.get() as usize;
    if len > MAX_BODY {
        return Err(changed().into());
    }
    body.clear();
    source
        .take(len as u64)
        .read_to_end(body)
        .map_err(BackupError::Source)?;
    if body.len() < len || raw.computed(body) != raw.checksum.get() {
        return Err(changed().into());
    }
    let plain = cs_base::codec::decode(body, MAX_CHUNK);
    Ok(plain.map_err(|_| changed())?.into_owned())
}

const _: () = assert!(BLOCK_HEAD == size_of::<RawBlock>());

/// A new database under names that mean nothing.
struct Target {
    staging: Arc<Staging>,
    store: Option<Store>,
}

impl Target {
    /// Makes the database.
    fn open(
        &mut self,
        runtime: &Arc<dyn Runtime>,
        options: &RestoreOptions,
        summary: &BackupSummary,
    ) -> Result<()> {
        let mut store = options.store.clone();
        store.page_size = options.page_size.unwrap_or(summary.page_size);
        store.create = true;
        store.read_only = false;
        store.auto_compact = None;
        if store.durability.is_none() && !summary.has_log {
            store.durability = Some(Durability::Memory);
        }
        let disk: Arc<dyn Disk> = Arc::clone(&self.staging) as Arc<dyn Disk>;
        self.store = Some(Store::open(disk, Arc::clone(runtime), store)?);
        Ok(())
    }

    /// There is one from the first block of a backup on: [`scan`] sees to that.
    fn store(&self) -> Result<&Store> {
        self.store
            .as_ref()
            .ok_or_else(|| BackupError::Incomplete { len: 0 }.into())
    }

    fn begin_tree(&self, tree: TreeId) -> Result<()> {
        if is_system(tree) {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.create_tree(tree);
        self.commit(&batch)
    }

    /// Nobody waits for single commits: all is made durable at the end.
    fn commit(&self, batch: &Batch) -> Result<()> {
        let unsynced = CommitOptions::with_durability(Durability::Memory);
        self.store()?.write(batch, &unsynced)?.wait()
    }

    /// Puts the entries of a chunk behind those of the one before.
    fn load(&self, tree: TreeId, plain: &[u8]) -> Result<()> {
        let store = self.store()?.snapshot()?;
        let options = BulkOptions {
            durability: Some(Durability::Memory),
            ..BulkOptions::default()
        };
        let mut unheard = |_: &_| ControlFlow::Continue(());
        let load = BulkLoad::begin_any(store.core(), tree, &options, &mut unheard)?;
        let mut load = load.heeding_no_locks();
        for (key, value) in entries(plain) {
            load.push(key, value)?;
        }
        load.finish()?;
        Ok(())
    }

    /// What was built must be what the source says of itself.
    fn finish_tree(&self, tree: TreeId, expected: &TreeStats) -> Result<()> {
        let found = self.store()?.snapshot()?.tree_stats(tree)?;
        if found == Some(*expected) {
            return Ok(());
        }
        Err(BackupError::Mismatch {
            tree,
            expected: format!("{expected:?}"),
            found: format!("{found:?}"),
        }
        .into())
    }

    /// Proves and closes the database.
    fn finish(
        &mut self,
        summary: BackupSummary,
        options: &RestoreOptions,
    ) -> Result<RestoreReport> {
        // An id that was given once is not given again: the highest is used up.
        let highest = TreeId(summary.next_tree - 1);
        if !is_system(highest) && !summary.trees.iter().any(|(tree, _)| *tree == highest) {
            self.begin_tree(highest)?;
            let mut batch = Batch::new();
            batch.drop_tree(highest);
            self.commit(&batch)?;
        }
        let store = self.store()?;
        store.flush()?;
        if options.check {
            let report = store.check()?;
            if let Some(finding) = report.findings.first() {
                return Err(Error::Damaged(format!(
                    "the restored database: {}",
                    finding.text
                )));
            }
        }
        let index = store.snapshot()?.index();
        store.close()?;
        self.store = None;
        Ok(RestoreReport { summary, index })
    }
}

/// Builds a database in a new directory; leaves nothing behind where it fails.
fn build_in(
    disk: &Arc<dyn Disk>,
    build: impl FnOnce(&mut Target) -> Result<RestoreReport>,
) -> Result<RestoreReport> {
    let _lock = lock(&**disk)?;
    let staging = Staging::begin(disk)?;
    let mut target = Target {
        staging: Arc::clone(&staging),
        store: None,
    };
    let built = build(&mut target);
    // No handle of the store may be left when its files get other names.
    drop(target);
    let report = match built {
        Ok(report) => report,
        Err(error) => {
            // What stays is removed by the next attempt.
            let _ = staging.remove_all();
            return Err(error);
        }
    };
    staging.install().map_err(Error::Directory)?;
    Ok(report)
}
