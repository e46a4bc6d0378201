//! The fixed life: batches, transactions and statements of a session, one by
//! one and side by side, checkpoints, reads past a small cache, a dropped tree,
//! a proper close and an opening amid it; bulk loads, compaction and a backup
//! (`work.rs`). With a log, or without one: then only checkpoints and the close
//! save anything. Log and large values are compressed.

use std::sync::Arc;

use cs_base::TreeId;
use cs_io::SimRuntime;
use cs_io::sim::{Event, FaultPlan, Rng, SimDisk, SimOptions};
use cs_kv::{
    AutoCompact, Batch, CommitOptions, Compression, CompressionOptions, Durability, Error, Store,
    StoreOptions, Ticket,
};

use crate::model::{Bytes, Change, Expected, History, State, batch_of, options_of};
use crate::verdict::ensure;
use crate::{Failure, Verdict};

/// Commits of one life.
const COMMITS: u64 = 36;

/// What a life left behind.
pub(super) struct Lived {
    pub(super) disk: Arc<SimDisk>,
    pub(super) options: StoreOptions,
    pub(super) history: History,
    /// Index of the newest commit that was acknowledged as synced.
    pub(super) acknowledged: u64,
    /// What a commit that failed without a clear answer would have made.
    pub(super) maybe: Option<State>,
    pub(super) poisoned: Option<String>,
}

pub(super) fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.page_size = 4096;
    options.cache_bytes = 64 << 10;
    options.checkpoint_log_bytes = 24 << 10;
    options.checkpoint_log_bytes_max = options.checkpoint_log_bytes;
    options.log.segment_bytes_min = 16 << 10;
    options.log.segment_bytes_max = 32 << 10;
    options.log.group_bytes_max = 16 << 10;
    options.log.groups_in_flight = 2;
    options.compression = CompressionOptions::of(Compression::Lz4);
    options.compression.threshold_bytes = 256;
    options.auto_compact = Some(AutoCompact {
        waste_percent: 40,
        waste_bytes: 128 << 10,
    });
    options
}

pub(super) struct Life {
    pub(super) rng: Rng,
    runtime: Arc<SimRuntime>,
    pub(super) lived: Lived,
    pub(super) store: Store,
    open: Vec<(Ticket, Durability)>,
    /// The life is over.
    pub(super) over: bool,
}

/// Lives it with a fault to come.
///
/// # Errors
/// A promise was broken on the way.
pub(super) fn live(seed: u64, without_log: bool, plan: FaultPlan) -> Verdict<Lived> {
    let sim = SimOptions {
        fault: Some(plan),
        ..SimOptions::default()
    };
    let disk = SimDisk::new(seed, sim);
    let runtime = SimRuntime::new(seed);
    let mut options = options();
    if without_log {
        options.durability = Some(Durability::Memory);
    }
    let opened = open(&disk, &runtime, &options)?;
    let lived = Lived {
        disk,
        options,
        history: vec![Arc::new(State::default())],
        acknowledged: 0,
        maybe: None,
        poisoned: None,
    };
    let Some(store) = opened else {
        return Ok(lived);
    };
    let mut life = Life {
        rng: Rng::new(seed),
        runtime,
        lived,
        store,
        open: Vec::new(),
        over: false,
    };
    for number in 0..COMMITS {
        life.commit(number)?;
        if number % 3 == 2 || life.over {
            life.wait()?;
        }
        life.between(number)?;
        if life.over {
            break;
        }
    }
    life.wait()?;
    if !life.over {
        // What nobody waits for yet.
        let saved = if without_log {
            life.store.checkpoint()
        } else {
            life.store.flush()
        };
        if life.stands(saved)? {
            life.lived.acknowledged = life.lived.history.len() as u64 - 1;
        }
    }
    Ok(life.lived)
}

