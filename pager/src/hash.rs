//! A hash map keyed by page number.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use cs_base::PageId;

/// Page numbers are ours and dense, so one multiplication spreads them well
/// enough (Knuth, TAOCP 3, 6.4), and no attacker chooses them.
#[derive(Debug, Default, Clone)]
pub(crate) struct PageHasher(u64);

impl Hasher for PageHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(26);
    }
}

/// See [`PageHasher`].
pub(crate) type PageMap<V> = HashMap<PageId, V, BuildHasherDefault<PageHasher>>;
