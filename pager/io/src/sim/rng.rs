//! Random numbers from a seed.

use crate::runtime::SplitMix;

/// SplitMix64: small, fast, and the same on every machine.
#[derive(Clone, Debug)]
pub struct Rng(SplitMix);

impl Rng {
    /// The same seed gives the same numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(SplitMix::new(seed))
    }

    /// Any number.
    #[must_use]
    pub fn draw(&mut self) -> u64 {
        self.0.next()
    }

    /// A number below `bound`; zero if `bound` is zero. The bias of the
    /// remainder does not matter for bounds as small as ours.
    #[must_use]
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw().checked_rem(bound).unwrap_or(0)
    }

    /// `true` in `percent` of a hundred cases.
    #[must_use]
    pub fn percent(&mut self, percent: u8) -> bool {
        self.below(100) < u64::from(percent)
    }
}
