//! The bytes of a backup; FORMAT.md has the same as tables, and a test holds
//! the two together.
//!
//! ```text
//! backup  = head, attempt, attempt …, end
//! attempt = snapshot, tree …              the last one says what is in the backup
//! tree    = tree, (entries | kept) …
//! ```
//!
//! ## Invariants
//! * Kind 0 is never valid; reserved bytes are zero, and checked.
//! * The length of a body is held against the limit of its kind before it is read.
//! * The head keeps its shape in every version, so that another one is told by name.

use cs_base::codec::BLOCK_HEADER;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::BackupError;
use crate::limits::{MAX_KEY, MAX_VALUE};

/// First bytes of a backup.
pub const MAGIC: [u8; 8] = *b"CSBACK\r\n";
/// Version of the format described in FORMAT.md.
pub const FORMAT_VERSION: u32 = 1;
/// Bytes of the head.
pub const HEAD: usize = 64;
/// Bytes before the body of a block.
pub const BLOCK_HEAD: usize = 48;
/// Bytes of an entry beside its key and its value.
pub const ENTRY_HEAD: usize = 8;
/// Bytes of the hash at the very end.
pub const FILE_HASH: usize = 16;
/// Least bytes of entries that a chunk may be told to have on average.
pub const MIN_CHUNK_BYTES: u32 = 4 << 10;
/// Most bytes of entries that a chunk may be told to have on average.
pub const MAX_CHUNK_BYTES: u32 = 4 << 20;
/// A chunk ends when it has so many times the bytes that it was told to have.
pub(crate) const CHUNK_SPREAD: usize = 4;
/// Most bytes of entries in a chunk: one entry of the largest size comes on top
/// of one that is nearly full.
pub const MAX_CHUNK: usize =
    CHUNK_SPREAD * MAX_CHUNK_BYTES as usize + ENTRY_HEAD + MAX_KEY + MAX_VALUE;
/// Most bytes of the body of a block.
pub const MAX_BODY: usize = BLOCK_HEADER + MAX_CHUNK;

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BlockKind {
    /// An attempt begins: which state of which database.
    Snapshot = 1,
    /// A tree begins: what it holds.
    Tree = 2,
    /// Some of its entries, in order.
    Entries = 3,
    /// Chunks of an earlier attempt are the next entries of the tree.
    Kept = 4,
    /// Nothing follows.
    End = 5,
}

impl BlockKind {
    pub(crate) fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Snapshot,
            2 => Self::Tree,
            3 => Self::Entries,
            4 => Self::Kept,
            5 => Self::End,
            _ => return None,
        })
    }

    /// Whether a body may have so many bytes.
    pub(crate) fn takes(self, len: usize) -> bool {
        match self {
            Self::Snapshot => len == size_of::<RawSnapshot>(),
            Self::Tree => len == size_of::<RawTree>(),
            Self::Entries => (BLOCK_HEADER..=MAX_BODY).contains(&len),
            Self::Kept => len == size_of::<RawKept>(),
            Self::End => len == size_of::<RawEnd>() + FILE_HASH,
        }
    }
}

/// The first bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawHead {
    pub(crate) magic: [u8; 8],
    pub(crate) format_version: U32,
    /// CRC32C of the head with zero in this field.
    pub(crate) checksum: U32,
    pub(crate) compatible: U64,
    pub(crate) read_only_compatible: U64,
    pub(crate) incompatible: U64,
    pub(crate) reserved: [u8; 24],
}

const _: () = assert!(size_of::<RawHead>() == HEAD);

impl RawHead {
    pub(crate) fn new() -> Self {
        let mut head = Self {
            magic: MAGIC,
            format_version: FORMAT_VERSION.into(),
            checksum: U32::ZERO,
            compatible: U64::ZERO,
            read_only_compatible: U64::ZERO,
            incompatible: U64::ZERO,
            reserved: [0; 24],
        };
        head.checksum = head.computed().into();
        head
    }

