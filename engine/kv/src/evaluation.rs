//! Operations that are evaluated where they commit.
//!
//! A transaction that increments a counter reads a snapshot, and loses when
//! another commits first; with many clients on one key nearly all lose. An
//! [`Evaluate`] is called instead on the newest value there is, the appended one,
//! under the writer's lock: it cannot lose, and shares its sync with the rest.
//!
//! ## Invariants
//! * An evaluation sees the value that its outcome replaces, earlier operations
//!   of the same batch included.
//! * It may be called more than once for one commit (when space had to be made
//!   first); the last outcome is the one that counts.
//! * One that panics changes nothing and harms nobody else.
//! * What it changes beside its own key ([`Also`]) is part of the same commit, and
//!   what that expects is judged like any other expectation.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cs_base::TreeId;
use cs_pager::Pager;

use crate::batch::{Batch, Change, Expect, Operation};
use crate::error::{Error, Result};
use crate::writer::Writer;

/// What an evaluation makes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has this value now.
    Put(Vec<u8>),
    /// It is gone.
    Delete,
    /// It stays as it is.
    Keep,
}

/// What an evaluation changes beside its own key, in the same commit.
#[derive(Debug, Default)]
pub struct Also {
    operations: Vec<Operation>,
}

impl Also {
    /// Gives another key a value. An expectation that does not hold is reported for
    /// the place of the evaluation.
    pub fn put(&mut self, tree: TreeId, key: Vec<u8>, value: Vec<u8>, expect: Expect) {
        self.push(tree, key, Change::Put(value), expect);
    }

    /// Removes another key.
    pub fn delete(&mut self, tree: TreeId, key: Vec<u8>, expect: Expect) {
        self.push(tree, key, Change::Delete, expect);
    }

    fn push(&mut self, tree: TreeId, key: Vec<u8>, change: Change, expect: Expect) {
        self.operations.push(Operation {
            tree,
            key,
            change,
            expect,
            before: None,
            was_absent: expect == Expect::Absent,
            in_part: false,
        });
    }
}

/// An evaluation does not want its commit to happen. It keeps the reason itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declined;

/// A change that depends on the value it replaces.
///
/// It is called under the lock that all commits share, so it must be short, do
/// no input or output, wait for nobody, and use no store. It depends on nothing
/// but itself and `current`: clock values and random numbers are drawn before.
///
/// ```
/// use std::sync::Arc;
///
/// use cs_io::{RealRuntime, memory::MemoryDisk};
/// use cs_kv::{Batch, CommitOptions, Declined, Evaluate, Outcome, Store, StoreOptions};
///
/// #[derive(Debug)]
/// struct Increment;
///
/// impl Evaluate for Increment {
///     fn evaluate(&self, current: Option<&[u8]>) -> Result<Outcome, Declined> {
///         let number = match current {
///             None => 0,
///             Some(bytes) => u64::from_le_bytes(bytes.try_into().map_err(|_| Declined)?),
///         };
///         Ok(Outcome::Put((number + 1).to_le_bytes().to_vec()))
///     }
/// }
///
/// let store = Store::open(MemoryDisk::new(), RealRuntime::new(), StoreOptions::default())?;
/// let tree = store.new_tree_id();
/// let mut batch = Batch::new();
/// batch.create_tree(tree);
/// batch.evaluate(tree, b"hits".to_vec(), Arc::new(Increment));
/// store.write(&batch, &CommitOptions::default())?.wait()?;
/// assert_eq!(store.snapshot()?.get(tree, b"hits")?, Some(1_u64.to_le_bytes().to_vec()));
/// # Ok::<(), cs_kv::Error>(())
/// ```
pub trait Evaluate: fmt::Debug + Send + Sync {
    /// What becomes of a key with this value, or with none.
    ///
    /// # Errors
    /// [`Declined`]: then nothing of the commit happens.
    fn evaluate(&self, current: Option<&[u8]>) -> std::result::Result<Outcome, Declined>;

