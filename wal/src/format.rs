//! The bytes of the log: see `FORMAT.md`, which a test holds to this module.
//!
//! Invariants
//! * Every struct here is little-endian, without padding, and its size and
//!   offsets are asserted at compile time.
//! * Bytes from a file become a [`SegmentHeader`] or a record only after their
//!   checksum, and every length in them is bounded before it is used.
//! * Reserved bytes are zero and checked.

mod hard_state;
mod record;
mod segment;

pub use hard_state::{HardState, MAX_MEMBERSHIP_BYTES};
pub use record::{MAX_RECORD_PAYLOAD, RECORD_HEADER_BYTES, RecordHead, RecordKind};
pub(crate) use record::{RawRecordHeader, checksum_seed, padded_len, record_bytes};
pub(crate) use segment::SegmentHeader;
pub use segment::{FORMAT_VERSION, SEGMENT_HEADER_BYTES};

#[cfg(test)]
mod tests;
