//! What is written: each transaction a function of seed, writer and number.
//!
//! ## Invariants
//! * Each writer has keys of its own and commits in the order of its numbers,
//!   so its part of the database is a function of how far it came.
//! * Each transaction changes both trees: the writer's counter is in each.
//! * Every fourth also adds one to a number that all writers share, by
//!   reading it first.

use std::collections::BTreeMap;

use cs_kv::StoreOptions;
use oorandom::Rand64;

/// Trees of the database.
pub(super) const TREES: usize = 2;
/// Writers, each a thread.
pub(super) const WRITERS: u8 = 4;
/// Keys of one writer in one tree, its counter not counted.
const KEYS: u64 = 48;
/// The number that all writers add to, in the first tree.
pub(super) const SHARED_KEY: &[u8] = b"shared";
/// Each so many transactions of a writer add to it.
pub(super) const SHARED_EVERY: u64 = 4;

/// Tree (by position) and key, to the new value or none.
pub(super) type Changes = BTreeMap<(usize, Vec<u8>), Option<Vec<u8>>>;

/// The counter of a writer: the number of its last transaction, big-endian.
pub(super) fn counter_key(writer: u8) -> Vec<u8> {
    format!("writer-{writer}/count").into_bytes()
}

/// How many transactions a writer has under way at most.
pub(super) fn depth(writer: u8) -> u64 {
    1 + u64::from(writer % 3)
}

/// What transaction `number` (from 1) of a writer changes.
pub(super) fn changes(seed: u64, writer: u8, number: u64) -> Changes {
    let state = u128::from(seed) << 64 | u128::from(number) << 8 | u128::from(writer);
    let mut rng = Rand64::new(state);
    let mut changes = Changes::new();
    for _ in 0..=rng.rand_range(0..6) {
        let tree = rng.rand_range(0..TREES as u64) as usize;
        let key = format!("writer-{writer}/{:03}", rng.rand_range(0..KEYS)).into_bytes();
        let len = match rng.rand_range(0..100) {
            0..20 => None,
            20..85 => Some(rng.rand_range(0..400)),
            85..97 => Some(rng.rand_range(400..3_000)),
            _ => Some(rng.rand_range(5_000..20_000)),
        };
        changes.insert((tree, key), len.map(|len| value(&mut rng, len as usize)));
    }
    for tree in 0..TREES {
        changes.insert(
            (tree, counter_key(writer)),
            Some(number.to_be_bytes().to_vec()),
        );
    }
    changes
}

fn value(rng: &mut Rand64, len: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(len + 8);
    while value.len() < len {
        value.extend_from_slice(&rng.rand_u64().to_le_bytes());
    }
    value.truncate(len);
    value
}

/// Small sizes, so that a few dozen commits see checkpoints, recycling,
/// eviction and early writes.
pub(super) fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.page_size = 4096;
    options.cache_bytes = 256 * 1024;
    options.checkpoint_log_bytes = 128 * 1024;
    options.log.segment_bytes_min = 32 * 1024;
    options.log.segment_bytes_max = 256 * 1024;
    options.log.groups_in_flight = 3;
    options
}
