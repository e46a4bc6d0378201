//! Keys and values from a seed, and which of them are in the database.
//!
//! Invariants:
//! * Pair `number` of a seed is always the same, and made without the others.
//!   Keys of one seed differ: their first 8 bytes are a one-to-one function of
//!   the number. Their order has nothing to do with the order of the numbers.
//! * No two values are equal: each carries a mark of its number.
//! * `Live` counts what was acknowledged; its sum is that of the pairs,
//!   whatever their order.

use oorandom::Rand64;
use serde::{Deserialize, Serialize};

use crate::engine::{KEY_BYTES, Pair};

use super::json;

/// Random bytes from which small values are cut: large against a page, so that
/// neighbours have little in common; small against the cache of a processor.
const POOL_BYTES: usize = 1 << 20;
/// Texts from which large values are made.
const TEXTS: usize = 4096;
/// Values from this size on are JSON text.
const JSON_FROM: u64 = 256;
/// Where the mark is, in either kind of value.
const MARK: std::ops::Range<usize> = 8..16;

/// A way to make pairs.
#[derive(Debug)]
pub(crate) struct Pairs {
    seed: u64,
    len: usize,
    pool: Vec<u8>,
}

impl Pairs {
    /// Pairs of this seed, with values of this many bytes, at least 16.
    pub(crate) fn new(seed: u64, value_bytes: u64) -> Self {
        assert!(
            value_bytes >= MARK.end as u64,
            "a value has room for its mark"
        );
        let mut random = Rand64::new(u128::from(seed));
        let len = value_bytes as usize;
        let pool = if value_bytes < JSON_FROM {
            (0..(POOL_BYTES + len).div_ceil(8))
                .flat_map(|_| random.rand_u64().to_le_bytes())
                .collect()
        } else {
            (0..TEXTS)
                .flat_map(|_| json::text(&mut random, len))
                .collect()
        };
        Self {
            seed: mix(seed),
            len,
            pool,
        }
    }

    /// Bytes of a key and its value.
    pub(crate) fn bytes(&self) -> u64 {
        (KEY_BYTES + self.len) as u64
    }

    /// Bytes of a value.
    pub(crate) fn value_len(&self) -> usize {
        self.len
    }

    /// The key of pair `number`.
    pub(crate) fn key(&self, number: u64) -> [u8; KEY_BYTES] {
        // One-to-one in `number`, for the seed at hand.
        let first = mix(number ^ self.seed);
        let second = mix(first.wrapping_add(self.seed));
        let mut key = [0; KEY_BYTES];
        key[..8].copy_from_slice(&first.to_be_bytes());
        key[8..16].copy_from_slice(&second.to_be_bytes());
        key[16..].copy_from_slice(&mix(second).to_be_bytes());
        key
    }

    /// Pair `number`.
    pub(crate) fn pair(&self, number: u64) -> Pair {
        let lot = mix(number.wrapping_add(self.seed));
        let start = if self.len < JSON_FROM as usize {
            lot as usize % POOL_BYTES
        } else {
            lot as usize % TEXTS * self.len
        };
        let mut value = self.pool[start..start + self.len].to_vec();
        value[MARK].copy_from_slice(&mark(number));
        Pair {
            key: self.key(number),
            value,
        }
    }

    /// What pair `number` adds to a sum.
    pub(crate) fn sum(&self, number: u64) -> u64 {
        let pair = self.pair(number);
        sum_of(&pair.key, &pair.value)
    }
}

/// The number in 8 characters that may stand in a JSON string. Six bits each:
/// numbers are below 2^48.
fn mark(number: u64) -> [u8; 8] {
    const ALPHABET: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    let mut mark = [0; 8];
    for (place, byte) in mark.iter_mut().enumerate() {
        *byte = ALPHABET[(number >> (6 * place)) as usize & 63];
    }
    mark
}

/// What a pair adds to a sum that does not ask for the order: both ends of its
/// key, the mark, the end and the length of its value.
pub(crate) fn sum_of(key: &[u8], value: &[u8]) -> u64 {
    let eight = |bytes: Option<&[u8]>| {
        let bytes = bytes.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    let head = eight(key.get(..8));
    let tail = eight(key.len().checked_sub(8).and_then(|at| key.get(at..)));
    let mark = eight(value.get(MARK));
    let end = u64::from(value.last().copied().unwrap_or(0)) + ((value.len() as u64) << 8);
    mix(head ^ tail.rotate_left(17) ^ mark.rotate_left(31) ^ end)
}

/// What is in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Live {
    /// The pairs below this number were loaded.
    pub(crate) loaded: u64,
    /// Of those, the even numbers were deleted again.
    pub(crate) halved: bool,
    /// From this number on nothing was ever written.
    pub(crate) next: u64,
    /// A number that is there, once anything is.
    pub(crate) known: Option<u64>,
    pub(crate) pairs: u64,
    pub(crate) sum: u64,
}

impl Live {
    /// Pairs were put that add so much.
    pub(crate) fn put(&mut self, pairs: u64, sum: u64) {
        self.pairs += pairs;
        self.sum = self.sum.wrapping_add(sum);
    }

    /// Pairs were deleted that had added so much.
    pub(crate) fn deleted(&mut self, pairs: u64, sum: u64) {
        self.pairs -= pairs;
        self.sum = self.sum.wrapping_sub(sum);
    }

    /// The loaded pair that a random number falls on.
    pub(crate) fn choose(&self, random: u64) -> u64 {
        if self.halved {
            // There are loaded / 2 odd numbers below it.
            random % (self.loaded / 2).max(1) * 2 + 1
        } else {
            random % self.loaded.max(1)
        }
    }
}

/// Finaliser of SplitMix64 (Steele, Lea, Flood, 2014): one-to-one on 64 bits.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
