//! What goes wrong, from time to time.

use std::sync::Arc;

use cs_raft::{Event, Membership, Payload};

use crate::Verdict;

use super::actions::place_of;
use super::judge::is_quorum;
use super::machine::filler;
use super::plan::{Fault, MILLISECOND, SECOND};
use super::server::{Fate, Waiter};
use super::world::{What, World};

/// Longest pause of a node.
const LONGEST_PAUSE: u64 = 30 * SECOND;
/// Faults wait so long for the first request that is acknowledged.
const LONGEST_CALM: u64 = 10 * SECOND;
/// Longest time that a write takes, or that a disk stands still.
const SLOWEST_WRITE: u64 = 10 * SECOND;
/// Proposals at once.
const MOST_IN_BURST: u64 = 40;
/// Nodes that may lose their disks in one run.
const MOST_LOST: usize = 3;

/// The end of a fault, or a step of one.
#[derive(Clone, Debug)]
pub(super) enum Undo {
    Cut(Vec<(usize, usize)>),
    Mend(Vec<(usize, usize)>),
    Speed { place: usize },
}

impl World {
    /// The next fault, and when the one after it comes.
    pub(super) fn fault(&mut self) -> Verdict {
        if self.is_healed {
            return Ok(());
        }
        let gap = if self.plan.is_fierce {
            self.dice.skewed(50 * MILLISECOND, 2 * self.plan.fault_gap)
        } else {
            self.dice.between(50 * MILLISECOND, 2 * self.plan.fault_gap)
        };
        self.schedule.after(gap, What::Fault);
        // A cluster that never lived shows nothing.
        if self.hits.acknowledged == 0 && self.schedule.now() < LONGEST_CALM {
            return Ok(());
        }
        let Some(fault) = self.dice.pick(&self.plan.faults) else {
            return Ok(());
        };
        let now = self.schedule.now();
        self.trace.say(now, format_args!("fault: {fault:?}"));
        self.hits.faults += 1;
        self.commit_fault(fault)?;
        // What a leader takes while nobody hears it becomes a tail that differs.
        let cuts = [Fault::Partition, Fault::Bridge, Fault::Isolate];
        if cuts.contains(&fault) && self.dice.permille(300) {
            self.burst()?;
        }
        Ok(())
    }

