//! The bytes of pages and metas; FORMAT.md has the same as tables, and a test
//! holds the two together.
//!
//! ## Invariants
//! * Kind 0 is never valid; reserved bytes are zero, and checked.
//! * A page says which file, page, tree and version it is: a misdirected or
//!   lost write is seen although the checksum of what is there is good.
//! * Raw bytes become a page only by [`verify_page`], a meta only by
//!   [`Meta::decode`].

use cs_base::mutants::{Mutant, planted};
use cs_base::{
    BLOCK_SIZE, FileId, HybridTime, Incarnation, Index, Lsn, PageId, Term, TreeId, Version,
};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{PagerError, Result};

/// Name of the data file.
pub const DATA_FILE: &str = "data.cs";
/// Name under which a new data file is built; it means nothing if found.
pub const DATA_FILE_NEW: &str = "data.cs.tmp";
/// First bytes of each meta.
pub const MAGIC: [u8; 8] = *b"CSTORE\r\n";
/// Version of the format described in FORMAT.md.
pub const FORMAT_VERSION: u32 = 1;
/// Bytes at the start of each page that belong to the pager.
pub const PAGE_HEADER: usize = 64;
/// Smallest page size, in bytes.
pub const MIN_PAGE_SIZE: u32 = 4096;
/// Largest page size, in bytes.
pub const MAX_PAGE_SIZE: u32 = 65536;
/// Page size unless told, in bytes: see README.md.
pub const DEFAULT_PAGE_SIZE: u32 = 8192;
/// Byte offsets of the two metas, in blocks of their own whatever the page size.
pub const META_OFFSETS: [u64; 2] = [0, BLOCK_SIZE as u64];
/// Bytes that the two metas take at the start of the file.
pub const META_BYTES: u64 = 2 * BLOCK_SIZE as u64;
/// Bytes in a root record that the layer above fills and the pager only keeps.
pub const ROOT_PAYLOAD: usize = 96;

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PageKind {
    /// A leaf of a tree.
    Leaf = 1,
    /// A branch of a tree.
    Branch = 2,
    /// Part of a large key or value.
    Overflow = 3,
    /// A piece of the allocation bitmap.
    AllocationMap = 4,
    /// Pointers to pieces of the allocation bitmap, or to further such pages.
    AllocationIndex = 5,
}

impl PageKind {
    /// The kind with this number.
    #[must_use]
    pub fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Leaf,
            2 => Self::Branch,
            3 => Self::Overflow,
            4 => Self::AllocationMap,
            5 => Self::AllocationIndex,
            _ => return None,
        })
    }
}

/// A pointer to a page: its number and the version in which it was born.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct PageRef {
    /// Where it is; page 0 (a meta) stands for "none".
    pub page: PageId,
    /// Which state of it.
    pub version: Version,
}

impl PageRef {
    /// Points nowhere.
    pub const NONE: Self = Self {
        page: PageId(0),
        version: Version(0),
    };

    /// Whether it points nowhere.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.page.0 == 0
    }
}

/// The first [`PAGE_HEADER`] bytes of each page.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PageHeader {
    /// CRC32C of all bytes after this field.
    pub checksum: U32,
    /// A [`PageKind`].
    pub kind: u8,
    /// Height above the leaves.
    pub level: u8,
    /// Zero.
    pub flags: U16,
    /// Its own number.
    pub page: U64,
    /// The version in which it was born.
    pub version: U64,
    /// The database it belongs to.
    pub file: U64,
    /// The tree that owns it; 0 where none does.
    pub tree: U32,
    /// Zero.
    pub reserved: [u8; 28],
}

const _: () = assert!(size_of::<PageHeader>() == PAGE_HEADER);
const _: () = assert!(std::mem::offset_of!(PageHeader, page) == 8);
const _: () = assert!(std::mem::offset_of!(PageHeader, version) == 16);

