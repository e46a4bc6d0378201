//! What a node knows of its log: every term, the newest entries, the memberships.
//!
//! The entries themselves are the driver's; the core keeps the recent ones, by
//! bytes, and asks for older ones.
//!
//! Invariants:
//! - `base < runs[0].first`, runs ascend in index and in term, no gaps, up to `last`;
//! - the cache is the newest entries without gaps, up to `last`, or empty;
//! - `memberships` is never empty: its first is as of `base` or before.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::mutants::{Mutant, planted};
use crate::{Body, Entry, Error, Index, LogId, Membership, Restored, Run, Term};

#[derive(Clone, Debug, Hash)]
pub(crate) struct Log {
    base: LogId,
    runs: VecDeque<Run>,
    last: Index,
    cache: VecDeque<Entry>,
    cache_bytes: usize,
    cache_limit: usize,
    memberships: Vec<(LogId, Arc<Membership>)>,
}

impl Log {
    pub(crate) fn new(restored: &Restored, cache_limit: usize) -> Result<Self, Error> {
        let mut log = Self {
            base: restored.base,
            runs: restored.runs.iter().copied().collect(),
            last: restored.last,
            cache: VecDeque::new(),
            cache_bytes: 0,
            cache_limit,
            memberships: vec![(restored.base, Arc::new(restored.base_membership.clone()))],
        };
        log.check_runs()?;
        let wrong = |what, at| Err(Error::Restored { what, at });
        for (id, membership) in &restored.memberships {
            if id.index <= log.membership_id().index || log.term_at(id.index) != Some(id.term) {
                return wrong("membership where the log has none", id.index);
            }
            if planted(Mutant::UncommittedMembershipForgotten) && id.index > restored.applied {
                continue;
            }
            log.memberships.push((*id, Arc::new(membership.clone())));
        }
        let expected = (log.last.0 + 1).saturating_sub(restored.recent.len() as u64);
        for (entry, index) in restored.recent.iter().zip(expected..) {
            if entry.id.index.0 != index || log.term_at(entry.id.index) != Some(entry.id.term) {
                return wrong(
                    "recent entry that is not the one of the log",
                    entry.id.index,
                );
            }
            log.keep(entry.clone());
        }
        Ok(log)
    }

    fn check_runs(&self) -> Result<(), Error> {
        let wrong = |what, at| Err(Error::Restored { what, at });
        if self.last < self.base.index {
            return wrong("log ends before it begins", self.last);
        }
        let first = self.runs.front().map(|run| run.first);
        let expected = (self.last > self.base.index).then(|| self.base.index.next());
        if first != expected {
            return wrong("terms do not begin after the base", self.base.index);
        }
        let (mut term, mut index) = (self.base.term, self.base.index);
        for (at, run) in self.runs.iter().enumerate() {
            // Only the first may go on in the term of the base.
            let grows = run.term > term || (at == 0 && run.term == term);
            if !grows || run.first <= index || run.first > self.last {
                return wrong("terms do not ascend", run.first);
            }
            (term, index) = (run.term, run.first);
        }
        Ok(())
    }

    pub(crate) fn base(&self) -> LogId {
        self.base
    }

    pub(crate) fn last(&self) -> Index {
        self.last
    }

    pub(crate) fn last_id(&self) -> LogId {
        let term = self.runs.back().map_or(self.base.term, |run| run.term);
        LogId::new(term, self.last)
    }

