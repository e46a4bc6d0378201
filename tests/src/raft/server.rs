//! A server: a node of the core with everything that its driver has.
//!
//! ## Invariants
//! * What is in memory dies with the process; what the disk's image has, stays.
//! * A message waits in `held` until its write is durable, and dies with the process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cs_raft::{Config, LogId, Message, Node, NodeId, RequestId, Restored, Term, Ticket, Time};

use crate::{Failure, Verdict};

use super::clients::Call;
use super::dice::Dice;
use super::disk::{Disk, Image, Received, Snapshot};
use super::judge::Unsettled;
use super::ledger::Ledger;
use super::machine::Machine;
use super::network::MAX_NODES;
use super::plan::Plan;
use super::world::What;

/// Whether a server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Up,
    /// Crashed, and will start again.
    Down,
    /// Its disk is gone or damaged: this node never comes back.
    Lost,
}

/// The clock of a server: its own rate, and any beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    begins: u64,
    /// In thousandths.
    rate: u64,
}

impl Clock {
    pub(super) fn new(begins: u64, rate: u64) -> Self {
        Self { begins, rate }
    }

    /// What it shows at a true time.
    pub(super) fn at(&self, now: u64) -> Time {
        Time(self.begins + now * self.rate / 1000)
    }

    /// The true time at which it shows this, at the earliest.
    pub(super) fn when(&self, shows: Time) -> u64 {
        shows
            .0
            .saturating_sub(self.begins)
            .saturating_mul(1000)
            .div_ceil(self.rate)
    }
}

/// Who waits for the answer to a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waiter {
    Change {
        call: Call,
        attempt: u64,
    },
    /// With what was acknowledged when it began.
    Read {
        call: Call,
        key: u64,
        began: u64,
    },
    /// Whoever changes memberships.
    Operator,
    Transfer,
}

/// A server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) id: NodeId,
    pub(super) fate: Fate,
    /// Counts its processes.
    pub(super) boot: u64,
    pub(super) node: Option<Box<Node>>,
    pub(super) is_witness: bool,
    pub(super) clock: Clock,
    pub(super) disk: Disk,
    /// The log as the process has it.
    pub(super) log: Ledger,
    /// Superseded from here on; goes to disk with the next entries.
    pub(super) supersedes: Option<u64>,
    pub(super) machine: Machine,
    /// What it may apply.
    pub(super) commit: u64,
    /// What the node takes for committed.
    pub(super) known: u64,
    pub(super) is_applying: bool,
    pub(super) is_checkpointing: bool,
    /// Writes that have not ended.
    pub(super) open: Vec<Ticket>,
    pub(super) held: Vec<(Ticket, NodeId, Message)>,
    /// Snapshots of others beside the state.
    pub(super) stored: Vec<Received>,
    pub(super) waiting: BTreeMap<RequestId, Waiter>,
    /// Committed requests whose entry is not applied yet.
    pub(super) committed: Vec<(LogId, Call)>,
    /// Requests that were said to be committed since the last event, by their tries.
    pub(super) told: Vec<(u64, LogId)>,
    pub(super) unsettled: Option<Unsettled>,
    /// The read that it is asked for in this event.
    pub(super) asked: Option<RequestId>,
    pub(super) requests: u64,
    /// When the next tick is due.
    pub(super) tick_at: u64,
    pub(super) paused_until: u64,
    pub(super) backlog: VecDeque<What>,
    /// It crashes after so many actions more.
    pub(super) crash_after: Option<u64>,
    pub(super) is_stalled: bool,
    /// What it said last: leading in this term.
    pub(super) leads: Option<u64>,
    /// Since when it leads by the membership that is in force.
    pub(super) leads_since: u64,
    /// The last entry of the candidate whose message it heard last.
    pub(super) vote_asked: Option<LogId>,
    /// By place: when an answer to it as a leader came last.
    pub(super) heard: [u64; MAX_NODES],
    pub(super) is_ready: bool,
    /// It appended a membership in this event.
    pub(super) has_changed: bool,
    /// Where the memberships lie that were compared last.
    pub(super) compared: (usize, usize),
}

impl Server {
    pub(super) fn new(
        id: NodeId,
        is_witness: bool,
        clock: Clock,
        image: Image,
        plan: &Plan,
    ) -> Self {
        Self {
            id,
            fate: Fate::Down,
            boot: 0,
            node: None,
            is_witness,
            clock,
            log: image.log.clone(),
            disk: Disk::new(image, plan.write_delay, plan.any_order),
            supersedes: None,
            machine: Machine::new(),
            commit: 0,
            known: 0,
            is_applying: false,
            is_checkpointing: false,
            open: Vec::new(),
            held: Vec::new(),
            stored: Vec::new(),
            waiting: BTreeMap::new(),
            committed: Vec::new(),
            told: Vec::new(),
            unsettled: None,
            asked: None,
            requests: 0,
            tick_at: u64::MAX,
            paused_until: 0,
            backlog: VecDeque::new(),
            crash_after: None,
            is_stalled: false,
            leads: None,
            leads_since: 0,
            vote_asked: None,
            heard: [0; MAX_NODES],
            is_ready: false,
            has_changed: false,
            compared: (0, 0),
        }
    }

