//! One framed entry of the log.

use cs_base::{FileId, HybridTime, Index, Term};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Longest payload of one record. A longer transaction is a run of
/// [`Part`](RecordKind::Part) records. 32 MiB holds two of the largest
/// documents, and bounds the memory that reading a log takes.
pub const MAX_RECORD_PAYLOAD: usize = 32 << 20;

/// Bytes of a record before its payload.
pub const RECORD_HEADER_BYTES: usize = size_of::<RawRecordHeader>();

/// Records start on a multiple of this.
const RECORD_ALIGNMENT: u64 = 8;

/// What a record is. The log itself interprets only [`Vote`](Self::Vote) and
/// [`Seal`](Self::Seal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum RecordKind {
    /// A transaction, or the last part of one.
    Transaction = 1,
    /// A part of a transaction that a later record commits.
    Part = 2,
    /// A prepared transaction.
    Prepare = 3,
    /// The decision about a prepared transaction.
    Decision = 4,
    /// A change of the catalog.
    Catalog = 5,
    /// A snapshot up to this index was installed or taken; the only kind
    /// whose index may jump ahead.
    SnapshotMark = 6,
    /// A change of membership.
    Membership = 7,
    /// Hard state; takes no index of its own.
    Vote = 8,
    /// Nothing; takes an index.
    NoOp = 9,
    /// Names the durable LSN of a log that fell idle; takes no index of its own.
    Seal = 10,
}

impl RecordKind {
    /// Every kind, in order of its number.
    pub const ALL: [Self; 10] = [
        Self::Transaction,
        Self::Part,
        Self::Prepare,
        Self::Decision,
        Self::Catalog,
        Self::SnapshotMark,
        Self::Membership,
        Self::Vote,
        Self::NoOp,
        Self::Seal,
    ];

    /// The kind with that number; 0 and unknown ones are none.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1..=10 => Some(Self::ALL[number as usize - 1]),
            _ => None,
        }
    }

    /// Whether a record of this kind takes an index of its own. Those that do
    /// not carry the index of the last one that did, and supersede nothing.
    #[must_use]
    pub const fn takes_index(self) -> bool {
        !matches!(self, Self::Vote | Self::Seal)
    }
}

/// What the owner says about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// What it is.
    pub kind: RecordKind,
    /// The owner's; the log only carries them.
    pub flags: u8,
    /// Raft term.
    pub term: Term,
    /// Raft index: at most one more than the last, or an earlier one, which
    /// then supersedes.
    pub index: Index,
    /// Hybrid time; strictly grows with the index.
    pub time: HybridTime,
}

/// The header as it lies on disk.
///
/// `kind`, which is never 0, is among the first eight bytes: a block's last
/// eight bytes therefore tell a record that begins there from the zero rest
/// of a group.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawRecordHeader {
    pub(crate) checksum: U32,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) reserved: U16,
    pub(crate) payload_len: U32,
    pub(crate) previous: U32,
    pub(crate) lsn: U64,
    pub(crate) incarnation: U64,
    pub(crate) term: U64,
    pub(crate) index: U64,
    pub(crate) durable_lsn: U64,
    pub(crate) time: U64,
}

const _: () = {
    assert!(size_of::<RawRecordHeader>() == 64);
    assert!(std::mem::offset_of!(RawRecordHeader, kind) == 4);
    assert!(std::mem::offset_of!(RawRecordHeader, payload_len) == 8);
    assert!(std::mem::offset_of!(RawRecordHeader, lsn) == 16);
    assert!(std::mem::offset_of!(RawRecordHeader, incarnation) == 24);
    assert!(std::mem::offset_of!(RawRecordHeader, durable_lsn) == 48);
    assert!(std::mem::offset_of!(RawRecordHeader, time) == 56);
};

impl RawRecordHeader {
    /// CRC-32C over file id, header after the checksum, and payload.
    pub(crate) fn sum<'a>(&self, seed: u32, payload: impl IntoIterator<Item = &'a [u8]>) -> u32 {
        let head = crc32c::crc32c_append(seed, &self.as_bytes()[4..]);
        payload.into_iter().fold(head, crc32c::crc32c_append)
    }
}

/// The file id opens every checksum: a record of another database, or one
/// forged inside a document, does not pass for ours.
pub(crate) fn checksum_seed(file_id: FileId) -> u32 {
    crc32c::crc32c(&file_id.0.to_le_bytes())
}

/// Header and payload, without padding.
pub(crate) const fn record_bytes(payload_len: usize) -> u64 {
    (RECORD_HEADER_BYTES + payload_len) as u64
}

/// Bytes a record takes in the log.
pub(crate) const fn padded_len(payload_len: usize) -> u64 {
    cs_base::round_up(record_bytes(payload_len), RECORD_ALIGNMENT)
}
