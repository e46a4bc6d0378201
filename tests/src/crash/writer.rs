//! A simulated writer: a state machine that begins a commit, keeps its ticket,
//! and later finds it complete. It never waits.

use std::sync::Arc;

use cs_base::Index;
use cs_io::sim::Rng;
use cs_kv::{Durability, Error, SnapshotLimits, Store, Ticket, Transaction};

use super::changes::{self, Taste};
use super::evaluated;
use super::hits::{Hits, Part};
use crate::model::{Change, History, State, options_of, refuses_again};
use crate::verdict::ensure;
use crate::{Failure, Verdict};

/// What a writer is at.
#[derive(Debug, Default)]
pub(super) enum Writer {
    #[default]
    Idle,
    /// Has read and changed; `base` is the index of what it read.
    Open {
        txn: Box<Transaction>,
        base: u64,
        changes: Vec<Change>,
    },
    Waiting {
        ticket: Ticket,
        level: Durability,
    },
}

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    Nothing,
    /// With this promise.
    Appended(Durability),
    /// A commit is as durable as its writer asked for, and that was on disk.
    Acknowledged(Index),
}

impl Writer {
    /// One step.
    pub(super) fn step(
        &mut self,
        rng: &mut Rng,
        taste: Taste,
        store: &Store,
        history: &mut History,
        hits: &mut Hits,
    ) -> Verdict<Done> {
        match std::mem::take(self) {
            Self::Waiting { ticket, level } if !ticket.is_complete() => {
                *self = Self::Waiting { ticket, level };
                Ok(Done::Nothing)
            }
            Self::Waiting { ticket, level } => {
                let seen = store.snapshot()?.index();
                ensure(seen >= ticket.index(), || {
                    format!("ticket {} is complete, readers see {seen}", ticket.index())
                })?;
                let promised = level == Durability::Sync;
                Ok(if promised {
                    Done::Acknowledged(ticket.index())
                } else {
                    Done::Nothing
                })
            }
            Self::Idle if rng.percent(30) => {
                *self = begin(rng, taste, store, history, hits)?;
                Ok(Done::Nothing)
            }
            Self::Idle => self.write_batch(rng, taste, store, history, hits),
            Self::Open {
                txn,
                base,
                mut changes,
            } => {
                let level = taste.level(rng);
                changes.extend(changes::statement(rng, newest(history)));
                let outcome = txn.commit(&options_of(&changes, level));
                let may_evict = store.options().snapshot_limits != SnapshotLimits::default();
                self.after_transaction(outcome, level, base, &changes, history, may_evict)
            }
        }
    }

    fn write_batch(
        &mut self,
        rng: &mut Rng,
        taste: Taste,
        store: &Store,
        history: &mut History,
        hits: &mut Hits,
    ) -> Verdict<Done> {
        let newest = Arc::clone(newest(history));
        let mut changes = changes::changes(rng, taste, &newest);
        if changes::wants_tree(rng, &newest) {
            let tree = store.new_tree_id();
            changes.insert(0, Change::Create(tree));
        }
        let dropped = changes::tree_to_drop(rng, &newest);
        changes.extend(dropped.map(Change::Drop));
        if let Some((&session, &number)) = newest.sessions.first_key_value()
            && rng.percent(3)
        {
            // A client that asks again: its answer speaks of what was appended.
            refuses_again(store, session, number)?;
            sees_all(store, history)?;
        }
        changes.extend(changes::statement(rng, &newest));
        let meant = evaluated::batch_of(rng, &newest, &changes);
        let level = taste.level(rng);
        let outcome = store.write(&meant.batch, &options_of(&changes, level));
        if let Some(declines) = meant.declines {
            hits.count(Part::EvaluationsDeclined, 1);
            return match outcome {
                Err(Error::Declined { position }) if position == declines => Ok(Done::Nothing),
                outcome => Err(Failure(format!(
                    "expected operation {declines} to decline, found {:?}",
                    outcome.map(|ticket| ticket.index())
                ))),
            };
        }
        match (outcome, meant.broken) {
            (Ok(ticket), None) => {
                hits.count(Part::Evaluated, meant.evaluated);
                self.appended(ticket, level, &changes, history)
            }
            (Err(Error::Expectation { position, .. }), Some(broken)) if position == broken => {
                // The answer spoke of everything appended, so that is visible by now.
                sees_all(store, history)?;
                Ok(Done::Nothing)
            }
            (Err(error), None) => Err(error.into()),
            (outcome, broken) => Err(Failure(format!(
                "expected operation {broken:?} to be refused, found {:?}",
                outcome.map(|ticket| ticket.index())
            ))),
        }
    }

