#![allow(dead_code, reason = "each test binary uses its part")]
//! The log against a list.
//!
//! The model is the list of all records ever appended, in order. After any
//! crash the log must hold what some beginning of that list leaves, once later
//! records have superseded earlier ones; and that beginning must include every
//! record that was durable before the crash.

use std::sync::Arc;

use cs_base::{FileId, HybridTime, Index, Lsn, Term};
use cs_io::sim::{CrashKind, Fault, FaultPlan, Replay, Rng, SimDisk, SimImage, SimOptions};
use cs_io::{Disk, SimRuntime};
use cs_wal::{
    Appended, HardState, Log, LogError, LogOptions, LogOwner, RecordHead, RecordKind, Recovered,
    StartPoint,
};

const FILE_ID: FileId = FileId(0x5EED);

/// What went wrong, in words; a failure names the seed at the caller.
pub(crate) type Outcome = Result<(), String>;

struct Owner;

impl LogOwner for Owner {
    fn seal_and_cut(&self, cut: &mut dyn FnMut()) {
        cut();
    }
    fn durable_advanced(&self, _durable: Lsn) {}
    fn log_failed(&self, _error: &LogError) {}
}

/// One record as the model knows it.
#[derive(Clone, Debug)]
struct Entry {
    appended: Appended,
    index: u64,
    payload: Vec<u8>,
    /// Set instead of a payload for hard state.
    hard_state: Option<HardState>,
}

#[derive(Clone)]
struct Model {
    entries: Vec<Entry>,
    /// How many of the entries were known to be durable.
    durable: usize,
    last_index: u64,
    start: StartPoint,
    /// The start point before the last recycling.
    older: Option<StartPoint>,
    hard_state: HardState,
}

impl Model {
    fn new(log: &Log) -> Self {
        Self {
            entries: Vec::new(),
            durable: 0,
            last_index: 0,
            start: log.last_appended(),
            older: None,
            hard_state: HardState::default(),
        }
    }

    /// Index and payload that a beginning of the list leaves from `start` on.
    fn survivors(&self, count: usize) -> Vec<(u64, &[u8])> {
        let mut list: Vec<(u64, &[u8])> = Vec::new();
        for entry in &self.entries[..count] {
            if entry.hard_state.is_none() && entry.appended.lsn >= self.start.lsn {
                list.retain(|&(index, _)| index < entry.index);
                list.push((entry.index, &entry.payload));
            }
        }
        list
    }
}

fn options() -> LogOptions {
    LogOptions {
        segment_bytes_min: 16 << 10,
        segment_bytes_max: 64 << 10,
        groups_in_flight: 3,
        group_bytes_max: 8 << 10,
        spare_segments: 2,
        ..LogOptions::default()
    }
}

/// One life with one fault, a crash, and another life; `None` if the fault
/// never came, else the number of the operation that it befell.
pub(crate) fn run_with_fault(
    seed: u64,
    at_operation: u64,
    fault: Fault,
) -> Result<Option<u64>, String> {
    let mut rng = Rng::new(seed);
    let disk = SimDisk::new(seed, SimOptions::default());
    let created = Log::create(disk.clone(), SimRuntime::new(seed), FILE_ID, options());
    let log = created.map_err(|error| format!("create: {error}"))?;
    let mut model = Model::new(&log);
    disk.plan_fault(Some(FaultPlan {
        at_operation,
        fault,
    }));
    for _ in 0..80 {
        // A refused allocation changes nothing; anything else ends this life.
        let refused = step(&log, &mut model, &mut rng);
        if let Err(error) = refused
            && !error.contains("no space for")
        {
            break;
        }
    }
    note_durable(&log, &mut model);
    let fired = disk.fault_fired();
    for kind in [CrashKind::Process, CrashKind::Machine] {
        let image = disk.crash(&mut rng, kind);
        let disk = SimDisk::from_image(&image, seed, SimOptions::default());
        let mut copy = model.clone();
        let recovered = check(&disk, &mut copy).map_err(|error| format!("{kind:?}: {error}"))?;
        let log = recovered
            .finish()
            .map_err(|error| format!("finish: {error}"))?;
        append_some(&log, &mut copy, &mut rng)?;
        log.wait_durable(&Owner, log.appended_lsn())
            .map_err(|error| error.to_string())?;
    }
    Ok(fired)
}

