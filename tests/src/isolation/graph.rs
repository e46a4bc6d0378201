//! Who depends on whom.
//!
//! | edge | from | to |
//! |---|---|---|
//! | write | who appended | who appended next to the same list |
//! | read | who appended | who read a list that ends there |
//! | anti | who read a list | who appended behind what was read |
//! | time | whose answer was there | who began afterwards |
//!
//! Time runs through nodes of its own, one for each answer, so that the edges
//! are as many as the transactions and not as many as their pairs.

use std::collections::HashMap;

use super::checker::{External, Inferred};
use super::history::{Key, Level};

/// Why one comes after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Write(Key),
    Read(Key),
    /// And whether what was read was a range.
    Anti(Key, bool),
    Time,
}

impl Reason {
    pub(super) fn is_anti(self) -> bool {
        matches!(self, Self::Anti(..))
    }
}

/// An edge, without where it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) to: usize,
    pub(super) reason: Reason,
}

/// Transactions by their places in the history; behind them the nodes of time.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) edges: Vec<Vec<Edge>>,
}

impl Graph {
    /// Of all transactions.
    pub(super) fn of(inferred: &Inferred<'_>) -> Self {
        Self::among(inferred, &inferred.is_node)
    }

    /// Of those for which serializability was promised: those that asked for it,
    /// and those that changed nothing.
    pub(super) fn of_serializable(inferred: &Inferred<'_>) -> Self {
        let members: Vec<bool> = (0..inferred.txns.len())
            .map(|place| {
                let txn = &inferred.txns[place];
                let changes = inferred.is_committed[place] && txn.appends().next().is_some();
                inferred.is_node[place] && (!changes || txn.level == Level::Serializable)
            })
            .collect();
        Self::among(inferred, &members)
    }

    fn among(inferred: &Inferred<'_>, is_member: &[bool]) -> Self {
        let mut graph = Self {
            edges: vec![Vec::new(); inferred.txns.len()],
        };
        let mut writers: HashMap<Key, Vec<(usize, usize)>> = HashMap::new();
        for (&key, order) in &inferred.orders {
            let known = order.iter().enumerate();
            let of_members = known
                .map(|(place, number)| (place, inferred.writers[number].0))
                .filter(|&(_, writer)| is_member[writer]);
            let sequence: Vec<(usize, usize)> = of_members.collect();
            for pair in sequence.windows(2) {
                graph.add(pair[0].1, pair[1].1, Reason::Write(key));
            }
            writers.insert(key, sequence);
        }
        for (reader, reads) in inferred.reads.iter().enumerate() {
            if !is_member[reader] {
                continue;
            }
            for External {
                key,
                list,
                by_range,
            } in reads
            {
                let sequence = &writers[key];
                let behind = sequence.partition_point(|&(place, _)| place < list.len());
                if let Some(&(_, writer)) = behind.checked_sub(1).map(|last| &sequence[last]) {
                    graph.add(writer, reader, Reason::Read(*key));
                }
                if let Some(&(_, writer)) = sequence.get(behind) {
                    graph.add(reader, writer, Reason::Anti(*key, *by_range));
                }
            }
        }
        graph.add_time(inferred, is_member);
        graph
    }

    fn add(&mut self, from: usize, to: usize, reason: Reason) {
        if from != to {
            self.edges[from].push(Edge { to, reason });
        }
    }

    fn add_time(&mut self, inferred: &Inferred<'_>, is_member: &[bool]) {
        let mut events = Vec::new();
        for (place, txn) in inferred.txns.iter().enumerate() {
            if is_member[place] {
                events.push((txn.begin, false, place));
                if txn.end < u64::MAX {
                    events.push((txn.end, true, place));
                }
            }
        }
        events.sort_unstable();
        let mut now: Option<usize> = None;
        for (_, is_end, place) in events {
            if is_end {
                let next = self.edges.len();
                self.edges.push(Vec::new());
                if let Some(before) = now {
                    self.add(before, next, Reason::Time);
                }
                self.add(place, next, Reason::Time);
                now = Some(next);
            } else if let Some(before) = now {
                self.add(before, place, Reason::Time);
            }
        }
    }
}
