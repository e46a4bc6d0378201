//! One state: what a crash left, opened, looked at, brought to its end, and in some
//! cases crashed again on the way.

use std::collections::{BTreeMap, BTreeSet};

use cs_io::SimRuntime;
use cs_io::sim::{CrashKind, Replay, Rng, SimDisk, SimImage, SimOptions};
use cs_kv::{
    Batch, ChangePosition, CommitOptions, Decision, Error, Expect, Store, TransactionResource,
};

use super::ledger::{Call, Ledger, Word};
use super::lived::{Fact, Lived, follow, keys_of, options};
use crate::verdict::ensure;
use crate::{Failure, Verdict};

/// So many crashes follow on each other, at most.
const CRASHES: u32 = 2;
/// Ids of trees drawn to see that none is given twice.
const DRAWN_IDS: usize = 16;

/// What a crash left, on the disk and with others.
pub(super) struct Left<'a> {
    lived: &'a Lived,
    image: SimImage,
    facts: Vec<Fact>,
    calls: [Vec<Call>; 2],
    /// Where whoever follows the changes is, and all keys that he was shown.
    token: Option<String>,
    shown: Vec<Vec<u8>>,
    crashes: u32,
}

/// How the store says that the transactions stand.
struct Standing {
    listed: BTreeSet<String>,
    decided: BTreeMap<String, Decision>,
}

impl<'a> Left<'a> {
    /// What a crash after so many events of a life left.
    pub(super) fn of(lived: &'a Lived, image: SimImage, place: usize, rng: &mut Rng) -> Self {
        // What was called right at the crash may have come just before it.
        let calls_to = place + usize::from(rng.percent(50));
        let facts = lived.facts.iter().filter(|(at, _)| *at <= place);
        let seen: Vec<_> = lived.seen.iter().filter(|seen| seen.at <= place).collect();
        Self {
            lived,
            image,
            facts: facts.map(|(_, fact)| fact.clone()).collect(),
            calls: [0, 1].map(|nth| before(&lived.ledgers[nth], calls_to)),
            token: seen.last().map(|seen| seen.token.clone()),
            shown: seen.iter().flat_map(|seen| seen.keys.clone()).collect(),
            crashes: 1,
        }
    }

    /// The same; nobody crashes it again.
    pub(super) fn without_another_crash(self) -> Self {
        Self {
            crashes: CRASHES,
            ..self
        }
    }

    /// Looks at it.
    ///
    /// # Errors
    /// The promise that is broken.
    pub(super) fn judge(mut self, rng: &mut Rng) -> Verdict {
        let disk = SimDisk::from_image(&self.image, rng.draw(), SimOptions::default());
        let runtime = SimRuntime::new(rng.draw());
        let store = Store::open(disk.clone(), runtime, options(self.lived.is_large))
            .map_err(|error| Failure(format!("it does not open: {error}")))?;
        let standing = self.standing(&store)?;
        self.check_effects(&store, &standing)?;
        self.check_locks(&store, &standing)?;
        let calls = std::mem::take(&mut self.calls);
        let [first, second] = calls.map(before_now);
        let ledgers = [
            Ledger::new("first", &disk, first),
            Ledger::new("second", &disk, second),
        ];
        self.check_calls(&ledgers, &standing, false)?;
        let [one, other]: [&dyn TransactionResource; 2] = [&ledgers[0], &ledgers[1]];
        // One by one, so that a crash finds one told and the other not.
        store.tell_resources(&[one])?;
        let left = store.tell_resources(&[other])?;
        ensure(left.is_empty(), || format!("left to tell: {left:?}"))?;
        self.check_calls(&ledgers, &standing, true)?;
        let told = ledgers[0].calls.borrow().len();
        store.tell_resources(&[one])?;
        ensure(ledgers[0].calls.borrow().len() == told, || {
            "somebody was told again who had carried it out".into()
        })?;
        let decided = self.decide(&store, &disk, &standing, rng)?;
        let standing = self.standing(&store)?;
        self.check_effects(&store, &standing)?;
        self.check_feed(&store, &standing)?;
        let report = store.check()?;
        ensure(report.findings.is_empty(), || {
            format!("the check found {:?}", report.findings)
        })?;
        if self.crashes >= CRASHES || !rng.percent(30) {
            return Ok(());
        }
        self.crash_again(&disk, &ledgers, &decided, rng)
    }

