//! Somebody who follows the changes, and after each crash goes on where he was.
//!
//! ## What is promised
//! * Nothing is shown that a crash takes back, nothing is left out, nothing comes
//!   twice; the order is that of the log.
//! * One transaction is one event, wholly.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::time::Duration;

use cs_kv::{ChangeFeed, ChangePosition, Effect};

use super::epoch::Round;
use super::history::{Key, Number, Outcome, Txn};
use super::keys;
use crate::verdict::ensure;
use crate::{Failure, Verdict};

/// How long a wait for news lasts, at most: the end of a round is no news.
const PATIENCE: Duration = Duration::from_millis(2);

/// What was shown so far.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Where to go on.
    token: Option<String>,
    events: Vec<Event>,
}

/// The lists that one commit left.
#[derive(Debug)]
struct Event {
    index: u64,
    lists: Vec<(Key, Vec<Number>)>,
}

/// A feed of one opening of the store.
pub(super) struct Follower<'a> {
    feed: ChangeFeed,
    followed: &'a mut Followed,
}

impl<'a> Follower<'a> {
    /// From now on, or from where the last one was.
    pub(super) fn begin(round: &Round<'_>, followed: &'a mut Followed) -> Verdict<Self> {
        let feed = match &followed.token {
            None => round.store.changes()?,
            Some(token) => {
                let position: ChangePosition = token.parse()?;
                round.store.changes_after(&position)?
            }
        };
        followed.token = Some(feed.position().to_string());
        Ok(Self { feed, followed })
    }

    /// Until the round is over, and to the end unless it ended with a crash.
    pub(super) fn run(&mut self, round: &Round<'_>) -> Verdict {
        loop {
            // In this order: what was committed before the end is seen after it.
            let is_done = round.is_done.load(Ordering::Acquire);
            let Some(change) = self.feed.next()? else {
                if is_done {
                    return Ok(());
                }
                self.feed.wait(PATIENCE)?;
                continue;
            };
            let mut lists = Vec::new();
            for effect in change.effects()? {
                if let Effect::Put { tree, key, value } = effect?
                    && round.trees.contains(&tree)
                {
                    lists.push((keys::parse(key), keys::decode(Some(value))));
                }
            }
            // What is not written down before the crash was not shown.
            let state = round.record.lock();
            if state.crashed.is_some() {
                return Ok(());
            }
            self.followed.token = Some(change.position.to_string());
            let index = change.index.0;
            self.followed.events.push(Event { index, lists });
        }
    }
}

impl Followed {
    /// How many commits were shown.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// Compares what was shown with the history.
    pub(super) fn judge(&self, txns: &[Txn]) -> Verdict {
        let mut writers: HashMap<Number, usize> = HashMap::new();
        for (place, txn) in txns.iter().enumerate() {
            writers.extend(txn.appends().map(|(_, number)| (number, place)));
        }
        let mut shown: BTreeMap<Key, &[Number]> = BTreeMap::new();
        let mut last = 0;
        for Event { index, lists } in &self.events {
            ensure(*index > last, || {
                format!("the feed shows commit {index} behind {last}")
            })?;
            last = *index;
            let mut fresh = BTreeSet::new();
            for (key, list) in lists {
                let before = shown.insert(*key, list).unwrap_or_default();
                let tail = list.strip_prefix(before).filter(|tail| !tail.is_empty());
                let tail = tail.ok_or_else(|| {
                    Failure(format!(
                        "the feed shows key {key} as {list:?} at {index}, behind {before:?}"
                    ))
                })?;
                fresh.extend(tail.iter().map(|number| (*key, *number)));
            }
            let Some((_, number)) = fresh.first() else {
                continue;
            };
            let writer = writers.get(number).map(|&place| &txns[place]);
            let is_whole = writer.is_some_and(|txn| {
                txn.appends().collect::<BTreeSet<_>>() == fresh
                    && !matches!(txn.outcome, Outcome::Aborted | Outcome::Lost)
            });
            ensure(is_whole, || {
                format!("the feed shows {fresh:?} at {index}, of {writer:?}")
            })?;
        }
        let last_read = txns.last().map(|txn| txn.steps.as_slice());
        let Some([super::history::Step::Range(_, _, found)]) = last_read else {
            return Err(Failure("the last of all reads everything".into()));
        };
        for (key, list) in found {
            let shown = shown.get(key).copied().unwrap_or_default();
            ensure(shown == list, || {
                format!("the feed ended with key {key} as {shown:?}, it is {list:?}")
            })?;
        }
        Ok(())
    }
}
