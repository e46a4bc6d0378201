//! The disk of one node: writes that wait, and what a crash would leave.
//!
//! Invariants: writes complete in any order; what a crash leaves of the log is the result of the
//! completed ones before the first that is not (a log that is read from its beginning ends at a
//! hole); a failed write leaves nothing; no state is durable beyond the log that is.

use std::collections::BTreeMap;

use cs_raft::{Body, Entry, Index, LogId, Membership, Restored, Run, Ticket, Vote};

/// What was applied at which index.
pub(crate) type State = BTreeMap<u64, String>;

/// A state, and where in the log it stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) id: LogId,
    pub(crate) membership: Membership,
    pub(crate) state: State,
}

/// What a write does.
#[derive(Debug, Clone)]
enum Write {
    /// Entries at the end of the log, after those from `superseded` on were given up.
    Append {
        superseded: Option<Index>,
        entries: Vec<Entry>,
    },
    Vote(Vote),
    /// A snapshot in place of state and log.
    Install {
        snapshot: Snapshot,
    },
    /// The effects of the log up to here.
    Apply {
        index: u64,
        state: State,
    },
    /// The log up to here is dropped.
    Compact {
        base: LogId,
        membership: Membership,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting,
    Done,
    Failed,
}

/// A write, in the order of issue.
#[derive(Debug, Clone)]
struct Issued {
    ticket: Option<Ticket>,
    write: Write,
    progress: Progress,
}

/// What a crash leaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    vote: Vote,
    base: LogId,
    base_membership: Membership,
    pub(crate) entries: BTreeMap<u64, Entry>,
    applied: u64,
    pub(crate) state: State,
}

/// The disk of one node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    base: Image,
    issued: Vec<Issued>,
    superseded: Option<Index>,
}

impl Disk {
    /// An empty disk of a member of a new cluster, or of nobody yet.
    pub(crate) fn new(membership: Membership) -> Self {
        let base = Image {
            base_membership: membership,
            ..Image::default()
        };
        Self {
            base,
            ..Self::default()
        }
    }

    /// The next write gives up entries from here on.
    pub(crate) fn supersede(&mut self, from: Index) {
        self.superseded = Some(self.superseded.map_or(from, |before| before.min(from)));
    }

    pub(crate) fn append(&mut self, ticket: Ticket, entries: Vec<Entry>) {
        let superseded = self.superseded.take();
        self.issue(
            Some(ticket),
            Write::Append {
                superseded,
                entries,
            },
        );
    }

    pub(crate) fn save_vote(&mut self, ticket: Ticket, vote: Vote) {
        self.issue(Some(ticket), Write::Vote(vote));
    }

    pub(crate) fn install(&mut self, ticket: Ticket, snapshot: Snapshot) {
        self.superseded = None;
        self.issue(Some(ticket), Write::Install { snapshot });
    }

    pub(crate) fn apply(&mut self, index: u64, state: State) {
        self.issue(None, Write::Apply { index, state });
    }

    pub(crate) fn compact(&mut self, base: LogId, membership: Membership) {
        self.issue(None, Write::Compact { base, membership });
    }

    fn issue(&mut self, ticket: Option<Ticket>, write: Write) {
        let progress = if ticket.is_some() {
            Progress::Waiting
        } else {
            Progress::Done
        };
        self.issued.push(Issued {
            ticket,
            write,
            progress,
        });
    }

    /// The tickets that wait, in order of issue.
    pub(crate) fn waiting(&self) -> Vec<Ticket> {
        let waiting = self
            .issued
            .iter()
            .filter(|issued| issued.progress == Progress::Waiting);
        waiting.filter_map(|issued| issued.ticket).collect()
    }

    /// Whether this write is on the disk.
    pub(crate) fn is_done(&self, ticket: Ticket) -> bool {
        let open =
            |issued: &Issued| issued.ticket == Some(ticket) && issued.progress != Progress::Done;
        !self.issued.iter().any(open)
    }

