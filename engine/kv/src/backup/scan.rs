//! What the blocks of a backup come to.
//!
//! ## Invariants
//! * Each tree of an attempt has its entries in ascending order, and they are
//!   those that its tree block counts: count, bytes and hash sum are computed
//!   anew. So what is read whole is what the source had.
//! * The last attempt says what is in the backup; chunks of earlier ones are in
//!   it where it names them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::ops::ControlFlow;

use cs_base::codec::decode;
use cs_base::{FileId, HybridTime, Incarnation, Index, Term, TreeId};
use xxhash_rust::xxh3::Xxh3;
use zerocopy::FromBytes;

use super::chunk::{ChunkContent, examine};
use super::error::BackupError;
use super::format::{BlockKind, MAX_CHUNK, RawEnd, RawKept, RawSnapshot, RawTree};
use super::frames::{Frame, Frames};
use super::{BackupPosition, BackupSummary};
use crate::error::{Error, Result};
use crate::tree_root::{TreeStats, system};

/// A chunk, and where its block is.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) sequence: u64,
    pub(crate) offset: u64,
    pub(crate) tree: TreeId,
    pub(crate) content: ChunkContent,
}

/// A tree of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct ScannedTree {
    pub(crate) tree: TreeId,
    /// What its block says.
    pub(crate) stats: TreeStats,
    /// Positions in [`Scan::chunks`], in order of keys.
    pub(crate) chunks: Vec<usize>,
    /// What these come to.
    found: TreeStats,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// All chunks of all attempts, in the order of the file.
    pub(crate) chunks: Vec<Chunk>,
    /// Those of the last attempt.
    pub(crate) trees: Vec<ScannedTree>,
    /// Every tree that an attempt had whole, the last attempt's where several had.
    pub(crate) whole: BTreeMap<TreeId, ScannedTree>,
    pub(crate) summary: Option<BackupSummary>,
    kept: u64,
    /// How many trees the attempt is to have.
    expected: u32,
    ended: bool,
}

/// What a block was.
#[derive(Debug)]
pub(crate) enum Taken<'a> {
    Snapshot,
    Tree(TreeId),
    Entries(Cow<'a, [u8]>),
    Kept,
    End,
}

fn add(sum: &mut TreeStats, more: &TreeStats) {
    sum.count += more.count;
    sum.bytes += more.bytes;
    sum.hash = sum.hash.wrapping_add(more.hash);
}

/// One number for the content of all trees.
pub(crate) fn content_hash(trees: &[(TreeId, TreeStats)]) -> u128 {
    let mut hasher = Xxh3::new();
    for (tree, stats) in trees {
        hasher.update(&tree.0.to_le_bytes());
        hasher.update(&stats.count.to_le_bytes());
        hasher.update(&stats.bytes.to_le_bytes());
        hasher.update(&stats.hash.to_le_bytes());
    }
    hasher.digest128()
}

/// Whether a backup has this tree: not what the store makes anew.
pub(crate) fn is_backed_up(tree: TreeId) -> bool {
    tree != system::DIRECTORY && tree != system::DROPPED && tree != system::SNAPSHOTS
}

fn body<T: FromBytes>(bytes: &[u8]) -> Result<T, String> {
    T::read_from_prefix(bytes)
        .map(|(value, _)| value)
        .map_err(|_| "its body is too short".to_owned())
}