    /// Somewhere in the recovery, or in what was done after it.
    fn crash_again(
        self,
        disk: &SimDisk,
        ledgers: &[Ledger; 2],
        decided: &[(usize, Fact)],
        rng: &mut Rng,
    ) -> Verdict {
        let journal = disk.journal();
        let place = rng.below(journal.len() as u64 + 1) as usize;
        let mut replay = Replay::from_image(&self.image, &journal);
        replay.advance_to(place);
        let kind = if rng.percent(50) {
            CrashKind::Process
        } else {
            CrashKind::Machine
        };
        let mut facts = self.facts;
        let lasting = decided.iter().filter(|(at, _)| *at <= place);
        facts.extend(lasting.map(|(_, fact)| fact.clone()));
        let again = Self {
            image: replay.crash(rng, kind),
            facts,
            calls: [0, 1].map(|nth| before(&ledgers[nth], place + 1)),
            crashes: self.crashes + 1,
            ..self
        };
        let of = journal.len();
        again.judge(rng).map_err(|failure| {
            failure.during(format_args!(
                "{kind:?} crash at event {place} of {of} after it"
            ))
        })
    }

    /// In doubt, decided, or neither; and as was acknowledged.
    fn standing(&self, store: &Store) -> Verdict<Standing> {
        let listed = store.list_prepared()?.into_iter().map(|one| one.gid);
        let listed: BTreeSet<String> = listed.collect();
        let mut decided = BTreeMap::new();
        for (gid, meant) in &self.lived.meant {
            if let Some(found) = store.decision(gid)? {
                decided.insert(gid.clone(), found.decision);
                ensure(!listed.contains(gid), || {
                    format!("'{gid}' is in doubt, and {:?}", found.decision)
                })?;
            }
            ensure(!meant.has_resources() || !listed.contains(gid), || {
                format!("'{gid}' is in doubt, though its coordinator is gone")
            })?;
        }
        for gid in &listed {
            ensure(self.lived.meant.contains_key(gid), || {
                format!("'{gid}' is in doubt, which nobody has prepared")
            })?;
        }
        let standing = Standing { listed, decided };
        for fact in &self.facts {
            let holds = match fact {
                Fact::Prepared(gid) => {
                    standing.listed.contains(gid) || standing.decided.contains_key(gid)
                }
                Fact::Committed(gid) => standing.decided.get(gid) == Some(&Decision::Committed),
                Fact::RolledBack(gid) => standing.decided.get(gid) == Some(&Decision::RolledBack),
                Fact::Wrote(key) => store.snapshot()?.get(self.lived.tree, key)?.is_some(),
            };
            ensure(holds, || {
                let Standing { listed, decided } = &standing;
                format!("{fact:?} was acknowledged; in doubt: {listed:?}, decided: {decided:?}")
            })?;
        }
        Ok(standing)
    }

    fn is_committed(standing: &Standing, gid: &str) -> bool {
        standing.decided.get(gid) == Some(&Decision::Committed)
    }

    /// Wholly, or not at all.
    fn check_effects(&self, store: &Store, standing: &Standing) -> Verdict {
        let snapshot = store.snapshot()?;
        let trees: BTreeSet<_> = snapshot
            .trees()?
            .into_iter()
            .map(|(tree, _)| tree)
            .collect();
        for (gid, meant) in &self.lived.meant {
            let is_committed = Self::is_committed(standing, gid);
            let mut there = Vec::new();
            for key in &keys_of(gid).0 {
                there.push(snapshot.get(self.lived.tree, key)?.is_some());
            }
            if let Some(made) = meant.makes
                // An id that was never promised may be given to another.
                && (is_committed || standing.listed.contains(gid))
            {
                there.push(trees.contains(&made));
                if is_committed {
                    there.push(snapshot.get(made, gid.as_bytes())?.is_some());
                }
            }
            ensure(there.iter().all(|found| *found == is_committed), || {
                format!("of '{gid}', committed: {is_committed}, these are there: {there:?}")
            })?;
        }
        Ok(())
    }

    fn check_locks(&self, store: &Store, standing: &Standing) -> Verdict {
        let tree = self.lived.tree;
        let options = CommitOptions::default();
        for (gid, meant) in &self.lived.meant {
            let (written, read) = keys_of(gid);
            let mut behind = read;
            behind.extend_from_slice(b"-behind");
            let put = |key: &[u8]| {
                let mut batch = Batch::new();
                batch.put(tree, key.to_vec(), Vec::new(), Expect::Any);
                store.write(&batch, &options)?.wait()
            };
            let is_locked = |answer: Result<(), Error>, what: &str| {
                let by_it = matches!(&answer, Err(Error::Prepared { gid: by }) if by == gid);
                ensure(by_it, || {
                    format!("'{gid}' is in doubt, and {what} got {answer:?}")
                })
            };
            if !standing.listed.contains(gid) {
                // What nobody holds is free.
                put(&behind)?;
                continue;
            }
            is_locked(put(&written[0]), "a write of its key")?;
            if meant.locks_range {
                is_locked(put(&behind), "a write into what it read")?;
            }
            let mut txn = store.begin()?;
            txn.put(tree, b"other".to_vec(), Vec::new())?;
            let taken = txn.prepare(gid, &[]);
            ensure(matches!(taken, Err(Error::NameTaken { .. })), || {
                format!("'{gid}' was prepared twice: {taken:?}")
            })?;
        }
        if !standing.listed.is_empty() {
            let mut batch = Batch::new();
            batch.drop_tree(tree);
            let dropped = store.write(&batch, &options).map(drop);
            ensure(matches!(dropped, Err(Error::Prepared { .. })), || {
                format!("a tree that is locked was dropped: {dropped:?}")
            })?;
        }
        let promised =
            |gid: &String| standing.listed.contains(gid) || Self::is_committed(standing, gid);
        let of_promised = self.lived.meant.iter().filter(|(gid, _)| promised(gid));
        let taken: BTreeSet<_> = of_promised.filter_map(|(_, meant)| meant.makes).collect();
        for _ in 0..DRAWN_IDS {
            let tree = store.new_tree_id();
            ensure(!taken.contains(&tree), || {
                format!("the id {tree} was given twice")
            })?;
        }
        Ok(())
    }

