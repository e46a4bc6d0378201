//! Limits of keys, values and transactions.

/// Longest key, in bytes: see [`crate::node::MAX_KEY`].
pub const MAX_KEY: usize = crate::node::MAX_KEY;
/// Longest value, in bytes: a 16 MiB document with room for what a layer above adds.
pub const MAX_VALUE: usize = 32 * 1024 * 1024;
/// Largest transaction, in bytes of its encoded effects: they are held in
/// memory once while it commits.
pub const MAX_TRANSACTION: usize = 256 * 1024 * 1024;
/// Bytes of effects in one record of the log; more become a run of part records.
pub const MAX_PART: usize = 4 * 1024 * 1024;
/// Most bytes of results that a session statement may store.
pub const MAX_RESULTS: usize = 64 * 1024;
