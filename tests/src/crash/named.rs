//! Named snapshots: made and dropped beside everything else, and after each
//! crash exactly those that the recovered state tells of, with what they showed
//! when they were made.

use std::sync::Arc;

use cs_io::sim::Rng;
use cs_kv::{Error, Store};

use super::hits::{Hits, Part};
use super::life::Life;
use super::writer::{last_index, newest};
use crate::Verdict;
use crate::model::State;
use crate::verdict::ensure;

/// As many at once, at most: each keeps pages.
const MOST: usize = 3;

impl Life {
    /// Makes one, drops one, or takes one to read.
    pub(super) fn keep_state(&mut self) -> Verdict {
        let now = Arc::clone(newest(&self.history));
        let nth = self.rng.below(now.named.len().max(1) as u64) as usize;
        let old = now.named.keys().nth(nth).cloned();
        match (old, self.rng.below(6)) {
            (Some(name), 0) => self.make_twice(&name),
            (Some(name), 1) => {
                let snapshot = self.store.open_snapshot(&name)?;
                // Held on, whatever becomes of the name.
                self.hold(snapshot);
                Ok(())
            }
            (Some(name), choice) if choice == 2 || now.named.len() >= MOST => {
                self.drop_state(&name)
            }
            _ => self.make_state(),
        }
    }

    fn make_state(&mut self) -> Verdict {
        let index = last_index(&self.history);
        let name = format!("before {index}");
        if newest(&self.history).named.contains_key(&name) {
            return Ok(());
        }
        let made = self.store.create_snapshot(&name)?;
        ensure(made.index.0 == index, || {
            format!("'{name}' was made at {index}, it says {}", made.index)
        })?;
        let mut next = State::clone(newest(&self.history));
        next.named.insert(name, index);
        self.after_own_commit(next, Part::Named)
    }

    fn make_twice(&mut self, name: &str) -> Verdict {
        let answer = self.store.create_snapshot(name);
        ensure(matches!(answer, Err(Error::SnapshotExists(_))), || {
            format!("'{name}' exists; made again it got {answer:?}")
        })
    }

    fn drop_state(&mut self, name: &str) -> Verdict {
        let was_there = self.store.drop_snapshot(name)?;
        ensure(was_there, || format!("'{name}' was not there to drop"))?;
        let mut next = State::clone(newest(&self.history));
        next.named.remove(name);
        self.after_own_commit(next, Part::NamedDropped)?;
        let again = self.store.drop_snapshot(name)?;
        ensure(!again, || format!("'{name}' was dropped twice"))
    }

    /// A commit of the store itself that was waited for, with or without a log.
    pub(super) fn after_own_commit(&mut self, next: State, counts_as: Part) -> Verdict {
        self.history.push(Arc::new(next));
        let (seen, last) = (self.store.snapshot()?.index().0, last_index(&self.history));
        ensure(seen == last, || {
            format!("expected commit {last} to be visible, found {seen}")
        })?;
        self.acknowledge(last);
        self.hits.count(counts_as, 1);
        Ok(())
    }
}

/// The names that a recovered store has, and now and then all that they show.
pub(super) fn check_named(
    store: &Store,
    history: &[Arc<State>],
    index: u64,
    rng: &mut Rng,
    hits: &mut Hits,
) -> Verdict {
    let named = &history[index as usize].named;
    let list = store.list_snapshots()?;
    let found = list.into_iter().map(|one| (one.name, one.index.0));
    let found: Vec<_> = found.collect();
    let is_same = found.iter().map(|(name, index)| (name, index)).eq(named);
    ensure(is_same, || {
        format!("expected the named snapshots {named:?}, found {found:?}")
    })?;
    hits.count(Part::NamedAfterCrash, named.len() as u64);
    for (name, &index) in named {
        let snapshot = store.open_snapshot(name)?;
        let state = &history[index as usize];
        let is_enough = snapshot.trees()? == state.figures() && rng.percent(60);
        if !is_enough {
            state
                .compare(&snapshot)
                .map_err(|failure| failure.during(format_args!("the snapshot '{name}'")))?;
        }
    }
    Ok(())
}

/// Where a meta was lost: each shows what it must, or says that it cannot.
pub(super) fn check_named_after_rot(store: &Store, history: &[Arc<State>], index: u64) -> Verdict {
    for (name, &index) in &history[index as usize].named {
        match store.open_snapshot(name) {
            Ok(snapshot) => history[index as usize]
                .compare(&snapshot)
                .map_err(|failure| failure.during(format_args!("the snapshot '{name}'")))?,
            Err(Error::Damaged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
