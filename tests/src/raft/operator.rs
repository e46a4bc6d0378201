//! Whoever runs the cluster: makes it, changes its members, hands leadership over, and
//! replaces what is lost by a node of a new name.

use std::time::Duration;

use cs_raft::{Event, Kind, Member, Members, Membership, NodeId};

use crate::Verdict;

use super::actions::place_of;
use super::dice::Dice;
use super::network::MAX_NODES;
use super::plan::{Plan, SECOND};
use super::server::{Fate, Waiter};
use super::world::{What, World};

/// Voters that a change leaves, at most.
const MOST_VOTERS: usize = 7;

/// Who is there at first: voters, one of them a witness perhaps, then learners.
pub(super) fn founders(dice: &mut Dice, plan: &Plan) -> Members {
    let has_favourites = dice.coin();
    let mut members = Members::new();
    for number in 1..=plan.voters + plan.learners {
        let member = if number > plan.voters {
            Member::of(any_learner(dice))
        } else if plan.has_witness && number == plan.voters {
            Member::witness()
        } else if has_favourites {
            Member::of(any_voter(dice))
        } else {
            Member::voter()
        };
        members.insert(NodeId(number), member);
    }
    members
}

fn any_voter(dice: &mut Dice) -> Kind {
    let priority = dice.below(256) as u8;
    Kind::Voter { priority }
}

fn any_learner(dice: &mut Dice) -> Kind {
    let hidden = dice.coin();
    let delay = if dice.coin() { 0 } else { dice.below(1000) };
    let delay = Duration::from_millis(delay);
    Kind::Learner { hidden, delay }
}

impl World {
    /// Looks after the cluster, about once a second.
    pub(super) fn operate(&mut self) -> Verdict {
        if self.is_healed {
            return Ok(());
        }
        let after = self.dice.between(SECOND / 2, 2 * SECOND);
        self.schedule.after(after, What::Operate);
        let Some(leader) = self.leader() else {
            return Ok(());
        };
        let members = self.servers[leader].log.membership().1.members.clone();
        let is_lost = |id: &NodeId| self.servers[place_of(*id)].fate == Fate::Lost;
        let Some((&lost, member)) = members.iter().find(|(id, _)| is_lost(id)) else {
            return Ok(());
        };
        let member = member.clone();
        let is_witness = matches!(member.kind, Kind::Witness);
        let mut wanted = members.clone();
        wanted.remove(&lost);
        if let Some(place) = self.newcomer(is_witness)? {
            wanted.insert(self.servers[place].id, member);
        }
        self.change(leader, wanted)
    }

    /// A server that is no member: one that was, or a new one.
    fn newcomer(&mut self, is_witness: bool) -> Verdict<Option<usize>> {
        let known = self
            .leader()
            .map(|leader| self.servers[leader].log.membership().1.everybody());
        let known = known.unwrap_or_default();
        let idle = |server: &super::server::Server| {
            server.fate != Fate::Lost
                && server.is_witness == is_witness
                && !known.contains(&server.id)
        };
        let idle: Vec<usize> = (0..self.servers.len())
            .filter(|place| idle(&self.servers[*place]))
            .collect();
        // A place is kept for whoever replaces the last one that is lost.
        if idle.is_empty() && self.servers.len() < MAX_NODES {
            return self.add(is_witness, &Membership::default()).map(Some);
        }
        Ok(self.dice.pick(&idle))
    }

    /// Asks for another membership, mostly of the leader.
    pub(super) fn churn(&mut self) -> Verdict {
        let Some(leader) = self.leader() else {
            return Ok(());
        };
        let mut members = self.servers[leader].log.membership().1.members.clone();
        members.retain(|id, _| self.servers[place_of(*id)].fate != Fate::Lost);
        for _ in 0..self.dice.between(1, 3) {
            self.vary(&mut members)?;
        }
        self.change(leader, members)
    }

    fn vary(&mut self, members: &mut Members) -> Verdict {
        let ids: Vec<NodeId> = members.keys().copied().collect();
        let Some(id) = self.dice.pick(&ids) else {
            return Ok(());
        };
        let is_witness = self.servers[place_of(id)].is_witness;
        match self.dice.below(5) {
            0 | 1 if members.len() < 6 => {
                // Not the last place: it is for replacements.
                let may_add = self.servers.len() + 3 < MAX_NODES;
                let newcomer = if may_add { self.newcomer(false)? } else { None };
                if let Some(place) = newcomer {
                    let member = if self.dice.coin() {
                        Member::voter()
                    } else {
                        Member::learner()
                    };
                    members.insert(self.servers[place].id, member);
                }
            }
            2 if members.len() > 2 => {
                members.remove(&id);
            }
            _ if !is_witness => {
                let kind = if self.dice.coin() {
                    any_voter(&mut self.dice)
                } else {
                    any_learner(&mut self.dice)
                };
                members.insert(id, Member::of(kind));
            }
            _ => {}
        }
        Ok(())
    }

    fn change(&mut self, place: usize, members: Members) -> Verdict {
        let counted = Membership::new(members.clone()).incoming_voters();
        let with_state = counted
            .iter()
            .filter(|id| !self.servers[place_of(**id)].is_witness);
        // A witness never leads: where nothing is decided without it, an entry that it
        // alone has is an end of all elections.
        let leads = 2 * with_state.count() > counted.len();
        if !leads || counted.len() > MOST_VOTERS {
            return Ok(());
        }
        self.hits.changes += 1;
        if self.servers[place].paused_until > self.schedule.now() {
            return Ok(());
        }
        let id = self.servers[place].request(Waiter::Operator);
        self.feed(place, Event::ChangeMembership { id, members })
    }

    /// Asks the leader to hand over, to somebody or to whoever is best.
    pub(super) fn transfer(&mut self) -> Verdict {
        let Some(place) = self.leader() else {
            return Ok(());
        };
        if self.servers[place].paused_until > self.schedule.now() {
            return Ok(());
        }
        self.hits.transfers += 1;
        let members: Vec<NodeId> = self.servers[place]
            .log
            .membership()
            .1
            .members
            .keys()
            .copied()
            .collect();
        let to = self.dice.pick(&members).filter(|_| self.dice.coin());
        let id = self.servers[place].request(Waiter::Transfer);
        self.feed(place, Event::Transfer { id, to })?;
        // The one who hands over hears late that another leads.
        if self.dice.permille(400) {
            let clogged = self
                .dice
                .skewed(self.plan.heartbeat, 2 * self.plan.election_timeout);
            let until = self.schedule.now() + clogged;
            for other in 0..self.servers.len() {
                self.network.clog(other, place, until);
            }
        }
        Ok(())
    }
}
