//! Sorting more entries than fit into memory: sorted runs in a temporary file
//! on the same disk, merged when the last entry has come. Where there are more
//! runs than memory has blocks for, as many as it has are merged into one first.
//!
//! ```text
//! file   = run*            run = block*
//! block  = body length u32, XXH3-64 of the body u64, body
//! body   = entry*          entry = key length u32, value length u32, position u64, key, value
//! ```
//!
//! ## Invariants
//! * Entries with equal keys keep the order in which they came.
//! * Sorting and merging hold about as much memory as was allowed, however many
//!   entries there are.
//! * The file is removed when the sorter is dropped; one that a crash left
//!   behind is removed when the store is opened.
//! * What comes back from the file is checked before it is believed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use cs_io::{Disk, File, OpenMode};
use cs_pager::Loan;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};

/// How temporary files are called, before their number.
const TEMPORARY: &str = "bulk-sort-";
/// Most bytes of a block, unless a single entry has more.
const BLOCK: usize = 256 * 1024;
/// Fewest: each is one read.
const BLOCK_MIN: usize = 4 * 1024;
/// Share of the memory that a block has: a merge holds one of each run, and the
/// entry that comes next.
const BLOCK_SHARE: usize = 128;
/// Runs that are merged at once.
const FAN_IN: usize = 64;
/// Bytes before the body of a block.
const BLOCK_HEAD: usize = 12;
/// Bytes of an entry beside key and value.
const ENTRY_HEAD: usize = 16;
/// What an entry takes in memory beside its bytes.
const INDEX: usize = size_of::<Slot>() + ENTRY_HEAD;

/// An entry, and which it was from 0 among all that came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// What it is sorted by.
    pub key: Vec<u8>,
    /// What orders entries of one key.
    pub position: u64,
    /// What comes with it.
    pub value: Vec<u8>,
}

/// Removes what a crash left behind.
pub(crate) fn remove_leftovers(disk: &dyn Disk) -> Result<()> {
    for name in disk.list().map_err(Error::Temporary)? {
        if name.starts_with(TEMPORARY) {
            disk.remove(&name).map_err(Error::Temporary)?;
        }
    }
    Ok(())
}

/// Where an entry is in the memory of the sorter.
#[derive(Clone, Copy, Debug)]
struct Slot {
    start: usize,
    key_len: u32,
    value_len: u32,
    position: u64,
}

/// Sorts entries by key, and those of one key by position, in about as much memory as
/// it is told; what is beyond goes to a temporary file on the disk of the store
/// ([`Store::sorter`](crate::Store::sorter)), which is gone with the sorter.
///
/// The budget is taken as one reservation with the first entry.
#[derive(Debug)]
pub struct Sorter {
    disk: Arc<dyn Disk>,
    memory: usize,
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    spill: Option<Spill>,
    loan: Option<Loan>,
}

/// Where a run begins and ends, and how often its entries were merged.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: u64,
    end: u64,
    level: u32,
}

/// The temporary file.
#[derive(Debug)]
struct Spill {
    disk: Arc<dyn Disk>,
    name: String,
    file: Arc<dyn File>,
    len: u64,
    runs: Vec<Run>,
    /// Runs that came from memory.
    spilled: usize,
    /// Bytes of a block.
    block: usize,
}

impl Drop for Spill {
    fn drop(&mut self) {
        // Best effort: the next open removes it too.
        let _ = self.disk.remove(&self.name);
    }
}

impl Sorter {
    /// Holds at most about `memory` bytes.
    pub(crate) fn new(disk: Arc<dyn Disk>, memory: usize) -> Self {
        Self {
            disk,
            memory: memory.max(FAN_IN * BLOCK_MIN),
            bytes: Vec::new(),
            slots: Vec::new(),
            spill: None,
            loan: None,
        }
    }

    /// Part of its memory is borrowed, and given back with the sorter.
    pub(crate) fn borrowing(mut self, loan: Loan) -> Self {
        self.loan = Some(loan);
        self
    }

    /// Runs that went to the temporary file so far.
    #[must_use]
    pub fn spilled(&self) -> usize {
        self.spill.as_ref().map_or(0, |spill| spill.spilled)
    }

    /// Takes an entry.
    ///
    /// # Errors
    /// The temporary file could not be written.
    pub fn push(&mut self, key: &[u8], value: &[u8], position: u64) -> Result<()> {
        let held = self.bytes.len() + self.slots.len() * INDEX;
        let more = key.len() + value.len() + INDEX;
        if held + more > self.memory && !self.slots.is_empty() {
            self.spill_run()?;
        }
        if self.bytes.capacity() == 0 {
            // All at once: growing would hold two for a moment. What is not
            // touched costs nothing.
            self.bytes.reserve_exact(self.memory);
        }
        self.slots.push(Slot {
            start: self.bytes.len(),
            key_len: key.len() as u32,
            value_len: value.len() as u32,
            position,
        });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.slots.sort_unstable_by(|a, b| {
            let by_key = key_of(bytes, a).cmp(key_of(bytes, b));
            by_key.then(a.position.cmp(&b.position))
        });
    }

