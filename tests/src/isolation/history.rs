//! What clients saw: transactions over lists to which unique numbers are appended.
//!
//! ## Invariants
//! * A number is appended once in a history, and to one key.
//! * `begin` was drawn before the transaction began, `end` after its answer was
//!   there, from one clock that only goes up.

use std::fmt;

/// Which list.
pub type Key = u32;
/// What is appended.
pub type Number = u32;

/// What a transaction was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Snapshot isolation.
    Snapshot,
    /// Serializable; auto-committed operations too.
    Serializable,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged.
    Committed,
    /// Refused or rolled back: what it read counts, what it appended must not be seen.
    Aborted,
    /// A crash came before the answer.
    Unknown,
    /// A crash took it back, as it may (`Async`); or it read what one took back.
    Lost,
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A number goes behind the end of a list.
    Append(Key, Number),
    /// One that was taken back, by a savepoint: nobody may see it.
    TakenBack(Key, Number),
    /// A whole list.
    Read(Key, Vec<Number>),
    /// All lists from a key to another, both included; those without a number
    /// are not there.
    Range(Key, Key, Vec<(Key, Vec<Number>)>),
}

/// One transaction as its client saw it.
#[derive(Clone, Debug)]
pub struct Txn {
    /// Who, and how; for people.
    pub name: String,
    /// What it was promised.
    pub level: Level,
    /// How it ended.
    pub outcome: Outcome,
    /// Before it began.
    pub begin: u64,
    /// After its answer; nobody knows where there was none.
    pub end: u64,
    /// In order.
    pub steps: Vec<Step>,
}

impl Txn {
    /// What it appended and did not take back.
    pub fn appends(&self) -> impl Iterator<Item = (Key, Number)> + '_ {
        self.steps.iter().filter_map(|step| match step {
            Step::Append(key, number) => Some((*key, *number)),
            _ => None,
        })
    }

    /// Every number that it was shown.
    pub fn numbers_read(&self) -> impl Iterator<Item = Number> + '_ {
        let lists = self.steps.iter().flat_map(|step| match step {
            Step::Read(_, list) => vec![list],
            Step::Range(_, _, found) => found.iter().map(|(_, list)| list).collect(),
            _ => Vec::new(),
        });
        lists.flatten().copied()
    }
}

impl fmt::Display for Txn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            level,
            outcome,
            begin,
            end,
            steps,
        } = self;
        write!(f, "{name} {level:?} {outcome:?} {begin}..")?;
        if *end < u64::MAX {
            write!(f, "{end}")?;
        }
        for step in steps {
            match step {
                Step::Append(key, number) => write!(f, " append({key}, {number})")?,
                Step::TakenBack(key, number) => write!(f, " taken-back({key}, {number})")?,
                Step::Read(key, list) => write!(f, " read({key}) = {}", Tail(list))?,
                Step::Range(first, last, found) => {
                    write!(f, " range({first}..={last}) =")?;
                    for (key, list) in found {
                        write!(f, " {key}: {}", Tail(list))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The end of a list, which is what matters, and how long it is.
struct Tail<'a>(&'a [Number]);

impl fmt::Display for Tail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[self.0.len().saturating_sub(4)..];
        let dots = if shown.len() < self.0.len() {
            "…"
        } else {
            ""
        };
        write!(f, "{}[{dots}", self.0.len())?;
        for (place, number) in shown.iter().enumerate() {
            let comma = if place > 0 { " " } else { "" };
            write!(f, "{comma}{number}")?;
        }
        write!(f, "]")
    }
}
