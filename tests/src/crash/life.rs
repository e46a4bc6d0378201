//! One seeded life of a store: what a run does before anybody crashes it, and
//! the crashes in its own middle.
//!
//! Sizes are small, so that the log is recycled, checkpoints are written and
//! pages leave the cache within a few hundred commits.

use std::sync::Arc;
use std::time::Duration;

use cs_base::mutants::{Mutant, planted};
use cs_io::SimRuntime;
use cs_io::sim::{CrashKind, Journal, Rng, SimDisk, SimImage, SimOptions};
use cs_kv::{
    ChangeFeed, Compression, Durability, Error, Snapshot, SnapshotLimits, Store, StoreOptions,
};

use super::changes::Taste;
use super::copy::Copies;
use super::follow::{Place, Reached};
use super::hits::{Hits, Part, Span};
use super::named::check_named;
use super::options;
use super::prepared::check_prepared;
use super::writer::{Done, Writer, last_index};
use crate::model::{Expected, History, State, check, check_sessions};
use crate::verdict::ensure;
use crate::{Failure, Verdict};

/// Writers at once.
const WRITERS: usize = 4;
/// Of a hundred runs so many have hardly any memory and a slow disk: pages are
/// written early, and freed and used again while such a write is in flight.
const CROWDED_PERCENT: u8 = 25;
/// Crashes in the middle of a run, and its end.
const PHASES: usize = 3;
/// Turns that background work and the disk may take to come to rest.
const MOST_TO_REST: u64 = 20_000;
/// Snapshots held at once, at most.
const HELD: usize = 4;
/// Turns that others have after a step of long work, at most.
const TURNS_BESIDE: u64 = 6;

/// The part of a run between two crashes.
#[derive(Debug)]
pub(super) struct Phase {
    /// The disk at its beginning.
    pub(super) image: SimImage,
    pub(super) journal: Journal,
    /// Every state that was ever appended; longer than what any crash shows.
    pub(super) history: History,
    /// Newest commit acknowledged before it began; later ones are marks in the journal.
    pub(super) acknowledged: u64,
    pub(super) options: StoreOptions,
    /// Long work that states may be crashed amid.
    pub(super) spans: Vec<Span>,
    /// Where whoever follows the changes was, and when.
    pub(super) places: Vec<Reached>,
}

impl Phase {
    /// Whether what is written is compressed.
    pub(super) fn packs(&self) -> bool {
        self.options.compression.log != Compression::None
    }
}

/// How often the scheduler picks whom, out of the sum.
#[derive(Clone, Copy, Debug)]
struct Mood {
    writer: u64,
    step: u64,
    disk: u64,
    reader: u64,
    rare: u64,
    work: u64,
    promises: u64,
}

impl Mood {
    /// Much is sealed, and writes take long.
    const CROWDED: Self = Self {
        writer: 40,
        step: 40,
        disk: 3,
        reader: 8,
        rare: 1,
        work: 1,
        promises: 1,
    };

    fn draw(rng: &mut Rng) -> Self {
        let mut pick = |choices: [u64; 3]| choices[rng.below(3) as usize];
        Self {
            writer: pick([20, 40, 80]),
            step: pick([5, 20, 40]),
            disk: pick([3, 15, 40]),
            reader: pick([0, 3, 8]),
            rare: pick([0, 1, 2]),
            work: pick([0, 1, 1]),
            promises: pick([0, 1, 2]),
        }
    }
}

