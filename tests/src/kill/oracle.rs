//! What must be in the database after a kill or a power cut.
//!
//! ## Invariants
//! * For each writer exactly the state behind some transaction of its: not
//!   before the last one acknowledged, nor before what the last cycle found;
//!   not behind the last one that could have been under way.
//! * Of documents, which have no counters, some such state must fit.
//! * Nothing else is there. The shared number is the sum of what each writer,
//!   so far as it came, has added.

use std::collections::BTreeMap;

use cs_base::TreeId;
use cs_kv::{Durability, KeyRange, Store};

use super::child::number_in;
use super::plan::{
    Kind, SHARED_EVERY, SHARED_KEY, TREES, WRITERS, changes, counter_key, level, most,
};
use crate::Failure;
use crate::verdict::ensure;

/// Tree (by position) and key, to value.
pub(super) type Contents = BTreeMap<(usize, Vec<u8>), Vec<u8>>;

/// How far each writer came, and what its part holds then.
#[derive(Debug)]
pub(crate) struct Oracle {
    kind: Kind,
    seed: u64,
    created: bool,
    reached: [u64; WRITERS as usize],
    model: Contents,
}

impl Oracle {
    /// Of a database that was never opened.
    pub(crate) fn new(kind: Kind, seed: u64) -> Self {
        Self {
            kind,
            seed,
            created: false,
            reached: [0; WRITERS as usize],
            model: Contents::new(),
        }
    }

    /// How many transactions are known to be there.
    pub(crate) fn transactions(&self) -> u64 {
        self.reached.iter().sum()
    }

    /// What it judges.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The number of the last commit of each writer that is known to be there.
    pub(super) fn reached(&self) -> &[u64] {
        &self.reached
    }

    /// The trees were made, and that was acknowledged.
    pub(super) fn note_created(&mut self) {
        self.created = true;
    }

    /// Compares a database with what was acknowledged since it was last
    /// compared, and takes what it holds as the new base.
    ///
    /// # Errors
    /// A sentence that says what is not as promised.
    pub(super) fn judge(
        &mut self,
        store: &Store,
        acknowledged: &BTreeMap<u8, u64>,
    ) -> Result<(), Failure> {
        let snapshot = store.snapshot()?;
        let trees: Vec<TreeId> = snapshot
            .trees()?
            .into_iter()
            .map(|(tree, _)| tree)
            .collect();
        if trees.is_empty() && !self.created {
            return Ok(());
        }
        ensure(trees.len() == TREES, || {
            format!("expected {TREES} trees, found {trees:?}")
        })?;
        self.created = true;
        let mut found = Contents::new();
        for (position, &tree) in trees.iter().enumerate() {
            let mut cursor = snapshot.cursor(tree, KeyRange::all())?;
            while let Some((key, value)) = cursor.next()? {
                found.insert((position, key.to_vec()), value.to_vec());
            }
        }
        drop(snapshot);
        self.compare(&found, acknowledged)?;
        check(store)
    }

    /// The same with documents: `found` is none while not all collections are there.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub(super) fn judge_documents(
        &mut self,
        found: Option<Contents>,
        acknowledged: &BTreeMap<u8, u64>,
    ) -> Result<(), Failure> {
        let Some(found) = found else {
            return ensure(!self.created, || "a collection is missing".to_owned());
        };
        self.created = true;
        self.compare(&found, acknowledged)
    }

    /// The comparison itself.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub(super) fn compare(
        &mut self,
        found: &Contents,
        acknowledged: &BTreeMap<u8, u64>,
    ) -> Result<(), Failure> {
        for writer in 0..WRITERS {
            let base = self.reached[usize::from(writer)];
            let least = acknowledged.get(&writer).copied().unwrap_or(0).max(base);
            if self.kind == Kind::Documents {
                self.follow(writer, least, found)?;
                continue;
            }
            let most = most(self.kind, writer, least);
            let counter = found.get(&(0, counter_key(writer))).cloned();
            let reached = number_in(counter);
            ensure((least..=most).contains(&reached), || {
                format!(
                    "writer {writer}: expected transactions up to one from {least} to {most}, found {reached}"
                )
            })?;
            self.advance(writer, reached);
        }
        if self.kind == Kind::Documents {
            return same(&self.model, found);
        }
        let shared: u64 = self
            .reached
            .iter()
            .map(|reached| reached / SHARED_EVERY)
            .sum();
        if shared > 0 {
            self.model
                .insert((0, SHARED_KEY.to_vec()), shared.to_be_bytes().to_vec());
        }
        same(&self.model, found)
    }

    /// Finds how far a writer came that left no counter: the furthest state
    /// that fits. If none does, the differences to the nearest are the failure.
    /// An operation that found nothing to change is no commit and binds nobody.
    fn follow(&mut self, writer: u8, least: u64, found: &Contents) -> Result<(), Failure> {
        let part = |contents: &Contents| -> Contents {
            let mark = format!("writer-{writer}/").into_bytes();
            let own = contents
                .iter()
                .filter(|((_, key), _)| key.starts_with(&mark));
            own.map(|(place, value)| (place.clone(), value.clone()))
                .collect()
        };
        let found = part(found);
        let mut fits = None;
        let mut nearest = Ok(());
        let mut number = least;
        let mut before = None;
        loop {
            self.advance(writer, number);
            let now = part(&self.model);
            match same(&now, &found) {
                Ok(()) => fits = Some((number, self.model.clone())),
                other => nearest = nearest.and(other),
            }
            let is_commit = before
                .replace(now.clone())
                .is_some_and(|before| before != now);
            if is_commit && level(self.kind, number) == Durability::Sync {
                break;
            }
            number += 1;
        }
        let Some((reached, model)) = fits else {
            return nearest.map_err(|failure| {
                failure.during(format_args!(
                    "writer {writer}, operations to one from {least} to {number}"
                ))
            });
        };
        self.model = model;
        self.reached[usize::from(writer)] = reached;
        Ok(())
    }

    fn advance(&mut self, writer: u8, reached: u64) {
        let last = &mut self.reached[usize::from(writer)];
        for number in *last + 1..=reached {
            for (place, value) in changes(self.kind, self.seed, writer, number) {
                match value {
                    Some(value) => self.model.insert(place, value),
                    None => self.model.remove(&place),
                };
            }
        }
        *last = reached;
    }
}

/// What the store itself says of its order.
pub(super) fn check(store: &Store) -> Result<(), Failure> {
    let report = store.check()?;
    ensure(report.is_sound(), || {
        format!("check: {:?}", report.findings)
    })
}

fn same(expected: &Contents, found: &Contents) -> Result<(), Failure> {
    let name = |(tree, key): &(usize, Vec<u8>)| format!("tree {tree}, {}", key.escape_ascii());
    for (place, value) in expected {
        match found.get(place) {
            None => return Err(Failure(format!("{} is missing", name(place)))),
            Some(other) if other != value => {
                let (expected, found) = (value.len(), other.len());
                return Err(Failure(format!(
                    "{} has another value: expected one of {expected} bytes, found {found}",
                    name(place)
                )));
            }
            Some(_) => {}
        }
    }
    match found.keys().find(|place| !expected.contains_key(place)) {
        Some(place) => Err(Failure(format!("{}: nobody wrote it", name(place)))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
