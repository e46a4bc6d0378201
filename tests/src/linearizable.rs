//! Whether a history of clients is linearizable: the search of Wing and Gong with the
//! memory of Lowe, key by key.
//!
//! A history is what clients saw: for each operation when it was called, when it
//! returned, and what it said. It is linearizable if every operation can be given one
//! moment between call and return such that, one after the other at these moments, a
//! plain register says the same. Keys are independent of each other (linearizability is
//! local), so each is judged alone.
//!
//! An operation whose outcome nobody knows stays open for ever: it may take effect at
//! any moment after its call, or never.
//!
//! ## Invariants
//! * An operation is placed only when everything that returned before its call is placed.
//! * A pair of (set of operations placed, value) is looked at once. Sets are known by the
//!   exclusive or of 128 random bits for each operation.
//! * What nobody can tell is left out before the search: an operation of unknown outcome
//!   whose value nobody saw or expected.
//! * A value that one operation alone can write never comes back; so it is not
//!   overwritten while somebody known still has to see it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

#[cfg(test)]
mod tests;

/// A value of a register. A register that nobody has written holds [`EMPTY`].
pub type Value = u64;

/// What a register holds at first.
pub const EMPTY: Value = 0;

/// Steps of the search of one key. A history of thousands of operations takes a few for
/// each; one that takes more is not judged.
const MAX_STEPS: u64 = 20_000_000;

/// What a client did and saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Wrote a value.
    Write(Value),
    /// Read, and saw this (nothing if the outcome is unknown).
    Read(Option<Value>),
    /// Replaced one value by another, if it was there.
    CompareAndSet {
        /// Expected.
        from: Value,
        /// Written if the expected one was there.
        to: Value,
        /// What was there, if the outcome is known: `from`, if it was replaced.
        found: Option<Value>,
    },
}

/// One operation on one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which register.
    pub key: u64,
    /// What was done, and what came of it.
    pub action: Action,
    /// When it was called.
    pub called: u64,
    /// When its answer came; `None` if its outcome is unknown.
    pub returned: Option<u64>,
}

/// Why a history is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such order. The operations that could not be placed behind the
    /// longest order that was found, the first ones only.
    NotLinearizable {
        /// The register.
        key: u64,
        /// How many operations could be placed.
        placed: usize,
        /// What the register held then.
        value: Value,
        /// What could not come next.
        stuck: Vec<Operation>,
    },
    /// The search was given up.
    TooHard {
        /// The register.
        key: u64,
        /// Its operations.
        operations: usize,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLinearizable {
                key,
                placed,
                value,
                stuck,
            } => {
                write!(
                    f,
                    "not linearizable: key {key} holds {value} after {placed} operations, and none of these can be next:"
                )?;
                for operation in stuck {
                    let Operation {
                        action,
                        called,
                        returned,
                        ..
                    } = operation;
                    write!(f, " {action:?} from {called} to {returned:?};")?;
                }
                Ok(())
            }
            Self::TooHard { key, operations } => write!(
                f,
                "key {key} with {operations} operations was not judged within {MAX_STEPS} steps"
            ),
        }
    }
}

/// Judges a history, key by key.
///
/// ```
/// use cs_tests::linearizable::{Action, Operation, check};
/// let of = |action, called, returned| Operation { key: 1, action, called, returned };
/// let mut history = vec![
///     of(Action::Write(7), 0, Some(10)),
///     of(Action::Read(Some(7)), 5, Some(6)),
/// ];
/// assert!(check(&history).is_ok());
/// // Once the new value was seen, and the write returned, the old one is stale.
/// history.push(of(Action::Read(Some(0)), 11, Some(12)));
/// assert!(check(&history).is_err());
/// ```
///
/// # Errors
/// The first key that is not linearizable, or could not be judged.
pub fn check(history: &[Operation]) -> Result<(), Refusal> {
    let mut keys: BTreeMap<u64, Vec<Operation>> = BTreeMap::new();
    for operation in history {
        keys.entry(operation.key).or_default().push(*operation);
    }
    for (key, mut operations) in keys {
        leave_out(&mut operations);
        operations.sort_by_key(|operation| (operation.called, operation.returned));
        Search::new(operations).run(key)?;
    }
    Ok(())
}

