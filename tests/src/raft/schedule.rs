//! What happens next: everything to come, in the order of time.
//!
//! ## Invariants
//! * Two things at one moment happen in the order in which they were put down, so a run
//!   is a function of its seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[cfg(test)]
mod tests;

/// Things of one kind to come. Times are microseconds of the true clock, which no node
/// sees.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    /// What they are; the heap moves numbers only.
    things: Vec<Option<T>>,
    free: Vec<u32>,
    count: u64,
    now: u64,
}

impl<T> Schedule<T> {
    pub(super) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            things: Vec::new(),
            free: Vec::new(),
            count: 0,
            now: 0,
        }
    }

    /// The true time.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// `thing` happens after `delay`.
    pub(super) fn after(&mut self, delay: u64, thing: T) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.things.push(None);
            (self.things.len() - 1) as u32
        });
        self.things[slot as usize] = Some(thing);
        self.heap
            .push(Reverse((self.now + delay, self.count, slot)));
        self.count += 1;
    }

    /// The next thing, if it comes no later than `end`; time goes on to it.
    pub(super) fn next(&mut self, end: u64) -> Option<T> {
        let Some(&Reverse((at, _, slot))) = self.heap.peek().filter(|next| next.0.0 <= end) else {
            self.now = end;
            return None;
        };
        self.heap.pop();
        self.now = at;
        self.free.push(slot);
        self.things[slot as usize].take()
    }
}
