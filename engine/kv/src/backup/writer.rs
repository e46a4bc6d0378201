//! Writing a backup, in bounded steps.
//!
//! ## Invariants
//! * What was produced waits in `out` until the destination has taken it,
//!   byte by byte: after an error of the destination the next step goes on at
//!   the byte that it had not taken.
//! * What goes out depends on the snapshot, the options and the unfinished file
//!   alone, never on the size of the steps.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::ops::{Bound, ControlFlow};
use std::time::Duration;

use cs_base::codec::{Codec, Sampler, encode};
use cs_base::mutants::{Mutant, planted};
use cs_base::{Incarnation, TreeId};
use cs_io::Signal;
use zerocopy::IntoBytes;

use super::chunk::ChunkBuilder;
use super::error::BackupError;
use super::file::Earlier;
use super::format::{BlockKind, RawKept, RawSnapshot, RawTree};
use super::outgoing::Outgoing;
use super::scan::{Scan, content_hash, is_backed_up};
use super::{BackupOptions, BackupPosition, BackupProgress, BackupReport, BackupSummary};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::key_range::KeyRange;
use crate::options::Compression;
use crate::snapshot::Snapshot;
use crate::tree_root::{TreeStats, system};

/// Bytes written between two looks at whether to go on.
const STEP: u64 = 1 << 20;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Trees,
    Flush,
    Done,
}

/// The tree that is being walked.
#[derive(Debug)]
struct Walk {
    tree: TreeId,
    /// Made anew after an error.
    cursor: Option<Cursor>,
    /// The last key that was taken.
    after: Option<Vec<u8>>,
}

/// A backup under way; see [`Store::backup`](crate::Store::backup). It keeps
/// its snapshot's pages from being reused for as long as it lives.
pub struct Backup<W> {
    snapshot: Snapshot,
    sink: W,
    options: BackupOptions,
    sampler: Sampler,
    stage: Stage,
    /// How many trees have begun.
    begun: usize,
    walk: Option<Walk>,
    chunk: ChunkBuilder,
    /// Chunks of the unfinished file that follow each other and are still good.
    keep: Option<(TreeId, u64, u32)>,
    earlier: Scan,
    /// Position in `earlier.chunks` by tree and first key.
    known: BTreeMap<(TreeId, Vec<u8>), usize>,
    out: Outgoing,
    /// Nothing may be written before.
    due: Duration,
    progress: BackupProgress,
    summary: BackupSummary,
    discarded: u64,
}

impl<W> fmt::Debug for Backup<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup")
            .field("position", &self.summary.position)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

/// What is to be backed up.
fn summarize(snapshot: &Snapshot) -> Result<BackupSummary> {
    let core = snapshot.core();
    let root = snapshot.root();
    let record = &root.record;
    let mut trees: Vec<(TreeId, TreeStats)> = Vec::new();
    for tree in (0..system::FIRST_USER)
        .map(TreeId)
        .filter(|&tree| is_backed_up(tree))
    {
        let stats = snapshot.tree_stats(tree)?.unwrap_or_default();
        if stats.count > 0 {
            trees.push((tree, stats));
        }
    }
    trees.extend(snapshot.trees()?);
    Ok(BackupSummary {
        position: BackupPosition {
            // A named snapshot does not know it.
            incarnation: match (record.log_incarnation, &core.log) {
                (Incarnation(0), Some(log)) => log.incarnation(),
                (known, _) => known,
            },
            term: record.term,
            index: record.index,
            ordinal: 0,
        },
        time: record.time,
        file: core.maintenance.lock().metas.newest().file,
        page_size: core.pager.page_size() as u32,
        has_log: core.log.is_some(),
        next_tree: root.next_tree,
        entries: trees.iter().map(|(_, stats)| stats.count).sum(),
        bytes: trees.iter().map(|(_, stats)| stats.bytes).sum(),
        content: content_hash(&trees),
        trees,
        chunks: 0,
        kept_chunks: 0,
        attempts: 1,
        file_bytes: 0,
        hash: 0,
    })
}

impl<W: Write> Backup<W> {
    pub(crate) fn new(snapshot: Snapshot, sink: W, options: &BackupOptions) -> Result<Self> {
        options.check()?;
        Self::resume(snapshot, options, |_| Ok((sink, Earlier::default())))
    }

    /// With a destination that may have blocks already.
    pub(crate) fn resume(
        snapshot: Snapshot,
        options: &BackupOptions,
        open: impl FnOnce(&BackupSummary) -> Result<(W, Earlier)>,
    ) -> Result<Self> {
        let mut summary = summarize(&snapshot)?;
        let (sink, earlier) = open(&summary)?;
        summary.attempts = earlier
            .scan
            .summary
            .as_ref()
            .map_or(1, |before| before.attempts + 1);
        let chunks = earlier.scan.chunks.iter().enumerate();
        let known = chunks.map(|(at, chunk)| ((chunk.tree, chunk.content.first.clone()), at));
        Ok(Self {
            sink,
            options: options.clone(),
            sampler: Sampler::default(),
            stage: Stage::Begin,
            begun: 0,
            walk: None,
            chunk: ChunkBuilder::default(),
            keep: None,
            known: known.collect(),
            earlier: earlier.scan,
            out: Outgoing::behind(earlier.place),
            due: Duration::ZERO,
            progress: BackupProgress {
                total_entries: summary.entries,
                total_bytes: summary.bytes,
                ..BackupProgress::default()
            },
            summary,
            discarded: earlier.discarded,
            snapshot,
        })
    }