    fn spill_run(&mut self) -> Result<()> {
        self.sort();
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => none.insert(Spill::create(&self.disk, self.memory)?),
        };
        let mut run = RunWriter::new(spill);
        for slot in &self.slots {
            let value = slot.start + slot.key_len as usize;
            let value = &self.bytes[value..value + slot.value_len as usize];
            run.push(key_of(&self.bytes, slot), value, slot.position)?;
        }
        run.finish(0)?;
        spill.spilled += 1;
        self.bytes.clear();
        self.slots.clear();
        // Each level holds less than a merge takes.
        while let Some(level) = spill.full_level() {
            spill.merge_tail(FAN_IN, level + 1)?;
        }
        Ok(())
    }

    /// All entries, by key and then by position.
    ///
    /// # Errors
    /// The temporary file could not be written or read.
    pub fn finish(mut self) -> Result<Sorted> {
        if self.spill.is_some() && !self.slots.is_empty() {
            self.spill_run()?;
        }
        self.sort();
        let mut sorted = Sorted {
            bytes: self.bytes,
            slots: self.slots.into_iter(),
            merge: Merge::default(),
            runs: 0,
            _spill: None,
            _loan: self.loan,
        };
        if let Some(mut spill) = self.spill {
            // The buffer is not needed any more; blocks of the runs take its place.
            sorted.bytes = Vec::new();
            sorted.slots = Vec::new().into_iter();
            while spill.runs.len() > FAN_IN {
                // The shortest are the last.
                let level = spill.runs.last().map_or(0, |run| run.level);
                let tail = spill.runs.iter().rev().take_while(|run| run.level <= level);
                let count = tail.count().clamp(2, FAN_IN);
                spill.merge_tail(count, level + 1)?;
            }
            sorted.merge = Merge::of(&spill.file, &spill.runs)?;
            sorted.runs = spill.spilled;
            sorted._spill = Some(spill);
        }
        Ok(sorted)
    }
}

fn key_of<'a>(bytes: &'a [u8], slot: &Slot) -> &'a [u8] {
    &bytes[slot.start..slot.start + slot.key_len as usize]
}

impl Spill {
    fn create(disk: &Arc<dyn Disk>, memory: usize) -> Result<Self> {
        let taken = disk.list().map_err(Error::Temporary)?;
        let mut number = 0;
        let (name, file) = loop {
            let name = format!("{TEMPORARY}{number}");
            number += 1;
            if taken.contains(&name) {
                continue;
            }
            match disk.open(&name, OpenMode::Create) {
                Ok(file) => break (name, file),
                // Another sorter began at the same time.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::Temporary(error)),
            }
        };
        Ok(Self {
            disk: Arc::clone(disk),
            name,
            file,
            len: 0,
            runs: Vec::new(),
            spilled: 0,
            block: (memory / BLOCK_SHARE).clamp(BLOCK_MIN, BLOCK),
        })
    }

    /// Writes a block whose head still has to be filled in.
    fn write(&mut self, block: &mut [u8]) -> Result<()> {
        let (head, body) = block.split_at_mut(BLOCK_HEAD);
        head[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
        head[4..].copy_from_slice(&xxh3_64(body).to_le_bytes());
        self.file
            .write_at(block, self.len)
            .map_err(Error::Temporary)?;
        self.len += block.len() as u64;
        Ok(())
    }

    /// The level of the last run, if a merge's worth of it is there.
    fn full_level(&self) -> Option<u32> {
        let level = self.runs.last()?.level;
        let same = self.runs.iter().rev().take_while(|run| run.level == level);
        (same.count() >= FAN_IN).then_some(level)
    }

    /// Makes one run of the last `count`. They stay in the file, unused.
    fn merge_tail(&mut self, count: usize, level: u32) -> Result<()> {
        let from = self.runs.len().saturating_sub(count);
        let runs = self.runs.split_off(from);
        let mut merge = Merge::of(&self.file, &runs)?;
        let mut run = RunWriter::new(self);
        while let Some(entry) = merge.next()? {
            run.push(&entry.key, &entry.value, entry.position)?;
        }
        run.finish(level)
    }
}

/// Entries on their way into one run.
struct RunWriter<'a> {
    spill: &'a mut Spill,
    start: u64,
    /// Room for the head, then entries.
    block: Vec<u8>,
}

impl<'a> RunWriter<'a> {
    fn new(spill: &'a mut Spill) -> Self {
        let mut block = Vec::with_capacity(BLOCK_HEAD + spill.block);
        block.resize(BLOCK_HEAD, 0);
        let start = spill.len;
        Self {
            spill,
            start,
            block,
        }
    }

    fn push(&mut self, key: &[u8], value: &[u8], position: u64) -> Result<()> {
        let more = ENTRY_HEAD + key.len() + value.len();
        let is_begun = self.block.len() > BLOCK_HEAD;
        if is_begun && self.block.len() + more > BLOCK_HEAD + self.spill.block {
            self.write()?;
        }
        let block = &mut self.block;
        block.extend_from_slice(&(key.len() as u32).to_le_bytes());
        block.extend_from_slice(&(value.len() as u32).to_le_bytes());
        block.extend_from_slice(&position.to_le_bytes());
        block.extend_from_slice(key);
        block.extend_from_slice(value);
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        self.spill.write(&mut self.block)?;
        self.block.truncate(BLOCK_HEAD);
        Ok(())
    }