    fn commit_fault(&mut self, fault: Fault) -> Verdict {
        let now = self.schedule.now();
        let lasts = self.dice.skewed(50 * MILLISECOND, self.plan.fault_lasts);
        match fault {
            Fault::Partition => {
                self.hits.partitions += 1;
                let side = self.side();
                self.cut_for(lasts, |from, to| side[from] != side[to]);
            }
            Fault::OneWay => {
                self.hits.one_ways += 1;
                let victim = self.victim();
                if self.dice.coin() {
                    self.cut_for(lasts, |from, _| from == victim);
                } else if self.dice.coin() {
                    self.cut_for(lasts, |_, to| to == victim);
                } else {
                    let side = self.side();
                    self.cut_for(lasts, |from, to| side[from] && !side[to]);
                }
            }
            Fault::Bridge => {
                self.hits.bridges += 1;
                let side = self.side();
                let bridge = self.victim();
                self.cut_for(lasts, |from, to| {
                    side[from] != side[to] && from != bridge && to != bridge
                });
            }
            Fault::Isolate => {
                self.hits.isolations += 1;
                let victim = self.victim();
                if self.dice.coin() {
                    self.cut_for(lasts, |from, to| from == victim || to == victim);
                } else {
                    let leader = self.leader().filter(|_| self.dice.permille(700));
                    self.isolate_late(leader.unwrap_or(victim), lasts);
                }
            }
            Fault::Flap => self.flap(lasts),
            Fault::Clog => {
                self.hits.clogs += 1;
                let victim = self.victim();
                let is_out = self.dice.coin();
                for other in 0..self.servers.len() {
                    if is_out {
                        self.network.clog(victim, other, now + lasts);
                    } else {
                        self.network.clog(other, victim, now + lasts);
                    }
                }
            }
            Fault::Pause => {
                self.hits.pauses += 1;
                let place = self.victim();
                let pause = self.dice.skewed(100 * MILLISECOND, LONGEST_PAUSE);
                self.servers[place].paused_until = now + pause;
                self.schedule.after(pause, What::Resume { place });
            }
            Fault::Crash => {
                let place = self.victim();
                if self.dice.coin() {
                    self.servers[place].crash_after = Some(self.dice.below(30));
                } else {
                    self.crash(place);
                }
            }
            Fault::CrashAll => {
                for place in 0..self.servers.len() {
                    let boot = self.servers[place].boot;
                    let after = self.dice.skewed(1, 300 * MILLISECOND);
                    self.schedule.after(after, What::CrashAt { place, boot });
                }
            }
            Fault::SlowDisk => {
                self.hits.slow_disks += 1;
                let place = self.victim();
                let most = self.dice.skewed(20 * MILLISECOND, SLOWEST_WRITE / 4);
                self.servers[place].disk.delay = (MILLISECOND, most);
                self.schedule
                    .after(lasts, What::Undo(Undo::Speed { place }));
            }
            Fault::StalledDisk => {
                let place = self.victim();
                let until = now + self.dice.skewed(100 * MILLISECOND, SLOWEST_WRITE);
                self.servers[place].disk.stall(until);
            }
            Fault::FailedWrite => {
                let place = self.victim();
                self.servers[place].disk.fails = true;
            }
            Fault::FullDisk => {
                self.hits.full_disks += 1;
                let place = self.victim();
                // One driver waits for space, another gives up at once.
                if self.dice.coin() {
                    self.servers[place].disk.stall(now + lasts);
                } else {
                    self.servers[place].disk.fails = true;
                }
            }
            Fault::FlippedBit => self.hits.flipped_bits += u64::from(self.lose()),
            Fault::WipedDisk => self.hits.wiped_disks += u64::from(self.lose()),
            Fault::Burst => return self.burst(),
            Fault::Churn => return self.churn(),
            Fault::Transfer => return self.transfer(),
            Fault::Compact => {
                self.hits.compacted_to_tip += 1;
                let keeps = if self.dice.coin() {
                    0
                } else {
                    self.plan.snapshot_keeps
                };
                self.compact_all(keeps);
            }
        }
        Ok(())
    }

    /// Everybody takes a snapshot of what is applied, and keeps so many entries behind it
    /// from now on.
    pub(super) fn compact_all(&mut self, keeps: u64) {
        self.plan.snapshot_keeps = keeps;
        for place in 0..self.servers.len() {
            if self.servers[place].fate == Fate::Up && !self.servers[place].is_witness {
                self.checkpoint(place, 1);
            }
        }
    }

