//! Changes of the membership, by joint consensus.
//!
//! A change of who counts goes through a configuration in which both the old
//! and the new members must agree; the leader leaves it by itself as soon as
//! it is committed. A change of anything else takes one step.
//!
//! Invariants:
//! - a membership counts from the moment in which it is in the log;
//! - one change at a time: none begins before the one before it is committed,
//!   nor before the leader committed in its own term;
//! - a witness stays one as long as it is a member: it has no state.

use crate::membership::counted;
use crate::mutants::{Mutant, planted};
use crate::node::{Node, State};
use crate::{
    Body, Kind, LogId, Member, Members, Membership, MembershipError, NodeId, Outcome, Refusal,
    RequestId,
};

impl Node {
    pub(crate) fn change_membership(&mut self, id: RequestId, members: Members) {
        let State::Leader(leader) = &self.state else {
            let leader = self.leader;
            return self.answer(id, Outcome::NotLeader { leader });
        };
        if self.commit < leader.first && !planted(Mutant::ChangeBeforeFirstCommit) {
            return self.refuse(id, Refusal::NotReady);
        }
        if self.handover.is_some() {
            return self.refuse(id, Refusal::Transferring);
        }
        let current = self.log.membership();
        let is_open = current.is_joint() || self.log.membership_id().index > self.commit;
        if is_open && !planted(Mutant::TwoChanges) {
            return self.refuse(id, Refusal::ChangeInProgress);
        }
        let checked = Membership::check(&members);
        if let Err(error) = checked.and_then(|()| check_witnesses(current, &members)) {
            return self.refuse(id, Refusal::BadMembership(error));
        }
        let next = if counted(&current.members) == counted(&members)
            || planted(Mutant::ChangeWithoutJoint)
        {
            Membership::new(members)
        } else {
            let outgoing = current.members.clone();
            Membership { members, outgoing }
        };
        if next.is_joint() {
            self.change = Some(id);
        } else {
            self.wait_for_membership(id, &next);
        }
        self.append_membership(next);
    }

    /// The request is answered when the next entry is committed.
    fn wait_for_membership(&mut self, id: RequestId, membership: &Membership) {
        let at = LogId::new(self.vote.term, self.log.last().next());
        let bytes = crate::ENTRY_OVERHEAD_BYTES + membership.bytes();
        self.waiters.add(id, at, bytes);
    }

    fn append_membership(&mut self, membership: Membership) {
        self.append(vec![Body::Membership(membership.into())]);
        self.meet_peers();
        self.replicate_all();
        let is_removed = self.membership().member(self.config.id).is_none();
        if is_removed && planted(Mutant::RemovedLeaderLeavesEarly) {
            self.step_down();
        }
        // The leader may be the only one who counts now.
        self.advance_commit();
    }

    /// Something was committed: perhaps a membership.
    pub(crate) fn membership_committed(&mut self) {
        let State::Leader(leader) = &self.state else {
            return;
        };
        // An inherited one is committed by the first entry of this term.
        if self.log.membership_id().index > self.commit || self.commit < leader.first {
            return;
        }
        let membership = self.log.membership();
        let stays = |id: &NodeId| membership.member(*id).is_some();
        let is_settled = !membership.is_joint() && leader.peers.keys().all(stays);
        if is_settled && membership.may_lead(self.config.id) {
            return;
        }
        let membership = membership.clone();
        if membership.is_joint() {
            let last = Membership::new(membership.members.clone());
            if let Some(id) = self.change.take() {
                self.wait_for_membership(id, &last);
            }
            return self.append_membership(last);
        }
        let gone = |id: &NodeId| membership.member(*id).is_none();
        let leaving: Vec<NodeId> = leader.peers.keys().copied().filter(gone).collect();
        for id in leaving {
            // Its last news is that it is a member no more.
            self.replicate(id);
        }
        self.meet_peers();
        if !membership.may_lead(self.config.id) {
            self.replicate_all();
            self.hand_on();
        }
    }
}

fn check_witnesses(current: &Membership, members: &Members) -> Result<(), MembershipError> {
    let is_witness = |member: &Member| member.kind == Kind::Witness;
    for (&node, member) in members {
        let before = current.members.get(&node);
        if before.is_some_and(|before| is_witness(before) != is_witness(member)) {
            return Err(MembershipError::WitnessForEver { node });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