    fn finish(mut self, level: u32) -> Result<()> {
        self.write()?;
        let (start, end) = (self.start, self.spill.len);
        self.spill.runs.push(Run { start, end, level });
        Ok(())
    }
}

/// One run, read block by block.
#[derive(Debug)]
struct RunReader {
    file: Arc<dyn File>,
    at: u64,
    end: u64,
    body: Vec<u8>,
    read: usize,
}

fn damaged(what: &str) -> Error {
    Error::Damaged(format!("the temporary file for sorting: {what}"))
}

impl RunReader {
    fn next(&mut self) -> Result<Option<Entry>> {
        if self.read == self.body.len() && !self.next_block()? {
            return Ok(None);
        }
        let rest = &self.body[self.read..];
        let Some((head, rest)) = rest.split_first_chunk::<ENTRY_HEAD>() else {
            return Err(damaged("an entry is cut off"));
        };
        let number = |at: usize| {
            let mut raw = [0; 4];
            raw.copy_from_slice(&head[at..at + 4]);
            u32::from_le_bytes(raw) as usize
        };
        let (key_len, value_len) = (number(0), number(4));
        let position = number(8) as u64 | (number(12) as u64) << 32;
        let split = rest.split_at_checked(key_len);
        let Some((key, Some((value, _)))) =
            split.map(|(key, rest)| (key, rest.split_at_checked(value_len)))
        else {
            return Err(damaged("an entry reaches beyond its block"));
        };
        self.read += ENTRY_HEAD + key_len + value_len;
        Ok(Some(Entry {
            key: key.to_vec(),
            position,
            value: value.to_vec(),
        }))
    }

    fn next_block(&mut self) -> Result<bool> {
        if self.at >= self.end {
            return Ok(false);
        }
        let mut head = [0; BLOCK_HEAD];
        self.fill(&mut head)?;
        let mut raw = [0; 4];
        raw.copy_from_slice(&head[..4]);
        let len = u32::from_le_bytes(raw) as usize;
        if len as u64 > self.end.saturating_sub(self.at) {
            return Err(damaged("the length of a block"));
        }
        let mut body = std::mem::take(&mut self.body);
        body.resize(len, 0);
        self.fill(&mut body)?;
        if xxh3_64(&body).to_le_bytes() != head[4..] {
            return Err(damaged("the checksum of a block"));
        }
        (self.body, self.read) = (body, 0);
        Ok(true)
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<()> {
        let read = self.file.read_at(into, self.at).map_err(Error::Temporary)?;
        if read < into.len() {
            return Err(damaged("it ends too early"));
        }
        self.at += read as u64;
        Ok(())
    }
}

/// Several runs as one.
#[derive(Debug, Default)]
struct Merge {
    readers: Vec<RunReader>,
    /// The next entry of each run.
    heads: BinaryHeap<Reverse<(Entry, usize)>>,
}

impl Merge {
    fn of(file: &Arc<dyn File>, runs: &[Run]) -> Result<Self> {
        let reader = |run: &Run| RunReader {
            file: Arc::clone(file),
            at: run.start,
            end: run.end,
            body: Vec::new(),
            read: 0,
        };
        let mut merge = Self {
            readers: runs.iter().map(reader).collect(),
            heads: BinaryHeap::new(),
        };
        for run in 0..merge.readers.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }

    fn advance(&mut self, run: usize) -> Result<()> {
        if let Some(entry) = self.readers[run].next()? {
            self.heads.push(Reverse((entry, run)));
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        let Some(Reverse((entry, run))) = self.heads.pop() else {
            return Ok(None);
        };
        self.advance(run)?;
        Ok(Some(entry))
    }
}

/// Entries in order.
#[derive(Debug)]
pub struct Sorted {
    bytes: Vec<u8>,
    slots: std::vec::IntoIter<Slot>,
    merge: Merge,
    runs: usize,
    _spill: Option<Spill>,
    /// Given back at the end, so that heap and pages never have their most at once.
    _loan: Option<Loan>,
}

impl Sorted {
    /// Runs that went to the temporary file.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// The next entry.
    ///
    /// # Errors
    /// The temporary file could not be read, or is not what was written.
    #[allow(clippy::should_implement_trait, reason = "as the cursors of the store")]
    pub fn next(&mut self) -> Result<Option<Entry>> {
        if let Some(slot) = self.slots.next() {
            let value = slot.start + slot.key_len as usize;
            return Ok(Some(Entry {
                key: key_of(&self.bytes, &slot).to_vec(),
                position: slot.position,
                value: self.bytes[value..value + slot.value_len as usize].to_vec(),
            }));
        }
        self.merge.next()
    }
}

#[cfg(test)]
mod tests;
