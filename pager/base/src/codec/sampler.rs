//! Whether compressing is worth it, found out by trying now and then.
//!
//! ## Invariants
//! * It counts blocks and bytes and nothing else: the same blocks in the same
//!   order give the same answers.
//! * At least one block in [`SAMPLE_EVERY`] is tried, so a change is noticed.

use std::sync::{Mutex, PoisonError};

/// While it does not pay, one block in so many is tried: the rest go as they
/// are, so data that cannot be compressed pays a sixteenth of the price.
pub const SAMPLE_EVERY: u32 = 16;
/// So many tried blocks are judged together: one odd document among them does
/// not turn the answer.
pub const WINDOW: u32 = 8;
/// Compressing goes on while it takes off at least so many percent of the
/// bytes. LZ4 costs about 1.4 µs per KiB, and a device that writes 500 MB/s takes
/// 2 µs for that: with less than a fifth saved, not a third of the cost comes back.
pub const GAIN_PERCENT: u64 = 20;

/// Decides, for one stream of blocks, whether the next one is to be compressed.
///
/// It begins with trying. After each [`WINDOW`] of tried blocks it goes on if
/// they got shorter by [`GAIN_PERCENT`] or more, and otherwise tries one block
/// in [`SAMPLE_EVERY`] until a window of those did.
///
/// ```
/// use cs_base::codec::{Sampler, WINDOW};
///
/// let sampler = Sampler::default();
/// for _ in 0..WINDOW {
///     assert!(sampler.is_to_be_tried());
///     sampler.record(1000, 990);
/// }
/// assert!(!sampler.is_to_be_tried(), "one percent is not worth it");
/// ```
#[derive(Debug, Default)]
pub struct Sampler(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The last window did not pay.
    is_off: bool,
    /// Blocks let by since the last one that was tried.
    passed: u32,
    tried: u32,
    plain: u64,
    packed: u64,
}

impl Sampler {
    /// Whether the next block is to be compressed. Whoever is told so tells
    /// [`record`](Self::record) what came of it.
    #[must_use]
    pub fn is_to_be_tried(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.is_off {
            return true;
        }
        state.passed += 1;
        if state.passed == SAMPLE_EVERY {
            state.passed = 0;
        }
        state.passed == 0
    }

    /// A block of `plain` bytes was tried and became `packed` bytes.
    pub fn record(&self, plain: usize, packed: usize) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.tried += 1;
        state.plain += plain as u64;
        state.packed += packed.min(plain) as u64;
        if state.tried == WINDOW {
            let saved = state.plain - state.packed;
            *state = State {
                is_off: saved * 100 < state.plain * GAIN_PERCENT,
                ..State::default()
            };
        }
    }
}

#[cfg(test)]
mod tests;
