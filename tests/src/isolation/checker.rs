//! Whether a history is one that the promises allow, in the manner of Elle
//! (Kingsbury and Alvaro, *Elle: Inferring Isolation Anomalies from Experimental
//! Observations*, VLDB 2020); the names of anomalies are those of Adya's thesis.
//!
//! Lists that only grow give away the order of their versions: every list read
//! must be a beginning of the longest. From that order follow the dependencies
//! between transactions (`graph.rs`), and in these the cycles (`cycles.rs`).
//!
//! ## What is promised
//! * To all: what is read was committed and is no transaction's middle; whoever
//!   begins after an acknowledgement sees it; there is no cycle of dependencies
//!   but with two anti-dependencies next to each other (that is snapshot
//!   isolation: Cerone and Gotsman, *Analysing Snapshot Isolation*, JACM 2018).
//! * Among serializable transactions, and those that changed nothing: no cycle.
//!
//! One that was refused or rolled back counts as one that only read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::cycles;
use super::graph::Graph;
use super::history::{Key, Number, Outcome, Step, Txn};

/// What can be wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Something was read that nobody wrote, or one number twice in a list.
    Garbage,
    /// A transaction does not see its own writes, or sees a key in two states.
    Internal,
    /// What was aborted, or taken back, was read.
    AbortedRead,
    /// What was read is the middle of a transaction.
    IntermediateRead,
    /// Two lists of one key of which neither is a beginning of the other.
    IncompatibleOrder,
    /// An acknowledged append is not there.
    LostAppend,
    /// Two transactions read one state of a key and both appended to it.
    LostUpdate,
    /// A cycle of writes.
    G0,
    /// A cycle of writes and reads.
    G1c,
    /// A state was read that is older than what was acknowledged before.
    StaleRead,
    /// One half of a transaction was seen, the other not.
    FracturedRead,
    /// A cycle with one anti-dependency.
    GSingle,
    /// A cycle with anti-dependencies that are not next to each other: two saw
    /// two writes in different orders.
    LongFork,
    /// A cycle among serializable transactions with anti-dependencies by keys.
    G2Item,
    /// The same with one by a range: a phantom.
    G2Predicate,
}

/// One thing wrong, with the transactions concerned.
#[derive(Clone, Debug)]
pub struct Anomaly {
    /// What it is.
    pub kind: Kind,
    /// For people; a cycle has its edges here.
    pub text: String,
    /// Places in the history.
    pub txns: Vec<usize>,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

/// What one transaction read of one key, without what it had appended itself.
#[derive(Clone, Debug)]
pub(super) struct External {
    pub(super) key: Key,
    pub(super) list: Vec<Number>,
    /// As part of a range only.
    pub(super) by_range: bool,
}

/// A history with what follows from it.
pub(super) struct Inferred<'a> {
    pub(super) txns: &'a [Txn],
    /// Whether it is a node: one that was committed, or only read.
    pub(super) is_node: Vec<bool>,
    /// Whether what it appended counts.
    pub(super) is_committed: Vec<bool>,
    pub(super) reads: Vec<Vec<External>>,
    /// The longest list of each key.
    pub(super) orders: BTreeMap<Key, Vec<Number>>,
    /// Who appended what: transaction and key.
    pub(super) writers: HashMap<Number, (usize, Key)>,
}

/// Everything wrong with a history; nothing, if it is as promised.
#[must_use]
pub fn check(txns: &[Txn]) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let inferred = infer(txns, &mut found);
    check_reads(&inferred, &mut found);
    check_appends(&inferred, &mut found);
    if found.is_empty() {
        // Without an order of versions there are no dependencies to speak of.
        cycles::find(&inferred, &Graph::of(&inferred), &mut found);
    }
    found
}

