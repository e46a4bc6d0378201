//! The second phase of a seed: all faults are over, and the cluster has to live.
//!
//! 1. Somebody leads within 10 election timeouts.
//! 2. Within 30 s clients have done 10 writes and 10 linearizable reads, all members have
//!    the same state, and nobody waits for an answer.
//! 3. Some of its links break for good, and it goes on (`degrade.rs`).
//! 4. The history of all clients, from the first moment on, is linearizable, with what
//!    the registers hold at the end: what was acknowledged is there.

use std::collections::BTreeMap;

use crate::linearizable::{Action, Operation, check};
use crate::verdict::ensure;
use crate::{Failure, Verdict};

use super::actions::place_of;
use super::machine::KEYS;
use super::plan::{MILLISECOND, SECOND};
use super::server::Fate;
use super::world::{What, World};

/// Election timeouts until somebody leads.
const ELECTION_TIMEOUTS: u64 = 10;
/// Time until all is well.
const BUDGET: u64 = 30 * SECOND;
/// Writes, and reads, that must be done.
const REQUESTS: u64 = 10;
/// How long clients rest before the end of the faults.
const REST: u64 = 6 * SECOND;
/// The slowest clock, in thousandths.
const SLOWEST: u64 = 800;

impl World {
    /// The first phase: things go wrong until `end`. Where clients rest first, they do so
    /// before the end, and logs are compacted to the tip meanwhile: whoever was away then
    /// comes back to a leader that has nothing to say and nothing to send but a snapshot.
    pub(super) fn suffer(&mut self, end: u64) -> Verdict {
        if self.plan.is_quiet_first && end > 2 * REST {
            self.live(end - REST, |_| false)?;
            self.is_quiet = true;
            self.live(end - REST / 2, |_| false)?;
            self.compact_all(0);
        }
        self.live(end, |_| false)
    }

    /// Ends all faults, and judges how the cluster lives.
    pub(super) fn recover(&mut self) -> Verdict {
        self.heal()?;
        let healed = self.schedule.now();
        let timeouts = ELECTION_TIMEOUTS * self.plan.election_timeout * 1000 / SLOWEST;
        self.live(healed + timeouts, |world| world.leader_is_ready())?;
        ensure(self.leader_is_ready(), || {
            format!(
                "liveness: nobody leads {ELECTION_TIMEOUTS} election timeouts after all faults ended: {}",
                self.told()
            )
        })?;
        if self.plan.is_quiet_first {
            self.converge(healed)?;
        }
        self.wake();
        self.clients.hurry();
        let is_served = self.wants(REQUESTS);
        self.live(healed + BUDGET, &is_served)?;
        ensure(is_served(self), || {
            format!(
                "liveness: of {REQUESTS} reads and writes not all were done within {} s after all faults ended: {}",
                BUDGET / SECOND,
                self.told()
            )
        })?;
        self.converge(healed)?;
        if self.plan.is_degraded {
            self.degrade()?;
        }
        self.judge_history()
    }

    /// Clients ask again, if they had come to rest.
    pub(super) fn wake(&mut self) {
        self.is_quiet = false;
        for client in 0..self.clients.len() {
            self.schedule.after(1, What::Think { client });
        }
    }

    /// Whether so many reads and writes more than now are done.
    pub(super) fn wants(&self, requests: u64) -> impl Fn(&Self) -> bool + use<> {
        let reads = self.clients.reads_done + requests;
        let changes = self.clients.changes_done + requests;
        move |world: &Self| {
            world.clients.reads_done >= reads && world.clients.changes_done >= changes
        }
    }

    /// Clients come to rest, and the members become of one mind.
    pub(super) fn converge(&mut self, since: u64) -> Verdict {
        self.is_quiet = true;
        let mut looked = 0;
        self.live(since + BUDGET, |world| {
            looked += 1;
            looked % 64 == 0 && world.differs().is_none()
        })?;
        match self.differs() {
            Some(how) => Err(Failure(format!(
                "liveness: no convergence within {} s: {how}: {}",
                BUDGET / SECOND,
                self.told()
            ))),
            None => Ok(()),
        }
    }

    fn heal(&mut self) -> Verdict {
        let now = self.schedule.now();
        self.trace.say(now, format_args!("all faults end"));
        self.is_healed = true;
        self.network.heal();
        for place in 0..self.servers.len() {
            let boot = self.servers[place].boot;
            let open = self.servers[place].disk.heal(self.plan.write_delay);
            self.servers[place].crash_after = None;
            for number in open {
                let delay = self.dice.between(1, 5 * MILLISECOND);
                self.schedule.after(
                    delay,
                    What::WriteEnds {
                        place,
                        boot,
                        number,
                    },
                );
            }
            if self.servers[place].disk.has_failed() {
                self.crash(place);
            }
            if self.servers[place].paused_until > now {
                self.servers[place].paused_until = now;
                self.schedule.after(0, What::Resume { place });
            }
            self.start(place)?;
        }
        Ok(())
    }

    fn leader_is_ready(&self) -> bool {
        self.leader()
            .is_some_and(|leader| self.servers[leader].is_ready)
    }

    /// In what the members are not yet of one mind.
    fn differs(&self) -> Option<String> {
        let leader = self.leader()?;
        let leads = &self.servers[leader];
        let membership = leads.log.membership().1;
        if membership.is_joint() {
            return Some("a change of the membership is under way".into());
        }
        if leads.known != leads.log.last().index.0 {
            return Some(format!(
                "{} has committed i{} of {}",
                leads.id,
                leads.known,
                leads.log.last()
            ));
        }
        for id in membership.members.keys() {
            let server = &self.servers[place_of(*id)];
            if server.fate == Fate::Lost {
                continue;
            }
            if server.log.last() != leads.log.last() {
                return Some(format!(
                    "{id} ends at {}, {} at {}",
                    server.log.last(),
                    leads.id,
                    leads.log.last()
                ));
            }
            if !server.is_witness && server.machine != leads.machine {
                return Some(format!(
                    "{id} has another state than {}, applied i{} and i{}",
                    leads.id, server.machine.applied, leads.machine.applied
                ));
            }
        }
        let waits = self
            .servers
            .iter()
            .find(|server| !server.waiting.is_empty())?;
        Some(format!("{} has not answered {:?}", waits.id, waits.waiting))
    }

    fn judge_history(&mut self) -> Verdict {
        let now = self.schedule.now();
        let Some(leader) = self.leader() else {
            return Ok(());
        };
        let machine = &self.servers[leader].machine;
        let mut history = std::mem::take(&mut self.clients.history);
        history.extend((0..KEYS).map(|key| Operation {
            key,
            action: Action::Read(Some(machine.read(key))),
            called: now,
            returned: Some(now + 1),
        }));
        check(&history).map_err(|refusal| Failure(refusal.to_string()))
    }

    /// All nodes in a line each, for whoever has to look.
    pub(super) fn told(&self) -> String {
        let mut lines = BTreeMap::new();
        for server in &self.servers {
            let status = server.node.as_ref().map(|node| node.status());
            let line = match status {
                Some(status) => format!(
                    "{:?} {} commit {} applied {} last {} base {} durable {} health {} membership {} peers {:?}",
                    status.role,
                    status.term,
                    status.commit,
                    status.applied,
                    status.last,
                    status.base,
                    status.durable,
                    status.health,
                    status.membership,
                    status.peers
                ),
                None => format!("{:?}", server.fate),
            };
            lines.insert(server.id, line);
        }
        lines
            .iter()
            .map(|(id, line)| format!("\n    {id}: {line}"))
            .collect()
    }
}
