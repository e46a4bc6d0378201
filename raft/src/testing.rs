//! A cluster in memory for the unit tests: instant disks unless a test holds
//! them, messages in order unless a test drops them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::*;

/// What one node has, and what is to be done for it.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) node: Node,
    pub(crate) entries: Vec<Entry>,
    pub(crate) base: LogId,
    pub(crate) base_membership: Membership,
    pub(crate) vote: Vote,
    pub(crate) durable: usize,
    pub(crate) applied: Index,
    pub(crate) incarnation: u64,
    /// Writes that did not end yet, while the disk is held.
    pub(crate) held: Vec<Ticket>,
    pub(crate) is_held: bool,
    waiting: Vec<(Ticket, NodeId, Message)>,
    open: BTreeSet<Ticket>,
}

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) now: Time,
    pub(crate) hosts: BTreeMap<NodeId, Host>,
    pub(crate) queue: VecDeque<(NodeId, NodeId, Message)>,
    pub(crate) cut: BTreeSet<(NodeId, NodeId)>,
    pub(crate) answers: BTreeMap<RequestId, Outcome>,
    pub(crate) reads: BTreeMap<RequestId, Index>,
    pub(crate) seen: Vec<(NodeId, Action)>,
    pub(crate) snapshots_lost: bool,
    pub(crate) tune: fn(&mut Config),
    last_request: u64,
}

pub(crate) fn id(number: u64) -> NodeId {
    NodeId(number)
}

pub(crate) fn payload(text: &str) -> Payload {
    Payload::new(text.as_bytes())
}

impl Cluster {
    pub(crate) fn of(voters: u64) -> Self {
        Self::tuned(Membership::of_voters((1..=voters).map(NodeId)), |_| {})
    }

    pub(crate) fn tuned(membership: Membership, tune: fn(&mut Config)) -> Self {
        #[cfg(feature = "mutants")]
        crate::mutants::tests::plant_named();
        let mut cluster = Self {
            now: Time(1_000_000),
            hosts: BTreeMap::new(),
            queue: VecDeque::new(),
            cut: BTreeSet::new(),
            answers: BTreeMap::new(),
            reads: BTreeMap::new(),
            seen: Vec::new(),
            snapshots_lost: false,
            tune,
            last_request: 0,
        };
        for id in membership.everybody() {
            cluster.add(id, Restored::founding(membership.clone()));
        }
        cluster
    }

    pub(crate) fn add(&mut self, id: NodeId, restored: Restored) {
        let mut config = Config::new(id, 7 * id.0);
        (self.tune)(&mut config);
        let host = Host {
            entries: restored.recent.clone(),
            base: restored.base,
            base_membership: restored.base_membership.clone(),
            vote: restored.vote,
            durable: restored.recent.len(),
            applied: restored.applied,
            incarnation: restored.incarnation,
            node: Node::new(config, restored, self.now).unwrap(),
            held: Vec::new(),
            is_held: false,
            waiting: Vec::new(),
            open: BTreeSet::new(),
        };
        self.hosts.insert(id, host);
    }

    /// Loses everything that is not durable, and starts the node again.
    pub(crate) fn restart(&mut self, id: NodeId) {
        let host = self.hosts.remove(&id).unwrap();
        let mut recent = host.entries;
        recent.truncate(host.durable);
        let mut runs: Vec<Run> = Vec::new();
        let mut memberships = Vec::new();
        for entry in &recent {
            if runs.last().is_none_or(|run| run.term != entry.id.term) {
                runs.push(Run {
                    first: entry.id.index,
                    term: entry.id.term,
                });
            }
            if let Body::Membership(membership) = &entry.body {
                memberships.push((entry.id, (**membership).clone()));
            }
        }
        let last = recent
            .last()
            .map_or(host.base.index, |entry| entry.id.index);
        let restored = Restored {
            vote: host.vote,
            base: host.base,
            base_membership: host.base_membership,
            runs,
            last,
            recent,
            memberships,
            applied: host.applied.min(last),
            incarnation: host.incarnation + 1,
        };
        self.add(id, restored);
    }

    pub(crate) fn node(&self, number: u64) -> &Node {
        &self.hosts[&id(number)].node
    }

    pub(crate) fn status(&self, number: u64) -> Status {
        self.node(number).status()
    }

    pub(crate) fn leader(&self) -> Option<NodeId> {
        let statuses = self.hosts.values().map(|host| host.node.status());
        let leaders = statuses.filter(|status| status.role == Role::Leader);
        leaders
            .max_by_key(|status| status.term)
            .map(|status| status.id)
    }