pub(super) struct Life {
    pub(super) rng: Rng,
    pub(super) options: StoreOptions,
    pub(super) taste: Taste,
    mood: Mood,
    pub(super) disk: Arc<SimDisk>,
    runtime: Arc<SimRuntime>,
    pub(super) store: Store,
    pub(super) history: History,
    /// Commits that were there when the phase began.
    pub(super) begun_with: u64,
    acknowledged: u64,
    /// Newest commit that asked for more than `Memory`.
    promised: u64,
    writers: [Writer; WRITERS],
    /// Commits of the writers in this phase.
    appended: u64,
    held: Vec<Snapshot>,
    /// Whether somebody follows the changes in this phase, and where he is.
    pub(super) follows: bool,
    pub(super) feed: Option<ChangeFeed>,
    pub(super) place: Option<Place>,
    pub(super) places: Vec<Reached>,
    pub(super) copies: Copies,
    pub(super) hits: Hits,
    spans: Vec<Span>,
}

/// Lives a whole life, and counts what it met.
///
/// # Errors
/// Something went wrong without a crash, or in the recovery between two phases.
pub(super) fn live(seed: u64, hits: &mut Hits) -> Verdict<Vec<Phase>> {
    let mut rng = Rng::new(seed);
    let mut options = options::draw(&mut rng);
    let follows = rng.percent(35);
    // This bug shows in no other kind of life, so its hunt need not wait for one.
    let is_crowded = rng.percent(CROWDED_PERCENT) || planted(Mutant::ReuseDuringWrite);
    if is_crowded {
        options::crowd(&mut options);
    }
    let mut place = None;
    let mut image = SimImage::new();
    let mut history: History = vec![Arc::new(State::default())];
    let mut acknowledged = 0;
    let mut phases = Vec::new();
    let mut copies = Copies::new();
    for number in 0..PHASES {
        let finish_percent = match rng.below(3) {
            _ if is_crowded => 5,
            0 => 5,
            1 => 25,
            _ => 60,
        };
        let sim = SimOptions {
            finish_percent,
            ..SimOptions::default()
        };
        let disk = SimDisk::from_image(&image, rng.draw(), sim);
        let runtime = SimRuntime::new(rng.draw());
        let store = Store::open(disk.clone(), runtime.clone(), options.clone())?;
        let expected = Expected {
            history: &history,
            at_least: acknowledged,
        };
        let index = expected.verify(&store)?;
        check_sessions(&store, &history[index as usize])?;
        check_prepared(&store, &history[index as usize], hits)?;
        check_named(&store, &history, index, &mut rng, hits)?;
        // What came after is lost, and its numbers are given again.
        history.truncate(index as usize + 1);
        let begun_with = std::mem::replace(&mut acknowledged, index);
        disk.mark(index);
        let mut life = Life {
            taste: Taste::draw(&mut rng),
            mood: if is_crowded {
                Mood::CROWDED
            } else {
                Mood::draw(&mut rng)
            },
            rng: Rng::new(rng.draw()),
            options: options.clone(),
            disk,
            runtime,
            store,
            history,
            begun_with: acknowledged,
            acknowledged,
            promised: 0,
            writers: Default::default(),
            appended: 0,
            held: Vec::new(),
            follows,
            feed: None,
            place,
            places: Vec::new(),
            copies,
            hits: Hits::default(),
            spans: Vec::new(),
        };
        let commits = 15 + life.rng.below(60);
        life.prove_old_copy()
            .and_then(|()| life.follow_again())
            .and_then(|()| life.take_up_copy())
            .and_then(|()| life.go_on(commits))
            .map_err(|failure| failure.during(format_args!("phase {number}")))?;
        life.stop_copy();
        life.hits.packed(&life.store.stats().compression);
        hits.add(&life.hits);
        let kind = if life.rng.percent(50) {
            CrashKind::Process
        } else {
            CrashKind::Machine
        };
        let next_image = life.disk.crash(&mut rng, kind);
        copies = life.copies;
        copies.crash(&mut rng, kind);
        place = life.place;
        phases.push(Phase {
            image: std::mem::replace(&mut image, next_image),
            journal: life.disk.journal(),
            history: life.history.clone(),
            acknowledged: begun_with,
            options: options.clone(),
            spans: life.spans,
            places: life.places,
        });
        (history, acknowledged) = (life.history, life.acknowledged);
    }
    Ok(phases)
}

