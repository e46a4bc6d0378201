//! Bulk load: many entries into one tree, at the speed of the disk.
//!
//! Entries go to the log like any other change, in records of at most
//! [`MAX_PART`](crate::limits::MAX_PART) bytes (fewer in a small budget), each a commit of its own; what is
//! logged in ascending order behind the last key of the tree is built into full
//! leaves when it is applied, and again when it is recovered (`bulk/run.rs`). The
//! log is written while the next record is put together.
//!
//! ```text
//! entries ──ascending──────────────> chunk ──append_run──> log, leaves
//!         └─else──> Sorter ──merge──┘      └─not behind the end──> an ordinary commit
//! ```
//!
//! ## Invariants
//! * A chunk is committed wholly or not at all, and chunks in order.
//! * A position in an error counts the entries as they came.

mod append;
mod run;
mod sort;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use cs_base::mutants::{Mutant, planted};
use cs_base::{Index, Lsn, TreeId};

use crate::batch::{Batch, Expect};
use crate::commit::{Commit, too_large};
use crate::core::Core;
use crate::effects::{Effect, EffectWriter, Effects};
use crate::error::{Error, Result};
use crate::limits::{MAX_KEY, MAX_TRANSACTION, MAX_VALUE};
use crate::options::{CommitOptions, Durability};
use crate::shares;
use crate::ticket::Ticket;

pub(crate) use run::AppendedSize;
pub(crate) use sort::remove_leftovers;
pub use sort::{Entry as SortEntry, Sorted, Sorter};

/// What an effect takes beside key and value.
const EFFECT: usize = 13;
/// Records that may be on their way to the disk before the loader waits.
const RECORDS_IN_FLIGHT: usize = 4;
/// Entries taken between two calls of the progress function.
const PROGRESS_STEP: u64 = 4096;

/// What becomes of an entry whose key is in the tree, or came before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// The load ends with [`Error::DuplicateEntry`].
    #[default]
    Refuse,
    /// It takes the place of what was there; the last of several counts.
    Replace,
}

/// How a bulk load is done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BulkOptions {
    /// What becomes of keys that are there already.
    pub duplicates: Duplicates,
    /// Bytes of memory for sorting entries that do not come in order; what is
    /// beyond goes to a temporary file. 256 MiB unless told, and never more than
    /// a sixteenth of the store's [`cache_bytes`](crate::StoreOptions::cache_bytes)
    /// and, as long as its pages leave them unused, another quarter.
    pub sort_memory: usize,
    /// What the load survives once it is done: the store's durability unless told.
    pub durability: Option<Durability>,
    /// One transaction, all or nothing; then its size is limited to
    /// [`MAX_TRANSACTION`](crate::limits::MAX_TRANSACTION). Otherwise the load is a chain of
    /// commits: readers see it grow, and after an error or a crash a first part
    /// of it, in the order in which it was committed, is there.
    pub atomic: bool,
    /// The records tell what is replaced, for whoever follows the changes, as with
    /// [`Batch::tell_before`]. Only [`Duplicates::Replace`] replaces anything.
    pub tell_before: bool,
}

impl Default for BulkOptions {
    fn default() -> Self {
        Self {
            duplicates: Duplicates::Refuse,
            sort_memory: 256 << 20,
            durability: None,
            atomic: false,
            tell_before: false,
        }
    }
}

/// How far a bulk load has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkProgress {
    /// Entries taken from the input.
    pub taken: u64,
    /// Entries committed.
    pub committed: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Sorted runs in the temporary file.
    pub spilled_runs: usize,
}

/// What a bulk load came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkReport {
    /// Entries committed.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Commits that it took.
    pub commits: u64,
    /// How many of them went behind the end of the tree.
    pub appended: u64,
    /// Sorted runs that went to the temporary file.
    pub spilled_runs: usize,
    /// Index of the last commit.
    pub index: Index,
}

/// Told how far the load has come; ends it by saying so.
pub(crate) type Progress<'a> = dyn FnMut(&BulkProgress) -> ControlFlow<()> + 'a;

/// Effects that will be one commit.
#[derive(Debug)]
struct Chunk {
    effects: EffectWriter,
    /// Bytes of the effects, about.
    len: usize,
    /// Bytes of keys and values.
    bytes: u64,
    /// The lowest key.
    first: Vec<u8>,
    /// Which entries of the input they are.
    positions: Vec<u64>,
    /// An entry replaces one that came before it.
    replaces: bool,
}

impl Chunk {
    fn with_capacity(bytes: usize) -> Self {
        Self {
            effects: EffectWriter::with_capacity(bytes),
            len: 0,
            bytes: 0,
            first: Vec::new(),
            positions: Vec::new(),
            replaces: false,
        }
    }
}

