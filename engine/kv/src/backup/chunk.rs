//! Chunks: some entries of a tree, in order.
//!
//! Where a chunk ends is decided by the entry that it ends with, so that two
//! backups of nearly the same tree have nearly the same chunks: after a change
//! the ends soon fall together again.
//!
//! Invariant: keys ascend strictly within a chunk.

use xxhash_rust::xxh3::xxh3_64;

use super::format::{CHUNK_SPREAD, ENTRY_HEAD};
use crate::limits::{MAX_KEY, MAX_VALUE};
use crate::tree_root::{TreeStats, digest};

/// A chunk that is being put together.
#[derive(Debug, Default)]
pub(crate) struct ChunkBuilder {
    pub(crate) plain: Vec<u8>,
    pub(crate) first: Vec<u8>,
    pub(crate) last: Vec<u8>,
    pub(crate) stats: TreeStats,
}

impl ChunkBuilder {
    pub(crate) fn is_empty(&self) -> bool {
        self.stats.count == 0
    }

    pub(crate) fn clear(&mut self) {
        self.plain.clear();
        self.stats = TreeStats::default();
    }

    /// Takes the next entry. Says whether the chunk ends with it.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8], target: usize) -> bool {
        if self.is_empty() {
            key.clone_into(&mut self.first);
        }
        key.clone_into(&mut self.last);
        self.plain
            .extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.plain
            .extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.plain.extend_from_slice(key);
        self.plain.extend_from_slice(value);
        self.stats.add(key, value.len() as u64, digest(key, value));
        let len = self.plain.len();
        len >= target * CHUNK_SPREAD
            || len >= target / CHUNK_SPREAD
                && is_end(key, ENTRY_HEAD + key.len() + value.len(), target)
    }
}

/// One entry in so many that they have `target` bytes on average.
fn is_end(key: &[u8], entry: usize, target: usize) -> bool {
    let share = u64::MAX / target as u64;
    xxh3_64(key) < share.saturating_mul(entry as u64)
}

/// What is in a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChunkContent {
    pub(crate) first: Vec<u8>,
    pub(crate) last: Vec<u8>,
    pub(crate) stats: TreeStats,
}

/// The next entry of `plain`, and what follows.
fn split(plain: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (key_len, rest) = plain.split_first_chunk()?;
    let (value_len, rest) = rest.split_first_chunk()?;
    let key_len = u32::from_le_bytes(*key_len) as usize;
    let value_len = u32::from_le_bytes(*value_len) as usize;
    if key_len > MAX_KEY || value_len > MAX_VALUE {
        return None;
    }
    let (key, rest) = rest.split_at_checked(key_len)?;
    let (value, rest) = rest.split_at_checked(value_len)?;
    Some((key, value, rest))
}

/// Hands out the entries of a chunk that [`examine`] has found good.
pub(crate) fn entries(mut plain: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (key, value, rest) = split(plain)?;
        plain = rest;
        Some((key, value))
    })
}

/// Proves the order of a chunk and says what is in it.
pub(crate) fn examine(plain: &[u8]) -> Result<ChunkContent, String> {
    let mut stats = TreeStats::default();
    let (mut first, mut last): (Option<&[u8]>, &[u8]) = (None, &[]);
    let mut rest = plain;
    while !rest.is_empty() {
        let Some((key, value, after)) = split(rest) else {
            let at = plain.len() - rest.len();
            return Err(format!(
                "the entry at byte {at} of the chunk is cut off or over a limit"
            ));
        };
        if first.is_some() && key <= last {
            return Err(format!(
                "entry {} of the chunk is out of order",
                stats.count
            ));
        }
        first.get_or_insert(key);
        last = key;
        stats.add(key, value.len() as u64, digest(key, value));
        rest = after;
    }
    let first = first.ok_or("a chunk without entries")?.to_vec();
    let last = last.to_vec();
    Ok(ChunkContent { first, last, stats })
}

#[cfg(test)]
mod tests;
