//! Three nodes, their disks and what is under way, as one value: small enough to be copied at each
//! branch of the search, and told apart by a hash.
//!
//! Invariants: time goes on only when an election timeout does, and then for all; what is under way
//! is a set, so a message that was sent twice may arrive once, and any message may arrive never; a
//! disk does what waits at any time, all at once, and a crash takes what it has not done.

mod rules;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use cs_raft::{
    Action, Body, Config, Entry, Event, Index, LogId, Membership, Message, Node, NodeId, Payload,
    RequestId, Restored, Role, Run, Ticket, Time, Vote,
};

/// How many nodes there are.
pub(crate) const NODES: usize = 3;
/// So short that there is nothing to draw at random below it: equal states are equal.
const ELECTION_TIMEOUT: Duration = Duration::from_micros(1);
const HEARTBEAT_INTERVAL: Duration = Duration::from_nanos(500);
/// Longer than any timeout: a node that hears of it has waited long enough.
const LONG: Duration = Duration::from_secs(1);

/// A write that is not yet durable as a whole.
#[derive(Clone, Debug, Hash)]
enum Write {
    Vote(Vote),
    Append {
        superseded: Option<Index>,
        entries: Vec<Entry>,
    },
}

/// What lies on a disk.
#[derive(Clone, Debug, Default, Hash)]
struct Image {
    vote: Vote,
    log: Vec<Entry>,
}

impl Image {
    fn write(&mut self, write: &Write) {
        match write {
            Write::Vote(vote) => self.vote = *vote,
            Write::Append {
                superseded,
                entries,
            } => {
                if let Some(from) = superseded {
                    self.log.truncate(from.0 as usize - 1);
                }
                self.log.extend(entries.iter().cloned());
            }
        }
    }
}

/// A node with its disk.
#[derive(Clone, Debug)]
struct Place {
    node: Node,
    image: Image,
    /// Those that are not done, in the order of issue.
    writes: Vec<(Ticket, Write)>,
    superseded: Option<Index>,
    /// What waits for them.
    outbox: Vec<(NodeId, Message)>,
    starts: u64,
    /// The log as the node has it.
    log: Vec<Entry>,
    /// Of all of this, as of the last step.
    print: u64,
}

/// A message under way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Flying {
    from: usize,
    to: usize,
    message: Message,
    print: u64,
}

/// One thing that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// The message at this place arrives.
    Deliver(usize),
    /// The disk of this node has done everything that waits.
    Persist(usize),
    /// This node has waited long enough, and asks for votes.
    Timeout(usize),
    /// Somebody proposes at this node.
    Propose(usize),
    /// This node's machine stops and comes up again.
    Crash(usize),
    /// This node is asked for a cluster without the other.
    Change(usize, usize),
}

/// How much may happen on a way.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Budget {
    /// Election timeouts.
    pub(crate) timeouts: u32,
    /// Proposals.
    pub(crate) proposals: u32,
    /// Crashes.
    pub(crate) crashes: u32,
    /// Changes of the membership: to two of the three.
    pub(crate) changes: u32,
    /// No node goes beyond this term by a timeout of its own.
    pub(crate) max_term: u64,
    /// Otherwise every heartbeat is lost.
    pub(crate) heartbeats: bool,
}

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct World {
    places: [Rc<Place>; NODES],
    flying: Vec<Rc<Flying>>,
    now: Time,
    budget: Budget,
    proposed: u64,
    /// Who led in which term, by term.
    leaders: Vec<(u64, usize)>,
    /// What was committed anywhere, by index from one.
    committed: Vec<LogId>,
    /// The members may be others than in the beginning.
    has_changed: bool,
    /// Whether something was answered as committed.
    pub(crate) acknowledged: u64,
}

/// What is wrong.
pub(crate) type Verdict = Result<(), String>;

impl World {
    /// Three nodes that know nothing.
    pub(crate) fn new(budget: Budget) -> Self {
        let membership = Membership::of_voters((1..=NODES as u64).map(NodeId));
        let place = |id| {
            let founding = Restored::founding(membership.clone());
            Place {
                node: Node::new(config(id), founding, Time(0)).unwrap(),
                image: Image::default(),
                writes: Vec::new(),
                superseded: None,
                outbox: Vec::new(),
                starts: 1,
                log: Vec::new(),
                print: 0,
            }
        };
        Self {
            places: [0, 1, 2].map(|at| Rc::new(place(at))),
            flying: Vec::new(),
            now: Time(0),
            budget,
            proposed: 0,
            leaders: Vec::new(),
            committed: Vec::new(),
            has_changed: false,
            acknowledged: 0,
        }
    }

    /// What there is still to spend.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What there is still to spend.
    pub(crate) fn budget_mut(&mut self) -> &mut Budget {
        &mut self.budget
    }

