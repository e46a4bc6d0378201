//! A cluster of nodes in one thread, moved by hand.
//!
//! Invariants: nothing moves but by a command; each node has a clock of its own, which goes on only
//! when a command says so; after every event the rules of `checks.rs` hold.

use std::collections::BTreeMap;
use std::time::Duration;

use cs_raft::{Config, Event, Membership, Payload, RequestId, Role, Status, Ticket};

use crate::checks::Checks;
use crate::disk::Disk;
use crate::driver::{Driver, Effect, Parcel, Trace};
use crate::network::{Flying, Link, Network, Which};

/// No command takes more steps than this, unless the core runs in a circle.
const MAX_STEPS: usize = 200_000;
/// How far the clocks go at once while the cluster lives by itself.
const STEP: Duration = Duration::from_millis(10);

/// The cluster and what it has shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cluster {
    pub(crate) drivers: BTreeMap<u64, Driver>,
    pub(crate) network: Network,
    /// What became of each request.
    pub(crate) answers: BTreeMap<u64, String>,
    /// What the command that runs has shown.
    pub(crate) trace: Trace,
    /// What the last command that was not `expect` has shown.
    pub(crate) last_shown: Trace,
    checks: Checks,
    requests: u64,
}

impl Cluster {
    /// Adds a node, up and with an empty disk: a founding member, or one that waits to be added.
    pub(crate) fn add(&mut self, config: Config, membership: Membership) -> Result<(), String> {
        let mut driver = Driver::new(config, Disk::new(membership));
        let effects = driver.start(&mut self.trace)?;
        let id = driver.config.id.0;
        self.drivers.insert(id, driver);
        self.follow(id, effects)
    }

    /// The nodes that are up.
    pub(crate) fn up(&self) -> Vec<u64> {
        let up = self
            .drivers
            .iter()
            .filter(|(_, driver)| driver.node.is_some());
        up.map(|(&id, _)| id).collect()
    }

    /// The node, up or not.
    pub(crate) fn driver(&self, id: u64) -> Result<&Driver, String> {
        self.drivers
            .get(&id)
            .ok_or_else(|| format!("there is no node {id}"))
    }

    fn driver_mut(&mut self, id: u64) -> Result<&mut Driver, String> {
        self.drivers
            .get_mut(&id)
            .ok_or_else(|| format!("there is no node {id}"))
    }

    /// What a node that is up tells about itself.
    pub(crate) fn status(&self, id: u64) -> Result<Status, String> {
        self.driver(id)?
            .status()
            .ok_or_else(|| format!("node {id} is down"))
    }

    fn follow(&mut self, id: u64, effects: Vec<Effect>) -> Result<(), String> {
        for effect in effects {
            match effect {
                Effect::Send { to, parcel } => {
                    if !self.network.send((id, to), parcel.clone()) {
                        self.trace
                            .push(format!("n{id} ~ {} to n{to} is lost", parcel.kind()));
                    }
                }
                Effect::Answer { request, text } => {
                    if let Some(before) = self.answers.insert(request, text.clone()) {
                        return Err(format!(
                            "r{request} was answered {before}, and again {text}"
                        ));
                    }
                }
            }
        }
        match self.drivers.get(&id) {
            Some(driver) => self.checks.look(driver),
            None => Ok(()),
        }
    }

    /// A node that crashed comes up again.
    pub(crate) fn restart(&mut self, id: u64) -> Result<(), String> {
        if self.driver(id)?.node.is_some() {
            return Err(format!("node {id} is up"));
        }
        let mut trace = std::mem::take(&mut self.trace);
        let effects = self.driver_mut(id)?.start(&mut trace);
        self.trace = trace;
        self.follow(id, effects?)
    }

    /// A node went down: its commit index may begin lower when it comes back.
    pub(crate) fn forget(&mut self, id: u64) {
        self.checks.forget(id);
    }

    /// An event for one node.
    pub(crate) fn on(&mut self, id: u64, event: Event) -> Result<(), String> {
        self.with(id, |driver, trace| driver.on(event, trace))
    }

    /// Does something to one node, and carries out what follows.
    pub(crate) fn with(
        &mut self,
        id: u64,
        act: impl FnOnce(&mut Driver, &mut Trace) -> Vec<Effect>,
    ) -> Result<(), String> {
        let mut trace = std::mem::take(&mut self.trace);
        let effects = self.driver_mut(id).map(|driver| act(driver, &mut trace));
        self.trace = trace;
        self.follow(id, effects?)
    }

