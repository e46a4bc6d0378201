//! A cluster, its clients, its network and its faults, in one thread and one order.

use cs_raft::{Event, Membership, Message, NodeId, Session};

use crate::{Failure, Verdict};

use super::clients::{Call, Clients, Reply};
use super::dice::Dice;
use super::disk::{Image, Received};
use super::hits::Hits;
use super::judge::Judge;
use super::nemesis::Undo;
use super::network::{MAX_NODES, Network};
use super::operator;
use super::plan::{MILLISECOND, Plan, SECOND};
use super::schedule::Schedule;
use super::server::{Clock, Fate, Server};
use super::trace::Trace;

/// Actions that may follow one event.
const MAX_ACTIONS: u32 = 10_000;
/// Things that may happen in one simulated second.
const MAX_THINGS_PER_SECOND: u64 = 200_000;

/// A tick this late never comes.
const NEVER: u64 = 1 << 50;

/// Something that happens. Servers are known by their places; what is meant for one
/// process is lost on the next.
#[derive(Clone, Debug)]
pub(super) enum What {
    Deliver {
        to: usize,
        from: NodeId,
        message: Message,
    },
    Tick {
        place: usize,
        boot: u64,
    },
    WriteEnds {
        place: usize,
        boot: u64,
        number: u64,
    },
    Apply {
        place: usize,
        boot: u64,
    },
    Fetch {
        place: usize,
        boot: u64,
        to: NodeId,
        session: Session,
        after: cs_raft::Index,
        max_bytes: usize,
    },
    SnapshotLeft {
        place: usize,
        boot: u64,
        to: NodeId,
        session: Session,
        is_whole: bool,
    },
    SnapshotComes {
        place: usize,
        boot: u64,
        received: Received,
        is_whole: bool,
    },
    Start {
        place: usize,
    },
    CrashAt {
        place: usize,
        boot: u64,
    },
    Resume {
        place: usize,
    },
    Think {
        client: usize,
    },
    Ask {
        place: usize,
        call: Call,
    },
    Reply {
        call: Call,
        from: usize,
        reply: Reply,
    },
    Patience {
        call: Call,
    },
    Fault,
    Operate,
    Undo(Undo),
}

/// Everything.
#[derive(Debug)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) dice: Dice,
    pub(super) schedule: Schedule<What>,
    pub(super) network: Network<Message>,
    pub(super) servers: Vec<Server>,
    pub(super) clients: Clients,
    pub(super) judge: Judge,
    pub(super) trace: Trace,
    pub(super) hits: Hits,
    /// Faults are over.
    pub(super) is_healed: bool,
    /// Clients ask for nothing new.
    pub(super) is_quiet: bool,
    things: u64,
}

impl World {
    /// The cluster of a seed, before anything happened.
    pub(super) fn new(seed: u64, trace_lines: usize) -> Verdict<Self> {
        let mut dice = Dice::new(seed);
        let plan = Plan::draw(&mut dice);
        let mut world = Self {
            network: Network::new(plan.weather),
            clients: Clients::new(&plan),
            schedule: Schedule::new(),
            servers: Vec::new(),
            judge: Judge::default(),
            trace: Trace::new(trace_lines),
            hits: Hits::default(),
            is_healed: false,
            is_quiet: false,
            things: 0,
            plan,
            dice,
        };
        let members = operator::founders(&mut world.dice, &world.plan);
        let membership = Membership::new(members.clone());
        world
            .trace
            .say(0, format_args!("seed {seed}: {:?}", world.plan));
        for (id, member) in &members {
            let is_witness = matches!(member.kind, cs_raft::Kind::Witness);
            let place = world.add(is_witness, &membership)?;
            assert_eq!(
                world.servers[place].id, *id,
                "founders are added in their order"
            );
        }
        for client in 0..world.clients.len() {
            let after = world.dice.below(SECOND);
            world.schedule.after(after, What::Think { client });
        }
        let first = world.dice.between(SECOND / 2, 3 * SECOND);
        world.schedule.after(first, What::Fault);
        world.schedule.after(SECOND, What::Operate);
        Ok(world)
    }

