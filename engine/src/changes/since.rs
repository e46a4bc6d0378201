//! The place in the history at a moment: before the first commit that is not before it.
//!
//! The log is not indexed by time. Steps back from the newest commit, each twice as long as the
//! one before, find a commit that is older than the moment; from there it is read forward. Where
//! a step goes beyond what is kept, halves of it are tried.

use cs_kv::base::{HybridTime, Index};
use cs_kv::{ChangePosition, ChangeRecord, Store};

use crate::context::Watch;
use crate::error::{Error, ErrorKind, Result};

/// What lies behind a place.
enum Look {
    /// A commit before the moment, and the way on from it.
    Before(Box<(cs_kv::ChangeFeed, ChangeRecord)>),
    /// Nothing that is before the moment.
    NotBefore,
    /// What is there is not kept, or cannot be read from here.
    Lost,
}

/// The place behind the last commit before `time`; `None` where that is the newest.
pub(super) fn place_at(
    store: &Store,
    time: HybridTime,
    watch: &Watch,
) -> Result<Option<ChangePosition>> {
    let newest = store.changes()?.position();
    if store.snapshot()?.time() < time {
        return Ok(None);
    }
    // Behind `good` nothing is before the moment; at `lost` nothing is kept.
    let (mut good, mut lost, mut step) = (newest.index.0, None::<u64>, 1_u64);
    loop {
        watch.check()?;
        let from = match lost {
            None => good.saturating_sub(step),
            Some(lost) => lost + (good - lost) / 2,
        };
        step = step.saturating_mul(2);
        let place = ChangePosition {
            index: Index(from),
            ordinal: 0,
            ..newest
        };
        match look(store, &place, time) {
            Look::Before(found) => return forward(*found, time, watch).map(Some),
            Look::NotBefore if from == 0 => return Ok(Some(place)),
            Look::NotBefore => good = from,
            Look::Lost => lost = Some(from),
        }
        if lost.is_some_and(|lost| lost + 1 >= good) {
            let message = "the history that is kept does not go back to that time";
            return Err(Error::new(ErrorKind::ChangesLost, message));
        }
    }
}

/// A place may be in the middle of a commit of several records, which cannot be read from there:
/// a place further back will do.
fn look(store: &Store, place: &ChangePosition, time: HybridTime) -> Look {
    let Ok(mut feed) = store.changes_after(place) else {
        return Look::Lost;
    };
    match feed.next() {
        Ok(Some(record)) if record.time < time => Look::Before(Box::new((feed, record))),
        Ok(_) => Look::NotBefore,
        Err(_) => Look::Lost,
    }
}

fn forward(
    (mut feed, mut last): (cs_kv::ChangeFeed, ChangeRecord),
    time: HybridTime,
    watch: &Watch,
) -> Result<ChangePosition> {
    while let Some(record) = feed.next()? {
        watch.check()?;
        if record.time >= time {
            break;
        }
        last = record;
    }
    Ok(last.position)
}