    /// A request of a client, by the name that its answer will have.
    pub(crate) fn request(
        &mut self,
        node: u64,
        event: impl FnOnce(RequestId) -> Event,
    ) -> Result<(), String> {
        self.requests += 1;
        let event = event(RequestId(self.requests));
        if self.driver(node)?.node.is_none() {
            return Err(format!("node {node} is down"));
        }
        self.on(node, event)
    }

    /// Payloads of text.
    pub(crate) fn payloads(texts: &[&str]) -> Vec<Payload> {
        texts
            .iter()
            .map(|text| Payload::new(text.as_bytes()))
            .collect()
    }

    /// The node's clock goes on, and it is told so or not.
    pub(crate) fn pass(&mut self, id: u64, time: Duration, tick: bool) -> Result<(), String> {
        let driver = self.driver_mut(id)?;
        driver.clock = driver.clock + time;
        if tick {
            self.on(id, Event::Tick)
        } else {
            Ok(())
        }
    }

    /// Something under way arrives, or finds nobody.
    pub(crate) fn arrive(&mut self, flying: Flying) -> Result<(), String> {
        let (from, to) = flying.link;
        if self
            .drivers
            .get(&to)
            .is_none_or(|driver| driver.node.is_none())
        {
            return Ok(());
        }
        let sent = match &flying.parcel {
            Parcel::Snapshot { session, .. } => Some(*session),
            Parcel::Message(_) => None,
        };
        self.with(to, |driver, trace| {
            driver.receive(from, flying.parcel, trace)
        })?;
        match sent {
            Some(session) => {
                let to = cs_raft::NodeId(to);
                self.on(from, Event::SnapshotSent { to, session })
            }
            None => Ok(()),
        }
    }

    /// Delivers what is under way on these links.
    pub(crate) fn deliver(
        &mut self,
        links: &[Link],
        kind: Option<&str>,
        which: Which,
    ) -> Result<(), String> {
        let taken = self.network.take(links, kind, which);
        if taken.is_empty() {
            return Err("nothing of this kind is under way there".to_owned());
        }
        taken.into_iter().try_for_each(|flying| self.arrive(flying))
    }

    /// A write of a node completes, or fails.
    pub(crate) fn complete(&mut self, id: u64, ticket: Ticket, done: bool) -> Result<(), String> {
        self.with(id, |driver, trace| driver.complete(ticket, done, trace))
    }

    /// Everything that can move without time passing does, until nothing can.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        for _ in 0..MAX_STEPS {
            if !self.step()? {
                return Ok(());
            }
        }
        Err(format!("the cluster does not settle in {MAX_STEPS} steps"))
    }

    /// One disk, one state machine or one message moves.
    fn step(&mut self) -> Result<bool, String> {
        for id in self.up() {
            let driver = self.driver(id)?;
            let waiting = driver.disk.waiting();
            let status = driver.status();
            let poisoned = status.is_some_and(|it| it.health == cs_raft::Health::Poisoned);
            if let Some(&ticket) = waiting.first().filter(|_| !driver.slow && !poisoned) {
                self.complete(id, ticket, true)?;
                return Ok(true);
            }
            if !driver.lazy && driver.applied < driver.commit && !driver.is_witness() {
                let upto = driver.commit;
                self.with(id, |driver, trace| driver.apply(upto, trace))?;
                return Ok(true);
            }
        }
        match self.network.next() {
            Some(flying) => self.arrive(flying).map(|()| true),
            None => Ok(false),
        }
    }

    /// The cluster lives by itself for a while.
    pub(crate) fn run(&mut self, time: Duration) -> Result<(), String> {
        self.settle()?;
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(STEP);
            left -= step;
            for id in self.up() {
                let due = self.driver(id)?.node.as_ref().map(cs_raft::Node::deadline);
                let driver = self.driver_mut(id)?;
                driver.clock = driver.clock + step;
                if due.is_some_and(|due| due <= driver.clock) {
                    self.on(id, Event::Tick)?;
                }
            }
            for driver in self
                .drivers
                .values_mut()
                .filter(|driver| driver.node.is_none())
            {
                driver.clock = driver.clock + step;
            }
            self.settle()?;
        }
        Ok(())
    }

    /// The node's clock goes on until it stands for election.
    pub(crate) fn campaign(&mut self, id: u64) -> Result<(), String> {
        for _ in 0..100 {
            let driver = self.driver_mut(id)?;
            let node = driver
                .node
                .as_ref()
                .ok_or_else(|| format!("node {id} is down"))?;
            driver.clock = driver.clock.max(node.deadline());
            self.on(id, Event::Tick)?;
            let role = self.status(id)?.role;
            if matches!(role, Role::PreCandidate | Role::Candidate | Role::Leader) {
                return Ok(());
            }
        }
        Err(format!("node {id} does not stand for election"))
    }
}
