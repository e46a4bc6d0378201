//! The disk of a node: what it would have after a crash, and what is under way to it.
//!
//! Writes of the log are made one behind another. Each ends when it likes; what is there
//! after a crash for certain is the prefix up to the first one that has not ended. Of the
//! others each may be there or not: the log ends at the first that is not, which may be
//! torn. Votes and the own snapshots lie in places of their own, and wait for nothing.
//!
//! ## Invariants
//! * The image changes only by writes that have ended, in the order of the log.
//! * A write that is said to have ended, and all before it, survive any crash.
//! * After a failed write nothing ends well until the node starts anew.

use std::collections::VecDeque;
use std::sync::Arc;

use cs_raft::{Entry, LogId, Membership, NodeId, Session, Ticket, Vote};

use super::dice::Dice;
use super::ledger::Ledger;
use super::machine::Machine;

#[cfg(test)]
mod tests;

/// The state of a node as of an entry.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) id: LogId,
    pub(super) chain: u64,
    pub(super) membership: Arc<Membership>,
    /// A witness has none.
    pub(super) machine: Option<Machine>,
}

/// A snapshot that came from another node.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) from: NodeId,
    pub(super) session: Session,
    pub(super) snapshot: Arc<Snapshot>,
}

/// What a disk has.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) vote: Vote,
    pub(super) log: Ledger,
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// How often the node was started.
    pub(super) incarnation: u64,
}

impl Image {
    pub(super) fn new(membership: Membership) -> Self {
        Self {
            vote: Vote::default(),
            log: Ledger::new(membership),
            snapshot: None,
            incarnation: 0,
        }
    }

    /// Whether it has this entry, or a snapshot with it.
    pub(super) fn holds(&self, id: LogId) -> bool {
        id.index <= self.log.base().index
            || self
                .log
                .at(id.index.0)
                .is_some_and(|(found, _)| found == id)
    }
}

/// What is written.
#[derive(Clone, Debug)]
pub(super) enum Write {
    /// Entries, in place of everything from an index on.
    Log {
        supersedes: Option<u64>,
        entries: Vec<Entry>,
    },
    Vote(Vote),
    /// The state of somebody else, in place of the own one.
    Install(Arc<Snapshot>),
    /// The own state, of entries that are durable.
    Checkpoint(Arc<Snapshot>),
    /// A snapshot beside the state, until it is installed.
    Keep(Received),
}

#[derive(Debug)]
struct Pending {
    number: u64,
    ticket: Option<Ticket>,
    write: Write,
    begun: u64,
    has_ended: bool,
}

/// What the node is told of a write.
#[derive(Debug)]
pub(super) enum Ended {
    Durable(Ticket),
    Failed(Ticket),
    /// The own snapshot is there, with everything up to an index.
    Checkpointed {
        upto: u64,
    },
    /// The snapshot lies beside the state.
    Stored(Received),
}

/// The disk of a node.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) image: Image,
    /// Of the log, in the order in which they were begun.
    pending: VecDeque<Pending>,
    /// Those that wait for nothing.
    beside: Vec<Pending>,
    count: u64,
    /// Until when no write ends.
    stalled_until: u64,
    /// When the last write that must keep its place ends.
    busy_until: u64,
    pub(super) delay: (u64, u64),
    any_order: bool,
    /// The next write fails.
    pub(super) fails: bool,
    has_failed: bool,
}

impl Disk {
    pub(super) fn new(image: Image, delay: (u64, u64), any_order: bool) -> Self {
        Self {
            image,
            pending: VecDeque::new(),
            beside: Vec::new(),
            count: 0,
            stalled_until: 0,
            busy_until: 0,
            delay,
            any_order,
            fails: false,
            has_failed: false,
        }
    }

    /// Begins a write: its number, and after which time it ends.
    pub(super) fn begin(
        &mut self,
        dice: &mut Dice,
        now: u64,
        ticket: Option<Ticket>,
        write: Write,
    ) -> (u64, u64) {
        self.count += 1;
        let mut end = now.max(self.stalled_until) + dice.between(self.delay.0, self.delay.1);
        if !self.any_order {
            end = end.max(self.busy_until);
            self.busy_until = end;
        }
        let is_of_log = matches!(write, Write::Log { .. } | Write::Install(_));
        let pending = Pending {
            number: self.count,
            ticket,
            write,
            begun: now,
            has_ended: false,
        };
        if is_of_log {
            self.pending.push_back(pending);
        } else {
            self.beside.push(pending);
        }
        (self.count, end - now)
    }

    /// When the oldest write that has not ended was begun.
    pub(super) fn oldest(&self) -> Option<u64> {
        let all = self.pending.iter().chain(&self.beside);
        let open = all.filter(|pending| !pending.has_ended);
        open.map(|pending| pending.begun).min()
    }

