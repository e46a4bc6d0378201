//! A disk that is too small: fills up, refuses, gives space back, and goes on.

use std::ops::ControlFlow;
use std::sync::Arc;

use cs_io::SimRuntime;
use cs_io::sim::{CrashKind, Rng, SimDisk, SimOptions};
use cs_kv::{BulkOptions, CommitOptions, CompactOptions, Error, Store};

use super::life::options;
use crate::model::{Bytes, Change, Expected, History, State, batch_of, check};
use crate::verdict::ensure;
use crate::{Failure, Verdict};

/// Disks to try, from one that barely holds a store.
pub(super) const CAPACITIES_KIB: [u64; 6] = [512, 600, 768, 1_024, 1_500, 2_048];
/// Commits at most until such a disk must be full.
const MOST_COMMITS: u64 = 4_000;
/// Bytes of each value.
const VALUE: usize = 1_000;
/// Entries of a load: more than the largest disk has room for.
const LOADED: u32 = 3_000;

/// Fills the disk, deletes, fills it again; twice. Then everything acknowledged
/// is still there after a crash.
///
/// # Errors
/// A promise was broken.
pub(super) fn live(seed: u64, capacity: u64) -> Verdict {
    let sim = SimOptions {
        capacity,
        ..SimOptions::default()
    };
    let disk = SimDisk::new(seed, sim);
    let store = Store::open(disk.clone(), SimRuntime::new(seed), options())?;
    let mut full = Full {
        store,
        history: vec![Arc::new(State::default())],
        rng: Rng::new(seed),
        next: 0,
    };
    let tree = full.store.new_tree_id();
    full.commit(&[Change::Create(tree)])?;
    let mut first = None;
    for round in 0..3 {
        let written = full.fill(tree)?;
        ensure(written < MOST_COMMITS, || {
            format!("round {round}: {written} commits, and not full")
        })?;
        let first = *first.get_or_insert(written);
        ensure(written >= first / 2, || {
            format!(
                "round {round}: room for {written} commits, for {first} at first: space was not given back"
            )
        })?;
        full.read()?;
        full.load(tree)
            .and_then(|()| full.compact())
            .and_then(|()| full.read())
            .map_err(|failure| failure.during(format_args!("round {round}, full")))?;
        full.empty(tree)
            .map_err(|failure| failure.during(format_args!("round {round}, deleting")))?;
    }
    full.read()?;
    check(&full.store)?;
    full.store
        .close()
        .map_err(|error| Failure(format!("close on a full disk: {error}")))?;
    let image = disk.crash(&mut full.rng, CrashKind::Machine);
    let after = SimDisk::from_image(&image, seed, sim);
    let Full { history, .. } = full;
    let store = Store::open(after, SimRuntime::new(1), options())?;
    Expected {
        history: &history,
        at_least: history.len() as u64 - 1,
    }
    .verify(&store)?;
    check(&store)
}

struct Full {
    store: Store,
    history: History,
    rng: Rng,
    next: u64,
}

impl Full {
    /// True if it was carried out, false if there was no space for it.
    fn commit(&mut self, changes: &[Change]) -> Verdict<bool> {
        let batch = batch_of(changes);
        match self.store.write(&batch, &CommitOptions::default()) {
            Ok(ticket) => {
                ticket.wait()?;
                let next = self.history[self.history.len() - 1].after(changes);
                self.history.push(Arc::new(next));
                Ok(true)
            }
            Err(error) if error.is_no_space() => {
                let poisoned = self.store.stats().poisoned;
                ensure(poisoned.is_none(), || {
                    format!("a full disk poisons: {poisoned:?}")
                })?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn fill(&mut self, tree: cs_base::TreeId) -> Verdict<u64> {
        for written in 0..MOST_COMMITS {
            let key: Bytes = format!("key-{:06}", self.next).into_bytes().into();
            self.next += 1;
            let value: Bytes = vec![self.rng.draw() as u8; VALUE].into();
            if !self.commit(&[Change::Put(tree, key, value)])? {
                return Ok(written);
            }
            self.steps()?;
        }
        Ok(MOST_COMMITS)
    }

    /// A bulk load for which there is no room leaves no trace.
    fn load(&mut self, tree: cs_base::TreeId) -> Verdict {
        let value = vec![self.rng.draw() as u8; VALUE];
        let entries = (0..LOADED).map(|number| Ok((format!("load-{number:06}"), &value)));
        let mut go_on = |_: &_| ControlFlow::Continue(());
        let options = BulkOptions::default();
        let loaded = self
            .store
            .bulk_load::<_, _, Error>(tree, entries, &options, &mut go_on);
        ensure(
            loaded.as_ref().is_err_and(|error| error.is_no_space()),
            || format!("a load into a full disk came to {loaded:?}"),
        )?;
        let poisoned = self.store.stats().poisoned;
        ensure(poisoned.is_none(), || {
            format!("a load into a full disk poisons: {poisoned:?}")
        })
    }

    /// Compaction takes no room, or says that there is none.
    fn compact(&mut self) -> Verdict {
        let mut go_on = |_: &_| ControlFlow::Continue(());
        let compacted = self.store.compact(&CompactOptions::default(), &mut go_on);
        let poisoned = self.store.stats().poisoned;
        ensure(poisoned.is_none(), || {
            format!("compaction of a full disk poisons: {poisoned:?}")
        })?;
        match compacted {
            Err(error) if !error.is_no_space() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Deletes everything, a few at a time: on a full disk that must go through.
    fn empty(&mut self, tree: cs_base::TreeId) -> Verdict {
        let newest = Arc::clone(&self.history[self.history.len() - 1]);
        let keys: Vec<Bytes> = newest.trees[&tree].entries.keys().cloned().collect();
        for some in keys.chunks(20) {
            let changes: Vec<Change> = some
                .iter()
                .map(|key| Change::Delete(tree, Arc::clone(key)))
                .collect();
            ensure(self.commit(&changes)?, || "a delete finds no space".into())?;
            self.steps()?;
        }
        self.store.checkpoint()?;
        self.store.checkpoint()?;
        Ok(())
    }

    /// Background work may find no space, and waits for better times.
    fn steps(&self) -> Verdict {
        for _ in 0..3 {
            match self.store.step() {
                Ok(_) => {}
                Err(error) if error.is_no_space() && self.store.stats().poisoned.is_none() => {}
                Err(error @ Error::Poisoned(_)) => return Err(error.into()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read(&self) -> Verdict {
        let at_least = self.history.len() as u64 - 1;
        Expected {
            history: &self.history,
            at_least,
        }
        .verify(&self.store)
        .map(drop)
    }
}