    /// A write completes, or fails.
    pub(crate) fn complete(&mut self, ticket: Ticket, done: bool) {
        for issued in &mut self.issued {
            if issued.ticket == Some(ticket) && issued.progress == Progress::Waiting {
                issued.progress = if done {
                    Progress::Done
                } else {
                    Progress::Failed
                };
            }
        }
    }

    /// What a crash would leave now.
    pub(crate) fn image(&self) -> Image {
        let mut image = self.base.clone();
        let mut has_hole = false;
        for issued in &self.issued {
            let is_vote = matches!(issued.write, Write::Vote(_));
            let done = issued.progress == Progress::Done;
            has_hole |= !is_vote && !done;
            if done && (is_vote || !has_hole) {
                image.write(&issued.write);
            }
        }
        image.cut_state();
        image
    }

    /// The machine stops; what waited is lost, unless only the process died.
    pub(crate) fn crash(&mut self, keep_unsynced: bool) {
        if keep_unsynced {
            self.waiting()
                .into_iter()
                .for_each(|ticket| self.complete(ticket, true));
        }
        self.base = self.image();
        self.issued.clear();
        self.superseded = None;
    }
}

impl Image {
    fn write(&mut self, write: &Write) {
        match write {
            Write::Vote(vote) => self.vote = self.vote.max_of(*vote),
            Write::Append {
                superseded,
                entries,
            } => {
                self.supersede(*superseded);
                self.entries.extend(
                    entries
                        .iter()
                        .map(|entry| (entry.id.index.0, entry.clone())),
                );
            }
            Write::Install { snapshot } => {
                (self.base, self.base_membership) = (snapshot.id, snapshot.membership.clone());
                (self.applied, self.state) = (snapshot.id.index.0, snapshot.state.clone());
                self.entries.clear();
            }
            Write::Apply { index, state } => {
                self.applied = *index;
                self.state.extend(state.clone());
            }
            Write::Compact { base, membership } => {
                (self.base, self.base_membership) = (*base, membership.clone());
                self.entries = self.entries.split_off(&(base.index.0 + 1));
            }
        }
    }

    fn supersede(&mut self, from: Option<Index>) {
        if let Some(from) = from {
            self.entries.split_off(&from.0);
        }
    }

    fn cut_state(&mut self) {
        let last = self
            .entries
            .keys()
            .last()
            .map_or(self.base.index.0, |last| *last);
        self.applied = self.applied.min(last);
        self.state.split_off(&(last + 1));
    }

    /// What the driver hands to the node that it makes of this.
    pub(crate) fn restored(&self, incarnation: u64) -> Restored {
        let mut runs: Vec<Run> = Vec::new();
        let mut memberships = Vec::new();
        for entry in self.entries.values() {
            let run = Run {
                first: entry.id.index,
                term: entry.id.term,
            };
            if runs.last().map_or(self.base.term, |run| run.term) != run.term || runs.is_empty() {
                runs.push(run);
            }
            if let Body::Membership(membership) = &entry.body {
                memberships.push((entry.id, membership.as_ref().clone()));
            }
        }
        Restored {
            vote: self.vote,
            base: self.base,
            base_membership: self.base_membership.clone(),
            runs,
            last: self
                .entries
                .values()
                .last()
                .map_or(self.base.index, |entry| entry.id.index),
            recent: self.entries.values().cloned().collect(),
            memberships,
            applied: Index(self.applied),
            incarnation,
        }
    }

    /// Where the log begins.
    pub(crate) fn base(&self) -> LogId {
        self.base
    }

    /// The membership there.
    pub(crate) fn base_membership(&self) -> &Membership {
        &self.base_membership
    }

    /// Up to where the state goes.
    pub(crate) fn applied(&self) -> u64 {
        self.applied
    }
}

/// A later vote is never overwritten by an earlier one.
trait Later {
    fn max_of(self, other: Self) -> Self;
}

impl Later for Vote {
    fn max_of(self, other: Self) -> Self {
        let key = |vote: &Self| (vote.term, vote.voted_for.is_some());
        if key(&other) >= key(&self) {
            other
        } else {
            self
        }
    }
}