impl Life {
    /// Until so many commits were appended.
    fn go_on(&mut self, commits: u64) -> Verdict {
        // Nothing here waits, so progress takes a bounded number of turns.
        for _ in 0..commits * 2_000 {
            if self.appended >= commits {
                return Ok(());
            }
            self.turn()?;
        }
        let appended = self.appended;
        Err(Failure(format!(
            "no progress after {appended} of {commits} commits"
        )))
    }

    /// Somebody's turn.
    fn turn(&mut self) -> Verdict {
        let Mood {
            rare,
            work,
            promises,
            ..
        } = self.mood;
        let turn = self.rng.below(self.small() + rare + work + promises);
        if turn < self.small() {
            self.small_turn(turn)
        } else if turn < self.small() + rare {
            self.rarely()
        } else if turn < self.small() + rare + promises {
            match self.rng.below(3) {
                0 => self
                    .keep_state()
                    .map_err(|failure| failure.during("a named snapshot")),
                _ => self
                    .promise()
                    .map_err(|failure| failure.during("a prepared transaction")),
            }
        } else {
            match self.rng.below(3) {
                0 => self.compact(),
                1 => self.load().map_err(|failure| failure.during("a bulk load")),
                _ => self.copy(),
            }
        }
    }

    /// Some turns of the others between two steps of long work.
    pub(super) fn turns_beside(&mut self) -> Verdict {
        for _ in 0..self.rng.below(TURNS_BESIDE) {
            let turn = self.rng.below(self.small());
            self.small_turn(turn)?;
        }
        Ok(())
    }

    /// The sum of what `small_turn` chooses from.
    fn small(&self) -> u64 {
        let Mood {
            writer,
            step,
            disk,
            reader,
            ..
        } = self.mood;
        writer + step + disk + reader
    }

    fn small_turn(&mut self, mut turn: u64) -> Verdict {
        let Mood {
            writer, step, disk, ..
        } = self.mood;
        let mut is = |weight: u64| {
            let mine = turn < weight;
            turn = turn.wrapping_sub(weight);
            mine
        };
        if is(writer) {
            self.appended += u64::from(self.write()?);
            Ok(())
        } else if is(step) {
            self.step()
        } else if is(disk) {
            self.disk.end_some();
            self.copy_some()
        } else {
            self.read()
        }
    }

    /// Background work, which may find that the file is too long.
    fn step(&mut self) -> Verdict {
        let capacity = |store: &Store| store.stats().space.capacity;
        let before = self.options.auto_compact.map(|_| capacity(&self.store));
        self.store.step()?;
        let is_cut = before.is_some_and(|before| capacity(&self.store) < before);
        self.hits
            .count(Part::FilesCutByThemselves, u64::from(is_cut));
        Ok(())
    }

    /// Long work has been going on since this event.
    pub(super) fn spans(&mut self, counts_as: Part, begun: usize) {
        self.spans.push(Span {
            counts_as,
            events: begun..self.disk.event_count(),
        });
    }

