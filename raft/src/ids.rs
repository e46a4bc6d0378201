//! The numbers of the protocol, each a type of its own.
//!
//! Invariants: the zero of [`Term`] and [`Index`] is before everything; nothing
//! here reads a clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $mark:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one. The last stays: a peer may send
            /// any number, and none may end the process.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($mark, "{}"), self.0)
            }
        }
    };
}

number! {
    /// A node of the cluster. A node whose disk lost what it had is a new node.
    NodeId, "n"
}
number! {
    /// A term: at most one leader in each.
    Term, "t"
}
number! {
    /// The place of an entry in the log; the first entry has 1.
    Index, "i"
}
number! {
    /// One replication stream of a leader to a peer. A new one makes every
    /// answer to the older ones worthless. Unique between two starts of the
    /// leader, and so within a term.
    Session, "s"
}
number! {
    /// A write to the node's own disk.
    Ticket, "w"
}
number! {
    /// One round of heartbeats of a leader, which confirms reads. Unique
    /// within a term.
    Token, "k"
}
number! {
    /// A request of the driver (proposal, read, change, transfer). The driver
    /// chooses it, and may not choose one again while it waits for the answer.
    RequestId, "r"
}
number! {
    /// Microseconds of a monotone clock of the driver. Only differences count.
    Time, "@"
}

impl Index {
    /// The number before this one; that of 0 is 0.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl Sub for Time {
    type Output = Duration;

    /// The time between the two; zero if `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// An entry of the log by term and index. Two logs that hold the same id hold
/// the same entries up to it.
///
/// Ordered by term first: the greater last id is the more up-to-date log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// Term of the leader that made the entry.
    pub term: Term,
    /// Where the entry is.
    pub index: Index,
}

impl LogId {
    /// The id of `index` in `term`.
    #[must_use]
    pub fn new(term: Term, index: Index) -> Self {
        Self { term, index }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term, self.index)
    }
}

/// One asking of a follower for a read index. The incarnation keeps an answer
/// to the node before its restart from confirming a read after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadRound {
    /// How often the asking node was started.
    pub incarnation: u64,
    /// Counted by the asking node.
    pub number: u64,
}

impl fmt::Display for ReadRound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.incarnation, self.number)
    }
}

#[cfg(test)]
mod tests;
