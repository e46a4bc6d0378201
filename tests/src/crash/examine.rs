//! One state: a crash at one event, and everything that is asked of what it left.

use std::sync::Arc;

use cs_io::SimRuntime;
use cs_io::sim::{CrashKind, Replay, Rng, SimDisk, SimImage, SimOptions};
use cs_kv::{CommitOptions, Durability, Store};

use super::changes::{self, Taste};
use super::follow::check_feed;
use super::hits::Hits;
use super::life::Phase;
use super::named::check_named;
use super::prepared::check_prepared;
use super::rot;
use crate::model::{Change, Expected, History, batch_of, check, check_sessions};
use crate::verdict::ensure;
use crate::{Failure, Verdict};

/// Of so many states one is crashed again inside its recovery.
const CRASHED_AGAIN: u64 = 8;
/// Of so many states one goes on with commits.
const GOES_ON: u64 = 2;
/// Of so many states one is that of somebody who follows the changes.
const FOLLOWS: u64 = 2;

/// A store that was opened on an image.
struct Booted {
    disk: Arc<SimDisk>,
    store: Store,
    index: u64,
    /// Events until it was open and had been read.
    opened_at: usize,
}

/// Crashes at the place where `replay` stands.
pub(super) fn examine(
    phase: &Phase,
    replay: &Replay<'_>,
    rng: &mut Rng,
    hits: &mut Hits,
) -> Verdict {
    let acknowledged = replay.last_mark().unwrap_or(phase.acknowledged);
    let expected = Expected {
        history: &phase.history,
        at_least: acknowledged,
    };
    let manner = rng.below(16);
    let kind = if manner < 5 {
        CrashKind::Process
    } else {
        CrashKind::Machine
    };
    let mut image = replay.crash(rng, kind);
    if manner == 15 {
        return rot::examine(phase, &mut image, expected, rng);
    }
    let again = |failure: Failure| failure.during(format_args!("{kind:?} crash"));
    let booted = boot(phase, &image, expected, rng, hits).map_err(again)?;
    if rng.below(FOLLOWS) == 0 {
        let (store, index) = (&booted.store, booted.index);
        check_feed(phase, replay.position(), store, index, hits).map_err(again)?;
    }
    // A process crash leaves most for a second one to take back.
    if manner == 0 || rng.below(CRASHED_AGAIN) == 0 {
        crash_again(phase, &image, &booted, expected, rng, hits).map_err(again)?;
    }
    if rng.below(GOES_ON) == 0 {
        go_on(phase, &image, booted, rng, hits).map_err(again)?;
    }
    Ok(())
}

pub(super) fn open(
    phase: &Phase,
    image: &SimImage,
    rng: &mut Rng,
) -> Result<(Arc<SimDisk>, Store), cs_kv::Error> {
    let disk = SimDisk::from_image(image, rng.draw(), SimOptions::default());
    let runtime = SimRuntime::new(rng.draw());
    let store = Store::open(disk.clone(), runtime, phase.options.clone())?;
    Ok((disk, store))
}

fn boot(
    phase: &Phase,
    image: &SimImage,
    expected: Expected<'_>,
    rng: &mut Rng,
    hits: &mut Hits,
) -> Verdict<Booted> {
    let (disk, store) = open(phase, image, rng)
        .map_err(|error| Failure(format!("the store does not open: {error}")))?;
    let index = expected.verify(&store)?;
    let opened_at = disk.event_count();
    check(&store)?;
    check_sessions(&store, &expected.history[index as usize])?;
    check_prepared(&store, &expected.history[index as usize], hits)?;
    check_named(&store, expected.history, index, rng, hits)?;
    Ok(Booted {
        disk,
        store,
        index,
        opened_at,
    })
}

/// Crashes inside the recovery, or right after somebody saw what it recovered.
fn crash_again(
    phase: &Phase,
    image: &SimImage,
    booted: &Booted,
    expected: Expected<'_>,
    rng: &mut Rng,
    hits: &mut Hits,
) -> Verdict {
    let journal = booted.disk.journal();
    let mut replay = Replay::from_image(image, &journal);
    let half = rng.percent(50);
    let event = if half {
        journal.len()
    } else {
        rng.below(journal.len() as u64 + 1) as usize
    };
    replay.advance_to(event);
    let kind = if rng.percent(25) {
        CrashKind::Process
    } else {
        CrashKind::Machine
    };
    let image = replay.crash(rng, kind);
    let seen = event >= booted.opened_at;
    let at_least = if seen {
        booted.index
    } else {
        expected.at_least
    };
    boot(
        phase,
        &image,
        Expected {
            at_least,
            ..expected
        },
        rng,
        hits,
    )
    .map(drop)
    .map_err(|failure| {
        let place = if seen { "after" } else { "in" };
        failure.during(format_args!(
            "{kind:?} crash {place} the recovery, at its event {event}"
        ))
    })
}

/// Commits some more, each waited for, crashes the machine, and finds them.
fn go_on(
    phase: &Phase,
    image: &SimImage,
    booted: Booted,
    rng: &mut Rng,
    hits: &mut Hits,
) -> Verdict {
    let Booted {
        disk, store, index, ..
    } = booted;
    let mut history: History = phase.history[..=index as usize].to_vec();
    let taste = Taste::draw(rng);
    let mut saved = index;
    for _ in 0..=rng.below(3) {
        let newest = Arc::clone(&history[history.len() - 1]);
        let mut changes = changes::changes(rng, taste, &newest);
        if changes.is_empty() {
            changes.push(Change::Create(store.new_tree_id()));
        }
        let ticket = store.write(&batch_of(&changes), &CommitOptions::default())?;
        ticket.wait()?;
        history.push(Arc::new(newest.after(&changes)));
        let last = history.len() as u64 - 1;
        ensure(ticket.index().0 == last, || {
            format!("expected commit {last}, found {}", ticket.index())
        })?;
        if rng.percent(20) {
            store.checkpoint()?;
            saved = last;
        }
    }
    // Without a log a commit alone is not saved.
    let at_least = match phase.options.durability {
        Some(Durability::Memory) => saved,
        _ => history.len() as u64 - 1,
    };
    let journal = disk.journal();
    let mut replay = Replay::from_image(image, &journal);
    replay.advance_to(journal.len());
    let image = replay.crash(rng, CrashKind::Machine);
    let expected = Expected {
        history: &history,
        at_least,
    };
    boot(phase, &image, expected, rng, hits)
        .map(drop)
        .map_err(|failure| {
            failure.during(format_args!(
                "machine crash after commits {} to {at_least} of a recovered store",
                index + 1
            ))
        })
}
