//! Values in the order of their keys, in bounded memory.
//!
//! ## Invariants
//! * With a limit no more values are held than it allows, as long as they fit.
//! * What is beyond the budget goes to a temporary file, which is gone with the sorter,
//!   or is an error (code 292) where that is not allowed.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};

/// What a sort or a group may hold unless told otherwise, as in MongoDB.
pub(crate) const DEFAULT_BUDGET: u64 = 100 << 20;
/// Up to here values are held one by one; the store's sorter takes its memory at once.
const SMALL: usize = 1 << 20;
/// What an entry takes beside its bytes.
const OVERHEAD: usize = 72;

/// How a sorter works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SorterOptions {
    /// How many of the first values are wanted.
    pub(crate) limit: Option<u64>,
    /// Bytes that may be held.
    pub(crate) budget: u64,
    /// Whether temporary files may be used.
    pub(crate) allow_disk_use: bool,
}

impl Default for SorterOptions {
    fn default() -> Self {
        Self {
            limit: None,
            budget: DEFAULT_BUDGET,
            allow_disk_use: true,
        }
    }
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Sorter {
    options: SorterOptions,
    state: State,
    position: u64,
    held: usize,
}

#[derive(Debug)]
enum State {
    All(Vec<Held>),
    /// The greatest of those held is on top.
    First(BinaryHeap<Held>, usize),
    External(Box<cs_kv::Sorter>),
}

#[derive(Debug)]
struct Held {
    key: Vec<u8>,
    position: u64,
    value: Vec<u8>,
}

impl Held {
    fn bytes(&self) -> usize {
        self.key.len() + self.value.len() + OVERHEAD
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = self.key.cmp(&other.key);
        by_key.then(self.position.cmp(&other.position))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}

impl Sorter {
    pub(crate) fn new(options: SorterOptions) -> Self {
        let limit = options.limit.and_then(|limit| usize::try_from(limit).ok());
        let state = match limit {
            Some(limit) => State::First(BinaryHeap::new(), limit),
            None => State::All(Vec::new()),
        };
        Self {
            options,
            state,
            position: 0,
            held: 0,
        }
    }

    /// Whether a value of this key would be thrown away.
    pub(crate) fn is_beyond(&self, key: &[u8]) -> bool {
        match &self.state {
            State::First(heap, limit) if heap.len() >= *limit => {
                heap.peek().is_none_or(|last| *last.key <= *key)
            }
            _ => false,
        }
    }

    /// Takes a value.
    pub(crate) fn push(
        &mut self,
        environment: &Environment,
        key: Vec<u8>,
        value: Vec<u8>,
    ) -> Result<()> {
        let position = self.position;
        self.position += 1;
        let held = Held {
            key,
            position,
            value,
        };
        self.held += held.bytes();
        match &mut self.state {
            State::First(heap, limit) => {
                heap.push(held);
                if heap.len() > *limit
                    && let Some(last) = heap.pop()
                {
                    self.held -= last.bytes();
                }
                if self.held as u64 > self.options.budget {
                    self.go_external(environment)?;
                }
            }
            State::All(all) => {
                all.push(held);
                if self.held > SMALL || self.held as u64 > self.options.budget {
                    self.go_external(environment)?;
                }
            }
            State::External(sorter) => {
                sorter.push(&held.key, &held.value, position)?;
                self.check_disk_use()?;
            }
        }
        Ok(())
    }

    /// How many bytes are held.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    fn check_disk_use(&self) -> Result<()> {
        if self.options.allow_disk_use || self.held as u64 <= self.options.budget {
            return Ok(());
        }
        let message = format!(
            "a sort or a group exceeded its memory limit of {} bytes, and may not use the disk",
            self.options.budget
        );
        Err(Error::new(ErrorKind::MemoryExceeded, message).with_code(292))
    }

    fn go_external(&mut self, environment: &Environment) -> Result<()> {
        self.check_disk_use()?;
        let memory = usize::try_from(self.options.budget).unwrap_or(usize::MAX);
        let mut sorter = environment.store()?.sorter(memory);
        let held = match std::mem::replace(&mut self.state, State::All(Vec::new())) {
            State::All(all) => all,
            State::First(heap, _) => heap.into_vec(),
            State::External(_) => Vec::new(),
        };
        for held in held {
            sorter.push(&held.key, &held.value, held.position)?;
        }
        self.state = State::External(Box::new(sorter));
        Ok(())
    }

    /// All values, in order.
    pub(crate) fn finish(self) -> Result<Sorted> {
        let left = self.options.limit.unwrap_or(u64::MAX);
        let source = match self.state {
            State::All(mut all) => {
                all.sort_unstable();
                Source::Held(all.into_iter())
            }
            State::First(heap, _) => Source::Held(heap.into_sorted_vec().into_iter()),
            State::External(sorter) => Source::External(Box::new(sorter.finish()?)),
        };
        Ok(Sorted { source, left })
    }
}

/// Values in order.
#[derive(Debug)]
pub(crate) struct Sorted {
    source: Source,
    left: u64,
}

#[derive(Debug)]
enum Source {
    Held(std::vec::IntoIter<Held>),
    External(Box<cs_kv::Sorted>),
}

impl Sorted {
    /// The next key and value.
    pub(crate) fn next(&mut self) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        Ok(match &mut self.source {
            Source::Held(held) => held.next().map(|held| (held.key, held.value)),
            Source::External(sorted) => sorted.next()?.map(|entry| (entry.key, entry.value)),
        })
    }

    /// Runs that went to the disk.
    #[cfg(test)]
    pub(crate) fn spilled(&self) -> usize {
        match &self.source {
            Source::Held(_) => 0,
            Source::External(sorted) => sorted.runs(),
        }
    }
}