/// A fault comes once: who could not open tries again, and can. `None` if the
/// directory could not be synced: then nothing more can be promised before the
/// machine was started anew, since no later sync may be believed.
fn open(
    disk: &Arc<SimDisk>,
    runtime: &Arc<SimRuntime>,
    options: &StoreOptions,
) -> Verdict<Option<Store>> {
    let again = || Store::open(disk.clone(), runtime.clone(), options.clone());
    let before = disk.fault_fired();
    match again() {
        Ok(store) => Ok(Some(store)),
        Err(error) if before.is_none() && disk.fault_fired().is_some() => {
            if directory_failed(disk) {
                return Ok(None);
            }
            // What is in flight when a store is dropped ends before its lock is given up.
            while disk.end_some() {}
            again().map(Some).map_err(|second| {
                Failure(format!(
                    "after \"{error}\" it does not open again: {second}"
                ))
            })
        }
        Err(error) => Err(Failure(format!("it does not open: {error}"))),
    }
}

fn directory_failed(disk: &SimDisk) -> bool {
    disk.journal()
        .events()
        .contains(&Event::DirSync { ok: false })
}

impl Life {
    /// Takes the answer to a call: true if it was carried out, false if it was
    /// refused. An error without a fault is a broken promise.
    pub(super) fn stands<T>(&mut self, answer: Result<T, Error>) -> Verdict<bool> {
        let Err(error) = answer else { return Ok(true) };
        ensure(self.lived.disk.fault_fired().is_some(), || {
            format!("an error without a fault: {error}")
        })?;
        if let Some(reason) = self.store.stats().poisoned {
            self.over = true;
            self.after_poison(&reason)?;
            self.lived.poisoned = Some(reason);
        }
        Ok(false)
    }

    /// Writes are refused with the reason; reading goes on.
    fn after_poison(&self, reason: &str) -> Verdict {
        ensure(!reason.is_empty(), || "poisoned without a reason".into())?;
        let mut batch = Batch::new();
        batch.create_tree(self.store.new_tree_id());
        match self.store.write(&batch, &CommitOptions::default()) {
            Err(Error::Poisoned(said)) if said == reason => {}
            other => {
                let other = other.map(|ticket| ticket.index());
                return Err(Failure(format!(
                    "poisoned by \"{reason}\", a commit got {other:?}"
                )));
            }
        }
        self.read()
            .map_err(|failure| failure.during("reading while poisoned"))
    }

    fn read(&self) -> Verdict {
        let expected = Expected {
            history: &self.lived.history,
            at_least: self.lived.acknowledged,
        };
        expected.verify(&self.store).map(drop)
    }

    fn commit(&mut self, number: u64) -> Verdict {
        let newest = Arc::clone(&self.lived.history[self.lived.history.len() - 1]);
        let changes = self.changes(number, &newest);
        let level = if number % 5 == 4 {
            Durability::Async
        } else {
            Durability::Sync
        };
        let answer = if number % 4 == 2 {
            self.by_transaction(&changes, level)
        } else {
            let options = options_of(&changes, level);
            self.store.write(&batch_of(&changes), &options)
        };
        let next = newest.after(&changes);
        match answer {
            Ok(ticket) => {
                let expected = self.lived.history.len() as u64;
                ensure(ticket.index().0 == expected, || {
                    format!(
                        "expected commit {expected}, found {}: a refused one left a trace",
                        ticket.index()
                    )
                })?;
                self.lived.history.push(Arc::new(next));
                self.open.push((ticket, level));
            }
            refused => {
                self.stands(refused)?;
                self.lived.maybe = self.over.then_some(next);
            }
        }
        Ok(())
    }

    /// The same in a transaction, unless it would speak of what others have
    /// under way: then not.
    fn by_transaction(&self, changes: &[Change], level: Durability) -> Result<Ticket, Error> {
        let options = options_of(changes, level);
        let tried = (|| {
            let mut txn = self.store.begin()?;
            for change in changes {
                match change {
                    Change::Put(tree, key, value) => {
                        txn.put(*tree, key.to_vec(), value.to_vec())?;
                    }
                    Change::Delete(tree, key) => txn.delete(*tree, key.to_vec())?,
                    Change::Statement(..) => {}
                    Change::Create(tree) | Change::Drop(tree) => {
                        return Err(Error::UnknownTree(*tree));
                    }
                }
            }
            txn.commit(&options)
        })();
        match tried {
            Err(Error::Conflict { .. } | Error::UnknownTree(_)) => {
                self.store.write(&batch_of(changes), &options)
            }
            other => other,
        }
    }

    pub(super) fn has_log(&self) -> bool {
        self.lived.options.durability != Some(Durability::Memory)
    }

