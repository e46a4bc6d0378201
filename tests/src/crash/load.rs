//! Bulk loads beside the writers of a run: entries come while the others have
//! their turns. In order or in none, behind the last key of a new tree or among
//! the keys of one that everybody writes to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::sim::Rng;
use cs_kv::{BulkOptions, BulkProgress, BulkReport, CommitOptions, Duplicates, Durability, Error};

use super::changes;
use super::hits::Part;
use super::life::Life;
use super::writer::{last_index, newest};
use crate::model::{Bytes, Change, batch_of};
use crate::verdict::ensure;
use crate::{Failure, Verdict};

/// Trees at most, those that loads made included.
const TREES: usize = 6;
/// Turns of the others come after so many entries.
const TURNS_EVERY: usize = 16;

/// What is loaded: entries in the order of their keys, and as they come.
struct Plan {
    tree: TreeId,
    sorted: Vec<(Bytes, Bytes)>,
    coming: Vec<(Bytes, Bytes)>,
    options: BulkOptions,
}

/// What both ends of a load look at.
struct Beside<'a> {
    life: &'a mut Life,
    committed: usize,
    broken: Option<Failure>,
}

impl Life {
    /// Loads into a new tree, or into an old one.
    pub(super) fn load(&mut self) -> Verdict {
        let newest = Arc::clone(newest(&self.history));
        let old = newest.trees.keys().next().copied();
        let tree = match old {
            Some(tree) if self.rng.percent(30) => tree,
            _ => self.tree_to_load(newest.trees.keys().copied().collect())?,
        };
        let plan = plan(&mut self.rng, self.taste, tree, old == Some(tree));
        let begun = self.disk.event_count();
        let beside = RefCell::new(Beside {
            life: self,
            committed: 0,
            broken: None,
        });
        let loaded = plan.load(&beside);
        let Beside {
            committed, broken, ..
        } = beside.into_inner();
        if let Some(failure) = broken {
            return Err(failure.during("beside a bulk load"));
        }
        self.after_load(&plan, committed, loaded)?;
        self.spans(Part::LoadStates, begun);
        Ok(())
    }

    /// A tree for a load, made for it or by an earlier one; never too many.
    fn tree_to_load(&mut self, trees: Vec<TreeId>) -> Verdict<TreeId> {
        let mut changes = Vec::new();
        if trees.len() >= TREES
            && let Some(&last) = trees
                .iter()
                .rfind(|&&tree| !newest(&self.history).is_locked(tree))
        {
            changes.push(Change::Drop(last));
        }
        let tree = self.store.new_tree_id();
        changes.push(Change::Create(tree));
        let level = CommitOptions::with_durability(Durability::Memory);
        let ticket = self.store.write(&batch_of(&changes), &level)?;
        let next = newest(&self.history).after(&changes);
        self.history.push(Arc::new(next));
        ensure(ticket.index().0 == last_index(&self.history), || {
            format!("the tree of a load is commit {}", ticket.index())
        })?;
        Ok(tree)
    }

    /// The load committed entries of which nobody knew.
    fn loaded(&mut self, plan: &Plan, entries: std::ops::Range<usize>) {
        let changes: Vec<Change> = plan.sorted[entries]
            .iter()
            .map(|(key, value)| Change::Put(plan.tree, Arc::clone(key), Arc::clone(value)))
            .collect();
        let next = newest(&self.history).after(&changes);
        self.history.push(Arc::new(next));
    }

    fn after_load(
        &mut self,
        plan: &Plan,
        committed: usize,
        loaded: Result<BulkReport, Error>,
    ) -> Verdict {
        let now = Arc::clone(newest(&self.history));
        let report = match loaded {
            Ok(report) => report,
            Err(Error::UnknownTree(tree)) if !now.trees.contains_key(&tree) => return Ok(()),
            // What a prepared transaction needs no load is put behind.
            Err(Error::Prepared { .. }) if now.is_locked(plan.tree) => return Ok(()),
            Err(Error::DuplicateEntry { position }) => {
                let entry = usize::try_from(position)
                    .ok()
                    .and_then(|position| plan.coming.get(position));
                let is_there = entry.is_some_and(|(key, _)| now.get(plan.tree, key).is_some());
                let refuses = plan.options.duplicates == Duplicates::Refuse;
                self.hits.count(Part::LoadsRefused, 1);
                return ensure(is_there && refuses && committed == 0, || {
                    format!("entry {position} of a load was refused, {committed} were committed")
                });
            }
            Err(error) => return Err(error.into()),
        };
        ensure(committed == plan.sorted.len(), || {
            format!(
                "{committed} of {} entries of a load are committed",
                plan.sorted.len()
            )
        })?;
        let level = plan.options.durability.unwrap_or_default();
        if self.has_log() && level == Durability::Sync {
            self.acknowledge(report.index.0);
        }
        let hits = &mut self.hits;
        hits.count(Part::Loads, 1);
        hits.count(Part::LoadsAppended, report.appended);
        hits.count(Part::LoadsAmongKeys, report.commits - report.appended);
        hits.count(Part::LoadsAtomic, u64::from(plan.options.atomic));
        Ok(())
    }
}

/// What will be loaded, and how.
fn plan(rng: &mut Rng, taste: changes::Taste, tree: TreeId, is_shared: bool) -> Plan {
    let count = 8 + rng.below(250);
    let mut entries: BTreeMap<Bytes, Bytes> = BTreeMap::new();
    for number in 0..count {
        let key = if is_shared {
            changes::key(rng)
        } else {
            format!("load-{number:04}").into_bytes().into()
        };
        entries.insert(key, changes::value(rng, taste));
    }
    let sorted: Vec<_> = entries.into_iter().collect();
    let mut coming = sorted.clone();
    if rng.percent(40) {
        for at in (1..coming.len()).rev() {
            coming.swap(at, rng.below(at as u64 + 1) as usize);
        }
    }
    let mut options = BulkOptions::default();
    options.atomic = rng.percent(25);
    options.durability = match rng.below(6) {
        0 => Some(Durability::Memory),
        1 => Some(Durability::Async),
        2 => Some(Durability::Sync),
        _ => None,
    };
    if rng.percent(60) {
        options.duplicates = Duplicates::Replace;
    }
    Plan {
        tree,
        sorted,
        coming,
        options,
    }
}

impl Plan {
    fn load(&self, beside: &RefCell<Beside<'_>>) -> Result<BulkReport, Error> {
        let store = beside.borrow().life.store.clone();
        let entries = self.coming.iter().enumerate().map(|(nth, (key, value))| {
            if nth % TURNS_EVERY == TURNS_EVERY - 1 {
                beside.borrow_mut().turns();
            }
            Ok::<_, Error>((key, value))
        });
        let mut told = |progress: &BulkProgress| beside.borrow_mut().told(self, progress);
        store.bulk_load(self.tree, entries, &self.options, &mut told)
    }
}

impl Beside<'_> {
    fn turns(&mut self) {
        if self.broken.is_none() {
            self.broken = self.life.turns_beside().err();
        }
    }

    /// What is told as committed is there from now on, before anybody else's turn.
    fn told(&mut self, plan: &Plan, progress: &BulkProgress) -> ControlFlow<()> {
        let committed = progress.committed as usize;
        if committed > self.committed {
            self.life.loaded(plan, self.committed..committed);
            self.committed = committed;
        }
        self.turns();
        if self.broken.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
