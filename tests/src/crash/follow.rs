//! Somebody who follows the changes, and after each crash goes on where he was.
//!
//! ## What is promised
//! * Each commit is shown once, in order, wholly: what was shown so far makes the
//!   state of the last commit shown.
//! * What was shown no crash takes back, so it counts as acknowledged.
//! * A place can be taken up again after any crash, unless what came next is not
//!   kept any more; then it is refused.

use std::sync::Arc;

use cs_base::codec;
use cs_kv::limits::MAX_VALUE;
use cs_kv::{ChangeFeed, ChangePosition, ChangeRecord, Effect, Error, Store};

use super::hits::{Hits, Part};
use super::life::{Life, Phase};
use crate::Verdict;
use crate::model::{Bytes, Change, State};
use crate::verdict::ensure;

/// Where somebody is, and what he made of all that he was shown.
#[derive(Clone, Debug)]
pub(super) struct Place {
    token: String,
    index: u64,
    mirror: State,
}

/// A place that was reached by an event of a phase.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    pub(super) event: usize,
    token: String,
    index: u64,
}

impl Place {
    fn of(feed: &ChangeFeed, history: &[Arc<State>]) -> Self {
        let position = feed.position();
        Self {
            token: position.to_string(),
            index: position.index.0,
            mirror: State::clone(&history[position.index.0 as usize]),
        }
    }

    /// The next commit was shown.
    fn take(&mut self, change: &ChangeRecord, history: &[Arc<State>]) -> Verdict {
        let index = change.index.0;
        ensure(index == self.index + 1, || {
            format!("the feed shows commit {index} behind {}", self.index)
        })?;
        for effect in change.effects()? {
            let effect = effect?;
            if let Effect::Before { tree, key, value } = effect {
                let known = self.mirror.get(tree, key);
                let is_user = self.mirror.trees.contains_key(&tree);
                ensure(!is_user || known.map(AsRef::as_ref) == Some(value), || {
                    format!("commit {index} tells of another value before it in tree {tree}")
                })?;
            } else if let Some(change) = change_of(&effect)? {
                self.mirror.apply(&change);
            }
        }
        self.index = index;
        self.token = change.position.to_string();
        let known = history.get(index as usize);
        let is_same = known.is_some_and(|state| state.figures() == self.mirror.figures());
        ensure(is_same, || {
            format!("what the feed showed up to commit {index} is not what that left")
        })
    }
}

fn change_of(effect: &Effect<'_>) -> Verdict<Option<Change>> {
    let bytes = |bytes: &[u8]| -> Bytes { bytes.into() };
    Ok(Some(match *effect {
        Effect::Put { tree, key, value } => Change::Put(tree, bytes(key), bytes(value)),
        Effect::PutPacked {
            tree, key, block, ..
        } => {
            let value = codec::decode(block, MAX_VALUE)
                .map_err(|error| crate::Failure(format!("a block in a feed: {error}")))?;
            Change::Put(tree, bytes(key), bytes(&value))
        }
        Effect::Delete { tree, key } => Change::Delete(tree, bytes(key)),
        Effect::CreateTree { tree } => Change::Create(tree),
        Effect::DropTree { tree } => Change::Drop(tree),
        Effect::Before { .. } => return Ok(None),
    }))
}

/// Whether this refusal is one that the options allow.
fn may_be_lost(error: &Error, keeps_all: bool) -> bool {
    let text = error.to_string();
    match error {
        Error::ChangesLost(_) => {
            (text.contains("not kept any more") && !keeps_all)
                // The crash took the first database before it was on disk.
                || text.contains("of another database")
        }
        _ => false,
    }
}

impl Life {
    /// Goes on after a crash, or stays away for a while.
    pub(super) fn follow_again(&mut self) -> Verdict {
        if self.place.is_some() && self.rng.percent(40) {
            return Ok(());
        }
        self.begin_to_follow()
    }

    /// Takes up the place of before the crash, or begins.
    pub(super) fn begin_to_follow(&mut self) -> Verdict {
        self.feed = None;
        if !self.follows || !self.has_log() {
            return Ok(());
        }
        if let Some(place) = &self.place {
            let position: ChangePosition = place.token.parse()?;
            match self.store.changes_after(&position) {
                Ok(feed) => {
                    self.feed = Some(feed);
                    self.hits.count(Part::FeedsResumed, 1);
                    self.reached();
                    return Ok(());
                }
                Err(error) if may_be_lost(&error, self.options.keep_changes.is_some()) => {
                    self.hits.count(Part::FeedsLost, 1);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let feed = self.store.changes()?;
        self.place = Some(Place::of(&feed, &self.history));
        self.feed = Some(feed);
        self.reached();
        Ok(())
    }

    /// Looks at some of what is new; now and then from the kept place.
    pub(super) fn follow(&mut self) -> Verdict {
        let again = if self.feed.is_some() { 10 } else { 4 };
        if self.rng.percent(again) {
            self.begin_to_follow()?;
        }
        let (Some(feed), Some(place)) = (&mut self.feed, &mut self.place) else {
            return Ok(());
        };
        let mut shown = 0;
        let most = 1 + self.rng.below(8);
        while shown < most
            && let Some(change) = feed.next()?
        {
            place.take(&change, &self.history)?;
            shown += 1;
        }
        if shown > 0 {
            self.hits.count(Part::FeedCommits, shown);
            self.reached();
        }
        Ok(())
    }

    /// What somebody knows of cannot be taken back.
    fn reached(&mut self) {
        if let Some(Place { index, token, .. }) = &self.place {
            let (index, token) = (*index, token.clone());
            self.acknowledge(index);
            let event = self.disk.event_count();
            self.places.push(Reached {
                event,
                token,
                index,
            });
        }
    }
}

/// Goes on after a crash from the last place that was reached before it.
pub(super) fn check_feed(
    phase: &Phase,
    event: usize,
    store: &Store,
    index: u64,
    hits: &mut Hits,
) -> Verdict {
    let reached = phase.places.iter().rfind(|place| place.event <= event);
    let Some(reached) = reached else {
        return Ok(());
    };
    let position: ChangePosition = reached.token.parse()?;
    let mut feed = match store.changes_after(&position) {
        Ok(feed) => feed,
        Err(error) if may_be_lost(&error, phase.options.keep_changes.is_some()) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut place = Place {
        token: reached.token.clone(),
        index: reached.index,
        mirror: State::clone(&phase.history[reached.index as usize]),
    };
    while let Some(change) = feed.next()? {
        place.take(&change, &phase.history)?;
    }
    hits.count(Part::FeedStates, 1);
    ensure(place.index == index, || {
        format!(
            "the feed ends with commit {}, the store with {index}",
            place.index
        )
    })
}