    /// Waits for all that was begun.
    fn wait(&mut self) -> Verdict {
        for (ticket, level) in std::mem::take(&mut self.open) {
            let waited = ticket.wait();
            match waited {
                Ok(()) if level == Durability::Sync && self.has_log() => {
                    self.lived.acknowledged = self.lived.acknowledged.max(ticket.index().0);
                }
                // There, without being on disk.
                Ok(()) => {}
                Err(error) => {
                    let said = error.to_string();
                    self.stands(Err::<(), _>(error))?;
                    ensure(self.over, || {
                        format!(
                            "commit {} failed ({said}), the store is not poisoned",
                            ticket.index()
                        )
                    })?;
                }
            }
        }
        Ok(())
    }

    /// What happens between two commits.
    fn between(&mut self, number: u64) -> Verdict {
        if self.over {
            return Ok(());
        }
        if number % 4 == 1 {
            for _ in 0..6 {
                let stepped = self.store.step();
                if !self.stands(stepped)? {
                    return Ok(());
                }
            }
        }
        match number {
            9 | 30 => {
                let written = self.store.checkpoint();
                if self.stands(written)? {
                    self.lived.acknowledged = self.lived.history.len() as u64 - 1;
                }
            }
            7 | 15 | 23 => {
                let fired = self.lived.disk.fault_fired();
                match self.read() {
                    Err(failure) if fired == self.lived.disk.fault_fired() => return Err(failure),
                    // Nothing wrong was shown: reading failed, and goes on now.
                    Err(_) => self.read()?,
                    Ok(()) => {}
                }
            }
            20 => self.reopen()?,
            11 => self.load(false)?,
            13 | 33 => self.compact()?,
            18 => self.back_up()?,
            28 => self.load(true)?,
            _ => {}
        }
        Ok(())
    }

    fn reopen(&mut self) -> Verdict {
        self.wait()?;
        if self.over {
            return Ok(());
        }
        let closed = self.store.close();
        let is_closed = closed.is_ok();
        let _ = self.stands(closed)?;
        if self.over {
            return Ok(());
        }
        if is_closed {
            self.lived.acknowledged = self.lived.history.len() as u64 - 1;
        }
        // The lock of the directory goes with the last handle.
        let elsewhere = SimDisk::new(0, SimOptions::default());
        self.store = Store::open(elsewhere, self.runtime.clone(), self.lived.options.clone())?;
        let opened = open(&self.lived.disk, &self.runtime, &self.lived.options)?;
        let Some(store) = opened else {
            self.over = true;
            return Ok(());
        };
        self.store = store;
        let expected = Expected {
            history: &self.lived.history,
            at_least: self.lived.acknowledged,
        };
        let index = match expected.verify(&self.store) {
            // The fault may have hit this very reading.
            Err(_) if self.lived.disk.fault_fired().is_some() => expected.verify(&self.store)?,
            other => other?,
        };
        self.lived.history.truncate(index as usize + 1);
        Ok(())
    }

    fn changes(&mut self, number: u64, state: &State) -> Vec<Change> {
        if number < 2 {
            return vec![Change::Create(self.store.new_tree_id())];
        }
        let trees: Vec<TreeId> = state.trees.keys().copied().collect();
        let Some(&first) = trees.first() else {
            return vec![Change::Create(self.store.new_tree_id())];
        };
        if number == 26 {
            return vec![Change::Drop(first)];
        }
        let mut changes = Vec::new();
        if number % 6 == 5 {
            changes.push(Change::Statement((number % 2) as u8, number));
        }
        for _ in 0..1 + self.rng.below(8) {
            let tree = trees[self.rng.below(trees.len() as u64) as usize];
            let key: Bytes = format!("key-{:03}", self.rng.below(60)).into_bytes().into();
            let len = [20, 300, 900, 9_000][self.rng.below(4) as usize];
            if self.rng.percent(25) {
                changes.push(Change::Delete(tree, key));
            } else {
                changes.push(Change::Put(tree, key, self.value(len)));
            }
        }
        changes
    }

    /// Every other one can hardly be compressed.
    pub(super) fn value(&mut self, len: usize) -> Bytes {
        let byte = self.rng.draw() as u8;
        if self.rng.percent(50) {
            return vec![byte; len].into();
        }
        (0..len).map(|_| self.rng.draw() as u8).collect()
    }
}