/// Runs `rounds` lives of a log, each ended by a crash.
pub(crate) fn run(seed: u64, rounds: usize) -> Outcome {
    let mut rng = Rng::new(seed);
    let mut disk = SimDisk::new(seed, SimOptions::default());
    let created = Log::create(disk.clone(), SimRuntime::new(seed), FILE_ID, options());
    let mut log = created.map_err(|error| format!("create: {error}"))?;
    let mut model = Model::new(&log);
    for round in 0..rounds {
        let at = |error: String| format!("life {round}: {error}");
        let steps = rng.below(60) + 1;
        for _ in 0..steps {
            step(&log, &mut model, &mut rng).map_err(at)?;
        }
        note_durable(&log, &mut model);
        // Every other crash lets more groups stay in flight.
        let kind = if rng.percent(30) {
            CrashKind::Process
        } else {
            CrashKind::Machine
        };
        let image = disk.crash(&mut rng, kind);
        drop(log);
        check_older(&image, &model).map_err(at)?;
        let image = crash_while_recovering(&image, &model, &mut rng).map_err(at)?;
        disk = SimDisk::from_image(&image, rng.draw(), SimOptions::default());
        let recovered = check(&disk, &mut model).map_err(at)?;
        log = recovered
            .finish()
            .map_err(|error| at(format!("finish: {error}")))?;
        // What recovery hands out is durable from then on.
        model.durable = model.entries.len();
    }
    Ok(())
}

fn step(log: &Log, model: &mut Model, rng: &mut Rng) -> Outcome {
    let fail = |error: LogError| error.to_string();
    match rng.below(20) {
        0..8 => append_some(log, model, rng),
        8..13 => {
            log.drive(&Owner);
            Ok(())
        }
        13..15 => log.wait_durable(&Owner, log.appended_lsn()).map_err(fail),
        15 => log.step().map(|_| ()).map_err(fail),
        16 => log.seal_if_idle().map(|_| ()).map_err(fail),
        17 => {
            let state = HardState {
                term: Term(model.hard_state.term.0 + 1),
                voted_for: rng.below(5),
                commit: Index(0),
                membership: vec![7; rng.below(50) as usize],
            };
            let appended = log.save_hard_state(&state).map_err(fail)?;
            model.hard_state = state.clone();
            let index = model.last_index;
            model.entries.push(Entry {
                appended,
                index,
                payload: Vec::new(),
                hard_state: Some(state),
            });
            Ok(())
        }
        _ => recycle(log, model, rng),
    }
}

/// A run of one to three records; now and then one that goes back in index.
fn append_some(log: &Log, model: &mut Model, rng: &mut Rng) -> Outcome {
    let count = 1 + rng.below(3) as usize;
    let lens: Vec<usize> = (0..count)
        .map(|_| match rng.below(10) {
            0 => rng.below(30_000) as usize,
            1 => 4096 - 64 - rng.below(24) as usize,
            _ => rng.below(700) as usize,
        })
        .collect();
    let mut run = log.reserve_run(&lens).map_err(|error| error.to_string())?;
    for len in lens {
        let above = model.last_index - model.start.index.0;
        let back = if above > 0 && rng.percent(8) {
            rng.below(above.min(6)) + 1
        } else {
            0
        };
        let index = model.last_index + 1 - back;
        let payload: Vec<u8> = (0..len).map(|_| rng.draw() as u8).collect();
        let head = RecordHead {
            kind: RecordKind::Transaction,
            flags: 3,
            term: Term(1),
            index: Index(index),
            time: HybridTime(model.entries.len() as u64),
        };
        let appended = log.append_next(&mut run, head, &[&payload]);
        model.last_index = index;
        model.entries.push(Entry {
            appended,
            index,
            payload,
            hard_state: None,
        });
    }
    Ok(())
}

/// A checkpoint at some durable place, and the log below it goes.
fn recycle(log: &Log, model: &mut Model, rng: &mut Rng) -> Outcome {
    note_durable(log, model);
    let candidates = &model.entries[..model.durable];
    let Some(last) = candidates.len().checked_sub(1 + rng.below(4) as usize) else {
        return Ok(());
    };
    let place = candidates[last].appended;
    // Only a place that nothing later goes back behind.
    let index = candidates[last].index;
    let later = model.entries[last + 1..]
        .iter()
        .filter(|entry| entry.hard_state.is_none());
    if place.end <= model.start.lsn || later.map(|entry| entry.index).any(|later| later <= index) {
        return Ok(());
    }
    let incarnation = log.incarnation();
    model.older = Some(model.start);
    model.start = StartPoint {
        lsn: place.end,
        chain: place.chain,
        index: Index(index),
        incarnation,
    };
    log.recycle_below(place.end)
        .map_err(|error| error.to_string())
}

fn note_durable(log: &Log, model: &mut Model) {
    let durable = log.durable_lsn();
    let count = model
        .entries
        .partition_point(|entry| entry.appended.end <= durable);
    model.durable = model.durable.max(count);
}

