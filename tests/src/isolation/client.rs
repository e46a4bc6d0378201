//! What one thread does: random transactions over the lists.

mod automatic;

use std::ops::ControlFlow;

use cs_io::sim::Rng;
use cs_kv::{
    CommitOptions, CompactOptions, Decision, Durability, Error, Isolation, KeyRange, Savepoint,
    Scan, Snapshot, Transaction, TransactionOptions,
};

use super::epoch::Round;
use super::history::{Key, Level, Outcome, Step};
use super::keys::{self, decode, encode};
use super::record::{Draft, Stage};
use crate::verdict::ensure;
use crate::{Failure, Verdict};

/// Steps of a transaction, at most.
const STEPS: u64 = 8;
/// Transactions in doubt at once: each is in the way of others.
const IN_DOUBT: usize = 3;

pub(super) struct Client<'a> {
    pub(super) round: &'a Round<'a>,
    pub(super) rng: Rng,
    pub(super) number: usize,
}

impl Client<'_> {
    /// Until the round is over.
    pub(super) fn run(&mut self) -> Verdict {
        while let Some(number) = self.round.next() {
            if self.rng.percent(15) {
                self.decide()?;
            }
            self.housekeeping()?;
            let name = format!("{}.{number}", self.number);
            match self.rng.below(100) {
                0..60 => self.transaction(name)?,
                60..85 => self.automatic(name)?,
                _ => self.read(name)?,
            }
        }
        Ok(())
    }

    /// Pages move, and the log is given back, beside everything else.
    fn housekeeping(&mut self) -> Verdict {
        match self.rng.below(400) {
            0 => {
                let mut go_on = |_: &_| ControlFlow::Continue(());
                let options = CompactOptions::default();
                self.round.store.compact(&options, &mut go_on).map(drop)
            }
            1 | 2 => self.round.store.checkpoint(),
            _ => Ok(()),
        }?;
        Ok(())
    }

    /// Lets others go between.
    fn pause(&mut self) {
        if self.rng.percent(30) {
            std::thread::yield_now();
        }
    }

    fn key(&mut self) -> Key {
        let many = self.round.record.numbers();
        keys::draw(&mut self.rng, many)
    }

    fn options(&mut self, draft: &mut Draft) -> CommitOptions {
        draft.is_async = self.round.shape.has_async && self.rng.percent(30);
        CommitOptions::with_durability(match draft.is_async {
            false => Durability::Sync,
            true if self.rng.percent(25) => Durability::Memory,
            true => Durability::Async,
        })
    }

    // ---- a transaction ----

    fn transaction(&mut self, name: String) -> Verdict {
        let level = self.round.shape.level(&mut self.rng);
        let isolation = match level {
            Level::Snapshot => Isolation::Snapshot,
            Level::Serializable => Isolation::Serializable,
        };
        let mut options = TransactionOptions::with_isolation(isolation);
        if self.rng.percent(10) {
            // Ranges that were read coarsen.
            options.footprint_bytes = 256;
        }
        let mut draft = self.round.record.begin(name, level);
        let mut txn = self.round.store.begin_with(options)?;
        let mut savepoints: Vec<(Savepoint, usize)> = Vec::new();
        let changes = self.rng.percent(85);
        for _ in 0..=self.rng.below(STEPS) {
            match self.rng.below(100) {
                0..10 => savepoints.push((txn.set_savepoint(), draft.steps.len())),
                10..15 if !savepoints.is_empty() => {
                    let nth = self.rng.below(savepoints.len() as u64) as usize;
                    savepoints.truncate(nth + 1);
                    let (savepoint, steps) = savepoints[nth];
                    txn.roll_back_to(savepoint)?;
                    take_back(&mut draft.steps, steps);
                }
                15..18 if !savepoints.is_empty() => {
                    let nth = self.rng.below(savepoints.len() as u64) as usize;
                    txn.release(savepoints[nth].0)?;
                    savepoints.truncate(nth);
                }
                18..55 if changes => self.append(&mut txn, &mut draft)?,
                55..75 => self.scan(&txn, &mut draft)?,
                _ => {
                    let key = self.key();
                    let list = decode(txn.get(self.round.tree(key), &keys::bytes(key))?.as_deref());
                    draft.steps.push(Step::Read(key, list));
                }
            }
            self.pause();
        }
        match self.rng.below(100) {
            0..6 => {
                drop(txn);
                self.round.record.end(draft, Outcome::Aborted);
                Ok(())
            }
            6..14 if !txn.is_empty() => self.prepare(txn, draft),
            _ => {
                let options = self.options(&mut draft);
                let committed = txn.commit(&options).and_then(|ticket| ticket.wait());
                self.end(draft, committed)
            }
        }
    }

    fn append(&mut self, txn: &mut Transaction, draft: &mut Draft) -> Verdict {
        let key = self.key();
        let mut list = decode(txn.get(self.round.tree(key), &keys::bytes(key))?.as_deref());
        draft.steps.push(Step::Read(key, list.clone()));
        self.pause();
        let number = self.round.record.new_number();
        list.push(number);
        txn.put(self.round.tree(key), keys::bytes(key), encode(&list))?;
        draft.steps.push(Step::Append(key, number));
        Ok(())
    }

    fn scan(&mut self, txn: &Transaction, draft: &mut Draft) -> Verdict {
        let (first, last) = keys::group(&mut self.rng);
        let reverse = self.rng.percent(40);
        // Some scans end early: what lies behind was not read.
        let most = if self.rng.percent(30) { 3 } else { usize::MAX };
        let mut found = Vec::new();
        txn.scan(
            self.round.tree(first),
            &keys::range(first, last),
            reverse,
            |key, value| {
                found.push((keys::parse(key), decode(Some(value))));
                Ok(if found.len() < most {
                    Scan::Continue
                } else {
                    Scan::Stop
                })
            },
        )?;
        let whole = found.len() as u64;
        if most == usize::MAX && self.rng.percent(30) {
            let tree = self.round.tree(first);
            let of_range = txn.count(tree, &keys::range(first, last))?;
            let of_tree = txn.count(tree, &KeyRange::all())?;
            ensure((of_range, of_tree) == (whole, whole), || {
                let name = &draft.name;
                format!("{name} sees {whole} keys, and counts {of_range} and {of_tree}")
            })?;
        }
        let (mut first, mut last) = (first, last);
        if let (true, Some(&(stopped, _))) = (found.len() >= most, found.last()) {
            *(if reverse { &mut first } else { &mut last }) = stopped;
        }
        draft.steps.push(Step::Range(first, last, found));
        Ok(())
    }

    /// Takes the answer down. Who lost must see at once what he lost to.
    fn end(&self, draft: Draft, answer: Result<(), Error>) -> Verdict {
        let outcome = match answer {
            Ok(()) => Outcome::Committed,
            Err(Error::Conflict { lost_to }) => {
                let seen = self.round.store.snapshot()?.index();
                if seen < lost_to {
                    let name = &draft.name;
                    self.round.record.note(Failure(format!(
                        "{name} lost to commit {lost_to}, readers see {seen}"
                    )));
                }
                Outcome::Aborted
            }
            Err(Error::Prepared { .. } | Error::Declined { .. }) => Outcome::Aborted,
            Err(error) => return Err(error.into()),
        };
        self.round.record.end(draft, outcome);
        Ok(())
    }

    // ---- two phases ----

    fn prepare(&self, txn: Transaction, mut draft: Draft) -> Verdict {
        let gid = format!("g{}", draft.name);
        draft.name = gid.clone();
        {
            let mut state = self.round.record.lock();
            if state.in_doubt.len() >= IN_DOUBT || state.crashed.is_some() {
                self.round
                    .record
                    .end_locked(&mut state, draft, Outcome::Aborted);
                return Ok(());
            }
            state
                .in_doubt
                .insert(gid.clone(), (draft.clone(), Stage::Preparing));
        }
        let answer = txn.prepare(&gid, &[]);
        let mut state = self.round.record.lock();
        if state.crashed.is_some() {
            return Ok(());
        }
        if answer.is_ok() {
            if let Some((_, stage)) = state.in_doubt.get_mut(&gid) {
                *stage = Stage::Prepared;
            }
            return Ok(());
        }
        state.in_doubt.remove(&gid);
        drop(state);
        self.end(draft, answer)
    }

    /// Decides a transaction that somebody has prepared.
    fn decide(&mut self) -> Verdict {
        let decision = if self.rng.percent(75) {
            Decision::Committed
        } else {
            Decision::RolledBack
        };
        let gid = {
            let mut state = self.round.record.lock();
            let ready =
                |(_, (_, stage)): &(&String, &mut (Draft, Stage))| *stage == Stage::Prepared;
            let Some((gid, (_, stage))) = state.in_doubt.iter_mut().find(ready) else {
                return Ok(());
            };
            *stage = Stage::Deciding(decision);
            gid.clone()
        };
        self.round.carry_out(&gid, decision)
    }

    // ---- readers ----

    fn read(&mut self, name: String) -> Verdict {
        let mut draft = self.round.record.begin(name, Level::Serializable);
        let snapshot = self.round.store.snapshot()?;
        for _ in 0..=self.rng.below(4) {
            let key = self.key();
            let list = snapshot.get(self.round.tree(key), &keys::bytes(key))?;
            draft.steps.push(Step::Read(key, decode(list.as_deref())));
            self.pause();
        }
        let (first, last) = keys::group(&mut self.rng);
        draft
            .steps
            .push(read_range(&snapshot, self.round, first, last)?);
        self.round.record.end(draft, Outcome::Committed);
        Ok(())
    }
}

/// All lists of a range within a group, as a snapshot has them.
pub(super) fn read_range(
    snapshot: &Snapshot,
    round: &Round<'_>,
    first: Key,
    last: Key,
) -> Verdict<Step> {
    let mut cursor = snapshot.cursor(round.tree(first), keys::range(first, last))?;
    let mut found = Vec::new();
    while let Some((key, value)) = cursor.next()? {
        found.push((keys::parse(key), decode(Some(value))));
    }
    Ok(Step::Range(first, last, found))
}

/// The steps behind a savepoint are taken back; nobody may see what they wrote.
fn take_back(steps: &mut Vec<Step>, to: usize) {
    let tail = steps.split_off(to);
    steps.extend(tail.into_iter().filter_map(|step| match step {
        Step::Append(key, number) | Step::TakenBack(key, number) => {
            Some(Step::TakenBack(key, number))
        }
        Step::Read(..) | Step::Range(..) => None,
    }));
}