    pub(crate) fn computed(&self) -> u32 {
        let mut clean = *self;
        clean.checksum = U32::ZERO;
        crc32c::crc32c(clean.as_bytes())
    }

    /// Refuses what is not the head of a backup that this program reads.
    pub(crate) fn check(&self) -> Result<(), BackupError> {
        if self.magic != MAGIC {
            return Err(BackupError::NotABackup {
                expected: MAGIC,
                found: self.magic,
            });
        }
        let (expected, found) = (self.checksum.get(), self.computed());
        if expected != found {
            let what = format!("checksum of the head, expected {expected:08x}, found {found:08x}");
            return Err(BackupError::damaged(0, what));
        }
        let version = self.format_version.get();
        if version != FORMAT_VERSION {
            return Err(BackupError::Unsupported(format!(
                "format version, expected {FORMAT_VERSION}, found {version}"
            )));
        }
        // A backup is never written to in place, so the second mask asks nothing of us.
        let unknown = self.incompatible.get();
        if unknown != 0 {
            return Err(BackupError::Unsupported(format!(
                "features that it does not know (mask {unknown:#x})"
            )));
        }
        if self.reserved != [0; 24] {
            return Err(BackupError::damaged(
                0,
                "reserved bytes of the head are not zero",
            ));
        }
        Ok(())
    }
}

/// What comes before the body of each block.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawBlock {
    /// CRC32C of the bytes after this field and the body, the hash of the file left out.
    pub(crate) checksum: U32,
    pub(crate) kind: u8,
    pub(crate) reserved: [u8; 3],
    /// Counted from 1 through the whole file.
    pub(crate) sequence: U64,
    /// XXH3-128 of every byte before this block.
    pub(crate) chain: [u8; 16],
    /// Of a tree, its entries and what is kept of it; else 0.
    pub(crate) tree: U32,
    pub(crate) body_len: U32,
    pub(crate) reserved2: [u8; 8],
}

const _: () = assert!(size_of::<RawBlock>() == BLOCK_HEAD);

impl RawBlock {
    pub(crate) fn computed(&self, body: &[u8]) -> u32 {
        let covered = match BlockKind::from_u8(self.kind) {
            Some(BlockKind::End) => body.len().saturating_sub(FILE_HASH),
            _ => body.len(),
        };
        let head = crc32c::crc32c(&self.as_bytes()[4..]);
        crc32c::crc32c_append(head, &body[..covered])
    }
}

/// Body of a [`BlockKind::Snapshot`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawSnapshot {
    pub(crate) file: U64,
    pub(crate) incarnation: U64,
    pub(crate) term: U64,
    pub(crate) index: U64,
    pub(crate) time: U64,
    pub(crate) ordinal: U32,
    pub(crate) page_size: U32,
    pub(crate) next_tree: U32,
    pub(crate) trees: U32,
    pub(crate) entries: U64,
    pub(crate) bytes: U64,
    pub(crate) has_log: u8,
    pub(crate) reserved: [u8; 7],
}

const _: () = assert!(size_of::<RawSnapshot>() == 80);

/// Body of a [`BlockKind::Tree`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawTree {
    pub(crate) count: U64,
    pub(crate) bytes: U64,
    pub(crate) hash: [u8; 16],
}

const _: () = assert!(size_of::<RawTree>() == 32);

/// Body of a [`BlockKind::Kept`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawKept {
    pub(crate) first: U64,
    pub(crate) count: U32,
    pub(crate) reserved: U32,
}

const _: () = assert!(size_of::<RawKept>() == 16);

/// Body of a [`BlockKind::End`], before the hash of the file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub(crate) struct RawEnd {
    pub(crate) trees: U32,
    pub(crate) attempts: U32,
    pub(crate) chunks: U64,
    pub(crate) kept: U64,
    pub(crate) entries: U64,
    pub(crate) bytes: U64,
    pub(crate) content: [u8; 16],
}

const _: () = assert!(size_of::<RawEnd>() == 56);

#[cfg(test)]
mod tests;