fn recover(disk: &Arc<SimDisk>, start: StartPoint) -> Result<Recovered, LogError> {
    let disk: Arc<dyn Disk> = disk.clone();
    Log::recover(disk, SimRuntime::new(1), FILE_ID, options(), start)
}

/// The log after a crash must be a beginning of the model, which is cut to it.
fn check(disk: &Arc<SimDisk>, model: &mut Model) -> Result<Recovered, String> {
    let recovered = recover(disk, model.start).map_err(|error| format!("recover: {error}"))?;
    let mut found = Vec::new();
    recovered
        .for_each(|record| {
            if record.head.flags != 3 || record.head.kind != RecordKind::Transaction {
                return Err(LogError::Stalled);
            }
            found.push((record.head.index.0, record.payload.to_vec()));
            Ok(())
        })
        .map_err(|error| format!("read: {error}"))?;
    let end = recovered.end();
    let count = model
        .entries
        .partition_point(|entry| entry.appended.end <= end);
    if count < model.durable {
        return Err(format!(
            "{} records were durable, {count} are there",
            model.durable
        ));
    }
    let expected = model.survivors(count);
    let same = found
        .iter()
        .map(|(index, payload)| (*index, payload.as_slice()))
        .eq(expected.iter().copied());
    if !same {
        let brief =
            |list: &[(u64, &[u8])]| list.iter().map(|(index, _)| *index).collect::<Vec<_>>();
        let found: Vec<_> = found
            .iter()
            .map(|(index, payload)| (*index, payload.as_slice()))
            .collect();
        return Err(format!(
            "found {:?}, expected {:?}",
            brief(&found),
            brief(&expected)
        ));
    }
    model.entries.truncate(count);
    let indexed = model
        .entries
        .iter()
        .rev()
        .find(|entry| entry.hard_state.is_none());
    model.last_index = indexed.map_or(0, |entry| entry.index);
    if recovered.last_index().0 != model.last_index {
        return Err(format!(
            "last index {}, expected {}",
            recovered.last_index(),
            model.last_index
        ));
    }
    model.hard_state = model
        .entries
        .iter()
        .rev()
        .find_map(|entry| entry.hard_state.clone())
        .unwrap_or_default();
    if *recovered.hard_state() != model.hard_state {
        return Err(format!(
            "hard state {:?}, expected {:?}",
            recovered.hard_state(),
            model.hard_state
        ));
    }
    Ok(recovered)
}

/// A start point whose log was recycled must be refused, not read over.
fn check_older(image: &SimImage, model: &Model) -> Outcome {
    let Some(older) = model.older else {
        return Ok(());
    };
    let disk = SimDisk::from_image(image, 1, SimOptions::default());
    let Ok(recovered) = recover(&disk, older) else {
        return Ok(());
    };
    // The recycling may not have reached that far: then all of it is there.
    let mut next = older.index.0 + 1;
    recovered
        .for_each(|record| {
            let first = record.head.index.0 <= next;
            next = record.head.index.0 + 1;
            if first {
                Ok(())
            } else {
                Err(LogError::Stalled)
            }
        })
        .map_err(|_| format!("a gap before index {next} after a recycled start point"))
}

/// Recovers on a copy, crashes at any event of that, and returns the image.
fn crash_while_recovering(
    image: &SimImage,
    model: &Model,
    rng: &mut Rng,
) -> Result<SimImage, String> {
    if rng.percent(50) {
        return Ok(image.clone());
    }
    let disk = SimDisk::from_image(image, rng.draw(), SimOptions::default());
    let recovered =
        recover(&disk, model.start).map_err(|error| format!("first recovery: {error}"))?;
    let read = recovered.end();
    let finished = recovered
        .finish()
        .map_err(|error| format!("first finish: {error}"))?;
    drop(finished);
    let journal = disk.journal();
    let mut replay = Replay::from_image(image, &journal);
    let event = rng.below(journal.len() as u64 + 1) as usize;
    replay.advance_to(event);
    let kind = if rng.percent(50) {
        CrashKind::Process
    } else {
        CrashKind::Machine
    };
    let crashed = replay.crash(rng, kind);
    if event == journal.len() {
        // Recovery had ended and handed out what it read.
        let disk = SimDisk::from_image(&crashed, 1, SimOptions::default());
        let again =
            recover(&disk, model.start).map_err(|error| format!("second recovery: {error}"))?;
        if again.end() < read {
            return Err(format!(
                "recovery showed the log to {read}, then only to {}",
                again.end()
            ));
        }
    }
    Ok(crashed)
}