/// A bulk load under way.
pub(crate) struct BulkLoad<'a> {
    core: Arc<Core>,
    tree: TreeId,
    options: &'a BulkOptions,
    progress: &'a mut Progress<'a>,
    chunk: Chunk,
    /// Bytes of effects in one record.
    chunk_bytes: usize,
    /// The key that was put into a chunk last.
    last: Option<Vec<u8>>,
    /// Entries that did not come in order, if there were some.
    sorter: Option<Sorter>,
    /// Whether chunks are still tried behind the end of the tree.
    appends: bool,
    /// Whether it is refused what prepared transactions have locked.
    heeds_locks: bool,
    /// Ends of the records that may not be on disk yet.
    in_flight: VecDeque<Lsn>,
    taken: u64,
    report: BulkReport,
}

impl<'a> BulkLoad<'a> {
    pub(crate) fn begin(
        core: &Arc<Core>,
        tree: TreeId,
        options: &'a BulkOptions,
        progress: &'a mut Progress<'a>,
    ) -> Result<Self> {
        if crate::root::is_system(tree) && tree != crate::system::CATALOG {
            return Err(Error::Refused(
                "the trees of the store itself are not written to",
            ));
        }
        Self::begin_any(core, tree, options, progress)
    }

    /// Into any tree, also one that only the store itself writes to.
    pub(crate) fn begin_any(
        core: &Arc<Core>,
        tree: TreeId,
        options: &'a BulkOptions,
        progress: &'a mut Progress<'a>,
    ) -> Result<Self> {
        core.check_writable()?;
        let chunk_bytes = shares::for_chunk(core.options.cache_bytes);
        Ok(Self {
            core: Arc::clone(core),
            tree,
            options,
            progress,
            chunk: Chunk::with_capacity(chunk_bytes),
            chunk_bytes,
            last: None,
            sorter: None,
            appends: true,
            heeds_locks: true,
            in_flight: VecDeque::new(),
            taken: 0,
            report: BulkReport::default(),
        })
    }

    /// Builds what prepared transactions of a backup hold: they were there before.
    pub(crate) fn heeding_no_locks(mut self) -> Self {
        self.heeds_locks = false;
        self
    }