    /// The leader is asked for many entries at once.
    fn burst(&mut self) -> Verdict {
        let Some(place) = self.leader() else {
            return Ok(());
        };
        if self.servers[place].paused_until > self.schedule.now() {
            return Ok(());
        }
        self.hits.bursts += 1;
        // One other alone hears of it, and the leader dies: a tail of a minority.
        if self.dice.permille(400) {
            let hearer = self.dice.below(self.servers.len() as u64) as usize;
            let lasts = 2 * self.plan.election_timeout;
            self.cut_for(lasts, |from, to| from == place && to != hearer);
            let boot = self.servers[place].boot;
            let after = self.dice.between(MILLISECOND, self.plan.heartbeat);
            self.schedule.after(after, What::CrashAt { place, boot });
        }
        for _ in 0..self.dice.between(5, MOST_IN_BURST) {
            let id = self.servers[place].request(Waiter::Operator);
            let payloads = vec![Payload::new(filler(8))];
            self.feed(place, Event::Propose { id, payloads })?;
            if self.servers[place].node.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// A side for each place.
    fn side(&mut self) -> Vec<bool> {
        (0..self.servers.len()).map(|_| self.dice.coin()).collect()
    }

    /// Somebody to whom it happens: the leader more often than others.
    fn victim(&mut self) -> usize {
        let leader = self.leader().filter(|_| self.dice.permille(400));
        leader.unwrap_or_else(|| self.dice.below(self.servers.len() as u64) as usize)
    }

    /// The place that leads, in the newest term.
    pub(super) fn leader(&self) -> Option<usize> {
        let leading = (0..self.servers.len()).filter(|place| self.servers[*place].leads.is_some());
        leading.max_by_key(|place| self.servers[*place].leads)
    }

    pub(super) fn links(&self, is_cut: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
        let places = 0..self.servers.len();
        let all = places
            .clone()
            .flat_map(|from| places.clone().map(move |to| (from, to)));
        all.filter(|(from, to)| from != to && is_cut(*from, *to))
            .collect()
    }

    fn cut_for(&mut self, lasts: u64, is_cut: impl Fn(usize, usize) -> bool) {
        let links = self.links(is_cut);
        for (from, to) in &links {
            self.network.cut(*from, *to);
        }
        self.schedule.after(lasts, What::Undo(Undo::Mend(links)));
    }

    /// A node is cut off, but what was said to it shortly before comes late.
    fn isolate_late(&mut self, victim: usize, lasts: u64) {
        let late = self.dice.between(1, self.plan.election_timeout);
        let until = self.schedule.now() + late;
        for other in 0..self.servers.len() {
            self.network.clog(other, victim, until);
        }
        let links = self.links(|from, to| from == victim || to == victim);
        let begins = self.dice.between(1, 2 * self.plan.heartbeat).min(late);
        self.schedule
            .after(begins, What::Undo(Undo::Cut(links.clone())));
        let ends = begins + lasts.max(2 * self.plan.election_timeout);
        self.schedule.after(ends, What::Undo(Undo::Mend(links)));
    }

    fn flap(&mut self, lasts: u64) {
        self.hits.flaps += 1;
        let victim = self.victim();
        let other = self.dice.below(2 * self.servers.len() as u64) as usize;
        let is_other = |place: usize| other >= self.servers.len() || place == other;
        let links = self
            .links(|from, to| (from == victim && is_other(to)) || (to == victim && is_other(from)));
        let beats = self.dice.between(2, 12);
        for beat in 0..beats {
            let begins = lasts * beat / beats;
            let holds = self.dice.below(lasts / beats + 1);
            self.schedule
                .after(begins, What::Undo(Undo::Cut(links.clone())));
            self.schedule
                .after(begins + holds + 1, What::Undo(Undo::Mend(links.clone())));
        }
    }

    pub(super) fn undo(&mut self, undo: Undo) {
        if self.is_healed {
            return;
        }
        match undo {
            Undo::Cut(links) => links
                .iter()
                .for_each(|(from, to)| self.network.cut(*from, *to)),
            Undo::Mend(links) => links
                .iter()
                .for_each(|(from, to)| self.network.mend(*from, *to)),
            Undo::Speed { place } => self.servers[place].disk.delay = self.plan.write_delay,
        }
    }

    /// A node loses its disk, if what is left can still decide: whatever membership
    /// comes into force, of those that lie in any log.
    fn lose(&mut self) -> bool {
        let place = self.victim();
        let lost = self
            .servers
            .iter()
            .filter(|server| server.fate == Fate::Lost)
            .count();
        let has_room = self.servers.len() + 1 < super::network::MAX_NODES;
        if self.servers[place].fate == Fate::Lost || lost >= MOST_LOST || !has_room {
            return false;
        }
        let commit = self.judge.commit();
        // A witness never leads, and refuses those who lack what it has: they must not
        // need it.
        let is_left = |id| {
            let other = &self.servers[place_of(id)];
            other.id != self.servers[place].id && other.fate != Fate::Lost && !other.is_witness
        };
        let decides = |membership: &Arc<Membership>| {
            membership.members.is_empty() || is_quorum(membership, is_left)
        };
        let all_decide = self
            .servers
            .iter()
            .filter(|server| server.fate != Fate::Lost)
            .all(|server| {
                let in_memory = server.log.memberships_from(commit);
                let on_disk = server.disk.image.log.memberships_from(commit);
                let mut known = in_memory.chain(on_disk);
                known.all(decides)
            });
        if all_decide {
            self.crash(place);
            self.servers[place].fate = Fate::Lost;
        }
        all_decide
    }
}