    /// One more server, which starts at once.
    pub(super) fn add(&mut self, is_witness: bool, membership: &Membership) -> Verdict<usize> {
        let place = self.servers.len();
        assert!(
            place < MAX_NODES,
            "places are counted before they are taken"
        );
        let clock = Clock::new(self.dice.below(1 << 40), self.plan.rates[place]);
        let id = NodeId(place as u64 + 1);
        let image = Image::new(membership.clone());
        self.servers
            .push(Server::new(id, is_witness, clock, image, &self.plan));
        self.start(place)?;
        Ok(place)
    }

    /// A process starts on a server.
    pub(super) fn start(&mut self, place: usize) -> Verdict {
        let now = self.schedule.now();
        let server = &mut self.servers[place];
        if server.fate != Fate::Down {
            return Ok(());
        }
        server.start(&mut self.dice, now, &self.plan)?;
        self.trace
            .say(now, format_args!("{} starts", self.servers[place].id));
        self.drain(place)?;
        self.set_tick(place);
        Ok(())
    }

    /// Lives until `end`, or until `is_done`.
    pub(super) fn live(&mut self, end: u64, mut is_done: impl FnMut(&Self) -> bool) -> Verdict {
        while let Some(what) = self.schedule.next(end) {
            self.things += 1;
            if self.things > MAX_THINGS_PER_SECOND * (1 + self.schedule.now() / SECOND) {
                return Err(Failure(
                    "the cluster does too much: a storm of messages".into(),
                ));
            }
            self.happen(what)?;
            if is_done(self) {
                break;
            }
        }
        Ok(())
    }

    /// The server whom something is for, and its process if only that one is meant.
    fn meant(what: &What) -> Option<(usize, Option<u64>)> {
        match what {
            What::Deliver { to, .. } => Some((*to, None)),
            What::Ask { place, .. } => Some((*place, None)),
            What::Tick { place, boot }
            | What::WriteEnds { place, boot, .. }
            | What::Apply { place, boot }
            | What::Fetch { place, boot, .. }
            | What::SnapshotLeft { place, boot, .. }
            | What::SnapshotComes { place, boot, .. }
            | What::CrashAt { place, boot } => Some((*place, Some(*boot))),
            _ => None,
        }
    }

    fn happen(&mut self, what: What) -> Verdict {
        if let Some((place, boot)) = Self::meant(&what) {
            let now = self.schedule.now();
            let server = &mut self.servers[place];
            if server.fate != Fate::Up || boot.is_some_and(|boot| boot != server.boot) {
                return Ok(());
            }
            if server.paused_until > now {
                server.backlog.push_back(what);
                return Ok(());
            }
        }
        match what {
            What::Deliver { to, from, message } => {
                self.hears(to, from, &message);
                self.feed(to, Event::Receive { from, message })
            }
            What::Tick { place, .. } => self.tick(place),
            What::WriteEnds {
                place,
                boot,
                number,
            } => self.write_ends(place, boot, number),
            What::Apply { place, .. } => self.apply(place),
            What::Fetch {
                place,
                to,
                session,
                after,
                max_bytes,
                ..
            } => {
                let entries = self.servers[place].log.read(after, max_bytes);
                self.feed(
                    place,
                    Event::Fetched {
                        to,
                        session,
                        after,
                        entries,
                    },
                )
            }
            What::SnapshotLeft {
                place,
                to,
                session,
                is_whole,
                ..
            } => {
                let event = if is_whole {
                    Event::SnapshotSent { to, session }
                } else {
                    Event::SnapshotSendFailed { to, session }
                };
                self.feed(place, event)
            }
            What::SnapshotComes {
                place,
                received,
                is_whole,
                ..
            } => self.snapshot_comes(place, received, is_whole),
            What::Start { place } => self.start(place),
            What::CrashAt { place, .. } => {
                self.crash(place);
                Ok(())
            }
            What::Resume { place } => self.resume(place),
            What::Think { client } => {
                self.think(client);
                Ok(())
            }
            What::Ask { place, call } => self.ask(place, call),
            What::Reply { call, from, reply } => {
                let now = self.schedule.now();
                let next = self.clients.hear(&mut self.dice, now, (call, from), reply);
                self.follow(call.client, next);
                Ok(())
            }
            What::Patience { call } => {
                let next = self.clients.lose_patience(call);
                self.follow(call.client, next);
                Ok(())
            }
            What::Fault => self.fault(),
            What::Operate => self.operate(),
            What::Undo(undo) => {
                self.undo(undo);
                Ok(())
            }
        }
    }

