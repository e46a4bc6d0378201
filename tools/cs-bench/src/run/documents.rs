//! The documents: `{_id: 24 characters, v: binary}`, made from a seed.
//!
//! Invariants:
//! * Document `number` of a seed is always the same, and made without the others.
//! * Keys of one seed differ: their first 16 digits are a one-to-one function
//!   of the number. Their order has nothing to do with the order of the numbers.
//! * Values do not compress: they are random bytes.

use bson::raw::RawDocumentBuf;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson};
use oorandom::Rand64;

/// Random bytes from which values are cut. Large against a page, so that
/// neighbours have little in common; small against the cache of a processor.
const POOL_BYTES: usize = 1 << 20;

/// A way to make documents.
#[derive(Debug)]
pub(crate) struct Documents {
    seed: u64,
    value_size: usize,
    pool: Vec<u8>,
}

impl Documents {
    /// Documents of this seed, with values of this many bytes.
    pub(crate) fn new(seed: u64, value_size: usize) -> Self {
        let mut random = Rand64::new(u128::from(seed));
        let pool = (0..(POOL_BYTES + value_size).div_ceil(8))
            .flat_map(|_| random.rand_u64().to_le_bytes())
            .collect();
        Self {
            seed: mix(seed),
            value_size,
            pool,
        }
    }

    /// The key of document `number`.
    pub(crate) fn key(&self, number: u64) -> String {
        // A one-to-one function of `number`, for the seed at hand.
        let first = mix(number ^ self.seed);
        let second = mix(first.wrapping_add(self.seed)) as u32;
        format!("{first:016x}{second:08x}")
    }

    /// The key of document `number`, as the value of its `_id`.
    pub(crate) fn id(&self, number: u64) -> Bson {
        Bson::String(self.key(number))
    }

    /// Document `number`.
    pub(crate) fn document(&self, number: u64) -> RawDocumentBuf {
        let start = mix(number.wrapping_add(self.seed)) as usize % POOL_BYTES;
        let bytes = self.pool[start..start + self.value_size].to_vec();
        let mut document = RawDocumentBuf::new();
        document.append(bson::cstr!("_id"), self.key(number));
        document.append(
            bson::cstr!("v"),
            Binary {
                subtype: BinarySubtype::Generic,
                bytes,
            },
        );
        document
    }
}

/// A permutation of the numbers below `count` that has nothing to do with the
/// order of insertion: the stride visits every number once, being coprime to
/// the count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scattered {
    count: u64,
    stride: u64,
}

impl Scattered {
    /// The permutation of the numbers below `count`, which is at most 2^32.
    pub(crate) fn new(count: u64) -> Self {
        // Near the golden ratio neighbours end up far apart.
        let mut stride = (count as f64 * 0.618_033_988_75) as u64 | 1;
        while common_divisor(stride, count) != 1 {
            stride += 2;
        }
        Self { count, stride }
    }

    /// Which number comes at `position`.
    pub(crate) fn at(self, position: u64) -> u64 {
        // Both are below 2^33: the product fits.
        (position % self.count) * (self.stride % self.count) % self.count
    }
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Finaliser of SplitMix64 (Steele, Lea, Flood, 2014): one-to-one on 64 bits.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
