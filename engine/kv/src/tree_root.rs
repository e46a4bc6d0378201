//! What the directory keeps of each tree, and the system trees.

use cs_base::{PageId, TreeId, Version};
use cs_pager::PageRef;
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::error::{Error, Result};

/// Bytes of an encoded [`TreeRoot`].
pub(crate) const TREE_ROOT: usize = 64;

/// Trees that always exist.
pub mod system {
    use cs_base::TreeId;

    /// Tree id to tree root; its own root hangs off the root record.
    pub const DIRECTORY: TreeId = TreeId(0);
    /// Trees that were dropped and whose pages are not freed yet, as the directory has them.
    pub const DROPPED: TreeId = TreeId(1);
    /// Session to its newest statement and results.
    pub const SESSIONS: TreeId = TreeId(2);
    /// The layer above's catalog.
    pub const CATALOG: TreeId = TreeId(3);
    /// Transactions that wait for their decision, and so what is locked.
    pub const PREPARED: TreeId = TreeId(4);
    /// How transactions were decided, by name and by age.
    pub const DECIDED: TreeId = TreeId(5);
    /// States that are kept under a name.
    pub const SNAPSHOTS: TreeId = TreeId(6);
    /// The first id that [`create_tree`](crate::Transaction::create_tree) gives.
    pub const FIRST_USER: u32 = 16;
}

/// What one entry adds to the hash sum of its tree.
pub(crate) fn digest(key: &[u8], value: &[u8]) -> u128 {
    let key = xxh3_128(key);
    xxh3_128_with_seed(value, key as u64).wrapping_add(key.rotate_left(64))
}

/// How many entries a tree has and what they amount to: kept up by each
/// change, so exact at no cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeStats {
    /// Entries.
    pub count: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Sum of a 128-bit hash of each (key, value), whatever their order
    /// (XXH3; wrapping): equal trees have equal sums on any node.
    pub hash: u128,
}

impl TreeStats {
    pub(crate) fn add(&mut self, key: &[u8], value_len: u64, digest: u128) {
        self.count += 1;
        self.bytes += key.len() as u64 + value_len;
        self.hash = self.hash.wrapping_add(digest);
    }

    pub(crate) fn subtract(&mut self, key: &[u8], value_len: u64, digest: u128) {
        self.count = self.count.wrapping_sub(1);
        self.bytes = self.bytes.wrapping_sub(key.len() as u64 + value_len);
        self.hash = self.hash.wrapping_sub(digest);
    }
}

/// Where a tree begins, in some version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeRoot {
    /// Its topmost page, or none if it is empty.
    pub page: PageRef,
    /// Levels; 0 if it is empty, 1 if its root is a leaf.
    pub height: u8,
    /// What it holds.
    pub stats: TreeStats,
}

impl TreeRoot {
    pub(crate) fn encode(&self) -> [u8; TREE_ROOT] {
        let mut bytes = [0; TREE_ROOT];
        bytes[0..8].copy_from_slice(&self.page.page.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.page.version.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.stats.count.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.stats.bytes.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.stats.hash.to_le_bytes());
        bytes[48] = self.height;
        bytes
    }

    pub(crate) fn decode(tree: TreeId, bytes: &[u8]) -> Result<Self> {
        let damaged = |what: &str| Error::Damaged(format!("root of tree {tree}: {what}"));
        let bytes: &[u8; TREE_ROOT] = bytes.try_into().map_err(|_| damaged("expected 64 bytes"))?;
        let number = |at: usize| {
            let mut raw = [0; 8];
            raw.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(raw)
        };
        if bytes[49..].iter().any(|&byte| byte != 0) {
            return Err(damaged("reserved bytes are not zero"));
        }
        let page = PageRef {
            page: PageId(number(0)),
            version: Version(number(8)),
        };
        let height = bytes[48];
        if page.is_none() != (height == 0) || height > MAX_HEIGHT {
            return Err(damaged("its height does not fit its page"));
        }
        let hash = u128::from(number(32)) | u128::from(number(40)) << 64;
        let stats = TreeStats {
            count: number(16),
            bytes: number(24),
            hash,
        };
        Ok(Self {
            page,
            height,
            stats,
        })
    }
}

/// Most levels of a tree: with three children a branch, 2^32 pages need 21.
pub(crate) const MAX_HEIGHT: u8 = 32;

/// The key of a tree in the directory: big-endian, so that ids sort as numbers.
pub(crate) fn directory_key(tree: TreeId) -> [u8; 4] {
    tree.0.to_be_bytes()
}

#[cfg(test)]
mod tests;
