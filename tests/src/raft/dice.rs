//! All random choices of a seed come from one generator.

use oorandom::Rand64;

/// The generator of a seed.
#[derive(Debug)]
pub(super) struct Dice(Rand64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rand64::new(u128::from(seed)))
    }

    /// Any number.
    pub(super) fn draw(&mut self) -> u64 {
        self.0.rand_u64()
    }

    /// A number below `bound`, which is not zero. The bias of the remainder does not
    /// matter for bounds as small as ours.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// A number from `low` up to and with `high`.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// `true` in so many of a thousand cases.
    pub(super) fn permille(&mut self, of_thousand: u64) -> bool {
        of_thousand > 0 && self.below(1000) < of_thousand
    }

    /// `true` in half of the cases.
    pub(super) fn coin(&mut self) -> bool {
        self.draw() & (1 << 40) != 0
    }

    /// One of them; `None` of nothing.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len() as u64) as usize).copied()
    }

    /// Often small, seldom near `high`: each power of two below it is as likely.
    pub(super) fn skewed(&mut self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low);
        let shift = self.below(8);
        low + self.below((span >> shift) + 1)
    }
}
