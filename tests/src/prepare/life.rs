//! The life that is crashed: transactions of every fate in an order of its own,
//! ordinary commits, checkpoints and openings between them.

use std::collections::BTreeMap;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::SimRuntime;
use cs_io::sim::{Fault, FaultPlan, Rng, SimDisk, SimImage, SimOptions};
use cs_kv::{
    Batch, ChangeFeed, CommitOptions, Durability, Error, Expect, Isolation, KeyRange, Scan, Store,
    StoreOptions, Transaction, TransactionOptions, TransactionResource,
};

use super::ledger::Ledger;
use super::lived::{Fact, Fate, Lived, Meant, Seen, follow, keys_of, options};
use crate::Verdict;
use crate::verdict::ensure;

const FATES: [Fate; 8] = [
    Fate::Commit,
    Fate::RollBack,
    Fate::Wait,
    Fate::Together,
    Fate::Refused,
    Fate::Away,
    Fate::Commit,
    Fate::Wait,
];

/// Bytes of a value that makes a transaction take several records, and several
/// entries among the prepared ones.
const LARGE: usize = 9 << 19;

struct Life {
    rng: Rng,
    runtime: Arc<SimRuntime>,
    store: Store,
    feed: Option<ChangeFeed>,
    lived: Lived,
    over: bool,
}

/// Lives it; an operation may fail, counted from the beginning of the life.
///
/// # Errors
/// A promise was broken on the way.
pub(super) fn live(seed: u64, is_large: bool, fault: Option<(Fault, u64)>) -> Verdict<Lived> {
    let mut rng = Rng::new(seed);
    let runtime = SimRuntime::new(rng.draw());
    let (image, tree) = prelude(&mut rng, &runtime, is_large)?;
    let sim = SimOptions {
        finish_percent: [5, 25, 60][rng.below(3) as usize],
        ..SimOptions::default()
    };
    let disk = SimDisk::from_image(&image, rng.draw(), sim);
    let store = Store::open(disk.clone(), runtime.clone(), options(is_large))?;
    let first = disk.operations();
    disk.plan_fault(fault.map(|(fault, operation)| FaultPlan {
        at_operation: first + operation,
        fault,
    }));
    let feed = store.changes()?;
    let lived = Lived {
        ledgers: ["first", "second"].map(|name| Ledger::new(name, &disk, Vec::new())),
        image,
        disk,
        tree,
        meant: BTreeMap::new(),
        facts: Vec::new(),
        seen: Vec::new(),
        fired: None,
        is_large,
    };
    let mut life = Life {
        rng,
        runtime,
        store,
        feed: Some(feed),
        lived,
        over: false,
    };
    life.follow()?;
    let mut fates = FATES.to_vec();
    for number in 0..fates.len() {
        let nth = life.rng.below((fates.len() - number) as u64) as usize;
        fates.swap(number, number + nth);
    }
    for (number, fate) in fates.into_iter().enumerate() {
        life.between(number)?;
        life.transaction(&format!("g{number}"), fate)?;
        life.follow()?;
    }
    life.tell()?;
    let fired = life.lived.disk.fault_fired();
    life.lived.fired = fired.map(|fired| fired - first);
    Ok(life.lived)
}

/// A disk with a tree, as a machine that was switched off left it.
fn prelude(
    rng: &mut Rng,
    runtime: &Arc<SimRuntime>,
    is_large: bool,
) -> Verdict<(SimImage, TreeId)> {
    let disk = SimDisk::new(rng.draw(), SimOptions::default());
    let store = Store::open(disk.clone(), runtime.clone(), options(is_large))?;
    let mut txn = store.begin()?;
    let tree = txn.create_tree();
    txn.commit(&CommitOptions::default())?.wait()?;
    store.close()?;
    drop(store);
    let image = disk.crash(rng, cs_io::sim::CrashKind::Machine);
    Ok((image, tree))
}

impl Life {
    fn note(&mut self, fact: Fact) {
        let at = self.lived.disk.event_count();
        self.lived.facts.push((at, fact));
    }

