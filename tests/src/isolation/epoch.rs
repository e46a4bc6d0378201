//! The life of one database: rounds of random transactions from many threads,
//! between them crashes, closes and openings; then the verdict.
//!
//! The threads are real, so a seed gives the same choices but not the same
//! interleaving: a failure is told whole, and a seed that failed once may pass.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cs_base::TreeId;
use cs_io::RealRuntime;
use cs_io::sim::{CrashKind, Rng, SimDisk, SimImage, SimOptions};
use cs_kv::{CommitOptions, Decision, KeepChanges, Store, StoreOptions};

use super::client::Client;
use super::follower::{Followed, Follower};
use super::history::{Key, Level, Outcome};
use super::keys;
use super::record::Record;
use super::settle::settle;
use super::{Tally, checker};
use crate::verdict::ensure;
use crate::{Failure, Verdict, panics};

/// Clients at once.
const THREADS: usize = 8;
/// Rounds of an epoch: all but the last end with a crash or a close.
const ROUNDS: u64 = 4;

/// What is alike in all rounds of an epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Chance in percent that a transaction is serializable.
    serializable_percent: u8,
    /// Some commits are acknowledged before they are durable.
    pub(super) has_async: bool,
}

impl Shape {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            serializable_percent: [0, 50, 100][rng.below(3) as usize],
            has_async: rng.percent(30),
        }
    }

    pub(super) fn level(&self, rng: &mut Rng) -> Level {
        if rng.percent(self.serializable_percent) {
            Level::Serializable
        } else {
            Level::Snapshot
        }
    }
}

/// One opening of the store, and what goes on until it ends.
pub(super) struct Round<'a> {
    pub(super) store: &'a Store,
    /// One for each group of keys.
    pub(super) trees: [TreeId; keys::GROUPS as usize],
    pub(super) record: &'a Record,
    pub(super) shape: Shape,
    disk: &'a SimDisk,
    /// Transactions begun, over all rounds.
    taken: AtomicU64,
    /// The number at which the round ends.
    last: u64,
    /// How.
    crash: Option<(CrashKind, u64)>,
    /// Nothing more will be committed.
    pub(super) is_done: AtomicBool,
}

impl Round<'_> {
    /// The tree in which a key is.
    pub(super) fn tree(&self, key: Key) -> TreeId {
        self.trees[keys::group_of(key)]
    }

    /// The next transaction's number. Whoever draws the last one crashes the disk.
    pub(super) fn next(&self) -> Option<u64> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if number < self.last {
            return Some(number);
        }
        if let (true, Some((kind, seed))) = (number == self.last, self.crash) {
            let mut state = self.record.lock();
            state.crashed = Some(self.disk.crash(&mut Rng::new(seed), kind));
        }
        None
    }

    /// Decides a transaction of which the record says that it is being decided.
    pub(super) fn carry_out(&self, gid: &str, decision: Decision) -> Verdict {
        let (outcome, answer) = match decision {
            Decision::Committed => {
                let answer = self.store.commit_prepared(gid, &CommitOptions::default());
                (Outcome::Committed, answer)
            }
            Decision::RolledBack => {
                let answer = self.store.rollback_prepared(gid);
                (Outcome::Aborted, answer)
            }
        };
        answer?;
        let mut state = self.record.lock();
        if state.crashed.is_none()
            && let Some((draft, _)) = state.in_doubt.remove(gid)
        {
            self.record.end_locked(&mut state, draft, outcome);
        }
        Ok(())
    }

    fn stop(&self) {
        self.taken.fetch_max(self.last + 1, Ordering::Relaxed);
    }

    /// All threads of the round, until it is over.
    fn run(&self, seed: u64, is_last: bool, follower: &mut Follower<'_>) {
        let tell = |verdict: Verdict| {
            if let Err(failure) = verdict {
                self.record.fail(failure);
                self.stop();
            }
        };
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..THREADS)
                .map(|number| {
                    let mut client = Client {
                        round: self,
                        rng: Rng::new(seed ^ (number as u64) << 32),
                        number,
                    };
                    scope.spawn(move || tell(panics::catch(|| client.run())))
                })
                .collect();
            scope.spawn(|| tell(panics::catch(|| follower.run(self))));
            for client in clients {
                // Its panics were caught.
                let _ = client.join();
            }
            if self.crash.is_none() {
                tell(panics::catch(|| self.end(is_last)));
            }
            self.is_done.store(true, Ordering::Release);
        });
    }

    /// An end without a crash: everything is on disk.
    fn end(&self, is_last: bool) -> Verdict {
        if is_last {
            settle(self, true)?;
        }
        self.store.flush()?;
        self.record.lock().is_async.fill(false);
        let report = self.store.check()?;
        ensure(report.findings.is_empty(), || {
            format!("the check found {:?}", report.findings)
        })
    }
}

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.page_size = 4096;
    options.cache_bytes = 1 << 20;
    options.flush_interval = Duration::from_millis(20);
    options.checkpoint_log_bytes = 256 << 10;
    options.checkpoint_log_bytes_max = options.checkpoint_log_bytes;
    options.log.segment_bytes_min = 64 << 10;
    options.log.segment_bytes_max = 128 << 10;
    options.auto_compact = None;
    options.keep_changes = Some(KeepChanges {
        max_bytes: 256 << 20,
        max_age: Duration::from_secs(3600),
    });
    options
}

