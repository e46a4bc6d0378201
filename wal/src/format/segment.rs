//! The first block of a segment file.

use cs_base::{BLOCK_SIZE, FileId, HybridTime, Incarnation, Index, Lsn, Term};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{HardState, MAX_MEMBERSHIP_BYTES, RECORD_HEADER_BYTES};
use crate::error::{LogError, Result};

/// Version of the segment format that is written.
pub const FORMAT_VERSION: u32 = 1;

/// Bytes of a segment file before its first record.
pub const SEGMENT_HEADER_BYTES: u64 = BLOCK_SIZE as u64;

/// Largest capacity that is believed.
const MAX_CAPACITY: u64 = 1 << 40;

const MAGIC: [u8; 8] = *b"CS-WAL\r\n";

/// Feature bits this version knows: none yet.
const KNOWN_READ_ONLY_COMPATIBLE: u64 = 0;
const KNOWN_INCOMPATIBLE: u64 = 0;

/// The header as it lies on disk.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawSegmentHeader {
    pub(super) magic: [u8; 8],
    pub(super) format_version: U32,
    pub(super) checksum: U32,
    pub(super) compatible: U64,
    pub(super) read_only_compatible: U64,
    pub(super) incompatible: U64,
    pub(super) block_size: U32,
    pub(super) record_header_bytes: U32,
    pub(super) file_id: U64,
    pub(super) sequence: U64,
    pub(super) previous: U64,
    pub(super) base_lsn: U64,
    pub(super) capacity: U64,
    pub(super) incarnation: U64,
    pub(super) first_index: U64,
    pub(super) durable_lsn: U64,
    pub(super) last_time: U64,
    pub(super) last_end: U64,
    pub(super) chain: U32,
    pub(super) membership_len: U32,
    pub(super) term: U64,
    pub(super) voted_for: U64,
    pub(super) commit: U64,
    pub(super) membership: [u8; MAX_MEMBERSHIP_BYTES],
    pub(super) reserved: [u8; 1888],
}

const _: () = {
    assert!(size_of::<RawSegmentHeader>() == BLOCK_SIZE);
    assert!(std::mem::offset_of!(RawSegmentHeader, checksum) == 12);
    assert!(std::mem::offset_of!(RawSegmentHeader, file_id) == 48);
    assert!(std::mem::offset_of!(RawSegmentHeader, chain) == 128);
    assert!(std::mem::offset_of!(RawSegmentHeader, membership) == 160);
    assert!(std::mem::offset_of!(RawSegmentHeader, reserved) == 2208);
};

/// A header whose checksum and fields were checked, or that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Which database.
    pub(crate) file_id: FileId,
    /// Which segment; grows with every one that is begun.
    pub(crate) sequence: u64,
    /// Sequence of the segment that this one continues, 0 for none.
    pub(crate) previous: u64,
    /// LSN of the first byte after the header.
    pub(crate) base: Lsn,
    /// Bytes after the header.
    pub(crate) capacity: u64,
    /// Incarnation of every record in it.
    pub(crate) incarnation: Incarnation,
    /// Index that the next record is expected to take.
    pub(crate) first_index: Index,
    /// How far the log was durable when this was written.
    pub(crate) durable: Lsn,
    /// Time of the last record before `base`.
    pub(crate) last_time: HybridTime,
    /// End of the last record before `base`, in the block just before it.
    pub(crate) last_end: Lsn,
    /// Checksum of the last record before `base`, 0 at the start of the log.
    pub(crate) chain: u32,
    /// Hard state when this was written.
    pub(crate) hard_state: HardState,
    /// Bits of features that an older writer must not write over.
    pub(crate) read_only_compatible: u64,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut raw = RawSegmentHeader::new_zeroed();
        raw.magic = MAGIC;
        raw.format_version = FORMAT_VERSION.into();
        raw.read_only_compatible = self.read_only_compatible.into();
        raw.block_size = (BLOCK_SIZE as u32).into();
        raw.record_header_bytes = (RECORD_HEADER_BYTES as u32).into();
        raw.file_id = self.file_id.0.into();
        raw.sequence = self.sequence.into();
        raw.previous = self.previous.into();
        raw.base_lsn = self.base.0.into();
        raw.capacity = self.capacity.into();
        raw.incarnation = self.incarnation.0.into();
        raw.first_index = self.first_index.0.into();
        raw.durable_lsn = self.durable.0.into();
        raw.last_time = self.last_time.0.into();
        raw.last_end = self.last_end.0.into();
        raw.chain = self.chain.into();
        raw.term = self.hard_state.term.0.into();
        raw.voted_for = self.hard_state.voted_for.into();
        raw.commit = self.hard_state.commit.0.into();
        let membership = &self.hard_state.membership;
        raw.membership_len = (membership.len() as u32).into();
        raw.membership[..membership.len()].copy_from_slice(membership);
        raw.checksum = sum(raw.as_bytes()).into();
        raw.as_bytes().to_vec()
    }

    /// Checks and reads the first block of the file `name`.
    ///
    /// # Errors
    /// [`LogError::Unsupported`] for a version or feature that is not known,
    /// else [`LogError::CorruptSegment`].
    pub(crate) fn decode(name: &str, block: &[u8]) -> Result<Self> {
        let corrupt = |expected: String, found: String| LogError::CorruptSegment {
            name: name.to_owned(),
            expected,
            found,
        };
        let raw = RawSegmentHeader::ref_from_bytes(block).map_err(|_| {
            corrupt(
                format!("a header of {BLOCK_SIZE} bytes"),
                format!("{}", block.len()),
            )
        })?;
        if raw.magic != MAGIC {
            return Err(corrupt(
                format!("magic {MAGIC:02x?}"),
                format!("{:02x?}", raw.magic),
            ));
        }
        // The version comes before the checksum: another version may sum otherwise.
        if raw.format_version.get() != FORMAT_VERSION {
            return Err(LogError::Unsupported {
                what: format!("segment {name}"),
                found: format!("format version {}", raw.format_version),
                known: format!("version {FORMAT_VERSION}"),
            });
        }
        let expected = sum(block);
        if raw.checksum.get() != expected {
            let found = format!("{:#010x}", raw.checksum.get());
            return Err(corrupt(format!("header checksum {expected:#010x}"), found));
        }
        let unknown = raw.incompatible.get() & !KNOWN_INCOMPATIBLE;
        if unknown != 0 {
            return Err(LogError::Unsupported {
                what: format!("segment {name}"),
                found: format!("incompatible features {unknown:#x}"),
                known: format!("{KNOWN_INCOMPATIBLE:#x}"),
            });
        }
        raw.check_fields()
            .map_err(|(expected, found)| corrupt(expected, found))?;
        Ok(raw.decoded())
    }

    /// Refuses to append after a segment with features that only readers may skip.
    pub(crate) fn check_writable(&self, name: &str) -> Result<()> {
        let unknown = self.read_only_compatible & !KNOWN_READ_ONLY_COMPATIBLE;
        if unknown == 0 {
            return Ok(());
        }
        Err(LogError::Unsupported {
            what: format!("segment {name}"),
            found: format!("features {unknown:#x} that allow reading only"),
            known: format!("{KNOWN_READ_ONLY_COMPATIBLE:#x}"),
        })
    }

    /// LSN just after the last byte of the file.
    pub(crate) fn limit(&self) -> Lsn {
        self.base.advance(self.capacity)
    }

    /// Where `lsn` lies in the file.
    pub(crate) fn offset(&self, lsn: Lsn) -> u64 {
        debug_assert!(lsn >= self.base);
        SEGMENT_HEADER_BYTES + (lsn.0 - self.base.0)
    }
}

