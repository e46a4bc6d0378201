//! A log as somebody has it: in a node's memory, or on its disk.
//!
//! ## Invariants
//! * Entries follow each other without a gap, from the one behind the base on.
//! * Each has a chain: a hash over itself and everything before it, compacted or not. Two
//!   logs with the same chain at an index are the same up to it.
//! * The membership at any index from the base on is known.

use std::collections::VecDeque;
use std::sync::Arc;

use cs_raft::{Body, Entry, Index, LogId, Membership, Run, Term};

use super::hash::{mix, of_bytes};

#[cfg(test)]
mod tests;

#[derive(Clone, Debug)]
struct Kept {
    entry: Entry,
    chain: u64,
}

/// A log.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    base: LogId,
    base_chain: u64,
    entries: VecDeque<Kept>,
    /// Ascending; the first one is that of the base, at its index or below.
    memberships: Vec<(LogId, Arc<Membership>)>,
}

impl Ledger {
    /// An empty log of a cluster that begins with these.
    pub(super) fn new(membership: Membership) -> Self {
        Self::behind(LogId::default(), 1, Arc::new(membership))
    }

    /// An empty log behind a snapshot.
    pub(super) fn behind(base: LogId, base_chain: u64, membership: Arc<Membership>) -> Self {
        Self {
            base,
            base_chain,
            entries: VecDeque::new(),
            memberships: vec![(base, membership)],
        }
    }

    /// The entry before the first one.
    pub(super) fn base(&self) -> LogId {
        self.base
    }

    /// The last entry.
    pub(super) fn last(&self) -> LogId {
        self.entries.back().map_or(self.base, |kept| kept.entry.id)
    }

    fn kept(&self, index: u64) -> Option<&Kept> {
        let place = index.checked_sub(self.base.index.0 + 1)?;
        self.entries.get(place as usize)
    }

    /// The entry at an index, if it is there.
    pub(super) fn get(&self, index: u64) -> Option<&Entry> {
        self.kept(index).map(|kept| &kept.entry)
    }

    /// Its id and its chain; those of the base too.
    pub(super) fn at(&self, index: u64) -> Option<(LogId, u64)> {
        if index == self.base.index.0 {
            return Some((self.base, self.base_chain));
        }
        self.kept(index).map(|kept| (kept.entry.id, kept.chain))
    }

    /// The chain at the end.
    pub(super) fn chain(&self) -> u64 {
        self.entries
            .back()
            .map_or(self.base_chain, |kept| kept.chain)
    }

    /// One more entry; its chain, or `None` if it does not follow.
    pub(super) fn push(&mut self, entry: Entry) -> Option<u64> {
        let last = self.last();
        if entry.id.index != last.index.next() || entry.id.term < last.term {
            return None;
        }
        let chain = chain_of(self.chain(), &entry);
        if let Body::Membership(membership) = &entry.body {
            self.memberships.push((entry.id, membership.clone()));
        }
        self.entries.push_back(Kept { entry, chain });
        Some(chain)
    }

    /// Everything from an index on is gone.
    pub(super) fn supersede(&mut self, from: u64) {
        let keep = from.saturating_sub(self.base.index.0 + 1) as usize;
        self.entries.truncate(keep);
        let last = self.last().index;
        let is_there = |(id, _): &(LogId, Arc<Membership>)| id.index <= last;
        let keep = self.memberships.iter().filter(|one| is_there(one)).count();
        self.memberships.truncate(keep.max(1));
    }

    /// Everything up to an index is forgotten.
    pub(super) fn compact(&mut self, to: u64) {
        while self.base.index.0 < to {
            let Some(kept) = self.entries.pop_front() else {
                return;
            };
            self.base = kept.entry.id;
            self.base_chain = kept.chain;
        }
        let covered = self
            .memberships
            .iter()
            .filter(|(id, _)| id.index.0 <= to)
            .count();
        self.memberships.drain(..covered.saturating_sub(1));
    }

    /// The membership at the end, and its entry.
    pub(super) fn membership(&self) -> (LogId, &Arc<Membership>) {
        let last = self.memberships.len() - 1;
        let (id, membership) = &self.memberships[last];
        (*id, membership)
    }

    /// The membership as of an index that is not before the base.
    pub(super) fn membership_at(&self, index: u64) -> &Arc<Membership> {
        let upto = self
            .memberships
            .iter()
            .filter(|(id, _)| id.index.0 <= index)
            .count();
        &self.memberships[upto.max(1) - 1].1
    }

    /// Memberships of entries behind the base, ascending.
    pub(super) fn later_memberships(&self) -> &[(LogId, Arc<Membership>)] {
        let covered = |(id, _): &&(LogId, Arc<Membership>)| id.index <= self.base.index;
        &self.memberships[self.memberships.iter().take_while(covered).count()..]
    }

    /// All memberships that may count some day: from the one of an index on.
    pub(super) fn memberships_from(&self, index: u64) -> impl Iterator<Item = &Arc<Membership>> {
        let before = self
            .memberships
            .iter()
            .filter(|(id, _)| id.index.0 <= index)
            .count();
        self.memberships[before.max(1) - 1..]
            .iter()
            .map(|(_, membership)| membership)
    }

    /// The first entry of a term, unless it was compacted away.
    pub(super) fn first_of(&self, term: Term) -> Option<u64> {
        if self.base.term == term {
            return None;
        }
        let before = self
            .entries
            .partition_point(|kept| kept.entry.id.term < term);
        let first = self.entries.get(before)?.entry.id;
        (first.term == term).then_some(first.index.0)
    }

    /// Its terms, run by run.
    pub(super) fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for kept in &self.entries {
            let LogId { term, index } = kept.entry.id;
            if runs.last().is_none_or(|run| run.term != term) {
                runs.push(Run { first: index, term });
            }
        }
        runs
    }

    /// Entries behind an index: as many as `max_bytes` hold, at least one; none if they
    /// are gone.
    pub(super) fn read(&self, after: Index, max_bytes: usize) -> Vec<Entry> {
        let Some(skip) = after.0.checked_sub(self.base.index.0) else {
            return Vec::new();
        };
        let mut bytes = 0;
        let mut read = Vec::new();
        for kept in self
            .entries
            .range((skip as usize).min(self.entries.len())..)
        {
            bytes += kept.entry.bytes();
            if bytes > max_bytes && !read.is_empty() {
                break;
            }
            read.push(kept.entry.clone());
        }
        read
    }
}

fn chain_of(before: u64, entry: &Entry) -> u64 {
    let head = mix(mix(before, entry.id.index.0), entry.id.term.0);
    match &entry.body {
        Body::NoOp => mix(head, 1),
        Body::Data(payload) => of_bytes(mix(head, 2), &payload.0),
        Body::Membership(membership) => {
            let mut hash = mix(head, 3);
            for members in [&membership.members, &membership.outgoing] {
                hash = mix(hash, members.len() as u64);
                for (id, member) in members {
                    hash = mix(mix(hash, id.0), kind_of(&member.kind));
                }
            }
            hash
        }
    }
}

fn kind_of(kind: &cs_raft::Kind) -> u64 {
    match kind {
        cs_raft::Kind::Voter { priority } => u64::from(*priority),
        cs_raft::Kind::Witness => 1000,
        cs_raft::Kind::Learner { hidden, delay } => {
            2000 + u64::from(*hidden) + 2 * delay.as_micros() as u64
        }
    }
}
