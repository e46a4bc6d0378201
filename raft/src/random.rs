//! A small generator for timeouts, so that nodes do not stand at the same time.

use std::hash::{Hash, Hasher};
use std::time::Duration;

/// Splitmix64: one word of state, well mixed from any seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

/// Nothing: a search through the states of a cluster takes two that differ by
/// it alone for one.
impl Hash for Random {
    fn hash<H: Hasher>(&self, _state: &mut H) {}
}

impl Random {
    /// Nodes with the same seed draw differently, too, and after each start anew.
    pub(crate) fn new(seed: u64, id: u64, incarnation: u64) -> Self {
        let mut random = Self(seed);
        for salt in [id, incarnation] {
            random.0 = random.draw() ^ salt;
        }
        random
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// At least zero, less than `limit`.
    pub(crate) fn below(&mut self, limit: Duration) -> Duration {
        let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        // The bias of the remainder is far below what a timeout can notice.
        Duration::from_micros(self.draw() % micros.max(1))
    }
}

#[cfg(test)]
mod tests;