    /// The process dies, and the disk loses what it loses.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        self.node = None;
        self.fate = Fate::Down;
        self.disk.crash(dice);
        self.open.clear();
        self.held.clear();
        self.stored.clear();
        self.waiting.clear();
        self.committed.clear();
        self.told.clear();
        self.unsettled = None;
        self.backlog.clear();
        self.paused_until = 0;
        self.tick_at = u64::MAX;
        self.crash_after = None;
        self.is_stalled = false;
        self.leads = None;
        self.is_ready = false;
        self.has_changed = false;
        self.compared = (0, 0);
    }

    /// A process starts from what the disk has.
    pub(super) fn start(&mut self, dice: &mut Dice, now: u64, plan: &Plan) -> Verdict {
        let image = &mut self.disk.image;
        let log = &image.log;
        // A witness has applied whatever its log begins behind.
        let state = image.snapshot.as_ref().map(|snapshot| snapshot.id.index);
        let applied = state.unwrap_or_default().max(log.base().index);
        let own =
            |(id, membership): &(LogId, Arc<_>)| (*id, cs_raft::Membership::clone(membership));
        // As many of the newest entries as the driver likes.
        let len = log.last().index.0 - log.base().index.0;
        let after = log.last().index.0 - dice.skewed(0, len);
        let restored = Restored {
            vote: image.vote,
            base: log.base(),
            base_membership: cs_raft::Membership::clone(log.membership_at(log.base().index.0)),
            runs: log.runs(),
            last: log.last().index,
            recent: log.read(cs_raft::Index(after), usize::MAX),
            memberships: log.later_memberships().iter().map(own).collect(),
            applied,
            incarnation: image.incarnation,
        };
        image.incarnation += 1;
        self.log = image.log.clone();
        self.machine = match &image.snapshot {
            Some(snapshot) => snapshot.machine.clone().unwrap_or_else(Machine::new),
            None => Machine::new(),
        };
        self.supersedes = None;
        self.commit = applied.0;
        self.known = applied.0;
        self.is_applying = false;
        self.is_checkpointing = false;
        self.boot += 1;
        self.fate = Fate::Up;
        let config = config(plan, self.id, dice.draw());
        let node = Node::new(config, restored, self.clock.at(now));
        let node = node.map_err(|error| Failure(format!("{} does not start: {error}", self.id)))?;
        self.node = Some(Box::new(node));
        Ok(())
    }

    /// Its term; none while it is down.
    pub(super) fn term(&self) -> Term {
        let node = self.node.as_ref();
        node.map_or(Term(0), |node| node.vote().term)
    }

    /// Whether it was asked to hand over, and has not answered.
    pub(super) fn hands_over(&self) -> bool {
        let mut waiting = self.waiting.values();
        waiting.any(|waiter| matches!(waiter, Waiter::Transfer))
    }

    /// A name for a new request.
    pub(super) fn request(&mut self, waiter: Waiter) -> RequestId {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.waiting.insert(id, waiter);
        id
    }

    /// The state as of what is applied now.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        let (id, chain) = self.log.at(self.machine.applied)?;
        Some(Snapshot {
            id,
            chain,
            membership: self.log.membership_at(id.index.0).clone(),
            machine: Some(self.machine.clone()),
        })
    }
}

fn config(plan: &Plan, id: NodeId, seed: u64) -> Config {
    let mut config = Config::new(id, seed);
    config.election_timeout = Duration::from_micros(plan.election_timeout);
    config.heartbeat_interval = Duration::from_micros(plan.heartbeat);
    config.transfer_timeout = Duration::from_micros(2 * plan.election_timeout);
    config.snapshot_timeout = Duration::from_micros(2 * plan.transfer_takes + 1_000_000);
    config.lease = plan.leases.then_some(cs_raft::Lease {
        // From 0.99 to 1.01, or from 0.8 to 1.2.
        max_drift_per_mille: if plan.is_exact { 25 } else { 500 },
    });
    if plan.is_tight {
        config.max_append_bytes = 600;
        config.window_bytes = 2_000;
        config.window_messages = 3;
        config.cache_bytes = 1_500;
        config.max_uncommitted_bytes = 20_000;
        config.max_unpersisted_bytes = 10_000;
        config.max_pending_reads = 8;
    }
    config
}
