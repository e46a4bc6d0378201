//! The words that several crates share: one newtype for each number that
//! reaches disk or wire, and the codec of compressed blocks.
//!
//! | type | what it counts |
//! |---|---|
//! | [`Lsn`] | byte position in the write-ahead log |
//! | [`PageId`] | position of a page in the data file, in pages |
//! | [`Version`] | a state of the whole database, as copy-on-write sees it |
//! | [`TreeId`] | one B+ tree; ids are never reused |
//! | [`Term`], [`Index`] | Raft's words, as in the paper |
//! | [`HybridTime`] | hybrid logical clock: 48 bits of Unix milliseconds, 16 bits of counter |
//! | [`FileId`] | which database a file belongs to |
//! | [`Incarnation`] | how often the log was cut and begun anew |
//!
//! Each is a `u64` (or `u32`) inside, ordered, printable, and little-endian on
//! disk. And [`codec`]: blocks of compressed bytes, as the log and the trees hold
//! them. What is *not* here: any I/O, any policy.

#![forbid(unsafe_code)]

pub mod codec;
pub mod mutants;
mod numbers;

pub use numbers::{FileId, HybridTime, Incarnation, Index, Lsn, PageId, Term, TreeId, Version};

/// The unit in which the log and the data file are written: groups of the log
/// and pages of the file start on a multiple of it, in bytes.
///
/// 4 KiB is the largest logical block that direct I/O asks for on the file
/// systems we know, and the physical block of today's disks: two writes that
/// never share one cannot tear each other.
pub const BLOCK_SIZE: usize = 4096;

/// `value` rounded up to the next multiple of `unit`, a power of two.
///
/// ```
/// assert_eq!(cs_base::round_up(1, 4096), 4096);
/// assert_eq!(cs_base::round_up(4096, 4096), 4096);
/// ```
///
/// # Panics
/// If the result does not fit into 64 bits, which no size here can reach.
#[inline]
#[must_use]
pub const fn round_up(value: u64, unit: u64) -> u64 {
    debug_assert!(unit.is_power_of_two());
    (value + (unit - 1)) & !(unit - 1)
}