    fn after_transaction(
        &mut self,
        outcome: Result<Ticket, Error>,
        level: Durability,
        base: u64,
        changes: &[Change],
        history: &mut History,
        may_evict: bool,
    ) -> Verdict<Done> {
        let read = Arc::clone(&history[base as usize]);
        let others = changed_meanwhile(&read, newest(history), changes);
        match outcome {
            Ok(ticket) => {
                ensure(!others, || {
                    format!(
                        "commit {} overwrote what another changed since {base}",
                        ticket.index()
                    )
                })?;
                self.appended(ticket, level, changes, history)
            }
            Err(Error::Conflict { .. } | Error::UnknownTree(_)) if last_index(history) > base => {
                Ok(Done::Nothing)
            }
            // It read for too long.
            Err(Error::SnapshotEvicted { .. }) if may_evict => Ok(Done::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    fn appended(
        &mut self,
        ticket: Ticket,
        level: Durability,
        changes: &[Change],
        history: &mut History,
    ) -> Verdict<Done> {
        let expected = last_index(history) + 1;
        ensure(ticket.index().0 == expected, || {
            format!("expected commit {expected}, found {}", ticket.index())
        })?;
        let next = newest(history).after(changes);
        history.push(Arc::new(next));
        *self = Self::Waiting { ticket, level };
        Ok(Done::Appended(level))
    }
}

/// Whoever was told something that was judged on the appended root sees it.
fn sees_all(store: &Store, history: &History) -> Verdict {
    let (seen, last) = (store.snapshot()?.index().0, last_index(history));
    ensure(seen == last, || {
        format!("an answer was judged on commit {last}, readers see {seen}")
    })
}

/// Begins a transaction, reads a little, changes what it will.
fn begin(
    rng: &mut Rng,
    taste: Taste,
    store: &Store,
    history: &History,
    hits: &mut Hits,
) -> Verdict<Writer> {
    let mut txn = store.begin()?;
    let base = txn.snapshot().index().0;
    let read = history.get(base as usize);
    let read =
        read.ok_or_else(|| Failure(format!("a snapshot of commit {base}, which nobody made")))?;
    let mut changes = changes::changes(rng, taste, read);
    if let Some(tree) = read.trees.keys().next() {
        let key = changes::key(rng);
        let (found, expected) = (txn.get(*tree, &key)?, read.get(*tree, &key));
        ensure(found.as_deref() == expected.map(AsRef::as_ref), || {
            format!(
                "a transaction on commit {base} read another value of tree {tree} than was written"
            )
        })?;
    }
    for change in &changes {
        match change {
            Change::Put(tree, key, value) => txn.put(*tree, key.to_vec(), value.to_vec())?,
            Change::Delete(tree, key) => txn.delete(*tree, key.to_vec())?,
            Change::Create(_) | Change::Drop(_) | Change::Statement(..) => {}
        }
    }
    if rng.percent(25) {
        think_better(rng, &mut txn, taste, read)?;
        hits.count(Part::Savepoints, 1);
    }
    if changes::wants_tree(rng, read) {
        let tree = txn.create_tree();
        let (key, value) = (changes::key(rng), changes::key(rng));
        txn.put(tree, key.to_vec(), value.to_vec())?;
        changes.extend([Change::Create(tree), Change::Put(tree, key, value)]);
    }
    if txn.is_empty() {
        return Ok(Writer::Idle);
    }
    Ok(Writer::Open {
        txn: Box::new(txn),
        base,
        changes,
    })
}

/// Changes more, and takes it back.
fn think_better(rng: &mut Rng, txn: &mut Transaction, taste: Taste, read: &State) -> Verdict {
    let savepoint = txn.set_savepoint();
    for change in changes::changes(rng, taste, read) {
        match change {
            Change::Put(tree, key, value) => txn.put(tree, key.to_vec(), value.to_vec())?,
            Change::Delete(tree, key) => txn.delete(tree, key.to_vec())?,
            Change::Create(_) | Change::Drop(_) | Change::Statement(..) => {}
        }
    }
    if rng.percent(20) {
        let made = txn.create_tree();
        txn.put(made, b"never".to_vec(), Vec::new())?;
    }
    Ok(txn.roll_back_to(savepoint)?)
}

/// Whether a key that the changes touch has another value than when it was read.
fn changed_meanwhile(read: &State, now: &State, changes: &[Change]) -> bool {
    changes.iter().any(|change| match change {
        Change::Put(tree, key, _) | Change::Delete(tree, key) => {
            read.get(*tree, key) != now.get(*tree, key)
        }
        Change::Create(_) | Change::Drop(_) | Change::Statement(..) => false,
    })
}

pub(super) fn newest(history: &History) -> &Arc<State> {
    &history[history.len() - 1]
}

pub(super) fn last_index(history: &History) -> u64 {
    history.len() as u64 - 1
}