/// Takes away what nobody can tell.
fn leave_out(operations: &mut Vec<Operation>) {
    operations.retain(|operation| {
        operation.returned.is_some() || !matches!(operation.action, Action::Read(_))
    });
    loop {
        let seen: BTreeSet<Value> = operations.iter().filter_map(seen_by).collect();
        let before = operations.len();
        operations.retain(|operation| {
            let open = operation.returned.is_none();
            !open || written_by(operation).is_some_and(|value| seen.contains(&value))
        });
        if operations.len() == before {
            return;
        }
    }
}

/// What an operation saw, or has to see to take effect.
fn seen_by(operation: &Operation) -> Option<Value> {
    match operation.action {
        Action::Write(_) => None,
        Action::Read(found) => found,
        Action::CompareAndSet { from, found, .. } => Some(found.unwrap_or(from)),
    }
}

/// What an operation writes, if it takes effect.
fn written_by(operation: &Operation) -> Option<Value> {
    match operation.action {
        Action::Write(value) => Some(value),
        Action::Read(_) => None,
        Action::CompareAndSet { from, to, found } => (found.unwrap_or(from) == from).then_some(to),
    }
}

/// The register after an operation, if it can be next.
fn after(value: Value, operation: &Operation) -> Option<Value> {
    match operation.action {
        Action::Write(written) => Some(written),
        Action::Read(Some(found)) => (found == value).then_some(value),
        Action::Read(None) => Some(value),
        Action::CompareAndSet { from, to, found } => match found {
            Some(found) if found != value => None,
            // Of unknown outcome: without effect it can be left out.
            None if from != value => None,
            _ => Some(if from == value { to } else { value }),
        },
    }
}

/// The search over one key.
struct Search {
    operations: Vec<Operation>,
    /// By operation: its random bits.
    marks: Vec<u128>,
    is_placed: Vec<bool>,
    /// The first operation, by call, that is not placed.
    first: usize,
    /// Operations of known outcome that are not placed.
    known_left: usize,
    /// By value that one operation alone writes: known operations that still have to
    /// see it.
    to_be_seen: BTreeMap<Value, usize>,
    set: u128,
    value: Value,
}

/// One operation placed, with what it takes to take it back.
struct Placed {
    operation: usize,
    value_before: Value,
    first_before: usize,
}

impl Search {
    fn new(operations: Vec<Operation>) -> Self {
        let mut writers: BTreeMap<Value, usize> = BTreeMap::from([(EMPTY, 1)]);
        for value in operations.iter().filter_map(written_by) {
            *writers.entry(value).or_default() += 1;
        }
        let mut to_be_seen = BTreeMap::new();
        for operation in operations.iter().filter(|one| one.returned.is_some()) {
            if let Some(value) = seen_by(operation)
                && writers.get(&value).copied().unwrap_or(0) <= 1
            {
                *to_be_seen.entry(value).or_default() += 1;
            }
        }
        let mut bits = oorandom::Rand64::new(0x11_4E_A2);
        let mark =
            |_: &Operation| (u128::from(bits.rand_u64()) << 64) | u128::from(bits.rand_u64());
        Self {
            marks: operations.iter().map(mark).collect(),
            is_placed: vec![false; operations.len()],
            first: 0,
            known_left: operations
                .iter()
                .filter(|one| one.returned.is_some())
                .count(),
            to_be_seen,
            set: 0,
            value: EMPTY,
            operations,
        }
    }