impl PageHeader {
    /// Reads the header of a page in memory.
    ///
    /// # Panics
    /// If `bytes` is shorter than a header: pages never are.
    #[must_use]
    #[inline]
    pub fn of(bytes: &[u8]) -> &Self {
        match Self::ref_from_prefix(bytes) {
            Ok((header, _)) => header,
            Err(_) => panic!("a page is longer than its header"),
        }
    }
}

/// What a new page is to say of itself.
#[derive(Clone, Copy, Debug)]
pub struct PageIdentity {
    /// What it holds.
    pub kind: PageKind,
    /// Height above the leaves.
    pub level: u8,
    /// Who owns it.
    pub tree: TreeId,
}

/// Fills in the header of a page (all but the checksum).
pub fn write_header(bytes: &mut [u8], file: FileId, at: PageRef, identity: PageIdentity) {
    let header = PageHeader {
        checksum: U32::ZERO,
        kind: identity.kind as u8,
        level: identity.level,
        flags: U16::ZERO,
        page: at.page.0.into(),
        version: at.version.0.into(),
        file: file.0.into(),
        tree: identity.tree.0.into(),
        reserved: [0; 28],
    };
    bytes[..PAGE_HEADER].copy_from_slice(header.as_bytes());
}

/// Tells a copy of a page that it is another one now.
pub(crate) fn readdress(bytes: &mut [u8], at: PageRef) {
    bytes[8..16].copy_from_slice(&at.page.0.to_le_bytes());
    bytes[16..24].copy_from_slice(&at.version.0.to_le_bytes());
}

/// Puts the checksum into a page that is about to be written.
pub fn seal_checksum(bytes: &mut [u8]) {
    let checksum = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&checksum.to_le_bytes());
}

/// Decides whether bytes read from disk are the page that `at` points to.
///
/// # Errors
/// [`PagerError::Corrupt`] or [`PagerError::Overtaken`].
pub fn verify_page(bytes: &[u8], file: FileId, at: PageRef) -> Result<()> {
    let page = at.page;
    let header = PageHeader::of(bytes);
    let sum = crc32c::crc32c(&bytes[4..]);
    if sum != header.checksum.get() && !planted(Mutant::IgnoreChecksum) {
        let stored = format!("{:08x}", header.checksum.get());
        return Err(PagerError::corrupt(
            page,
            "checksum",
            stored,
            format!("{sum:08x}"),
        ));
    }
    if header.file.get() != file.0 {
        return Err(PagerError::corrupt(
            page,
            "file id",
            file,
            header.file.get(),
        ));
    }
    if header.page.get() != page.0 {
        return Err(PagerError::corrupt(
            page,
            "page number",
            page,
            header.page.get(),
        ));
    }
    let found = Version(header.version.get());
    if found > at.version {
        return Err(PagerError::Overtaken {
            page,
            expected: at.version,
            found,
        });
    }
    if found != at.version {
        return Err(PagerError::corrupt(page, "version", at.version, found));
    }
    if PageKind::from_u8(header.kind).is_none() {
        return Err(PagerError::corrupt(page, "kind", "1 to 5", header.kind));
    }
    if header.flags.get() != 0 || header.reserved != [0; 28] {
        return Err(PagerError::corrupt(
            page,
            "reserved bytes",
            "zero",
            "something else",
        ));
    }
    Ok(())
}

/// Everything that a commit changes, as one atomic thing: the state of the
/// database that a meta names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootRecord {
    /// The version of this state.
    pub version: Version,
    /// Log position: everything below is in the trees.
    pub lsn: Lsn,
    /// Checksum of the last log record below `lsn`.
    pub chain: u32,
    /// Incarnation of the log at `lsn`.
    pub log_incarnation: Incarnation,
    /// Term of the last applied record.
    pub term: Term,
    /// Index of the last applied record.
    pub index: Index,
    /// Time of the last applied record.
    pub time: HybridTime,
    /// Pages in use or free below this number; none beyond.
    pub page_count: u64,
    /// Top of the allocation map.
    pub allocation: PageRef,
    /// Levels of index pages above the bitmap pages.
    pub allocation_levels: u8,
    /// Filled by the layer above.
    pub payload: [u8; ROOT_PAYLOAD],
}