    pub(crate) fn on(&mut self, id: NodeId, event: Event) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        host.node.on(now, event).unwrap();
        self.drain(id);
    }

    fn drain(&mut self, id: NodeId) {
        loop {
            let host = self.hosts.get_mut(&id).unwrap();
            let Some(action) = host.node.take() else {
                return;
            };
            self.seen.push((id, action.clone()));
            match action {
                Action::Send { to, message, after } => {
                    let open = after.filter(|ticket| host.open.contains(ticket));
                    match open {
                        Some(ticket) => host.waiting.push((ticket, to, message)),
                        None => self.queue.push_back((id, to, message)),
                    }
                }
                Action::Append { ticket, entries } => {
                    host.entries.extend(entries);
                    self.write(id, ticket);
                }
                Action::SaveVote { ticket, vote } => {
                    host.vote = vote;
                    self.write(id, ticket);
                }
                Action::SupersedeTail { from } => {
                    let keep = (from.0 - host.base.index.0 - 1) as usize;
                    host.entries.truncate(keep);
                    host.durable = host.durable.min(keep);
                }
                Action::Commit { index } => {
                    host.applied = index;
                    self.on(id, Event::Applied { index });
                }
                Action::Answer {
                    id: request,
                    outcome,
                } => {
                    assert!(
                        self.answers.insert(request, outcome).is_none(),
                        "answered twice"
                    );
                }
                Action::ReadReady { id: request, index } => {
                    assert!(host.node.applied >= index, "read before it is applied");
                    assert!(self.reads.insert(request, index).is_none(), "read twice");
                }
                Action::StartSnapshot {
                    to,
                    session,
                    at_least,
                } => {
                    let applied = host.node.status().applied;
                    assert!(applied >= at_least);
                    let term = host.node.log.term_at(applied).unwrap();
                    let snapshot = LogId::new(term, applied);
                    let membership = (**host.node.log.membership_at(applied)).clone();
                    if self.snapshots_lost {
                        continue;
                    }
                    self.on(id, Event::SnapshotSent { to, session });
                    let stored = Event::SnapshotStored {
                        from: id,
                        session,
                        id: snapshot,
                        membership,
                    };
                    self.on(to, stored);
                }
                Action::InstallSnapshot {
                    ticket,
                    id: snapshot,
                    membership,
                } => {
                    host.base = snapshot;
                    host.base_membership = (*membership).clone();
                    host.entries.clear();
                    host.durable = 0;
                    host.applied = snapshot.index;
                    self.write(id, ticket);
                }
                Action::Fetch {
                    to,
                    session,
                    after,
                    max_bytes,
                } => {
                    let first = after.0.checked_sub(host.base.index.0);
                    let mut bytes = 0;
                    let all = first.map(|first| host.entries[first as usize..].iter());
                    let fitting = all.into_iter().flatten().take_while(|entry| {
                        bytes += entry.bytes();
                        bytes <= max_bytes || bytes == entry.bytes()
                    });
                    let entries = fitting.cloned().collect();
                    self.on(
                        id,
                        Event::Fetched {
                            to,
                            session,
                            after,
                            entries,
                        },
                    );
                }
                Action::DropSnapshot { .. } | Action::Role { .. } => {}
            }
        }
    }

    fn write(&mut self, id: NodeId, ticket: Ticket) {
        let host = self.hosts.get_mut(&id).unwrap();
        host.open.insert(ticket);
        if host.is_held {
            host.held.push(ticket);
        } else {
            self.end(id, ticket);
        }
    }

    /// A write ends.
    pub(crate) fn end(&mut self, id: NodeId, ticket: Ticket) {
        let host = self.hosts.get_mut(&id).unwrap();
        host.held.retain(|held| *held != ticket);
        host.open.remove(&ticket);
        host.node.on(self.now, Event::Persisted { ticket }).unwrap();
        let durable = host.node.status().durable;
        host.durable = (durable.0.saturating_sub(host.base.index.0)) as usize;
        let ready = |(of, _, _): &(Ticket, NodeId, Message)| *of == ticket;
        let (free, waiting): (Vec<_>, Vec<_>) = host.waiting.drain(..).partition(ready);
        host.waiting = waiting;
        for (_, to, message) in free {
            self.queue.push_back((id, to, message));
        }
        self.drain(id);
    }

    /// Holds back the end of every write of a node.
    pub(crate) fn hold(&mut self, number: u64) {
        self.hosts.get_mut(&id(number)).unwrap().is_held = true;
    }

    /// Lets them end, in order.
    pub(crate) fn release(&mut self, number: u64) {
        let host = self.hosts.get_mut(&id(number)).unwrap();
        host.is_held = false;
        for ticket in host.held.clone() {
            self.end(id(number), ticket);
        }
    }

    /// Delivers all messages, and those that follow from them.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            let Some((from, to, message)) = self.queue.pop_front() else {
                return;
            };
            if !self.cut.contains(&(from, to)) {
                self.on(to, Event::Receive { from, message });
            }
        }
        panic!("messages without end: {:?}", self.queue);
    }

    /// Lets time pass, a little at a time.
    pub(crate) fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.now = Time(self.now.0 + 1000);
            let due = self
                .hosts
                .values()
                .filter(|host| host.node.deadline() <= self.now);
            let due: Vec<NodeId> = due.map(|host| host.node.config.id).collect();
            for id in due {
                self.on(id, Event::Tick);
            }
            self.settle();
        }
    }

    /// Runs until somebody leads and is ready.
    pub(crate) fn elect(&mut self) -> NodeId {
        for _ in 0..200 {
            self.run(50);
            let ready =
                |leader: &NodeId| self.hosts[leader].node.status().readiness == Readiness::Ready;
            if let Some(leader) = self.leader().filter(ready) {
                return leader;
            }
        }
        panic!("nobody leads");
    }

    /// Makes this node lead.
    pub(crate) fn elect_node(&mut self, number: u64) {
        self.forget_promises();
        self.node_mut(number).campaign_at = Time(0);
        self.on(id(number), Event::Tick);
        self.settle();
        assert_eq!(self.status(number).role, Role::Leader);
    }

    pub(crate) fn request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    pub(crate) fn propose(&mut self, to: NodeId, text: &str) -> RequestId {
        let request = self.request();
        let payloads = vec![payload(text)];
        self.on(
            to,
            Event::Propose {
                id: request,
                payloads,
            },
        );
        request
    }

    pub(crate) fn read(&mut self, at: NodeId, consistency: Consistency) -> RequestId {
        let request = self.request();
        self.on(
            at,
            Event::Read {
                id: request,
                consistency,
            },
        );
        request
    }

    pub(crate) fn change(&mut self, at: NodeId, members: Members) -> RequestId {
        let request = self.request();
        self.on(
            at,
            Event::ChangeMembership {
                id: request,
                members,
            },
        );
        request
    }

    pub(crate) fn is_committed(&self, request: RequestId) -> bool {
        matches!(self.answers.get(&request), Some(Outcome::Committed { .. }))
    }

    /// Cuts a node off, both ways.
    pub(crate) fn isolate(&mut self, number: u64) {
        let others: Vec<NodeId> = self.hosts.keys().copied().collect();
        for other in others {
            self.cut.insert((id(number), other));
            self.cut.insert((other, id(number)));
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(crate) fn compact(&mut self, number: u64) {
        let host = self.hosts.get_mut(&id(number)).unwrap();
        let to = host.node.status().applied;
        let term = host.node.log.term_at(to).unwrap();
        let dropped = (to.0 - host.base.index.0) as usize;
        host.base_membership = (**host.node.log.membership_at(to)).clone();
        host.base = LogId::new(term, to);
        host.entries.drain(..dropped);
        host.durable -= dropped;
        self.on(id(number), Event::Compact { to });
    }

    /// The data that a node has committed.
    pub(crate) fn data(&self, number: u64) -> Vec<String> {
        let host = &self.hosts[&id(number)];
        let committed = host
            .entries
            .iter()
            .filter(|entry| entry.id.index <= host.node.commit);
        let data = committed.filter_map(|entry| match &entry.body {
            Body::Data(payload) => Some(String::from_utf8(payload.0.to_vec()).unwrap()),
            _ => None,
        });
        data.collect()
    }
}

impl Cluster {
    pub(crate) fn node_mut(&mut self, number: u64) -> &mut Node {
        &mut self.hosts.get_mut(&id(number)).unwrap().node
    }

    /// A message out of the blue.
    pub(crate) fn receive(&mut self, to: u64, from: u64, message: Message) {
        let from = id(from);
        self.on(id(to), Event::Receive { from, message });
    }

    /// Nobody owes anything to a leader.
    pub(crate) fn forget_promises(&mut self) {
        for host in self.hosts.values_mut() {
            host.node.loyal_until = Time(0);
        }
    }
}

impl Cluster {
    /// Makes this node lead while the disks of the two others hold what they
    /// are to write: it has not committed in its term.
    pub(crate) fn elect_node_slowly(&mut self, number: u64) {
        let others = self
            .hosts
            .keys()
            .copied()
            .filter(|other| *other != id(number));
        let others: Vec<NodeId> = others.collect();
        self.forget_promises();
        others.iter().for_each(|other| self.hold(other.0));
        self.node_mut(number).campaign_at = Time(0);
        self.on(id(number), Event::Tick);
        self.settle();
        for other in others {
            self.release(other.0);
            self.hold(other.0);
        }
        self.settle();
        assert_eq!(self.status(number).readiness, Readiness::AwaitingCommit);
    }
}
