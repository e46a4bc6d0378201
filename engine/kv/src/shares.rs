//! What of the memory that a store was given goes where.
//!
//! ```text
//! cache_bytes = pages (5/6 at least) + everything else (1/6, at most 64 MiB)
//!               pages = frames, what finds them, a tenth of reserve for readers
//!               everything else = the log's buffers, records in flight, a bulk load
//! ```
//!
//! ## Invariants
//! * Whatever grows with the load has a share here, in proportion to the budget.
//! * With the defaults of log and bulk load a budget of 1 GiB takes nothing from them.

use cs_wal::LogOptions;

use crate::limits::MAX_PART;

/// Beyond the budget's pages, at most: the sum of the shares below.
const OTHERS_MAX: u64 = 64 << 20;
/// The share of the budget that is not for pages.
const OTHERS: u64 = 6;
/// Share of one buffer of the log: two in flight, one that gathers, two spare.
const LOG_BUFFER: u64 = 256;
/// Least bytes of it.
const LOG_BUFFER_MIN: usize = 32 << 10;
/// Share of what may be appended and not durable: each such byte is in the log's
/// buffer, in the record in flight, and mostly once more in the way back from it.
const UNDURABLE: u64 = 32;
/// What is less than this is a group on its own.
const UNDURABLE_MIN: u64 = 64 << 10;
/// Share of one record of a bulk load, of which there are four in flight.
const CHUNK: u64 = 128;
/// Shorter ones spend more on the edge of the tree than on what they bring.
const CHUNK_MIN: u64 = 64 << 10;
/// Share of what a bulk load sorts in memory.
const SORT: u64 = 16;
/// Share of the budget that it may borrow beside.
const SORT_BORROWED: u64 = 4;

/// The budget for pages.
pub(crate) fn for_pages(cache_bytes: u64) -> u64 {
    cache_bytes - (cache_bytes / OTHERS).min(OTHERS_MAX)
}

/// The log's options, with buffers that fit the budget.
pub(crate) fn for_log(cache_bytes: u64, asked: &LogOptions) -> LogOptions {
    let buffer = usize::try_from(cache_bytes / LOG_BUFFER).unwrap_or(usize::MAX);
    let undurable = (cache_bytes / UNDURABLE).max(UNDURABLE_MIN);
    let mut options = asked.clone();
    options.group_bytes_max = asked.group_bytes_max.min(buffer.max(LOG_BUFFER_MIN));
    options.undurable_bytes_max = asked.undurable_bytes_max.min(undurable);
    options
}

/// Bytes of one record of a bulk load.
pub(crate) fn for_chunk(cache_bytes: u64) -> usize {
    (cache_bytes / CHUNK).clamp(CHUNK_MIN, MAX_PART as u64) as usize
}

/// Bytes that a bulk load sorts at once: its own share …
pub(crate) fn for_sorting(cache_bytes: u64, asked: usize) -> usize {
    asked.min(usize::try_from(cache_bytes / SORT).unwrap_or(usize::MAX))
}

/// … and what it may borrow from pages that do not use it.
pub(crate) fn for_sorting_borrowed(cache_bytes: u64, asked: usize) -> u64 {
    let own = for_sorting(cache_bytes, asked);
    (cache_bytes / SORT_BORROWED).min((asked - own) as u64)
}

#[cfg(test)]
mod tests;
