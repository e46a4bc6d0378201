//! Some links stay cut for good, but a quorum of voters hears each other: the cluster has
//! to go on. A cluster whose faults all end hides leaders who hold others up.

use std::collections::BTreeSet;

use cs_raft::NodeId;

use crate::Verdict;
use crate::verdict::ensure;

use super::actions::place_of;
use super::plan::SECOND;
use super::server::Fate;
use super::world::World;

/// Time until requests are served again.
const BUDGET: u64 = 30 * SECOND;
/// Writes, and reads, that must be done.
const REQUESTS: u64 = 3;

/// What stays broken. The leader is among the victims.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// The leader hears one voter of the others, who hears all and whom they need to
    /// decide; other victims are gone.
    Bridge,
    /// The victims hear nobody, or nobody hears them, or both.
    Deaf,
    Dumb,
    Gone,
}

impl World {
    /// Breaks some links of a cluster that is of one mind, and judges how it goes on.
    pub(super) fn degrade(&mut self) -> Verdict {
        let Some((manner, links)) = self.choose() else {
            return Ok(());
        };
        self.hits.degraded += 1;
        let now = self.schedule.now();
        self.trace
            .say(now, format_args!("from now on {manner:?}: {links:?}"));
        for (from, to) in &links {
            self.network.cut(*from, *to);
        }
        self.wake();
        let is_served = self.wants(REQUESTS);
        self.live(now + BUDGET, &is_served)?;
        ensure(is_served(self), || {
            format!(
                "liveness: nothing was done for {} s though a quorum hears each other, {manner:?} {links:?}: {}",
                BUDGET / SECOND,
                self.told()
            )
        })?;
        self.network.heal();
        self.converge(self.schedule.now())
    }

    /// What is to be broken, and the links, if enough voters are left.
    fn choose(&mut self) -> Option<(Manner, Vec<(usize, usize)>)> {
        let leader = self.servers[self.leader()?].id;
        let membership = self.servers[place_of(leader)].log.membership().1.clone();
        let voters = membership.incoming_voters();
        // What a witness has alone, nobody brings to the others: see nemesis.rs.
        let of_state = |id: &NodeId| !self.servers[place_of(*id)].is_witness;
        if !voters.contains(&leader) || !voters.iter().all(of_state) || membership.is_joint() {
            return None;
        }
        let is_there = |id: &NodeId| self.servers[place_of(*id)].fate == Fate::Up && *id != leader;
        let others: Vec<NodeId> = voters.iter().copied().filter(is_there).collect();
        let majority = voters.len() / 2 + 1;
        let most = others.len().checked_sub(majority)?;
        let manner = self
            .dice
            .pick(&[Manner::Bridge, Manner::Deaf, Manner::Dumb, Manner::Gone])?;
        let mut victims = BTreeSet::from([place_of(leader)]);
        let count = match manner {
            Manner::Bridge => most,
            Manner::Deaf | Manner::Dumb | Manner::Gone => self.dice.below(most as u64 + 1) as usize,
        };
        while victims.len() < count + 1 {
            victims.extend(self.dice.pick(&others).map(place_of));
        }
        let rest: Vec<usize> = others.iter().copied().map(place_of).collect();
        let rest: Vec<usize> = rest
            .into_iter()
            .filter(|at| !victims.contains(at))
            .collect();
        let bridge = self.dice.pick(&rest)?;
        let leader = place_of(leader);
        let links = self.links(|from, to| {
            let is_inside = victims.contains(&from) && victims.contains(&to);
            let crosses = victims.contains(&from) != victims.contains(&to);
            let is_bridge = [(leader, bridge), (bridge, leader)].contains(&(from, to));
            match manner {
                Manner::Bridge => (crosses || is_inside) && !is_bridge,
                Manner::Deaf => crosses && victims.contains(&to),
                Manner::Dumb => crosses && victims.contains(&from),
                Manner::Gone => crosses,
            }
        });
        Some((manner, links))
    }
}
