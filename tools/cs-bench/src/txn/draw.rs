//! Which keys a transaction is about.
//!
//! Invariant: the keys of one transaction differ from each other.

use oorandom::Rand64;

/// Keys of one transaction.
pub(super) const KEYS: usize = 10;
/// Skew of the Zipf distribution: that of YCSB.
const THETA: f64 = 0.99;

/// Numbers below a count, the small ones far more often: the generator of Gray et
/// al., *Quickly Generating Billion-Record Synthetic Databases* (1994), as in YCSB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zipf {
    count: f64,
    zeta: f64,
    alpha: f64,
    eta: f64,
}

impl Zipf {
    /// Over the numbers below `count`.
    pub(super) fn new(count: u64) -> Self {
        let zeta = |count: u64| {
            (1..=count)
                .map(|rank| (rank as f64).powf(-THETA))
                .sum::<f64>()
        };
        let all = zeta(count);
        let count = count as f64;
        Self {
            count,
            zeta: all,
            alpha: 1.0 / (1.0 - THETA),
            eta: (1.0 - (2.0 / count).powf(1.0 - THETA)) / (1.0 - zeta(2) / all),
        }
    }

    fn draw(&self, random: &mut Rand64) -> u64 {
        let uniform = random.rand_float();
        let scaled = uniform * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5_f64.powf(THETA) {
            return 1;
        }
        let rank = self.count * (self.eta * uniform - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.count as u64 - 1)
    }
}

/// Where keys come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Draw {
    /// Those that leave `thread` when divided by `threads`.
    Own {
        /// Which thread it is.
        thread: u64,
        /// Of how many.
        threads: u64,
        /// Of how many keys.
        keys: u64,
    },
    /// All, some of them far more often.
    Shared(Zipf),
}

impl Draw {
    /// The keys of the next transaction.
    pub(super) fn next(&self, random: &mut Rand64) -> [u64; KEYS] {
        let mut drawn = [u64::MAX; KEYS];
        for at in 0..KEYS {
            drawn[at] = loop {
                let key = match self {
                    Self::Own {
                        thread,
                        threads,
                        keys,
                    } => random.rand_range(0..keys / threads) * threads + thread,
                    Self::Shared(zipf) => zipf.draw(random),
                };
                if !drawn[..at].contains(&key) {
                    break key;
                }
            };
        }
        drawn
    }
}

#[cfg(test)]
mod tests;
