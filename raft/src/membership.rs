//! Who belongs to the cluster, and as what.
//!
//! Invariants:
//! - a membership counts from the moment its entry is in the log, committed or not;
//! - while `outgoing` is not empty (joint consensus), every decision needs a
//!   majority of `members` and one of `outgoing`;
//! - only voters and witnesses count; only voters lead. What would never lead
//!   but hold up a majority by lagging on purpose (a delayed member) cannot vote.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::quorum::majority;
use crate::{MembershipError, NodeId};

/// Most members of a configuration.
pub const MAX_MEMBERS: usize = 64;
/// Longest address of a member.
pub const MAX_ADDRESS_BYTES: usize = 512;
/// Longest delay of a delayed member: a month.
pub const MAX_DELAY: Duration = Duration::from_secs(31 * 24 * 3600);

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Votes, stores, applies, may lead.
    Voter {
        /// Of several that could lead, the greater is likelier to. It never
        /// keeps anybody from leading.
        priority: u8,
    },
    /// Votes and stores the log, but has no state: it neither applies nor leads.
    Witness,
    /// Stores and applies, counts for nothing.
    Learner {
        /// Clients are not sent to it.
        hidden: bool,
        /// It applies this much later than it hears of a commit.
        delay: Duration,
    },
}

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// What it is.
    pub kind: Kind,
    /// Where it is reached; the core only carries it.
    pub address: Arc<str>,
}

impl Member {
    /// A voter of middle priority without an address.
    #[must_use]
    pub fn voter() -> Self {
        Self::of(Kind::Voter { priority: 128 })
    }

    /// A witness without an address.
    #[must_use]
    pub fn witness() -> Self {
        Self::of(Kind::Witness)
    }

    /// A learner that clients may read from, without an address.
    #[must_use]
    pub fn learner() -> Self {
        let (hidden, delay) = (false, Duration::ZERO);
        Self::of(Kind::Learner { hidden, delay })
    }

    /// Whether it counts for majorities.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!(self.kind, Kind::Learner { .. })
    }

    /// Whether it may lead.
    #[must_use]
    pub fn may_lead(&self) -> bool {
        matches!(self.kind, Kind::Voter { .. })
    }

    /// A member of this kind without an address.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        let address = "".into();
        Self { kind, address }
    }
}

/// Members by node.
pub type Members = BTreeMap<NodeId, Member>;

/// The members, and while a change is under way also those of before it.
///
/// ```
/// use cs_raft::{Member, Membership, NodeId};
/// let three = Membership::of_voters([NodeId(1), NodeId(2), NodeId(3)]);
/// assert!(three.counts(NodeId(2)) && !three.is_joint());
/// assert!(three.may_lead(NodeId(2)) && !three.may_lead(NodeId(4)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Membership {
    /// The configuration; of two, the new one.
    pub members: Members,
    /// While a change is under way: the configuration before it.
    pub outgoing: Members,
}

impl Membership {
    /// The configuration of these members.
    #[must_use]
    pub fn new(members: Members) -> Self {
        let outgoing = Members::new();
        Self { members, outgoing }
    }

    /// The configuration of these voters, without addresses.
    #[must_use]
    pub fn of_voters(ids: impl IntoIterator<Item = NodeId>) -> Self {
        Self::new(ids.into_iter().map(|id| (id, Member::voter())).collect())
    }

    /// Whether a change is under way.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// The member, as the newer configuration has it.
    #[must_use]
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.get(&id).or_else(|| self.outgoing.get(&id))
    }

    /// Every member of either configuration.
    #[must_use]
    pub fn everybody(&self) -> BTreeSet<NodeId> {
        let both = self.members.keys().chain(self.outgoing.keys());
        both.copied().collect()
    }

    /// Whether the node counts for majorities, in either configuration.
    #[must_use]
    pub fn counts(&self, id: NodeId) -> bool {
        [&self.members, &self.outgoing]
            .iter()
            .any(|members| members.get(&id).is_some_and(Member::counts))
    }

    /// Whether the node may lead, in either configuration.
    #[must_use]
    pub fn may_lead(&self, id: NodeId) -> bool {
        [&self.members, &self.outgoing]
            .iter()
            .any(|members| members.get(&id).is_some_and(Member::may_lead))
    }

    /// Whom clients may be sent to.
    pub fn visible(&self) -> impl Iterator<Item = NodeId> + '_ {
        let shown = |member: &Member| match member.kind {
            Kind::Voter { .. } => true,
            Kind::Witness => false,
            Kind::Learner { hidden, .. } => !hidden,
        };
        let members = self.members.iter();
        members
            .filter(move |(_, member)| shown(member))
            .map(|(id, _)| *id)
    }

    /// What it counts for wherever bytes are bounded.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let all = self.members.values().chain(self.outgoing.values());
        all.map(|member| 32 + member.address.len()).sum()
    }

    /// Those of the newer configuration that count.
    #[must_use]
    pub fn incoming_voters(&self) -> Vec<NodeId> {
        counted(&self.members)
    }

    /// Those of the older configuration that count; none if no change is under way.
    #[must_use]
    pub fn outgoing_voters(&self) -> Vec<NodeId> {
        counted(&self.outgoing)
    }

    /// Whether these members could make a cluster.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with them.
    pub fn check(members: &Members) -> Result<(), MembershipError> {
        if members.len() > MAX_MEMBERS {
            let (found, limit) = (members.len(), MAX_MEMBERS);
            return Err(MembershipError::TooMany { found, limit });
        }
        for (&node, member) in members {
            let len = member.address.len();
            if len > MAX_ADDRESS_BYTES {
                return Err(MembershipError::AddressTooLong { node, len });
            }
            if matches!(member.kind, Kind::Learner { delay, .. } if delay > MAX_DELAY) {
                return Err(MembershipError::DelayTooLong { node });
            }
        }
        let leading = members.values().filter(|member| member.may_lead()).count();
        if leading == 0 {
            return Err(MembershipError::NobodyCanLead);
        }
        // Else an entry that a witness alone has could keep everybody from
        // being elected: a quorum must be possible without any witness.
        let counted = members.values().filter(|member| member.counts()).count();
        if leading < majority(counted) {
            let witnesses = counted - leading;
            return Err(MembershipError::TooManyWitnesses { witnesses, leading });
        }
        Ok(())
    }
}

/// Those that count.
pub(crate) fn counted(members: &Members) -> Vec<NodeId> {
    let counted = members.iter().filter(|(_, member)| member.counts());
    counted.map(|(id, _)| *id).collect()
}

#[cfg(test)]
mod tests;