fn infer<'a>(txns: &'a [Txn], found: &mut Vec<Anomaly>) -> Inferred<'a> {
    let mut writers = HashMap::new();
    let mut keys: Vec<Key> = Vec::new();
    for (place, txn) in txns.iter().enumerate() {
        for step in &txn.steps {
            if let Step::Append(key, number) | Step::TakenBack(key, number) = step {
                let before = writers.insert(*number, (place, *key));
                assert!(before.is_none(), "number {number} is appended twice");
                keys.push(*key);
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    // Who was not heard of, but seen, has committed.
    let mut is_node: Vec<bool> = Vec::new();
    for txn in txns {
        is_node.push(matches!(txn.outcome, Outcome::Committed | Outcome::Aborted));
    }
    let mut to_do: Vec<usize> = (0..txns.len()).filter(|&place| is_node[place]).collect();
    while let Some(place) = to_do.pop() {
        for number in txns[place].numbers_read() {
            if let Some(&(writer, _)) = writers.get(&number)
                && txns[writer].outcome == Outcome::Unknown
                && !std::mem::replace(&mut is_node[writer], true)
            {
                to_do.push(writer);
            }
        }
    }
    let is_committed = |place: usize| is_node[place] && txns[place].outcome != Outcome::Aborted;
    let is_committed: Vec<bool> = (0..txns.len()).map(is_committed).collect();
    let mut reads: Vec<Vec<External>> = Vec::new();
    let mut orders: BTreeMap<Key, Vec<Number>> = BTreeMap::new();
    for (place, txn) in txns.iter().enumerate() {
        let external = if is_node[place] {
            external(place, txn, &keys, found)
        } else {
            Vec::new()
        };
        for read in &external {
            let longest = orders.entry(read.key).or_default();
            if read.list.len() > longest.len() {
                longest.clone_from(&read.list);
            }
        }
        reads.push(external);
    }
    Inferred {
        txns,
        is_node,
        is_committed,
        reads,
        orders,
        writers,
    }
}

/// What a transaction saw of others, judged against what it had done itself.
fn external(place: usize, txn: &Txn, keys: &[Key], found: &mut Vec<Anomaly>) -> Vec<External> {
    let mut own: HashMap<Key, Vec<Number>> = HashMap::new();
    let mut seen: BTreeMap<Key, External> = BTreeMap::new();
    let mut see = |key: Key, list: &[Number], own: &[Number], by_range: bool| {
        let before = list.strip_suffix(own);
        let fits = before.is_some_and(|before| {
            let known = seen.entry(key).or_insert_with(|| External {
                key,
                list: before.to_vec(),
                by_range,
            });
            known.by_range &= by_range;
            known.list == before
        });
        if !fits {
            found.push(Anomaly {
                kind: Kind::Internal,
                text: format!("key {key} is not as the transaction itself left it, in {txn}"),
                txns: vec![place],
            });
        }
    };
    for step in &txn.steps {
        match step {
            Step::Append(key, number) => own.entry(*key).or_default().push(*number),
            Step::TakenBack(..) => {}
            Step::Read(key, list) => {
                let own = own.get(key).map_or(&[][..], Vec::as_slice);
                see(*key, list, own, false);
            }
            Step::Range(first, last, lists) => {
                let there: HashMap<Key, &Vec<Number>> =
                    lists.iter().map(|(key, list)| (*key, list)).collect();
                let from = keys.partition_point(|key| key < first);
                let within = keys[from..].iter().take_while(|key| *key <= last);
                for key in within {
                    let list = there.get(key).map_or(&[][..], |list| list.as_slice());
                    let own = own.get(key).map_or(&[][..], Vec::as_slice);
                    see(*key, list, own, true);
                }
            }
        }
    }
    seen.into_values().collect()
}

fn check_reads(inferred: &Inferred<'_>, found: &mut Vec<Anomaly>) {
    let txns = inferred.txns;
    // The last number that each transaction appended to each key.
    let mut last: HashMap<(usize, Key), Number> = HashMap::new();
    for (place, txn) in txns.iter().enumerate() {
        for (key, number) in txn.appends() {
            last.insert((place, key), number);
        }
    }
    for (place, reads) in inferred.reads.iter().enumerate() {
        for External { key, list, .. } in reads {
            let mut tell = |kind, what: String, other: Option<usize>| {
                let text = format!("{what}, key {key}, in {}", txns[place]);
                let txns = other.into_iter().chain([place]).collect();
                found.push(Anomaly { kind, text, txns });
            };
            let order = &inferred.orders[key];
            if !order.starts_with(list) {
                tell(Kind::IncompatibleOrder, format!("beside {order:?}"), None);
            }
            let mut once = HashSet::new();
            for number in list {
                match inferred.writers.get(number) {
                    Some((_, of)) if of != key => {
                        tell(Kind::Garbage, format!("{number} is of key {of}"), None);
                    }
                    Some(&(writer, _))
                        if !inferred.is_committed[writer]
                            || is_taken_back(&txns[writer], *number) =>
                    {
                        let what = format!("{number} was not committed: {}", txns[writer]);
                        tell(Kind::AbortedRead, what, Some(writer));
                    }
                    Some(_) if once.insert(*number) => {}
                    _ => tell(
                        Kind::Garbage,
                        format!("{number} is there twice, or nobody's"),
                        None,
                    ),
                }
            }
            if let Some(number) = list.last()
                && let Some(&(writer, _)) = inferred.writers.get(number)
                && writer != place
                && last.get(&(writer, *key)).is_some_and(|end| end != number)
            {
                let what = format!("{number} is the middle of {}", txns[writer]);
                tell(Kind::IntermediateRead, what, Some(writer));
            }
        }
    }
}

fn is_taken_back(txn: &Txn, number: Number) -> bool {
    let taken_back = |step: &Step| matches!(step, Step::TakenBack(_, of) if *of == number);
    txn.steps.iter().any(taken_back)
}

fn check_appends(inferred: &Inferred<'_>, found: &mut Vec<Anomaly>) {
    let txns = inferred.txns;
    // When each key was last read by one that began so late.
    let mut last_begin: HashMap<Key, u64> = HashMap::new();
    for (place, reads) in inferred.reads.iter().enumerate() {
        for read in reads {
            let begin = last_begin.entry(read.key).or_default();
            *begin = (*begin).max(txns[place].begin);
        }
    }
    let there: HashSet<Number> = inferred.orders.values().flatten().copied().collect();
    let mut changed_at: HashMap<(Key, usize), usize> = HashMap::new();
    for (place, txn) in txns.iter().enumerate() {
        if !inferred.is_committed[place] {
            continue;
        }
        let mut keys = HashSet::new();
        for (key, number) in txn.appends() {
            let was_looked_for = last_begin.get(&key).is_some_and(|begin| *begin > txn.end);
            if !there.contains(&number) && was_looked_for {
                found.push(Anomaly {
                    kind: Kind::LostAppend,
                    text: format!("{number} is not in key {key}, though acknowledged: {txn}"),
                    txns: vec![place],
                });
            }
            if !keys.insert(key) {
                continue;
            }
            let Some(read) = inferred.reads[place].iter().find(|read| read.key == key) else {
                continue;
            };
            if let Some(other) = changed_at.insert((key, read.list.len()), place) {
                found.push(Anomaly {
                    kind: Kind::LostUpdate,
                    text: format!("of key {key}: {} AND {txn}", txns[other]),
                    txns: vec![other, place],
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
