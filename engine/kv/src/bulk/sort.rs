//! Sorting more entries than fit into memory: sorted runs in a temporary file
//! on the same disk, merged when the last entry has come.
//!
//! ```text
//! file   = run*            run = block*
//! block  = body length u32, XXH3-64 of the body u64, body
//! body   = entry*          entry = key length u32, value length u32, position u64, key, value
//! ```
//!
//! ## Invariants
//! * Entries with equal keys keep the order in which they came.
//! * The file is removed when the sorter is dropped; one that a crash left
//!   behind is removed when the store is opened.
//! * What comes back from the file is checked before it is believed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use cs_io::{Disk, File, OpenMode};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::limits::{MAX_KEY, MAX_VALUE};

/// How temporary files are called, before their number.
const TEMPORARY: &str = "bulk-sort-";
/// Bytes of a block, unless a single entry has more.
const BLOCK: usize = 256 * 1024;
/// Bytes before the body of a block.
const BLOCK_HEAD: usize = 12;
/// Bytes of an entry beside key and value.
const ENTRY_HEAD: usize = 16;
/// What an entry takes in memory beside its bytes.
const INDEX: usize = size_of::<Slot>() + ENTRY_HEAD;

/// An entry, and which it was from 0 among all that came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    pub(crate) position: u64,
    pub(crate) value: Vec<u8>,
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

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Sorter {
    disk: Arc<dyn Disk>,
    memory: usize,
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    spill: Option<Spill>,
}

/// The temporary file.
#[derive(Debug)]
struct Spill {
    disk: Arc<dyn Disk>,
    name: String,
    file: Arc<dyn File>,
    len: u64,
    /// Where each run begins and ends.
    runs: Vec<(u64, u64)>,
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
            memory: memory.max(4 * BLOCK),
            bytes: Vec::new(),
            slots: Vec::new(),
            spill: None,
        }
    }

    /// Runs that went to the temporary file so far.
    pub(crate) fn spilled(&self) -> usize {
        self.spill.as_ref().map_or(0, |spill| spill.runs.len())
    }

    /// Takes an entry.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8], position: u64) -> Result<()> {
        let held = self.bytes.len() + self.slots.len() * INDEX;
        let more = key.len() + value.len() + INDEX;
        if held + more > self.memory && !self.slots.is_empty() {
            self.spill_run()?;
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
            none => none.insert(Spill::create(&self.disk)?),
        };
        let start = spill.len;
        let mut body = Vec::with_capacity(BLOCK);
        for slot in &self.slots {
            let content =
                &self.bytes[slot.start..][..slot.key_len as usize + slot.value_len as usize];
            if !body.is_empty() && body.len() + ENTRY_HEAD + content.len() > BLOCK {
                spill.write(&body)?;
                body.clear();
            }
            body.extend_from_slice(&slot.key_len.to_le_bytes());
            body.extend_from_slice(&slot.value_len.to_le_bytes());
            body.extend_from_slice(&slot.position.to_le_bytes());
            body.extend_from_slice(content);
        }
        spill.write(&body)?;
        spill.runs.push((start, spill.len));
        self.bytes.clear();
        self.slots.clear();
        Ok(())
    }

    /// All entries, by key and then by position.
    pub(crate) fn finish(mut self) -> Result<Sorted> {
        if self.spill.is_some() && !self.slots.is_empty() {
            self.spill_run()?;
        }
        self.sort();
        let mut sorted = Sorted {
            bytes: self.bytes,
            slots: self.slots.into_iter(),
            readers: Vec::new(),
            heads: BinaryHeap::new(),
            _spill: None,
        };
        if let Some(spill) = self.spill {
            for &(at, end) in &spill.runs {
                let file = Arc::clone(&spill.file);
                let (body, read) = (Vec::new(), 0);
                sorted.readers.push(RunReader {
                    file,
                    at,
                    end,
                    body,
                    read,
                });
            }
            sorted._spill = Some(spill);
            for run in 0..sorted.readers.len() {
                sorted.advance(run)?;
            }
        }
        Ok(sorted)
    }
}

fn key_of<'a>(bytes: &'a [u8], slot: &Slot) -> &'a [u8] {
    &bytes[slot.start..slot.start + slot.key_len as usize]
}

impl Spill {
    fn create(disk: &Arc<dyn Disk>) -> Result<Self> {
        let taken = disk.list().map_err(Error::Temporary)?;
        let mut number = 0;
        let name = loop {
            let name = format!("{TEMPORARY}{number}");
            if !taken.contains(&name) {
                break name;
            }
            number += 1;
        };
        let file = disk
            .open(&name, OpenMode::Create)
            .map_err(Error::Temporary)?;
        Ok(Self {
            disk: Arc::clone(disk),
            name,
            file,
            len: 0,
            runs: Vec::new(),
        })
    }

    fn write(&mut self, body: &[u8]) -> Result<()> {
        let mut block = Vec::with_capacity(BLOCK_HEAD + body.len());
        block.extend_from_slice(&(body.len() as u32).to_le_bytes());
        block.extend_from_slice(&xxh3_64(body).to_le_bytes());
        block.extend_from_slice(body);
        self.file
            .write_at(&block, self.len)
            .map_err(Error::Temporary)?;
        self.len += block.len() as u64;
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
        if len > BLOCK.max(ENTRY_HEAD + MAX_KEY + MAX_VALUE) {
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

/// Entries in order.
#[derive(Debug)]
pub(crate) struct Sorted {
    bytes: Vec<u8>,
    slots: std::vec::IntoIter<Slot>,
    readers: Vec<RunReader>,
    /// The next entry of each run.
    heads: BinaryHeap<Reverse<(Entry, usize)>>,
    _spill: Option<Spill>,
}

impl Sorted {
    fn advance(&mut self, run: usize) -> Result<()> {
        if let Some(entry) = self.readers[run].next()? {
            self.heads.push(Reverse((entry, run)));
        }
        Ok(())
    }

    /// Runs in the temporary file.
    pub(crate) fn runs(&self) -> usize {
        self.readers.len()
    }

    /// The next entry.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        if let Some(slot) = self.slots.next() {
            let value = slot.start + slot.key_len as usize;
            return Ok(Some(Entry {
                key: key_of(&self.bytes, &slot).to_vec(),
                position: slot.position,
                value: self.bytes[value..value + slot.value_len as usize].to_vec(),
            }));
        }
        let Some(Reverse((entry, run))) = self.heads.pop() else {
            return Ok(None);
        };
        self.advance(run)?;
        Ok(Some(entry))
    }
}

#[cfg(test)]
mod tests;