impl Scan {
    /// Takes in the next block.
    pub(crate) fn take<'a>(&mut self, frame: Frame<'a>) -> Result<Taken<'a>, BackupError> {
        let taken = match frame.kind {
            BlockKind::Snapshot => self.take_snapshot(frame.body),
            BlockKind::Tree => self.take_tree(frame.tree, frame.body),
            BlockKind::Entries => self.take_entries(&frame),
            BlockKind::Kept => self.take_kept(&frame),
            BlockKind::End => self.take_end(frame.body),
        };
        taken.map_err(|what| BackupError::damaged(frame.offset, what))
    }

    fn take_snapshot(&mut self, bytes: &[u8]) -> Result<Taken<'static>, String> {
        let raw: RawSnapshot = body(bytes)?;
        if raw.reserved != [0; 7] || raw.has_log > 1 || raw.next_tree.get() < system::FIRST_USER {
            return Err("a snapshot block that nobody writes".into());
        }
        let file = FileId(raw.file.get());
        let attempts = match &self.summary {
            Some(before) if before.file != file => {
                return Err(format!("expected database {}, found {file}", before.file));
            }
            Some(before) => before.attempts + 1,
            None => 1,
        };
        self.trees.clear();
        self.kept = 0;
        self.expected = raw.trees.get();
        self.summary = Some(BackupSummary {
            position: BackupPosition {
                incarnation: Incarnation(raw.incarnation.get()),
                term: Term(raw.term.get()),
                index: Index(raw.index.get()),
                ordinal: raw.ordinal.get(),
            },
            time: HybridTime(raw.time.get()),
            file,
            page_size: raw.page_size.get(),
            has_log: raw.has_log == 1,
            next_tree: raw.next_tree.get(),
            trees: Vec::new(),
            entries: raw.entries.get(),
            bytes: raw.bytes.get(),
            chunks: 0,
            kept_chunks: 0,
            attempts,
            file_bytes: 0,
            content: 0,
            hash: 0,
        });
        Ok(Taken::Snapshot)
    }

    /// The tree before the next one, or the last, must be whole.
    fn finish_tree(&mut self) -> Result<(), String> {
        let Some(last) = self.trees.last() else {
            return Ok(());
        };
        if last.found != last.stats {
            return Err(format!(
                "tree {}: expected {:?}, found {:?}",
                last.tree, last.stats, last.found
            ));
        }
        self.whole.insert(last.tree, last.clone());
        Ok(())
    }

    fn take_tree(&mut self, tree: TreeId, bytes: &[u8]) -> Result<Taken<'static>, String> {
        let summary = self.summary.as_ref().ok_or("a tree before any snapshot")?;
        let raw: RawTree = body(bytes)?;
        if !is_backed_up(tree) || tree.0 >= summary.next_tree {
            return Err(format!("tree {tree} is none that a backup has"));
        }
        if self.trees.last().is_some_and(|last| last.tree >= tree) {
            return Err(format!("tree {tree} is out of order"));
        }
        if self.trees.len() as u64 >= u64::from(self.expected) {
            return Err(format!("expected {} trees, found more", self.expected));
        }
        self.finish_tree()?;
        self.trees.push(ScannedTree {
            tree,
            stats: TreeStats {
                count: raw.count.get(),
                bytes: raw.bytes.get(),
                hash: u128::from_le_bytes(raw.hash),
            },
            chunks: Vec::new(),
            found: TreeStats::default(),
        });
        Ok(Taken::Tree(tree))
    }

    fn take_entries<'a>(&mut self, frame: &Frame<'a>) -> Result<Taken<'a>, String> {
        let plain = decode(frame.body, MAX_CHUNK).map_err(|error| error.to_string())?;
        let content = examine(&plain)?;
        self.chunks.push(Chunk {
            sequence: frame.sequence,
            offset: frame.offset,
            tree: frame.tree,
            content,
        });
        let appended = self.append(frame.tree, self.chunks.len() - 1);
        if appended.is_err() {
            // Whoever goes on from before this block must not find it.
            self.chunks.pop();
        }
        appended?;
        Ok(Taken::Entries(plain))
    }

    /// A chunk is the next of the tree.
    fn append(&mut self, tree: TreeId, at: usize) -> Result<(), String> {
        let chunk = &self.chunks[at];
        let last = self.trees.last_mut().filter(|last| last.tree == tree);
        let last = last.ok_or_else(|| format!("entries of tree {tree}, which has not begun"))?;
        let before = last
            .chunks
            .last()
            .map(|&before| &self.chunks[before].content.last);
        if chunk.tree != tree || before.is_some_and(|before| *before >= chunk.content.first) {
            return Err(format!("chunk {} is out of order", chunk.sequence));
        }
        add(&mut last.found, &chunk.content.stats);
        last.chunks.push(at);
        Ok(())
    }

    fn take_kept(&mut self, frame: &Frame<'_>) -> Result<Taken<'static>, String> {
        let raw: RawKept = body(frame.body)?;
        let (first, count) = (raw.first.get(), u64::from(raw.count.get()));
        if raw.reserved.get() != 0 || count == 0 {
            return Err("a block of kept chunks that keeps none".into());
        }
        for sequence in (first..=u64::MAX).take(raw.count.get() as usize) {
            let at = self
                .chunks
                .binary_search_by_key(&sequence, |chunk| chunk.sequence);
            let at =
                at.map_err(|_| format!("block {sequence}, which is to be kept, is no chunk"))?;
            self.append(frame.tree, at)?;
        }
        self.kept += count;
        Ok(Taken::Kept)
    }

    fn take_end(&mut self, bytes: &[u8]) -> Result<Taken<'static>, String> {
        self.finish_tree()?;
        let raw: RawEnd = body(bytes)?;
        let summary = self.summary.as_mut().ok_or("an end before any snapshot")?;
        let trees: Vec<_> = self
            .trees
            .iter()
            .map(|tree| (tree.tree, tree.stats))
            .collect();
        summary.chunks = self.trees.iter().map(|tree| tree.chunks.len() as u64).sum();
        summary.kept_chunks = self.kept;
        summary.content = content_hash(&trees);
        summary.trees = trees;
        let found = summary.end();
        let sums = (found.entries.get(), found.bytes.get());
        if raw != found || sums != (summary.entries, summary.bytes) {
            return Err(format!("expected the totals {raw:?}, found {found:?}"));
        }
        if self.trees.len() as u64 != u64::from(self.expected) {
            return Err(format!(
                "expected {} trees, found {}",
                self.expected,
                self.trees.len()
            ));
        }
        self.ended = true;
        Ok(Taken::End)
    }
}

/// Told how many bytes were read; ends the work by saying so.
pub(crate) type ReadProgress<'a> = dyn FnMut(u64) -> ControlFlow<()> + 'a;

/// Reads a backup from beginning to end, and proves all of it.
pub(crate) fn scan(
    source: impl Read,
    progress: &mut ReadProgress<'_>,
    each: &mut dyn FnMut(&Scan, Taken<'_>) -> Result<()>,
) -> Result<Scan> {
    let mut frames = Frames::begin(source)?;
    let mut scan = Scan::default();
    while let Some(frame) = frames.next()? {
        let taken = scan.take(frame)?;
        each(&scan, taken)?;
        if progress(frames.place().offset).is_break() {
            return Err(Error::Cancelled);
        }
    }
    let len = frames.place().offset;
    match &mut scan.summary {
        Some(summary) if scan.ended => {
            summary.file_bytes = len;
            summary.hash = frames.hash();
            Ok(scan)
        }
        _ => Err(BackupError::Incomplete { len }.into()),
    }
}

#[cfg(test)]
mod tests;