impl RootRecord {
    /// The state before the first commit.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            version: Version(0),
            lsn: Lsn(0),
            chain: 0,
            log_incarnation: Incarnation(0),
            term: Term(0),
            index: Index(0),
            time: HybridTime(0),
            page_count: 0,
            allocation: PageRef::NONE,
            allocation_levels: 0,
            payload: [0; ROOT_PAYLOAD],
        }
    }
}

/// Whether the directory is on its own or part of a cluster, which alone may
/// write to it then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// 0 for standalone.
    pub cluster: u64,
    /// Node number in the cluster.
    pub node: u64,
    /// How often that node was born anew.
    pub incarnation: u64,
}

impl Membership {
    /// Whether this is a database of its own.
    #[must_use]
    pub fn is_standalone(self) -> bool {
        self.cluster == 0
    }
}

/// One of the two alternating header blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Which database.
    pub file: FileId,
    /// Bytes a page.
    pub page_size: u32,
    /// Counts the metas written; the higher one is newer.
    pub sequence: u64,
    /// Standalone, or whose member.
    pub membership: Membership,
    /// The state it names.
    pub root: RootRecord,
}

/// A meta on disk.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RawMeta {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`FORMAT_VERSION`].
    pub format: U32,
    /// CRC32C of the whole block with this field as zero.
    pub checksum: U32,
    /// Features that an older program may ignore.
    pub compatible: U64,
    /// Features that an older program may ignore while reading.
    pub read_only_compatible: U64,
    /// Features that an older program must not ignore.
    pub incompatible: U64,
    /// Identity of the database.
    pub file: U64,
    /// Bytes a page.
    pub page_size: U32,
    /// Bytes kept free at the end of each page (0 now; room for encryption).
    pub reserved_per_page: U32,
    /// Counts the metas written.
    pub sequence: U64,
    /// Cluster, 0 for standalone.
    pub cluster: U64,
    /// Node in the cluster.
    pub node: U64,
    /// Incarnation of the node.
    pub node_incarnation: U64,
    /// Version of the root.
    pub version: U64,
    /// Log position of the root.
    pub lsn: U64,
    /// Incarnation of the log there.
    pub log_incarnation: U64,
    /// Raft term of the last applied record.
    pub term: U64,
    /// Raft index of the last applied record.
    pub index: U64,
    /// Hybrid time of the last applied record.
    pub time: U64,
    /// Pages in the file.
    pub page_count: U64,
    /// Top page of the allocation map.
    pub allocation_page: U64,
    /// Its version.
    pub allocation_version: U64,
    /// Checksum of the last log record below `lsn`.
    pub chain: U32,
    /// Levels of the allocation index.
    pub allocation_levels: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// The layer above.
    pub payload: [u8; ROOT_PAYLOAD],
}

const _: () = assert!(size_of::<RawMeta>() == 264);
const _: () = assert!(std::mem::offset_of!(RawMeta, checksum) == 12);
const _: () = assert!(std::mem::offset_of!(RawMeta, payload) == 168);

/// Why a block is no meta that this program can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMeta {
    /// It is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// It may be of a format that this program does not know, or its version is damaged.
    #[error("{0}")]
    Unsupported(String),
    /// It is whole, and of a format or with features that this program does not know:
    /// a newer program has written it.
    #[error("{0}")]
    Newer(String),
}