    fn run(mut self, key: u64) -> Result<(), Refusal> {
        let mut seen: HashSet<(u128, Value)> = HashSet::new();
        let mut path: Vec<Placed> = Vec::new();
        let mut longest: Option<(usize, Value, Vec<Operation>)> = None;
        let mut from = 0;
        for _ in 0..MAX_STEPS {
            if self.known_left == 0 {
                return Ok(());
            }
            match self.next_from(from) {
                Some(operation) => {
                    let placed = self.place(operation);
                    if seen.insert((self.set, self.value)) {
                        path.push(placed);
                        from = self.first;
                    } else {
                        self.take_back(&placed);
                        from = operation + 1;
                    }
                }
                None => {
                    let is_longest = longest.as_ref().is_none_or(|(len, ..)| path.len() > *len);
                    if is_longest {
                        longest = Some((path.len(), self.value, self.candidates()));
                    }
                    let Some(placed) = path.pop() else {
                        let (placed, value, stuck) = longest.unwrap_or_default();
                        return Err(Refusal::NotLinearizable {
                            key,
                            placed,
                            value,
                            stuck,
                        });
                    };
                    self.take_back(&placed);
                    from = placed.operation + 1;
                }
            }
        }
        Err(Refusal::TooHard {
            key,
            operations: self.operations.len(),
        })
    }

    /// Operations that may come next by their times: no other that is not placed
    /// returned before they were called.
    fn window(&self, from: usize) -> impl Iterator<Item = usize> + '_ {
        let mut deadline = u64::MAX;
        let mut at = self.first;
        std::iter::from_fn(move || {
            while at < self.operations.len() {
                let this = at;
                at += 1;
                if self.is_placed[this] {
                    continue;
                }
                let operation = &self.operations[this];
                if operation.called > deadline {
                    return None;
                }
                deadline = deadline.min(operation.returned.unwrap_or(u64::MAX));
                if this >= from {
                    return Some(this);
                }
            }
            None
        })
    }

    /// The next operation that can be placed, in the order of calls.
    fn next_from(&self, from: usize) -> Option<usize> {
        self.window(from).find(|&at| self.can_be_next(at))
    }

    fn can_be_next(&self, at: usize) -> bool {
        let operation = &self.operations[at];
        let Some(value) = after(self.value, operation) else {
            return false;
        };
        let left = self.to_be_seen.get(&self.value).copied().unwrap_or(0);
        // A compare-and-set that replaces the value is one of those that see it.
        let sees = operation.returned.is_some() && seen_by(operation) == Some(self.value);
        value == self.value || left <= usize::from(sees)
    }

    fn place(&mut self, at: usize) -> Placed {
        let operation = self.operations[at];
        let placed = Placed {
            operation: at,
            value_before: self.value,
            first_before: self.first,
        };
        self.is_placed[at] = true;
        self.set ^= self.marks[at];
        self.value = after(self.value, &operation).unwrap_or(self.value);
        if operation.returned.is_some() {
            self.known_left -= 1;
            if let Some(left) =
                seen_by(&operation).and_then(|value| self.to_be_seen.get_mut(&value))
            {
                *left -= 1;
            }
        }
        while self.is_placed.get(self.first) == Some(&true) {
            self.first += 1;
        }
        placed
    }

    fn take_back(&mut self, placed: &Placed) {
        let operation = self.operations[placed.operation];
        self.is_placed[placed.operation] = false;
        self.set ^= self.marks[placed.operation];
        self.value = placed.value_before;
        self.first = placed.first_before;
        if operation.returned.is_some() {
            self.known_left += 1;
            if let Some(left) =
                seen_by(&operation).and_then(|value| self.to_be_seen.get_mut(&value))
            {
                *left += 1;
            }
        }
    }

    /// The first few that could come next by their times, for whoever has to look.
    fn candidates(&self) -> Vec<Operation> {
        self.window(self.first)
            .take(8)
            .map(|at| self.operations[at])
            .collect()
    }
}