    /// What can happen next.
    pub(crate) fn moves(&self) -> Vec<Move> {
        let mut moves: Vec<Move> = (0..self.flying.len()).map(Move::Deliver).collect();
        for (at, place) in self.places.iter().enumerate() {
            moves.extend((!place.writes.is_empty()).then_some(Move::Persist(at)));
            let node = &place.node;
            let leads = node.role() == Role::Leader;
            // The first to stand is node 1: whom one calls so does not matter.
            let may_stand = !leads && node.vote().term.0 < self.budget.max_term;
            let is_first = self.now > Time(0) || at == 0;
            if self.budget.timeouts > 0 && may_stand && is_first {
                moves.push(Move::Timeout(at));
            }
            if self.budget.proposals > 0 && leads {
                moves.push(Move::Propose(at));
            }
            if self.budget.crashes > 0 {
                moves.push(Move::Crash(at));
            }
            if self.budget.changes > 0 && leads {
                moves.extend((0..NODES).map(|gone| Move::Change(at, gone)));
            }
        }
        moves
    }

    /// A move in words.
    pub(crate) fn describe(&self, step: Move) -> String {
        match step {
            Move::Deliver(place) => {
                let Flying {
                    from, to, message, ..
                } = &*self.flying[place];
                format!("{} -> {}: {message}", from + 1, to + 1)
            }
            Move::Persist(at) => format!("{} has written", at + 1),
            Move::Timeout(at) => format!("{} stands for election", at + 1),
            Move::Propose(at) => format!("{} is proposed to", at + 1),
            Move::Change(at, gone) => format!("{} is asked to remove {}", at + 1, gone + 1),
            Move::Crash(at) => format!("{} crashes and comes back", at + 1),
        }
    }

    /// Lets it happen, and says what is wrong afterwards.
    pub(crate) fn make(&mut self, step: Move) -> Verdict {
        let before = self.places.clone();
        let verdict = self.act_on(step);
        self.drop_what_is_over();
        for (place, before) in self.places.iter_mut().zip(&before) {
            if !Rc::ptr_eq(place, before) {
                let print = place.fingerprint();
                Rc::make_mut(place).print = print;
            }
        }
        verdict.and_then(|()| self.check())
    }

    fn act_on(&mut self, step: Move) -> Verdict {
        match step {
            Move::Deliver(place) => {
                let flying = Rc::unwrap_or_clone(self.flying.swap_remove(place));
                let (from, message) = (NodeId(flying.from as u64 + 1), flying.message);
                self.on(flying.to, Event::Receive { from, message })
            }
            Move::Persist(at) => self.persist(at),
            Move::Timeout(at) => self.timeout(at),
            Move::Propose(at) => {
                self.budget.proposals -= 1;
                self.proposed += 1;
                let id = RequestId(self.proposed);
                let payloads = vec![Payload::new(self.proposed.to_le_bytes())];
                self.on(at, Event::Propose { id, payloads })
            }
            Move::Crash(at) => self.crash(at),
            Move::Change(at, gone) => {
                self.budget.changes -= 1;
                self.has_changed = true;
                self.proposed += 1;
                let id = RequestId(self.proposed);
                let stay = (0..NODES).filter(|node| *node != gone);
                let stay = stay.map(|node| NodeId(node as u64 + 1));
                let members = Membership::of_voters(stay).members;
                self.on(at, Event::ChangeMembership { id, members })
            }
        }
    }

    /// A candidate's pre-votes and their answers are no promises: they arrive at once.
    fn timeout(&mut self, at: usize) -> Verdict {
        self.budget.timeouts -= 1;
        self.now = self.now + LONG;
        self.on(at, Event::Tick)?;
        for kind in ["pre-vote", "pre-vote-answer"] {
            while let Some(place) = self.flying.iter().position(|it| it.message.kind() == kind) {
                self.act_on(Move::Deliver(place))?;
            }
        }
        Ok(())
    }

    fn persist(&mut self, at: usize) -> Verdict {
        let place = Rc::make_mut(&mut self.places[at]);
        let writes = std::mem::take(&mut place.writes);
        writes
            .iter()
            .for_each(|(_, write)| place.image.write(write));
        for (to, message) in std::mem::take(&mut place.outbox) {
            self.fly(at, to, message);
        }
        for (ticket, _) in writes {
            self.on(at, Event::Persisted { ticket })?;
        }
        Ok(())
    }

    fn send(&mut self, at: usize, to: NodeId, message: Message, after: Option<Ticket>) {
        let place = Rc::make_mut(&mut self.places[at]);
        if after.is_some_and(|after| place.writes.iter().any(|it| it.0 == after)) {
            place.outbox.push((to, message));
        } else {
            self.fly(at, to, message);
        }
    }

