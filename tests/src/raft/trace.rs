//! What happened: as a hash always, as text when somebody wants to read it.

use std::collections::VecDeque;
use std::fmt::Arguments;

use super::hash::mix;

/// The trace of a run.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) hash: u64,
    /// The last lines, if they are wanted.
    lines: Option<VecDeque<String>>,
    keeps: usize,
}

impl Trace {
    /// A trace that keeps so many lines.
    pub(super) fn new(keeps: usize) -> Self {
        Self {
            hash: 0,
            lines: (keeps > 0).then(VecDeque::new),
            keeps,
        }
    }

    /// Something happened.
    pub(super) fn add(&mut self, number: u64) {
        self.hash = mix(self.hash, number);
    }

    /// The same in words; cheap when nobody reads.
    pub(super) fn say(&mut self, now: u64, words: Arguments<'_>) {
        let Some(lines) = &mut self.lines else { return };
        if lines.len() == self.keeps {
            lines.pop_front();
        }
        lines.push_back(format!("{:>12.6} {words}", now as f64 / 1e6));
    }

    /// The lines that were kept.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flatten().map(String::as_str)
    }
}