impl RawSegmentHeader {
    /// Whether the numbers make sense; else what was expected and what found.
    fn check_fields(&self) -> std::result::Result<(), (String, String)> {
        let block = BLOCK_SIZE as u64;
        let number = |what: &str, expected: u64, found: u64| {
            if expected == found {
                Ok(())
            } else {
                Err((format!("{what} {expected}"), format!("{found}")))
            }
        };
        number("block size", block, u64::from(self.block_size.get()))?;
        number(
            "record header",
            RECORD_HEADER_BYTES as u64,
            u64::from(self.record_header_bytes.get()),
        )?;
        let (base, capacity) = (self.base_lsn.get(), self.capacity.get());
        let whole = capacity != 0 && capacity.is_multiple_of(block) && base.is_multiple_of(block);
        if !whole || capacity > MAX_CAPACITY || base > u64::MAX - 2 * MAX_CAPACITY {
            let expected =
                format!("base and capacity in whole blocks, at most {MAX_CAPACITY} bytes");
            return Err((expected, format!("base {base}, capacity {capacity}")));
        }
        if self.sequence.get() <= self.previous.get() || self.incarnation.get() == 0 {
            let expected = "sequence after the previous one, incarnation from 1".to_owned();
            return Err((
                expected,
                format!(
                    "sequence {}, previous {}, incarnation {}",
                    self.sequence, self.previous, self.incarnation
                ),
            ));
        }
        let last_end = self.last_end.get();
        if last_end > base || base - last_end >= block || self.durable_lsn.get() > last_end {
            let expected = format!("durable lsn, then last end in the block before base {base}");
            return Err((
                expected,
                format!("durable lsn {}, last end {last_end}", self.durable_lsn),
            ));
        }
        if self.first_index.get() == 0 {
            return Err(("first index from 1".to_owned(), "0".to_owned()));
        }
        let len = self.membership_len.get() as usize;
        let used =
            len <= MAX_MEMBERSHIP_BYTES && self.membership[len..].iter().all(|&byte| byte == 0);
        if !used || self.reserved.iter().any(|&byte| byte != 0) {
            return Err((
                "zero reserved bytes".to_owned(),
                format!("others, membership length {len}"),
            ));
        }
        Ok(())
    }

    fn decoded(&self) -> SegmentHeader {
        SegmentHeader {
            file_id: FileId(self.file_id.get()),
            sequence: self.sequence.get(),
            previous: self.previous.get(),
            base: Lsn(self.base_lsn.get()),
            capacity: self.capacity.get(),
            incarnation: Incarnation(self.incarnation.get()),
            first_index: Index(self.first_index.get()),
            durable: Lsn(self.durable_lsn.get()),
            last_time: HybridTime(self.last_time.get()),
            last_end: Lsn(self.last_end.get()),
            chain: self.chain.get(),
            hard_state: HardState {
                term: Term(self.term.get()),
                voted_for: self.voted_for.get(),
                commit: Index(self.commit.get()),
                membership: self.membership[..self.membership_len.get() as usize].to_vec(),
            },
            read_only_compatible: self.read_only_compatible.get(),
        }
    }
}

/// CRC-32C over the block without the checksum field itself.
fn sum(block: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&block[..12]), &block[16..])
}