impl Meta {
    /// The block to be written.
    #[must_use]
    pub fn encode(&self) -> [u8; BLOCK_SIZE] {
        let root = &self.root;
        let raw = RawMeta {
            magic: MAGIC,
            format: FORMAT_VERSION.into(),
            checksum: U32::ZERO,
            compatible: U64::ZERO,
            read_only_compatible: U64::ZERO,
            incompatible: U64::ZERO,
            file: self.file.0.into(),
            page_size: self.page_size.into(),
            reserved_per_page: U32::ZERO,
            sequence: self.sequence.into(),
            cluster: self.membership.cluster.into(),
            node: self.membership.node.into(),
            node_incarnation: self.membership.incarnation.into(),
            version: root.version.0.into(),
            lsn: root.lsn.0.into(),
            log_incarnation: root.log_incarnation.0.into(),
            term: root.term.0.into(),
            index: root.index.0.into(),
            time: root.time.0.into(),
            page_count: root.page_count.into(),
            allocation_page: root.allocation.page.0.into(),
            allocation_version: root.allocation.version.0.into(),
            chain: root.chain.into(),
            allocation_levels: root.allocation_levels,
            reserved: [0; 3],
            payload: root.payload,
        };
        let mut block = [0; BLOCK_SIZE];
        block[..size_of::<RawMeta>()].copy_from_slice(raw.as_bytes());
        let checksum = crc32c::crc32c(&block);
        block[12..16].copy_from_slice(&checksum.to_le_bytes());
        block
    }

    /// Decides whether a block is a meta, and what it says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(block: &[u8; BLOCK_SIZE]) -> Result<Self, BadMeta> {
        let damaged = |what: String| Err(BadMeta::Damaged(what));
        let Ok((raw, rest)) = RawMeta::ref_from_prefix(block) else {
            return damaged("a meta is shorter than a block".into());
        };
        if raw.magic != MAGIC {
            return damaged("it does not begin like a Collection Store data file".into());
        }
        let mut copy = *block;
        copy[12..16].fill(0);
        let sum = crc32c::crc32c(&copy);
        let is_whole = sum == raw.checksum.get();
        if raw.format.get() != FORMAT_VERSION {
            let what = format!(
                "format version: this program knows {FORMAT_VERSION}, the file has {}",
                raw.format.get()
            );
            return Err(match is_whole {
                true => BadMeta::Newer(what),
                false => BadMeta::Unsupported(what),
            });
        }
        if !is_whole && !planted(Mutant::IgnoreChecksum) {
            return damaged(format!(
                "checksum of the meta: expected {:08x}, found {sum:08x}",
                raw.checksum.get()
            ));
        }
        if raw.incompatible.get() != 0 || raw.read_only_compatible.get() != 0 {
            let (masks, what) = (
                (raw.incompatible.get(), raw.read_only_compatible.get()),
                "the file uses features that this program does not know",
            );
            let what = format!("{what} (masks {:#x}, {:#x})", masks.0, masks.1);
            return Err(BadMeta::Newer(what));
        }
        let page_size = raw.page_size.get();
        if !valid_page_size(page_size) {
            return damaged(format!(
                "page size: expected a power of two from 4096 to 65536, found {page_size}"
            ));
        }
        if raw.reserved_per_page.get() != 0
            || raw.reserved != [0; 3]
            || rest.iter().any(|&byte| byte != 0)
        {
            return damaged("reserved bytes of the meta are not zero".into());
        }
        Ok(Self {
            file: FileId(raw.file.get()),
            page_size,
            sequence: raw.sequence.get(),
            membership: Membership {
                cluster: raw.cluster.get(),
                node: raw.node.get(),
                incarnation: raw.node_incarnation.get(),
            },
            root: RootRecord {
                version: Version(raw.version.get()),
                lsn: Lsn(raw.lsn.get()),
                chain: raw.chain.get(),
                log_incarnation: Incarnation(raw.log_incarnation.get()),
                term: Term(raw.term.get()),
                index: Index(raw.index.get()),
                time: HybridTime(raw.time.get()),
                page_count: raw.page_count.get(),
                allocation: PageRef {
                    page: PageId(raw.allocation_page.get()),
                    version: Version(raw.allocation_version.get()),
                },
                allocation_levels: raw.allocation_levels,
                payload: raw.payload,
            },
        })
    }
}

/// Whether a page may have this size.
#[must_use]
pub fn valid_page_size(bytes: u32) -> bool {
    bytes.is_power_of_two() && (MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&bytes)
}

/// The first page that is not taken by the metas.
#[must_use]
pub fn first_page(page_size: u32) -> PageId {
    PageId(META_BYTES.div_ceil(u64::from(page_size)))
}

#[cfg(test)]
mod tests;