    /// Takes an entry.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if key.len() > MAX_KEY {
            return Err(too_large("key", key.len() as u64, MAX_KEY as u64));
        }
        if value.len() > MAX_VALUE {
            return Err(too_large("value", value.len() as u64, MAX_VALUE as u64));
        }
        let position = self.taken;
        self.taken += 1;
        if self.taken.is_multiple_of(PROGRESS_STEP) {
            self.tell()?;
        }
        if self.sorter.is_none() && self.last.as_deref().is_some_and(|last| key < last) {
            self.begin_sorting()?;
        }
        match &mut self.sorter {
            Some(sorter) => sorter.push(key, value, position),
            None => self.emit(key, value, position),
        }
    }

    /// Commits what is left, and waits until all is as durable as asked for.
    pub(crate) fn finish(mut self) -> Result<BulkReport> {
        if let Some(sorter) = self.sorter.take() {
            let mut sorted = sorter.finish()?;
            self.report.spilled_runs = sorted.runs();
            self.chunk = Chunk::with_capacity(self.chunk_bytes);
            self.last = None;
            while let Some(entry) = sorted.next()? {
                self.emit(&entry.key, &entry.value, entry.position)?;
            }
        }
        self.commit_chunk()?;
        self.tell()?;
        let usual = self.core.options.durability.unwrap_or_default();
        let is_promised = self.options.durability.unwrap_or(usual) == Durability::Sync;
        if is_promised && !planted(Mutant::LoadWithoutFlush) {
            self.core.flush()?;
        }
        Ok(self.report)
    }

    fn tell(&mut self) -> Result<()> {
        let progress = BulkProgress {
            taken: self.taken,
            committed: self.report.entries,
            bytes: self.report.bytes,
            spilled_runs: match &self.sorter {
                Some(sorter) => sorter.spilled(),
                None => self.report.spilled_runs,
            },
        };
        match (self.progress)(&progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        }
    }

    /// What waits for its commit is sorted with all that follows.
    fn begin_sorting(&mut self) -> Result<()> {
        let (cache, asked) = (self.core.options.cache_bytes, self.options.sort_memory);
        let borrowed = shares::for_sorting_borrowed(cache, asked);
        let loan = self.core.pager.lend(borrowed);
        let memory = shares::for_sorting(cache, asked) + loan.bytes() as usize;
        let mut sorter = Sorter::new(Arc::clone(&self.core.disk), memory).borrowing(loan);
        let chunk = self.take_chunk(0);
        let payload = chunk.effects.finish();
        for (effect, &position) in Effects::of(&payload)?.zip(&chunk.positions) {
            if let Effect::Put { key, value, .. } = effect? {
                sorter.push(key, value, position)?;
            }
        }
        self.sorter = Some(sorter);
        Ok(())
    }

    /// Puts an entry into the chunk; none comes before one with a lower key.
    fn emit(&mut self, key: &[u8], value: &[u8], position: u64) -> Result<()> {
        if self.options.duplicates == Duplicates::Refuse && self.last.as_deref() == Some(key) {
            return Err(Error::DuplicateEntry { position });
        }
        let more = EFFECT + key.len() + value.len();
        let len = self.chunk.len + more;
        if self.options.atomic {
            if len > MAX_TRANSACTION - EFFECT {
                let limit = MAX_TRANSACTION as u64;
                return Err(too_large("transaction", len as u64, limit));
            }
        } else if len > self.chunk_bytes - EFFECT && self.chunk.len > 0 {
            self.commit_chunk()?;
            self.tell()?;
        }
        let chunk = &mut self.chunk;
        if chunk.positions.is_empty() {
            chunk.first = key.to_vec();
        }
        let tree = self.tree;
        chunk.effects.push(Effect::Put { tree, key, value });
        // Built behind the last key of the tree it is new; among its keys the
        // batch is judged anew.
        if self.last.as_deref() == Some(key) {
            chunk.replaces = true;
        } else {
            chunk.effects.note_absent();
        }
        chunk.positions.push(position);
        chunk.len += more;
        chunk.bytes += (key.len() + value.len()) as u64;
        let last = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(key);
        Ok(())
    }

    /// The chunk; the next begins with room for so many bytes.
    fn take_chunk(&mut self, next: usize) -> Chunk {
        std::mem::replace(&mut self.chunk, Chunk::with_capacity(next))
    }

    fn commit_chunk(&mut self) -> Result<()> {
        if self.chunk.positions.is_empty() {
            return Ok(());
        }
        let chunk = self.take_chunk(0);
        let entries = chunk.positions.len() as u64;
        // Between chunks nobody waits; at the end the flush does.
        let level = match self.options.durability {
            durability if self.options.atomic => durability,
            _ => Some(Durability::Memory),
        };
        let commit = level.map_or_else(CommitOptions::default, CommitOptions::with_durability);
        let mut payload = chunk.effects.finish();
        let mut ticket = None;
        // What an entry of the same chunk replaces is found in a batch alone.
        if self.appends && !(self.options.tell_before && chunk.replaces) {
            ticket = self.core.append_run(
                self.tree,
                &chunk.first,
                &mut payload,
                &commit,
                self.heeds_locks,
            )?;
            self.appends = ticket.is_some();
            self.report.appended += u64::from(ticket.is_some());
        }
        let ticket = match ticket {
            Some(ticket) => ticket,
            None => self.commit_among(&payload, &chunk.positions, &commit)?,
        };
        self.report.index = ticket.index();
        self.report.entries += entries;
        self.report.bytes += chunk.bytes;
        self.report.commits += 1;
        self.chunk = Chunk::with_capacity(self.chunk_bytes);
        self.keep_log_busy()
    }

    /// An ordinary commit, for keys that lie among those of the tree.
    fn commit_among(
        &self,
        payload: &[u8],
        positions: &[u64],
        options: &CommitOptions,
    ) -> Result<Ticket> {
        let expect = match self.options.duplicates {
            Duplicates::Refuse => Expect::Absent,
            Duplicates::Replace => Expect::Any,
        };
        let mut batch = Batch::new();
        batch.looks = true;
        if self.options.tell_before {
            batch.tell_before(self.tree);
        }
        for effect in Effects::of(payload)? {
            if let Effect::Put { tree, key, value } = effect? {
                batch.put(tree, key.to_vec(), value.to_vec(), expect);
            }
        }
        let committed = self.core.commit(&Commit::of(&batch, options));
        committed.map_err(|error| match error {
            Error::Expectation { position, .. } => Error::DuplicateEntry {
                position: positions.get(position).copied().unwrap_or_default(),
            },
            other => other,
        })
    }

    /// Lets the log write while the next record is put together, and waits
    /// where it falls behind.
    fn keep_log_busy(&mut self) -> Result<()> {
        let Some(log) = &self.core.log else {
            return Ok(());
        };
        self.in_flight.push_back(log.appended_lsn());
        log.drive(&*self.core);
        if self.in_flight.len() > RECORDS_IN_FLIGHT
            && let Some(oldest) = self.in_flight.pop_front()
        {
            self.core.wait_durable(oldest)?;
        }
        Ok(())
    }
}