    /// Takes the answer to a call. An error without a fault is a broken promise.
    fn stands<T>(&mut self, answer: Result<T, Error>) -> Verdict<Option<T>> {
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                ensure(self.lived.disk.fault_fired().is_some(), || {
                    format!("an error without a fault: {error}")
                })?;
                self.over |= self.store.stats().poisoned.is_some();
                Ok(None)
            }
        }
    }

    /// What goes on beside: commits, checkpoints, an opening.
    fn between(&mut self, number: usize) -> Verdict {
        for nth in 0..self.rng.below(3) {
            if self.over {
                return Ok(());
            }
            let key = format!("plain-{number}-{nth}").into_bytes();
            let value = vec![nth as u8; self.rng.below(3000) as usize];
            let mut batch = Batch::new();
            batch.put(self.lived.tree, key.clone(), value, Expect::Absent);
            let is_async = self.rng.percent(30);
            let options = CommitOptions::with_durability(if is_async {
                Durability::Async
            } else {
                Durability::Sync
            });
            let written = self.store.write(&batch, &options);
            let written = written.and_then(|ticket| ticket.wait());
            if self.stands(written)?.is_some() && !is_async {
                self.note(Fact::Wrote(key));
            }
        }
        for _ in 0..self.rng.below(4) {
            let stepped = self.store.step();
            self.stands(stepped)?;
        }
        if self.rng.percent(20) && !self.over {
            let saved = self.store.checkpoint();
            self.stands(saved)?;
        }
        if self.rng.percent(15) && !self.over {
            self.reopen()?;
        }
        Ok(())
    }

    fn reopen(&mut self) -> Verdict {
        let token = self.lived.seen.last().map(|seen| seen.token.clone());
        self.feed = None;
        let closed = self.store.close();
        self.stands(closed)?;
        // A handle must go before its successor; one to another disk stands in.
        let elsewhere = cs_io::memory::MemoryDisk::new();
        self.store = Store::open(elsewhere, self.runtime.clone(), StoreOptions::default())?;
        while self.lived.disk.end_some() {}
        let disk = self.lived.disk.clone();
        match Store::open(disk, self.runtime.clone(), options(self.lived.is_large)) {
            Ok(store) => {
                self.store = store;
                if let Some(token) = token {
                    let feed = self.store.changes_after(&token.parse()?);
                    self.feed = self.stands(feed)?;
                }
                Ok(())
            }
            Err(error) => {
                self.over = true;
                ensure(self.lived.disk.fault_fired().is_some(), || {
                    format!("it does not open again: {error}")
                })
            }
        }
    }

    fn begin(&mut self, gid: &str, fate: Fate) -> Result<Transaction, Error> {
        let locks_range = self.rng.percent(60);
        let isolation = if locks_range {
            Isolation::Serializable
        } else {
            Isolation::Snapshot
        };
        let tree = self.lived.tree;
        let options = TransactionOptions::with_isolation(isolation);
        let mut txn = self.store.begin_with(options)?;
        let (written, read) = keys_of(gid);
        txn.scan(tree, &KeyRange::prefix(&read), false, |_, _| {
            Ok(Scan::Continue)
        })?;
        for key in written {
            let is_large = self.lived.is_large && fate == Fate::Commit && key == keys_of(gid).0[0];
            let bytes = self.rng.below(2500) as usize;
            txn.put(tree, key, vec![7; if is_large { LARGE } else { bytes }])?;
        }
        let mut makes = None;
        if self.rng.percent(50) {
            let made = txn.create_tree();
            txn.put(made, gid.as_bytes().to_vec(), Vec::new())?;
            makes = Some(made);
        }
        let meant = Meant {
            fate,
            makes,
            locks_range,
        };
        self.lived.meant.insert(gid.to_owned(), meant);
        Ok(txn)
    }

    fn transaction(&mut self, gid: &str, fate: Fate) -> Verdict {
        if self.over {
            return Ok(());
        }
        let txn = self.begin(gid, fate);
        let Some(txn) = self.stands(txn)? else {
            return Ok(());
        };
        if matches!(fate, Fate::Together | Fate::Refused | Fate::Away) {
            return self.with_resources(gid, fate, txn);
        }
        let prepared = txn.prepare(gid, &[]);
        if self.stands(prepared)?.is_none() {
            return Ok(());
        }
        self.note(Fact::Prepared(gid.into()));
        self.between(100 + self.lived.facts.len())?;
        if self.over {
            return Ok(());
        }
        match fate {
            Fate::Commit => {
                let done = self.store.commit_prepared(gid, &CommitOptions::default());
                if self.stands(done)?.is_some() {
                    self.note(Fact::Committed(gid.into()));
                }
            }
            Fate::RollBack => {
                let done = self.store.rollback_prepared(gid);
                if self.stands(done)?.is_some() {
                    self.note(Fact::RolledBack(gid.into()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn with_resources(&mut self, gid: &str, fate: Fate, txn: Transaction) -> Verdict {
        let [first, second] = &self.lived.ledgers;
        let one = if self.rng.percent(50) { first } else { second };
        match fate {
            Fate::Refused => one.refuses.set(true),
            Fate::Away => one.leaves.set(true),
            _ => {}
        }
        let resources: [&dyn TransactionResource; 2] = [first, second];
        let options = CommitOptions::default();
        let done = txn.commit_with_resources(gid, &resources, &options);
        for ledger in &self.lived.ledgers {
            ledger.refuses.set(false);
            ledger.leaves.set(false);
        }
        match done {
            Err(Error::ResourceRefused { .. }) if fate == Fate::Refused => {
                self.note(Fact::RolledBack(gid.into()));
            }
            Ok(done) => {
                ensure(fate != Fate::Refused, || {
                    format!("'{gid}' was committed, which a resource had refused")
                })?;
                let untold = usize::from(fate == Fate::Away);
                ensure(done.untold.len() == untold, || {
                    format!("of '{gid}' {:?} were not told", done.untold)
                })?;
                self.note(Fact::Committed(gid.into()));
            }
            Err(error) => {
                self.stands(Err::<(), _>(error))?;
            }
        }
        // Who was away is back, and hears of it some time.
        for ledger in &self.lived.ledgers {
            ledger.is_away.set(false);
        }
        if self.rng.percent(30) {
            self.tell()?;
        }
        Ok(())
    }

    fn tell(&mut self) -> Verdict {
        if self.over {
            return Ok(());
        }
        let [first, second] = &self.lived.ledgers;
        let left = self.store.tell_resources(&[first, second]);
        if let Some(left) = self.stands(left)? {
            ensure(left.is_empty(), || format!("left to tell: {left:?}"))?;
        }
        Ok(())
    }

    fn follow(&mut self) -> Verdict {
        let Some(mut feed) = self.feed.take() else {
            return Ok(());
        };
        // Shown before it is known how many events there are: a crash at that
        // number of events comes after it.
        let keys = follow(&mut feed, self.lived.tree);
        if let Some(keys) = self.stands(keys)? {
            self.lived.seen.push(Seen {
                at: self.lived.disk.event_count(),
                token: feed.position().to_string(),
                keys,
            });
            self.feed = Some(feed);
        }
        Ok(())
    }
}