    /// Which state it is that will be in the backup.
    #[must_use]
    pub fn position(&self) -> BackupPosition {
        self.summary.position
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> BackupProgress {
        self.progress
    }

    /// Reads or writes about `bytes` more, by one chunk more at most, unless
    /// the limit of bytes each second says to [wait](BackupProgress::wait).
    ///
    /// After an error of the destination or of the source it may be called
    /// again, and goes on where it stood.
    ///
    /// # Errors
    /// [`BackupError::Destination`], or a page could not be read.
    pub fn step(&mut self, bytes: u64) -> Result<BackupProgress> {
        let now = self.snapshot.core().runtime.monotonic();
        self.progress.wait = self.due.saturating_sub(now);
        if self.progress.wait > Duration::ZERO {
            return Ok(self.progress);
        }
        let before = self.progress.written;
        let stepped = self.step_freely(bytes.max(1));
        if let Some(rate) = self.options.bytes_per_second {
            let written = self.progress.written - before;
            let nanos = u128::from(written) * 1_000_000_000 / u128::from(rate);
            let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            self.due = now.saturating_add(takes);
            self.progress.wait = self.due.saturating_sub(now);
        }
        stepped?;
        Ok(self.progress)
    }

    fn step_freely(&mut self, bytes: u64) -> Result<()> {
        let mut spent = 0;
        while spent < bytes && self.stage != Stage::Done {
            if !self.out.waiting().is_empty() {
                spent += self.send(bytes - spent)?;
                continue;
            }
            spent += match self.stage {
                Stage::Begin => self.begin(),
                Stage::Trees => self.go_on()?,
                Stage::Flush | Stage::Done => {
                    self.sink.flush().map_err(BackupError::Destination)?;
                    self.stage = Stage::Done;
                    self.progress.is_done = true;
                    0
                }
            };
        }
        Ok(())
    }

    fn send(&mut self, most: u64) -> Result<u64> {
        let rest = self.out.waiting();
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(rest.len());
        match self.sink.write(&rest[..most]) {
            Ok(0) => Err(BackupError::Destination(io::ErrorKind::WriteZero.into()).into()),
            Ok(len) => {
                self.out.sent(len);
                self.progress.written += len as u64;
                Ok(len as u64)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(BackupError::Destination(error).into()),
        }
    }

    /// Runs to the end, waiting where the limit of bytes each second says so.
    /// `progress` is told now and then how far it has come, and may end it.
    ///
    /// # Errors
    /// As [`step`](Self::step); [`Error::Cancelled`]. It may be run again.
    pub fn run(
        &mut self,
        progress: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<BackupReport> {
        let signal = Signal::new();
        while !self.progress.is_done {
            // A tenth of a second's worth, so that the limit is kept smoothly.
            let most = self.options.bytes_per_second.map_or(STEP, |rate| rate / 10);
            let now = self.step(most.clamp(1, STEP))?;
            if progress(&now).is_break() {
                return Err(Error::Cancelled);
            }
            if now.wait > Duration::ZERO && !now.is_done {
                if !self.snapshot.core().runtime.may_block() {
                    return Err(Error::Refused(
                        "a backup with a limit of bytes each second cannot wait here: call step",
                    ));
                }
                signal.wait_for(now.wait);
            }
        }
        Ok(BackupReport {
            summary: self.summary.clone(),
            written: self.progress.written,
            discarded: self.discarded,
        })
    }

    /// Gives the destination back, whether it is done or not.
    #[must_use]
    pub fn into_sink(self) -> W {
        self.sink
    }

    // ---- what goes out ----

    fn begin(&mut self) -> u64 {
        if self.out.file_bytes() == 0 {
            self.out.head();
        }
        let summary = &self.summary;
        let BackupPosition {
            incarnation,
            term,
            index,
            ordinal,
        } = summary.position;
        let snapshot = RawSnapshot {
            file: summary.file.0.into(),
            incarnation: incarnation.0.into(),
            term: term.0.into(),
            index: index.0.into(),
            time: summary.time.0.into(),
            ordinal: ordinal.into(),
            page_size: summary.page_size.into(),
            next_tree: summary.next_tree.into(),
            trees: (summary.trees.len() as u32).into(),
            entries: summary.entries.into(),
            bytes: summary.bytes.into(),
            has_log: u8::from(summary.has_log),
            reserved: [0; 7],
        };
        self.out
            .block(BlockKind::Snapshot, TreeId(0), snapshot.as_bytes());
        self.stage = Stage::Trees;
        0
    }

    /// The next piece of work; the bytes that it looked at.
    fn go_on(&mut self) -> Result<u64> {
        if self.walk.is_some() {
            return self.gather();
        }
        let Some(&(tree, stats)) = self.summary.trees.get(self.begun) else {
            self.end();
            return Ok(0);
        };
        self.begun += 1;
        self.flush_kept();
        let raw = RawTree {
            count: stats.count.into(),
            bytes: stats.bytes.into(),
            hash: stats.hash.to_le_bytes(),
        };
        self.out.block(BlockKind::Tree, tree, raw.as_bytes());
        let whole = self
            .earlier
            .whole
            .get(&tree)
            .filter(|whole| whole.stats == stats);
        match whole.map(|whole| whole.chunks.clone()) {
            // The sums are equal, so there is nothing to read.
            Some(chunks) => {
                for at in chunks {
                    self.keep_chunk(at);
                }
            }
            None => {
                self.walk = Some(Walk {
                    tree,
                    cursor: None,
                    after: None,
                });
            }
        }
        Ok(0)
    }

    /// Reads entries until a chunk or the tree ends.
    fn gather(&mut self) -> Result<u64> {
        let Some(walk) = &mut self.walk else {
            return Ok(0);
        };
        let mut cursor = match walk.cursor.take() {
            Some(cursor) => cursor,
            None => {
                let mut range = KeyRange::all();
                if let Some(after) = &walk.after {
                    range.lower = Bound::Excluded(after.clone());
                }
                self.snapshot.cursor(walk.tree, range)?
            }
        };
        let target = self.options.chunk_bytes as usize;
        let ended = loop {
            let next = cursor.next();
            if next.is_err() && !self.chunk.is_empty() {
                walk.after = Some(self.chunk.last.clone());
            }
            match next? {
                None => break true,
                Some((key, value)) => {
                    if self.chunk.push(key, value, target) {
                        break false;
                    }
                }
            }
        };
        let tree = walk.tree;
        if ended {
            self.walk = None;
        } else {
            walk.after = Some(self.chunk.last.clone());
            walk.cursor = Some(cursor);
        }
        let looked_at = self.chunk.plain.len() as u64;
        if !self.chunk.is_empty() {
            self.finish_chunk(tree);
        }
        Ok(looked_at)
    }

    fn finish_chunk(&mut self, tree: TreeId) {
        let chunk = std::mem::take(&mut self.chunk);
        let known = self
            .known
            .get(&(tree, chunk.first.clone()))
            .copied()
            .filter(|&at| {
                let content = &self.earlier.chunks[at].content;
                let is_same = content.stats == chunk.stats;
                content.last == chunk.last && (is_same || planted(Mutant::ResumeKeepsStaleChunk))
            });
        match known {
            Some(at) => self.keep_chunk(at),
            None if planted(Mutant::BackupSkipsChunk) && self.summary.chunks == 1 => {
                self.summary.chunks += 1;
            }
            None => {
                self.flush_kept();
                let body = self.compress(&chunk.plain);
                self.out.block(BlockKind::Entries, tree, &body);
                self.count(&chunk.stats);
            }
        }
        self.chunk = chunk;
        self.chunk.clear();
    }

    fn count(&mut self, stats: &TreeStats) {
        self.summary.chunks += 1;
        self.progress.entries += stats.count;
        self.progress.bytes += stats.bytes;
    }

    fn compress(&self, plain: &[u8]) -> Vec<u8> {
        let codec = match self.options.compression {
            Compression::None => Codec::None,
            Compression::Lz4 => Codec::Lz4,
            Compression::Gzip(level) => Codec::Gzip { level },
            Compression::Auto if self.sampler.is_to_be_tried() => Codec::Lz4,
            Compression::Auto => Codec::None,
        };
        let mut body = Vec::with_capacity(plain.len() / 2);
        encode(plain, codec, 0, &mut body);
        if self.options.compression == Compression::Auto && codec == Codec::Lz4 {
            self.sampler.record(plain.len(), body.len());
        }
        body
    }

    /// A chunk of the unfinished file is the next one.
    fn keep_chunk(&mut self, at: usize) {
        let chunk = &self.earlier.chunks[at];
        let (tree, sequence, stats) = (chunk.tree, chunk.sequence, chunk.content.stats);
        self.count(&stats);
        self.summary.kept_chunks += 1;
        match &mut self.keep {
            Some((of, first, count)) if *of == tree && *first + u64::from(*count) == sequence => {
                *count += 1;
            }
            _ => {
                self.flush_kept();
                self.keep = Some((tree, sequence, 1));
            }
        }
    }

    fn flush_kept(&mut self) {
        if let Some((tree, first, count)) = self.keep.take() {
            let raw = RawKept {
                first: first.into(),
                count: count.into(),
                reserved: 0.into(),
            };
            self.out.block(BlockKind::Kept, tree, raw.as_bytes());
        }
    }

    fn end(&mut self) {
        self.flush_kept();
        self.summary.hash = self.out.end(self.summary.end().as_bytes());
        self.summary.file_bytes = self.out.file_bytes();
        self.stage = Stage::Flush;
    }
}