    /// Whether a write may end now; else when to ask again.
    pub(super) fn may_end(&self, now: u64) -> Result<(), u64> {
        if now < self.stalled_until {
            return Err(self.stalled_until - now);
        }
        Ok(())
    }

    /// No write ends before `until`.
    pub(super) fn stall(&mut self, until: u64) {
        self.stalled_until = until;
    }

    /// The faults of the disk are over; writes that are still to end.
    pub(super) fn heal(&mut self, delay: (u64, u64)) -> Vec<u64> {
        self.stalled_until = 0;
        self.busy_until = 0;
        self.fails = false;
        self.delay = delay;
        let all = self.pending.iter().chain(&self.beside);
        let open = all.filter(|pending| !pending.has_ended);
        open.map(|pending| pending.number).collect()
    }

    /// Whether a write failed since the node started.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// A write ends: what the node is told.
    pub(super) fn end(&mut self, number: u64) -> Vec<Ended> {
        let is_it = |one: &Pending| one.number == number && !one.has_ended;
        let of_log = self.pending.iter().position(is_it);
        let beside = self.beside.iter().position(is_it);
        let pending = of_log.map(|place| &self.pending[place]);
        let pending = pending.or_else(|| beside.map(|place| &self.beside[place]));
        let ticket = pending.and_then(|pending| pending.ticket);
        // What the node is not told of fails only behind something that it was told of.
        if self.has_failed || (self.fails && ticket.is_some()) {
            self.has_failed = true;
            return ticket.map(Ended::Failed).into_iter().collect();
        }
        let mut told = Vec::new();
        if let Some(place) = beside {
            let pending = self.beside.swap_remove(place);
            told.extend(pending.ticket.map(Ended::Durable));
            write(&mut self.image, &pending.write, 0);
            match pending.write {
                Write::Checkpoint(snapshot) => told.push(Ended::Checkpointed {
                    upto: snapshot.id.index.0,
                }),
                Write::Keep(received) => told.push(Ended::Stored(received)),
                Write::Vote(_) | Write::Log { .. } | Write::Install(_) => {}
            }
        }
        if let Some(place) = of_log {
            self.pending[place].has_ended = true;
            told.extend(self.pending[place].ticket.map(Ended::Durable));
            while self.pending.front().is_some_and(|front| front.has_ended) {
                if let Some(front) = self.pending.pop_front() {
                    write(&mut self.image, &front.write, usize::MAX);
                }
            }
        }
        told
    }

    /// The machine crashes: what is under way is there or not, as the dice fall.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        for pending in std::mem::take(&mut self.beside) {
            if dice.coin() {
                write(&mut self.image, &pending.write, 0);
            }
        }
        for pending in std::mem::take(&mut self.pending) {
            if pending.has_ended || dice.coin() {
                write(&mut self.image, &pending.write, usize::MAX);
                continue;
            }
            // Torn: some of its entries are there, the rest fails its checksum, and
            // whatever is behind it is never found.
            if let Write::Log { entries, .. } = &pending.write {
                let torn_at = dice.below(entries.len() as u64 + 1) as usize;
                if torn_at > 0 {
                    write(&mut self.image, &pending.write, torn_at);
                }
            }
            break;
        }
        self.stalled_until = 0;
        self.busy_until = 0;
        self.fails = false;
        self.has_failed = false;
    }
}

/// A later vote is never overwritten by an earlier one.
fn remember(image: &mut Image, vote: Vote) {
    if vote.term > image.vote.term || (vote.term == image.vote.term && vote.voted_for.is_some()) {
        image.vote = vote;
    }
}

fn write(image: &mut Image, write: &Write, most_entries: usize) {
    match write {
        Write::Log {
            supersedes,
            entries,
        } => {
            if let Some(from) = supersedes {
                image.log.supersede(*from);
            }
            for entry in entries.iter().take(most_entries) {
                image.log.push(entry.clone());
            }
        }
        Write::Vote(vote) => remember(image, *vote),
        Write::Keep(_) => {}
        Write::Install(snapshot) => {
            let Snapshot {
                id,
                chain,
                membership,
                ..
            } = &**snapshot;
            image.log = Ledger::behind(*id, *chain, membership.clone());
            image.snapshot = Some(snapshot.clone());
        }
        Write::Checkpoint(snapshot) => {
            let newest = image
                .snapshot
                .as_ref()
                .map_or(0, |newest| newest.id.index.0);
            if newest < snapshot.id.index.0 {
                image.snapshot = Some(snapshot.clone());
            }
        }
    }
}