    fn fly(&mut self, from: usize, to: NodeId, message: Message) {
        if !self.budget.heartbeats && message.kind().starts_with("heartbeat") {
            return;
        }
        let to = to.0 as usize - 1;
        let print = print_of(&(from, to, &message));
        let flying = Flying {
            from,
            to,
            message,
            print,
        };
        if !self.flying.iter().any(|other| **other == flying) {
            self.flying.push(Rc::new(flying));
        }
    }

    /// Answers that can change nothing any more, whatever happens, are as good as lost: those to an
    /// older term, and votes for one that is no candidate.
    fn drop_what_is_over(&mut self) {
        let Self { places, flying, .. } = self;
        flying.retain(|flying| {
            let (node, message) = (&places[flying.to].node, &flying.message);
            let (term, kind) = (node.vote().term, message.kind());
            let is_over = if message.term() < term {
                kind.ends_with("answer")
            } else {
                kind == "vote-answer" && message.term() == term && node.role() != Role::Candidate
            };
            !is_over
        });
    }

    fn crash(&mut self, at: usize) -> Verdict {
        self.budget.crashes -= 1;
        let place = Rc::make_mut(&mut self.places[at]);
        place.writes.clear();
        place.outbox.clear();
        place.superseded = None;
        place.log = place.image.log.clone();
        let restored = restored(&place.image, place.starts);
        place.starts += 1;
        place.node = Node::new(config(at), restored, self.now).map_err(|it| it.to_string())?;
        Ok(())
    }

    fn on(&mut self, at: usize, event: Event) -> Verdict {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let refused = Rc::make_mut(&mut self.places[at]).node.on(self.now, event);
            refused.map_err(|refused| format!("node {}: {refused}", at + 1))?;
            while let Some(action) = Rc::make_mut(&mut self.places[at]).node.take() {
                self.act(at, action, &mut events);
            }
        }
        Ok(())
    }

    fn act(&mut self, at: usize, action: Action, events: &mut Vec<Event>) {
        let place = Rc::make_mut(&mut self.places[at]);
        match action {
            Action::Send { to, message, after } => self.send(at, to, message, after),
            Action::Append { ticket, entries } => {
                place.log.extend(entries.iter().cloned());
                let superseded = place.superseded.take();
                let write = Write::Append {
                    superseded,
                    entries,
                };
                place.writes.push((ticket, write));
            }
            Action::SaveVote { ticket, vote } => {
                place.writes.push((ticket, Write::Vote(vote)));
            }
            Action::SupersedeTail { from } => {
                place.log.truncate(from.0 as usize - 1);
                let least = place.superseded.map_or(from, |before| before.min(from));
                place.superseded = Some(least);
            }
            Action::Commit { index } => events.push(Event::Applied { index }),
            Action::Answer {
                outcome: cs_raft::Outcome::Committed { last },
                ..
            } => {
                self.acknowledged = self.acknowledged.max(last.index.0);
            }
            _ => {}
        }
    }

    /// Tells states apart.
    pub(crate) fn fingerprint(&self) -> u64 {
        let places = self.places.each_ref().map(|place| place.print);
        // What is under way is a set.
        let flying = self.flying.iter().map(|flying| flying.print);
        let flying = flying.fold(0, u64::wrapping_add);
        let history = (self.now, self.budget, &self.leaders, &self.committed);
        print_of(&(places, flying, history))
    }
}

impl Place {
    fn fingerprint(&self) -> u64 {
        let disk = (&self.image, &self.writes, self.superseded);
        print_of(&(&self.node, disk, &self.outbox, self.starts))
    }
}

fn print_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn config(at: usize) -> Config {
    let mut config = Config::new(NodeId(at as u64 + 1), 0);
    config.election_timeout = ELECTION_TIMEOUT;
    config.heartbeat_interval = HEARTBEAT_INTERVAL;
    config
}

fn restored(image: &Image, incarnation: u64) -> Restored {
    let mut runs: Vec<Run> = Vec::new();
    for entry in &image.log {
        if runs.last().is_none_or(|run| run.term != entry.id.term) {
            runs.push(Run {
                first: entry.id.index,
                term: entry.id.term,
            });
        }
    }
    let membership = |entry: &Entry| match &entry.body {
        Body::Membership(membership) => Some((entry.id, membership.as_ref().clone())),
        _ => None,
    };
    let memberships = image.log.iter().filter_map(membership).collect();
    let founding = Membership::of_voters((1..=NODES as u64).map(NodeId));
    Restored {
        vote: image.vote,
        runs,
        memberships,
        last: Index(image.log.len() as u64),
        recent: image.log.clone(),
        incarnation,
        ..Restored::founding(founding)
    }
}