    /// The same where other keys depend on this one: they go into `also`. Those keys
    /// may have been changed by an operation before it in the batch, but are not
    /// evaluated themselves, and no record tells what they replace.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    fn evaluate_with(
        &self,
        current: Option<&[u8]>,
        also: &mut Also,
    ) -> std::result::Result<Outcome, Declined> {
        let _ = also;
        self.evaluate(current)
    }

    /// What the statement of a session is to store that its commit was given, once
    /// it was evaluated; `None`: what the statement says itself.
    fn results(&self) -> Option<Vec<u8>> {
        None
    }
}

/// What the last evaluation of a batch that wants to store results came to.
pub(crate) fn results_of(batch: &Batch) -> Option<Vec<u8>> {
    batch
        .operations
        .iter()
        .rev()
        .find_map(|one| match &one.change {
            Change::Evaluate(evaluation) => {
                let results = || evaluation.results();
                catch_unwind(AssertUnwindSafe(results)).unwrap_or_default()
            }
            Change::Put(_) | Change::Delete => None,
        })
}

/// The batch with each evaluation replaced by what it came to, and with what is
/// replaced where the record is to tell that; operations that change nothing are
/// left out. Beside it the places that its operations had in the batch. The caller
/// holds the writer's lock.
///
/// # Errors
/// [`Error::Declined`], [`Error::UnknownTree`], or a page could not be read.
/// Nothing has changed then.
pub(crate) fn resolve(
    pager: &Pager,
    writer: &mut Writer,
    batch: &Batch,
) -> Result<(Batch, Vec<usize>)> {
    let mut places = Vec::with_capacity(batch.operations.len());
    let mut resolved = Batch {
        operations: Vec::with_capacity(batch.operations.len()),
        created: batch.created.clone(),
        dropped: batch.dropped.clone(),
        // Judged before.
        kept: Vec::new(),
        telling: batch.telling.clone(),
        looks: batch.looks,
    };
    // Where the newest operation on each key stands.
    let mut newest: HashMap<(TreeId, &[u8]), usize> = HashMap::new();
    for (position, operation) in batch.operations.iter().enumerate() {
        let key = (operation.tree, operation.key.as_slice());
        let evaluates = matches!(operation.change, Change::Evaluate(_));
        if !evaluates && !batch.has_to_look(operation) {
            newest.insert(key, resolved.operations.len());
            resolved.operations.push(operation.clone());
            places.push(position);
            continue;
        }
        let earlier = newest.get(&key).map(|&place| &resolved.operations[place]);
        let current = match earlier.map(|earlier| &earlier.change) {
            Some(Change::Put(value)) => Some(value.clone()),
            Some(_) => None,
            None if batch.created.contains(&operation.tree) => None,
            None => writer.get(pager, operation.tree, &operation.key)?,
        };
        let mut also = Also::default();
        let outcome = match &operation.change {
            Change::Evaluate(evaluation) => {
                let outcome = evaluate(evaluation, current.as_deref(), &mut also);
                match outcome.map_err(|Declined| Error::Declined { position })? {
                    Outcome::Put(value) => Change::Put(value),
                    Outcome::Delete => Change::Delete,
                    Outcome::Keep => continue,
                }
            }
            known => known.clone(),
        };
        let tells = batch.wants_before(operation);
        newest.insert(key, resolved.operations.len());
        resolved.operations.push(Operation {
            change: outcome,
            was_absent: current.is_none(),
            before: current.filter(|_| tells),
            ..operation.clone()
        });
        places.push(position);
        places.extend(also.operations.iter().map(|_| position));
        resolved.operations.append(&mut also.operations);
    }
    Ok((resolved, places))
}

/// A panic must not come out under the writer's lock: nothing has changed yet,
/// so it is a refusal like any other.
fn evaluate(
    evaluation: &Arc<dyn Evaluate>,
    current: Option<&[u8]>,
    also: &mut Also,
) -> std::result::Result<Outcome, Declined> {
    let call = AssertUnwindSafe(|| evaluation.evaluate_with(current, also));
    catch_unwind(call).unwrap_or(Err(Declined))
}

#[cfg(test)]
mod tests;