/// Lives a life of about so many transactions.
///
/// # Errors
/// What is wrong with it.
pub(super) fn live(seed: u64, transactions: u64) -> Verdict<Tally> {
    let mut rng = Rng::new(seed);
    let shape = Shape::draw(&mut rng);
    let record = Record::default();
    let mut followed = Followed::default();
    let mut image = SimImage::new();
    let mut trees = None;
    let mut taken = 0;
    for number in 0..ROUNDS {
        let sim = SimOptions {
            finish_percent: [5, 25, 60][rng.below(3) as usize],
            ..SimOptions::default()
        };
        let disk = SimDisk::from_image(&image, rng.draw(), sim);
        let store = Store::open(disk.clone(), RealRuntime::new(), options())?;
        let is_last = number + 1 == ROUNDS;
        let kind = match rng.below(6) {
            0 => None,
            1 | 2 => Some(CrashKind::Process),
            _ => Some(CrashKind::Machine),
        };
        // Rounds of different lengths, all together as long as was asked for.
        let share = (transactions - taken) / (ROUNDS - number);
        let last = if is_last {
            transactions
        } else {
            taken + share / 2 + rng.below(share.max(1))
        };
        let round = Round {
            store: &store,
            trees: match trees {
                Some(trees) => trees,
                None => *trees.insert(make_trees(&store)?),
            },
            record: &record,
            shape,
            disk: &disk,
            taken: AtomicU64::new(taken),
            last,
            crash: kind.filter(|_| !is_last).map(|kind| (kind, rng.draw())),
            is_done: AtomicBool::new(false),
        };
        taken = last;
        let during = |failure: Failure| failure.during(format_args!("round {number} of {shape:?}"));
        let mut follower = Follower::begin(&round, &mut followed).map_err(during)?;
        settle(&round, false).map_err(during)?;
        round.run(rng.draw(), is_last, &mut follower);
        drop(follower);
        let mut state = record.lock();
        if let Some(failure) = state.failure.take() {
            return Err(during(failure));
        }
        let crashed = state.crashed.take();
        drop(state);
        image = match crashed {
            Some(image) => image,
            None => {
                store.close()?;
                disk.crash(&mut rng, CrashKind::Machine)
            }
        };
    }
    let state = record.into_inner();
    let txns = state.txns;
    let found = checker::check(&txns);
    if let Some(first) = found.first() {
        let count = found.len();
        return Err(Failure(format!(
            "{count} anomalies under {shape:?}, the first: {first}"
        )));
    }
    state.broken.map_or(Ok(()), Err)?;
    followed.judge(&txns)?;
    Ok(Tally::of(&txns, followed.len()))
}

fn make_trees(store: &Store) -> Verdict<[TreeId; keys::GROUPS as usize]> {
    let mut txn = store.begin()?;
    let trees = std::array::from_fn(|_| txn.create_tree());
    txn.commit(&CommitOptions::default())?.wait()?;
    Ok(trees)
}