    /// What resources were told, against what the log says.
    fn check_calls(&self, ledgers: &[Ledger; 2], standing: &Standing, is_end: bool) -> Verdict {
        for (gid, meant) in &self.lived.meant {
            let decision = standing.decided.get(gid).copied();
            for ledger in ledgers {
                let told = ledger.told(gid);
                let has = |word: Word| told.contains(&word);
                let allowed = match decision {
                    Some(Decision::Committed) => {
                        has(Word::Prepare)
                            && !has(Word::RollBack)
                            && (!is_end || has(Word::Finalize))
                    }
                    Some(Decision::RolledBack) => {
                        let is_told = has(Word::RollBack) || !meant.has_resources();
                        !has(Word::Finalize) && (!is_end || is_told)
                    }
                    None => told.is_empty(),
                };
                let allowed = if meant.has_resources() {
                    allowed
                } else {
                    told.is_empty()
                };
                ensure(allowed, || {
                    format!(
                        "of '{gid}' ({decision:?}) {} was told {told:?}",
                        ledger.name
                    )
                })?;
            }
        }
        Ok(())
    }

    /// Decides what is in doubt, each exactly once.
    fn decide(
        &self,
        store: &Store,
        disk: &SimDisk,
        standing: &Standing,
        rng: &mut Rng,
    ) -> Verdict<Vec<(usize, Fact)>> {
        let mut facts = Vec::new();
        for gid in &standing.listed {
            let commits = rng.percent(50);
            let fact = if commits {
                store.commit_prepared(gid, &CommitOptions::default())?;
                Fact::Committed(gid.clone())
            } else {
                store.rollback_prepared(gid)?;
                Fact::RolledBack(gid.clone())
            };
            facts.push((disk.event_count(), fact));
            let again = store.rollback_prepared(gid);
            let is_refused = matches!(
                &again,
                Err(Error::AlreadyDecided { is_committed, .. }) if *is_committed == commits
            );
            ensure(is_refused, || {
                format!("'{gid}' was decided (committed: {commits}) and again: {again:?}")
            })?;
        }
        Ok(facts)
    }

    /// Each commit once, also over the crash.
    fn check_feed(&self, store: &Store, standing: &Standing) -> Verdict {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let position: ChangePosition = token.parse()?;
        let mut feed = store.changes_after(&position)?;
        let mut counts: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        let fresh = follow(&mut feed, self.lived.tree)?;
        for key in self.shown.iter().chain(&fresh) {
            *counts.entry(key.clone()).or_default() += 1;
        }
        let count = |key: &[u8]| counts.get(key).copied().unwrap_or_default();
        for gid in self.lived.meant.keys() {
            let expected = u32::from(Self::is_committed(standing, gid));
            for key in keys_of(gid).0 {
                let found = count(&key);
                ensure(found == expected, || {
                    format!("the feed showed a key of '{gid}' {found} times, expected {expected}")
                })?;
            }
        }
        let snapshot = store.snapshot()?;
        for key in counts.keys().filter(|key| key.starts_with(b"plain")) {
            let is_there = snapshot.get(self.lived.tree, key)?.is_some();
            ensure(is_there && count(key) == 1, || {
                let name = String::from_utf8_lossy(key);
                format!(
                    "the feed showed {name} {} times; there: {is_there}",
                    count(key)
                )
            })?;
        }
        for fact in &self.facts {
            if let Fact::Wrote(key) = fact {
                ensure(count(key) == 1, || {
                    format!("the feed left out {}", String::from_utf8_lossy(key))
                })?;
            }
        }
        Ok(())
    }
}

/// What a resource was told before the disk had so many events.
fn before(ledger: &Ledger, place: usize) -> Vec<Call> {
    let calls = ledger.calls.borrow();
    calls
        .iter()
        .filter(|call| call.at < place)
        .cloned()
        .collect()
}

/// The same, on a disk of its own.
fn before_now(mut calls: Vec<Call>) -> Vec<Call> {
    for call in &mut calls {
        call.at = 0;
    }
    calls
}
