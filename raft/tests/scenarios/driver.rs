//! What drives one node: it hands events in, carries actions out, and keeps disk, log and state.
//!
//! Invariants: actions are carried out in the order in which the node gave them; a message leaves
//! once the write that it names is on the disk, and never if that failed; each action and event is
//! one line of the trace.

use std::collections::BTreeMap;
use std::sync::Arc;

use cs_raft::{
    Action, Body, Config, Entry, Event, Index, Kind, LogId, Membership, Message, Node, NodeId,
    Session, Status, Ticket, Time,
};

use crate::disk::{Disk, Snapshot, State};

/// What goes from one node to another.
#[derive(Debug, Clone)]
pub(crate) enum Parcel {
    Message(Message),
    /// The bytes of a snapshot, which the core leaves to the driver.
    Snapshot {
        session: Session,
        snapshot: Snapshot,
    },
}

impl Parcel {
    /// The name of its kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Message(message) => message.kind(),
            Self::Snapshot { .. } => "snapshot",
        }
    }

    /// The stream that a snapshot belongs to; that of a message does not matter here.
    pub(crate) fn session(&self) -> Session {
        match self {
            Self::Message(_) => Session::default(),
            Self::Snapshot { session, .. } => *session,
        }
    }
}

/// What the driver cannot do alone.
#[derive(Debug)]
pub(crate) enum Effect {
    Send { to: u64, parcel: Parcel },
    Answer { request: u64, text: String },
}

/// What happens to a node and around it, as lines.
pub(crate) type Trace = Vec<String>;

/// One node with everything around it.
#[derive(Debug, Clone)]
pub(crate) struct Driver {
    pub(crate) config: Config,
    /// None: crashed.
    pub(crate) node: Option<Node>,
    pub(crate) clock: Time,
    pub(crate) disk: Disk,
    /// The log as the driver has it in memory.
    pub(crate) log: BTreeMap<u64, Entry>,
    pub(crate) base: LogId,
    base_membership: Membership,
    pub(crate) state: State,
    pub(crate) applied: u64,
    pub(crate) commit: u64,
    /// Messages that wait for a write.
    outbox: Vec<(Ticket, u64, Message)>,
    arrived: Option<Snapshot>,
    /// Writes complete when the script says so.
    pub(crate) slow: bool,
    /// Commits are applied when the script says so.
    pub(crate) lazy: bool,
    incarnation: u64,
}

impl Driver {
    /// A crashed node with this disk; [`start`](Self::start) brings it up.
    pub(crate) fn new(config: Config, disk: Disk) -> Self {
        Self {
            config,
            node: None,
            clock: Time(0),
            disk,
            log: BTreeMap::new(),
            base: LogId::default(),
            base_membership: Membership::default(),
            state: State::new(),
            applied: 0,
            commit: 0,
            outbox: Vec::new(),
            arrived: None,
            slow: false,
            lazy: false,
            incarnation: 0,
        }
    }

    fn id(&self) -> u64 {
        self.config.id.0
    }

    /// The node comes up as its disk has it.
    pub(crate) fn start(&mut self, trace: &mut Trace) -> Result<Vec<Effect>, String> {
        let image = self.disk.image();
        self.log = image.entries.clone();
        (self.base, self.base_membership) = (image.base(), image.base_membership().clone());
        (self.state, self.applied) = (image.state.clone(), image.applied());
        self.commit = self.applied;
        let restored = image.restored(self.incarnation);
        self.incarnation += 1;
        let node = Node::new(self.config.clone(), restored, self.clock);
        self.node = Some(node.map_err(|error| format!("node {}: {error}", self.id()))?);
        Ok(self.carry_out(trace))
    }

    /// The machine stops, or only the process.
    pub(crate) fn crash(&mut self, keep_unsynced: bool) {
        self.node = None;
        self.disk.crash(keep_unsynced);
        self.outbox.clear();
        self.arrived = None;
    }

    /// What the node tells about itself, if it is up.
    pub(crate) fn status(&self) -> Option<Status> {
        self.node.as_ref().map(Node::status)
    }

