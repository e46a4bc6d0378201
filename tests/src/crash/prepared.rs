//! Prepared transactions beside everything else: in doubt or decided after a
//! crash, never both, and until then nobody else touches what they hold.

use std::sync::Arc;

use cs_base::TreeId;
use cs_kv::{
    Batch, CommitOptions, Decision, Error, Expect, Isolation, KeyRange, Scan, Store,
    TransactionOptions,
};

use super::changes;
use super::hits::{Hits, Part};
use super::life::Life;
use super::writer::{last_index, newest};
use crate::Verdict;
use crate::model::{Bytes, Change, Prepared, State};
use crate::verdict::ensure;

/// In doubt at once, at most.
const MOST: usize = 3;

impl Life {
    /// Prepares a transaction, or decides one.
    pub(super) fn promise(&mut self) -> Verdict {
        let now = Arc::clone(newest(&self.history));
        let nth = self.rng.below(now.prepared.len().max(1) as u64) as usize;
        match now.prepared.keys().nth(nth) {
            Some(gid) if now.prepared.len() >= MOST || self.rng.percent(40) => {
                self.decide(gid, &now)
            }
            _ => self.prepare(),
        }
    }

    fn prepare(&mut self) -> Verdict {
        let gid = format!("{:08x}", self.rng.draw() as u32);
        let is_serializable = self.rng.percent(50);
        let isolation = if is_serializable {
            Isolation::Serializable
        } else {
            Isolation::Snapshot
        };
        let options = TransactionOptions::with_isolation(isolation);
        let mut txn = self.store.begin_with(options)?;
        let read = &self.history[txn.snapshot().index().0 as usize];
        // One that nobody has dropped since.
        let now = newest(&self.history);
        let tree = read.trees.keys().rfind(|tree| now.trees.contains_key(tree));
        let tree = tree.copied();
        // Keys of its own: the other writers know nothing of locks.
        let key = |what: &str| -> Bytes { format!("prep-{gid}-{what}").into_bytes().into() };
        let mut prepared = Prepared::default();
        let mut kept = Vec::new();
        if let Some(tree) = tree {
            for number in 0..=self.rng.below(3) {
                let (key, value) = (
                    key(&number.to_string()),
                    changes::value(&mut self.rng, self.taste),
                );
                txn.put(tree, key.to_vec(), value.to_vec())?;
                prepared.locked.push((tree, Arc::clone(&key)));
                prepared.changes.push(Change::Put(tree, key, value));
            }
            if is_serializable {
                let range = key("read");
                txn.scan(tree, &KeyRange::prefix(&range), false, |_, _| {
                    Ok(Scan::Continue)
                })?;
                prepared.locked.push((tree, key("read-this")));
            }
            if self.rng.percent(30) {
                kept.push((tree, key("kept").to_vec()));
                prepared.locked.push((tree, key("kept")));
            }
        }
        if tree.is_none() || self.rng.percent(30) {
            let made = txn.create_tree();
            let (key, value) = (key("first"), key("value"));
            txn.put(made, key.to_vec(), value.to_vec())?;
            prepared.changes.push(Change::Create(made));
            prepared.changes.push(Change::Put(made, key, value));
        }
        txn.prepare(&gid, &kept)?;
        let mut next = State::clone(newest(&self.history));
        let prepared = Arc::new(prepared);
        next.prepared.insert(gid.clone(), Arc::clone(&prepared));
        self.after_sync_commit(next, Part::Prepared)?;
        self.hits
            .count(Part::LocksTried, prepared.locked.len() as u64);
        check_locks(&self.store, &gid, &prepared)
    }

    fn decide(&mut self, gid: &str, now: &State) -> Verdict {
        let commits = self.rng.percent(60);
        let prepared = Arc::clone(&now.prepared[gid]);
        let index = if commits {
            self.store.commit_prepared(gid, &CommitOptions::default())?
        } else {
            self.store.rollback_prepared(gid)?
        };
        let expected = last_index(&self.history) + 1;
        ensure(index.0 == expected, || {
            format!("'{gid}' was decided by commit {index}, expected {expected}")
        })?;
        let mut next = State::clone(now);
        next.prepared.remove(gid);
        next.decided.insert(gid.to_owned(), commits);
        if commits {
            next = next.after(&prepared.changes);
        }
        let part = if commits {
            Part::PreparedCommitted
        } else {
            Part::PreparedRolledBack
        };
        self.after_sync_commit(next, part)?;
        check_decided(&self.store, gid, commits)
    }

    /// A commit that was waited for; without a log only a checkpoint saves it.
    fn after_sync_commit(&mut self, next: State, counts_as: Part) -> Verdict {
        if self.has_log() {
            return self.after_own_commit(next, counts_as);
        }
        self.history.push(Arc::new(next));
        self.hits.count(counts_as, 1);
        Ok(())
    }
}

/// What a transaction in doubt holds is refused to others, which changes nothing.
fn check_locks(store: &Store, gid: &str, prepared: &Prepared) -> Verdict {
    let refused = |batch: &Batch, what: &str| {
        let answer = store.write(batch, &CommitOptions::default());
        let answer = answer.map(|ticket| ticket.index());
        ensure(
            matches!(&answer, Err(Error::Prepared { gid: by }) if by == gid),
            || format!("{what} is locked by '{gid}', writing it got {answer:?}"),
        )
    };
    for (tree, key) in &prepared.locked {
        let mut batch = Batch::new();
        batch.put(*tree, key.to_vec(), Vec::new(), Expect::Any);
        refused(&batch, &String::from_utf8_lossy(key))?;
    }
    Ok(())
}

/// Deciding it again tells how it was decided.
fn check_decided(store: &Store, gid: &str, commits: bool) -> Verdict {
    let again = store.rollback_prepared(gid);
    ensure(
        matches!(&again, Err(Error::AlreadyDecided { is_committed, .. }) if *is_committed == commits),
        || format!("'{gid}' was decided (commits: {commits}); decided again it got {again:?}"),
    )
}

/// The transactions in doubt are those of the state, and so are the decisions.
pub(super) fn check_prepared(store: &Store, state: &State, hits: &mut Hits) -> Verdict {
    let list = store.list_prepared()?;
    let found: Vec<&String> = list.iter().map(|one| &one.gid).collect();
    let expected: Vec<&String> = state.prepared.keys().collect();
    ensure(found == expected, || {
        format!("expected {expected:?} in doubt, found {found:?}")
    })?;
    for (gid, prepared) in &state.prepared {
        let decision = store.decision(gid)?;
        ensure(decision.is_none(), || {
            format!("'{gid}' is in doubt, and decided as {decision:?}")
        })?;
        check_locks(store, gid, prepared)?;
    }
    for (gid, &commits) in &state.decided {
        let expected = if commits {
            Decision::Committed
        } else {
            Decision::RolledBack
        };
        let found = store.decision(gid)?.map(|decided| decided.decision);
        ensure(found == Some(expected), || {
            format!("'{gid}': expected the decision {expected:?}, found {found:?}")
        })?;
    }
    let made = state.prepared.values().flat_map(|one| &one.changes);
    let made: Vec<TreeId> = made
        .filter_map(|change| match change {
            Change::Create(tree) => Some(*tree),
            _ => None,
        })
        .collect();
    let drawn = store.new_tree_id();
    ensure(!made.contains(&drawn), || {
        format!("the id {drawn} of a tree was given twice")
    })?;
    hits.count(Part::InDoubtAfterCrash, state.prepared.len() as u64);
    hits.count(Part::DecidedAfterCrash, state.decided.len() as u64);
    Ok(())
}
