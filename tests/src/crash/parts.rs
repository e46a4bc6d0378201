//! What takes more than one record: transactions of a run of part records and
//! the one that commits them, which are there wholly or not at all; and a bulk
//! load of several chunks, sorted on disk, of which a first part is there.
//!
//! A life of its own, since four megabytes are a lot for the states of the
//! usual ones: a few small commits, between them two that take parts, and the
//! load at the end.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::SimRuntime;
use cs_io::sim::{Replay, Rng, SimDisk, SimImage, SimOptions};
use cs_kv::limits::MAX_PART;
use cs_kv::{BulkOptions, BulkProgress, CommitOptions, Store, StoreOptions};

use super::{Hits, examine, life::Phase, mix};
use crate::model::{Bytes, Change, History, State, batch_of};
use crate::verdict::ensure;
use crate::{Outcome, Verdict, panics};

/// Commits; every third takes parts.
const COMMITS: u64 = 6;
/// Bytes of each of the two large values of such a commit.
const LARGE: Range<u64> = MAX_PART as u64 / 2..MAX_PART as u64;

/// Entries of the load, and the bytes of each: two chunks, six sorted runs.
const LOADED: usize = 500;
const LOADED_BYTES: u64 = 12_000;

/// Looks at `states` crashes, evenly spread over such a life.
#[must_use]
pub fn explore(seed: u64, states: u64) -> Outcome {
    let mut outcome = Outcome::default();
    let lived = panics::catch(|| live(seed));
    let phase = match lived {
        Ok(phase) => phase,
        Err(failure) => {
            eprintln!("parts, seed {seed}: {failure}");
            outcome.count(false);
            return outcome;
        }
    };
    let mut replay = Replay::from_image(&phase.image, &phase.journal);
    let events = phase.journal.len() as u64 + 1;
    for number in 0..states {
        let mut rng = Rng::new(mix(mix(seed, number), 0x9A27));
        replay.advance_to((number * events / states) as usize);
        let verdict =
            panics::catch(|| examine::examine(&phase, &replay, &mut rng, &mut Hits::default()));
        if let Err(failure) = &verdict {
            let event = replay.position();
            eprintln!("parts, seed {seed}, state {number} of {states}, event {event}: {failure}");
        }
        outcome.count(verdict.is_ok());
    }
    outcome
}

fn live(seed: u64) -> Verdict<Phase> {
    let mut rng = Rng::new(seed);
    let mut options = StoreOptions::default();
    options.page_size = 4096;
    options.cache_bytes = 1 << 20;
    options.log.segment_bytes_min = 16 << 10;
    options.log.segment_bytes_max = 1 << 20;
    options.log.group_bytes_max = 256 << 10;
    let disk = SimDisk::new(rng.draw(), SimOptions::default());
    let store = Store::open(disk.clone(), SimRuntime::new(seed), options.clone())?;
    let mut history: History = vec![Arc::new(State::default())];
    let mut index_of = vec![0];
    let tree = store.new_tree_id();
    for number in 0..COMMITS {
        let mut changes = Vec::new();
        if number == 0 {
            changes.push(Change::Create(tree));
        }
        let takes_parts = number % 3 == 1;
        let lens = if takes_parts {
            let mut len = || LARGE.start + rng.below(LARGE.end - LARGE.start);
            vec![len(), 50, len()]
        } else {
            vec![50, 3_000]
        };
        for (nth, len) in lens.into_iter().enumerate() {
            let key = format!("key-{number}-{nth}").into_bytes();
            changes.push(Change::Put(tree, key.into(), noise(&mut rng, len)));
        }
        let ticket = store.write(&batch_of(&changes), &CommitOptions::default())?;
        ticket.wait()?;
        // Each part takes an index of its own. A store that recovers from a run
        // without its commit stands there, and is as it was before the run.
        let index = ticket.index().0;
        let parts = index - index_of[index_of.len() - 1];
        ensure((parts > 1) == takes_parts, || {
            format!("commit {number} took {parts} records")
        })?;
        index_of.push(index);
        let next = Arc::new(history[history.len() - 1].after(&changes));
        let before = Arc::clone(&history[history.len() - 1]);
        history.resize(index as usize, before);
        history.push(next);
        disk.mark(index);
        if number == COMMITS / 2 {
            store.checkpoint()?;
        }
    }
    load(&store, &mut rng, tree, &mut history)?;
    disk.mark(history.len() as u64 - 1);
    Ok(Phase {
        image: SimImage::new(),
        journal: disk.journal(),
        history,
        acknowledged: 0,
        options,
        spans: Vec::new(),
        places: Vec::new(),
    })
}

/// Loads entries in no order behind the keys that are there.
fn load(store: &Store, rng: &mut Rng, tree: TreeId, history: &mut History) -> Verdict {
    let mut entries: Vec<(Bytes, Bytes)> = (0..LOADED)
        .map(|number| {
            let key = format!("load-{number:04}").into_bytes();
            (key.into(), noise(rng, LOADED_BYTES))
        })
        .collect();
    let sorted = entries.clone();
    for at in (1..entries.len()).rev() {
        entries.swap(at, rng.below(at as u64 + 1) as usize);
    }
    let mut options = BulkOptions::default();
    options.sort_memory = 0;
    let mut committed = 0;
    let mut told = |progress: &BulkProgress| {
        let now = progress.committed as usize;
        if now > committed {
            let changes: Vec<_> = sorted[committed..now]
                .iter()
                .map(|(key, value)| Change::Put(tree, Arc::clone(key), Arc::clone(value)))
                .collect();
            let next = history[history.len() - 1].after(&changes);
            history.push(Arc::new(next));
            committed = now;
        }
        ControlFlow::Continue(())
    };
    let coming = entries.iter().map(|(key, value)| Ok((key, value)));
    let report = store.bulk_load::<_, _, cs_kv::Error>(tree, coming, &options, &mut told)?;
    let is_large = report.commits > 1 && report.spilled_runs > 1 && committed == LOADED;
    ensure(is_large, || format!("a load came to {report:?}"))?;
    ensure(report.index.0 == history.len() as u64 - 1, || {
        format!("a load ended with commit {}", report.index)
    })
}

/// Bytes that no codec makes shorter.
fn noise(rng: &mut Rng, len: u64) -> Bytes {
    let mut bytes = Vec::with_capacity(len as usize + 8);
    while (bytes.len() as u64) < len {
        bytes.extend_from_slice(&rng.draw().to_le_bytes());
    }
    bytes.truncate(len as usize);
    bytes.into()
}