    /// Whether the node has no state: nothing is applied.
    pub(crate) fn is_witness(&self) -> bool {
        let membership = self.status().map(|status| status.membership);
        let member = membership.as_ref().and_then(|it| it.member(self.config.id));
        member.is_some_and(|member| member.kind == Kind::Witness)
    }

    /// Hands an event in, and carries out what follows; nothing on a crashed node.
    pub(crate) fn on(&mut self, event: Event, trace: &mut Trace) -> Vec<Effect> {
        let id = self.id();
        let Some(node) = &mut self.node else {
            return Vec::new();
        };
        trace.push(format!("n{id} < {event}"));
        if let Err(refused) = node.on(self.clock, event) {
            trace.push(format!("n{id} ! {refused}"));
        }
        self.carry_out(trace)
    }

    fn carry_out(&mut self, trace: &mut Trace) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(action) = self.node.as_mut().and_then(Node::take) {
            trace.push(format!("n{} > {action}", self.id()));
            self.act(action, &mut effects, trace);
        }
        effects
    }

    fn act(&mut self, action: Action, effects: &mut Vec<Effect>, trace: &mut Trace) {
        match action {
            Action::Send {
                to,
                message,
                after: Some(after),
            } if !self.disk.is_done(after) => {
                self.outbox.push((after, to.0, message));
            }
            Action::Send { to, message, .. } => effects.push(send(to.0, message)),
            Action::Append { ticket, entries } => {
                self.log.extend(
                    entries
                        .iter()
                        .map(|entry| (entry.id.index.0, entry.clone())),
                );
                self.disk.append(ticket, entries);
            }
            Action::SaveVote { ticket, vote } => self.disk.save_vote(ticket, vote),
            Action::SupersedeTail { from } => {
                assert!(
                    from.0 > self.commit,
                    "n{} supersedes what is committed",
                    self.id()
                );
                self.log.split_off(&from.0);
                self.disk.supersede(from);
            }
            Action::Commit { index } => self.commit = index.0,
            Action::Answer { id, outcome } => {
                effects.push(Effect::Answer {
                    request: id.0,
                    text: outcome.to_string(),
                });
            }
            Action::ReadReady { id, index } => {
                assert!(
                    index.0 <= self.applied,
                    "n{} reads ahead of its state",
                    self.id()
                );
                effects.push(Effect::Answer {
                    request: id.0,
                    text: format!("ready at {index}"),
                });
            }
            Action::StartSnapshot {
                to,
                session,
                at_least,
            } => {
                let snapshot = self.snapshot(self.applied);
                assert!(
                    snapshot.id.index >= at_least,
                    "n{} has no such state",
                    self.id()
                );
                let parcel = Parcel::Snapshot { session, snapshot };
                effects.push(Effect::Send { to: to.0, parcel });
            }
            Action::InstallSnapshot {
                ticket,
                id,
                membership,
            } => {
                self.install(ticket, id, &membership);
            }
            Action::DropSnapshot { .. } => self.arrived = None,
            Action::Fetch {
                to,
                session,
                after,
                max_bytes,
            } => {
                let event = self.fetch(to, session, after, max_bytes);
                // At once: a driver may take its time, but a script would gain nothing by it.
                trace.push(format!("n{} < {event}", self.id()));
                if let Some(node) = &mut self.node {
                    let refused = node.on(self.clock, event);
                    assert!(refused.is_ok(), "entries of the log are refused");
                }
            }
            Action::Role { .. } => {}
        }
    }

    fn fetch(&self, to: NodeId, session: Session, after: Index, max_bytes: usize) -> Event {
        let mut bytes = 0;
        let entries = self
            .log
            .range(after.0 + 1..)
            .map(|(_, entry)| entry.clone());
        let fits = |entry: &Entry| {
            let first = bytes == 0;
            bytes += entry.bytes();
            first || bytes <= max_bytes
        };
        let entries = if after < self.base.index {
            Vec::new()
        } else {
            entries.take_while(fits).collect()
        };
        Event::Fetched {
            to,
            session,
            after,
            entries,
        }
    }

    /// The id of an entry that the log has, or with which it begins.
    fn id_at(&self, index: u64) -> LogId {
        self.log.get(&index).map_or(self.base, |entry| entry.id)
    }

    /// The state as it is, with the membership of that place.
    fn snapshot(&self, index: u64) -> Snapshot {
        let member = |entry: &Entry| match &entry.body {
            Body::Membership(membership) => Some(membership.as_ref().clone()),
            _ => None,
        };
        let newest = self
            .log
            .range(..=index)
            .rev()
            .find_map(|(_, entry)| member(entry));
        Snapshot {
            id: self.id_at(index),
            membership: newest.unwrap_or_else(|| self.base_membership.clone()),
            state: self.state.clone(),
        }
    }

    fn install(&mut self, ticket: Ticket, id: LogId, membership: &Membership) {
        // A witness is offered the place alone, without a state.
        let snapshot = self.arrived.take().filter(|arrived| arrived.id == id);
        let membership = membership.clone();
        let snapshot = snapshot.unwrap_or(Snapshot {
            id,
            membership,
            state: State::new(),
        });
        // Nothing of the old log continues it: else it would not have been needed.
        self.log.clear();
        (self.base, self.base_membership) = (id, snapshot.membership.clone());
        self.state = snapshot.state.clone();
        self.applied = self.applied.max(id.index.0);
        self.commit = self.commit.max(id.index.0);
        self.disk.install(ticket, snapshot);
    }

    /// Something comes from another node.
    pub(crate) fn receive(&mut self, from: u64, parcel: Parcel, trace: &mut Trace) -> Vec<Effect> {
        let from = NodeId(from);
        match parcel {
            Parcel::Message(message) => self.on(Event::Receive { from, message }, trace),
            Parcel::Snapshot { session, snapshot } => {
                let (id, membership) = (snapshot.id, snapshot.membership.clone());
                self.arrived = Some(snapshot);
                self.on(
                    Event::SnapshotStored {
                        from,
                        session,
                        id,
                        membership,
                    },
                    trace,
                )
            }
        }
    }

    /// A write completes, and what waited for it leaves; or it fails.
    pub(crate) fn complete(
        &mut self,
        ticket: Ticket,
        done: bool,
        trace: &mut Trace,
    ) -> Vec<Effect> {
        self.disk.complete(ticket, done);
        if !done {
            let reason = Arc::from("no space left on device");
            return self.on(Event::PersistFailed { ticket, reason }, trace);
        }
        let mut effects = Vec::new();
        for (after, to, message) in std::mem::take(&mut self.outbox) {
            if self.disk.is_done(after) {
                effects.push(send(to, message));
            } else {
                self.outbox.push((after, to, message));
            }
        }
        effects.extend(self.on(Event::Persisted { ticket }, trace));
        effects
    }

    /// Applies what is committed up to here.
    pub(crate) fn apply(&mut self, upto: u64, trace: &mut Trace) -> Vec<Effect> {
        let upto = upto.min(self.commit);
        let mut state = State::new();
        for (&index, entry) in self.log.range(self.applied + 1..=upto) {
            if let Body::Data(payload) = &entry.body {
                state.insert(index, payload.to_string());
            }
        }
        self.state.extend(state.clone());
        self.applied = upto;
        self.disk.apply(upto, state);
        self.on(Event::Applied { index: Index(upto) }, trace)
    }

    /// Drops the log up to here.
    pub(crate) fn compact(&mut self, upto: u64, trace: &mut Trace) -> Vec<Effect> {
        let effects = self.on(Event::Compact { to: Index(upto) }, trace);
        if upto > self.base.index.0 && upto <= self.applied {
            let snapshot = self.snapshot(upto);
            self.disk.compact(snapshot.id, snapshot.membership.clone());
            (self.base, self.base_membership) = (snapshot.id, snapshot.membership);
            self.log = self.log.split_off(&(upto + 1));
        }
        effects
    }
}

fn send(to: u64, message: Message) -> Effect {
    Effect::Send {
        to,
        parcel: Parcel::Message(message),
    }
}