    /// Tells a node of an event, and does what it wants.
    pub(super) fn feed(&mut self, place: usize, event: Event) -> Verdict {
        let now = self.schedule.now();
        let server = &mut self.servers[place];
        let Some(node) = server.node.as_deref_mut() else {
            return Ok(());
        };
        self.trace.add(super::digest::of_event(place, now, &event));
        self.trace
            .say(now, format_args!("{} <- {event}", server.id));
        node.on(server.clock.at(now), event)
            .map_err(|refused| Failure(format!("{} refuses an event: {refused}", server.id)))?;
        self.drain(place)?;
        self.set_tick(place);
        Ok(())
    }

    /// Does what a node wants, until it wants no more or crashes in between.
    fn drain(&mut self, place: usize) -> Verdict {
        self.look_at_commit(place)?;
        let led = self.servers[place].leads;
        for _ in 0..MAX_ACTIONS {
            let server = &mut self.servers[place];
            let Some(node) = server.node.as_deref_mut() else {
                return Ok(());
            };
            let Some(action) = node.take() else {
                return self.look(place, led);
            };
            if let Some(left) = &mut server.crash_after {
                if *left == 0 {
                    self.hits.crashes_between_actions += 1;
                    self.crash(place);
                    return Ok(());
                }
                *left -= 1;
            }
            self.trace.add(super::digest::of_action(place, &action));
            self.trace.say(
                self.schedule.now(),
                format_args!("{} -> {action}", server.id),
            );
            self.perform(place, action)?;
        }
        Err(Failure(format!(
            "{} wants more than {MAX_ACTIONS} things after one event",
            self.servers[place].id
        )))
    }

    fn look(&mut self, place: usize, led: Option<u64>) -> Verdict {
        self.settle(place)?;
        self.rules_after(place, led)?;
        let server = &mut self.servers[place];
        for (attempt, last) in server.told.drain(..) {
            self.judge.tells_committed(server.id, attempt, last)?;
        }
        let Some(node) = &server.node else {
            return Ok(());
        };
        if server.leads.is_some() {
            let commit = server.known.max(self.judge.commit());
            self.judge.leads_on(server.id, &server.log, commit)?;
        }
        self.judge.looks(
            place,
            server.boot,
            &node.status(),
            &server.disk.image,
            &server.log,
        )
    }

    /// Sees to it that the node hears of the time when it wants to.
    fn set_tick(&mut self, place: usize) {
        let now = self.schedule.now();
        let server = &mut self.servers[place];
        let Some(node) = &server.node else { return };
        let due = server.clock.when(node.deadline()).max(now + 1);
        if due < server.tick_at.min(NEVER) {
            server.tick_at = due;
            let boot = server.boot;
            self.schedule.after(due - now, What::Tick { place, boot });
        }
    }

    fn tick(&mut self, place: usize) -> Verdict {
        let now = self.schedule.now();
        let server = &mut self.servers[place];
        server.tick_at = u64::MAX;
        // Timers of real machines are late.
        let is_due = server
            .node
            .as_ref()
            .is_some_and(|node| node.deadline() <= server.clock.at(now));
        if !is_due {
            self.set_tick(place);
            return Ok(());
        }
        self.watch_disk(place)?;
        self.feed(place, Event::Tick)?;
        self.rule_of_office(place)
    }

    /// The process is gone, at once.
    pub(super) fn crash(&mut self, place: usize) {
        let now = self.schedule.now();
        let server = &mut self.servers[place];
        if server.fate != Fate::Up {
            return;
        }
        server.crash(&mut self.dice);
        self.hits.crashes += 1;
        self.trace.say(
            now,
            format_args!(
                "{} crashes; its log ends at {}",
                server.id,
                server.disk.image.log.last()
            ),
        );
        let most = if self.is_healed {
            2 * MILLISECOND
        } else {
            5 * SECOND
        };
        let after = self.dice.skewed(MILLISECOND, most);
        self.schedule.after(after, What::Start { place });
    }

    fn resume(&mut self, place: usize) -> Verdict {
        if self.servers[place].paused_until > self.schedule.now() {
            return Ok(());
        }
        self.servers[place].paused_until = 0;
        while let Some(what) = self.servers[place].backlog.pop_front() {
            self.happen(what)?;
        }
        Ok(())
    }
}