    /// The term of an entry; of the base, too, but of none before it.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        if index < self.base.index || index > self.last {
            return None;
        }
        // Nearly always the newest run.
        let newest = self.runs.back().filter(|run| run.first <= index);
        let found = newest.or_else(|| {
            let after = self.runs.partition_point(|run| run.first <= index);
            self.runs.get(after.wrapping_sub(1))
        });
        found.map(|run| run.term)
    }

    pub(crate) fn contains(&self, id: LogId) -> bool {
        self.term_at(id.index) == Some(id.term)
    }

    /// The last entry at or before `index` that is of `term` or an older one;
    /// the base if there is none after it.
    pub(crate) fn last_at_most(&self, index: Index, term: Term) -> LogId {
        let mut end = self.last.min(index);
        for run in self.runs.iter().rev() {
            if run.first <= end && run.term <= term {
                return LogId::new(run.term, end);
            }
            end = end.min(run.first.previous());
        }
        self.base
    }

    pub(crate) fn append(&mut self, entry: Entry) {
        assert_eq!(entry.id.index, self.last.next(), "the log has no gaps");
        assert!(
            entry.id.term >= self.last_id().term,
            "terms never go back in a log"
        );
        if self.runs.back().is_none_or(|run| run.term != entry.id.term) {
            let (first, term) = (entry.id.index, entry.id.term);
            self.runs.push_back(Run { first, term });
        }
        if let Body::Membership(membership) = &entry.body {
            self.memberships.push((entry.id, membership.clone()));
        }
        self.last = entry.id.index;
        self.keep(entry);
    }

    fn keep(&mut self, entry: Entry) {
        self.cache_bytes += entry.bytes();
        self.cache.push_back(entry);
        while self.cache_bytes > self.cache_limit {
            let Some(oldest) = self.cache.pop_front() else {
                break;
            };
            self.cache_bytes -= oldest.bytes();
        }
    }

    /// Drops every entry from `from` on, and the memberships in them.
    pub(crate) fn truncate(&mut self, from: Index) {
        assert!(from > self.base.index, "the base is committed");
        while self.runs.back().is_some_and(|run| run.first >= from) {
            self.runs.pop_back();
        }
        while self
            .cache
            .back()
            .is_some_and(|entry| entry.id.index >= from)
        {
            if let Some(entry) = self.cache.pop_back() {
                self.cache_bytes -= entry.bytes();
            }
        }
        self.last = self.last.min(from.previous());
        if !planted(Mutant::SupersededMembershipStays) {
            self.memberships.retain(|(id, _)| id.index < from);
        }
    }

    /// Forgets every entry up to `to`.
    pub(crate) fn compact(&mut self, to: Index) {
        let Some(term) = self.term_at(to).filter(|_| to > self.base.index) else {
            return;
        };
        self.base = LogId::new(term, to);
        while self.runs.get(1).is_some_and(|run| run.first <= to.next()) {
            self.runs.pop_front();
        }
        if to == self.last {
            self.runs.clear();
        } else if let Some(run) = self.runs.front_mut() {
            run.first = run.first.max(to.next());
        }
        self.drop_cached_upto(to);
        let later = self.memberships.partition_point(|(id, _)| id.index <= to);
        self.memberships.drain(..later.saturating_sub(1));
    }

    fn drop_cached_upto(&mut self, to: Index) {
        while self.cache.front().is_some_and(|entry| entry.id.index <= to) {
            if let Some(entry) = self.cache.pop_front() {
                self.cache_bytes -= entry.bytes();
            }
        }
    }

    /// Begins anew after a snapshot. What was there differs from it, or ends
    /// before it: nothing of it is kept.
    pub(crate) fn reset(&mut self, id: LogId, membership: Arc<Membership>) {
        if planted(Mutant::SnapshotKeepsConflictingTail) && self.last > id.index {
            self.compact(id.index);
            self.base = id;
            return;
        }
        self.base = id;
        self.last = id.index;
        self.runs.clear();
        self.cache.clear();
        self.cache_bytes = 0;
        let covered_stays = planted(Mutant::MembershipOfCoveredEntryStays);
        if !covered_stays || self.memberships.len() < 2 {
            self.memberships = vec![(id, membership)];
        }
    }

    /// Entries after `after` while they fit, but at least one; none if they
    /// are not in memory.
    pub(crate) fn cached(&self, after: Index, max_bytes: usize) -> Option<Vec<Entry>> {
        let first = self.cache.front()?.id.index;
        let skip = (after.0 + 1).checked_sub(first.0)? as usize;
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let is_first = bytes == 0;
            bytes += entry.bytes();
            is_first || bytes <= max_bytes
        };
        let wanted = self.cache.range(skip.min(self.cache.len())..);
        let entries: Vec<Entry> = wanted.take_while(fits).cloned().collect();
        (!entries.is_empty()).then_some(entries)
    }

    /// The newest membership, committed or not.
    pub(crate) fn membership(&self) -> &Arc<Membership> {
        &self.memberships[self.memberships.len() - 1].1
    }

    /// The entry that brought it.
    pub(crate) fn membership_id(&self) -> LogId {
        self.memberships[self.memberships.len() - 1].0
    }

    /// The membership as of an entry.
    pub(crate) fn membership_at(&self, index: Index) -> &Arc<Membership> {
        let later = self
            .memberships
            .partition_point(|(id, _)| id.index <= index);
        &self.memberships[later.saturating_sub(1)].1
    }

    /// The membership as of an entry, and every later one.
    pub(crate) fn memberships_from(&self, index: Index) -> impl Iterator<Item = &Membership> {
        let later = self
            .memberships
            .partition_point(|(id, _)| id.index <= index);
        let from = &self.memberships[later.saturating_sub(1)..];
        from.iter().map(|(_, membership)| &**membership)
    }
}

#[cfg(test)]
mod tests;