    fn write(&mut self) -> Verdict<bool> {
        let nth = self.rng.below(WRITERS as u64) as usize;
        let done = self.writers[nth].step(
            &mut self.rng,
            self.taste,
            &self.store,
            &mut self.history,
            &mut self.hits,
        )?;
        match done {
            Done::Nothing => {}
            Done::Acknowledged(index) if self.has_log() => self.acknowledge(index.0),
            Done::Acknowledged(_) => {}
            Done::Appended(Durability::Memory) => return Ok(true),
            Done::Appended(_) => {
                self.promised = last_index(&self.history);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Without one nothing is promised but by a checkpoint.
    pub(super) fn has_log(&self) -> bool {
        self.options.durability != Some(Durability::Memory)
    }

    /// When the flush interval has passed and background work has had its
    /// turns, what asked for `Async` is on disk as well.
    fn rest(&mut self) -> Verdict {
        self.runtime.advance(self.options.flush_interval);
        for _ in 0..MOST_TO_REST {
            let busy = self.store.step()?;
            if !self.disk.end_some() && !busy {
                if self.has_log() {
                    self.acknowledge(self.promised);
                }
                return Ok(());
            }
        }
        Err(Failure("background work never rests".to_owned()))
    }

    pub(super) fn acknowledge(&mut self, index: u64) {
        if index > self.acknowledged {
            self.acknowledged = index;
            self.disk.mark(index);
        }
    }

    /// Takes a snapshot to hold, or lets one go after it was read once more; or
    /// looks what is new.
    fn read(&mut self) -> Verdict {
        if self.place.is_some() && self.rng.percent(40) {
            self.follow()
        } else if self.held.len() < HELD && self.rng.percent(50) {
            self.held.push(self.store.snapshot()?);
            Ok(())
        } else if self.held.is_empty() {
            Ok(())
        } else {
            let nth = self.rng.below(self.held.len() as u64) as usize;
            let snapshot = self.held.swap_remove(nth);
            self.let_go(&snapshot)
        }
    }

    /// Holds a snapshot beside the others.
    pub(super) fn hold(&mut self, snapshot: Snapshot) {
        self.held.push(snapshot);
    }

    fn let_go(&mut self, snapshot: &Snapshot) -> Verdict {
        if snapshot.is_evicted() {
            self.hits.count(Part::SnapshotsEvicted, 1);
            let answer = snapshot.trees();
            return ensure(
                self.has_limits() && matches!(answer, Err(Error::SnapshotEvicted { .. })),
                || format!("a snapshot that was ended got {answer:?}"),
            );
        }
        let state = &self.history[snapshot.index().0 as usize];
        state
            .compare(snapshot)
            .map_err(|failure| failure.during("a held snapshot"))
    }

    /// Whether states are ended that keep too much.
    pub(super) fn has_limits(&self) -> bool {
        self.options.snapshot_limits != SnapshotLimits::default()
    }

    fn rarely(&mut self) -> Verdict {
        match self.rng.below(7) {
            0 => self.reopen(),
            1 => {
                self.store.checkpoint()?;
                self.acknowledge(last_index(&self.history));
                Ok(())
            }
            2 if self.has_log() => {
                self.store.flush()?;
                self.acknowledge(last_index(&self.history));
                Ok(())
            }
            3 => check(&self.store).map_err(|failure| failure.during("amid the run")),
            4 => self.rest(),
            _ => {
                self.runtime
                    .advance(Duration::from_millis(self.rng.below(2_000)));
                Ok(())
            }
        }
    }

    /// Closes properly and opens again, on the same disk.
    fn reopen(&mut self) -> Verdict {
        self.stop_copy();
        self.store.close()?;
        self.hits.packed(&self.store.stats().compression);
        for writer in &mut self.writers {
            if let Writer::Waiting { ticket, .. } = writer {
                ensure(ticket.is_complete(), || {
                    format!("commit {} is open after close", ticket.index())
                })?;
            }
            *writer = Writer::Idle;
        }
        self.acknowledge(last_index(&self.history));
        self.held.clear();
        self.feed = None;
        // The lock of the directory goes with the last handle.
        let elsewhere = Store::open(
            SimDisk::new(0, SimOptions::default()),
            self.runtime.clone(),
            self.options.clone(),
        );
        self.store = elsewhere?;
        self.store = Store::open(
            self.disk.clone(),
            self.runtime.clone(),
            self.options.clone(),
        )?;
        let expected = Expected {
            history: &self.history,
            at_least: last_index(&self.history),
        };
        let index = expected.verify(&self.store)?;
        let state = &self.history[index as usize];
        check_prepared(&self.store, state, &mut self.hits)?;
        let (store, hits) = (&self.store, &mut self.hits);
        check_named(store, &self.history, index, &mut self.rng, hits)?;
        self.begin_to_follow()
    }
}
