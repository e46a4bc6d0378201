//! The arithmetic of majorities, apart from everything that uses it.
//!
//! Invariants:
//! - any two majorities of a configuration share a member, so what one has
//!   decided the other one knows;
//! - in joint consensus there must be a majority of each configuration;
//! - without anybody who counts there is no majority.

use crate::mutants::{Mutant, planted};
use crate::{MAX_MEMBERS, Members, Membership, NodeId};

/// How a vote stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tally {
    /// A quorum is for it.
    Won,
    /// A quorum can no longer be for it.
    Lost,
    /// Neither.
    Open,
}

/// Half of them, and one more.
///
/// ```
/// # use cs_raft::quorum::majority;
/// let table = [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)];
/// for (count, expected) in table {
///     assert_eq!(majority(count), expected);
/// }
/// ```
#[must_use]
pub fn majority(count: usize) -> usize {
    count / 2 + 1
}

/// The greatest value that a quorum has reached.
///
/// ```
/// # use cs_raft::{Membership, NodeId, quorum::reached};
/// let three = Membership::of_voters([NodeId(1), NodeId(2), NodeId(3)]);
/// let matched = |id: NodeId| [9, 4, 7][id.0 as usize - 1];
/// assert_eq!(reached(&three, matched), 7);
/// ```
#[must_use]
pub fn reached<T: Copy + Ord + Default>(membership: &Membership, of: impl Fn(NodeId) -> T) -> T {
    if membership.is_joint() && planted(Mutant::JointAsUnion) {
        let mut all = membership.outgoing.clone();
        all.extend(membership.members.clone());
        return reached_of(&all, &of);
    }
    let incoming = reached_of(&membership.members, &of);
    if membership.is_joint() {
        incoming.min(reached_of(&membership.outgoing, &of))
    } else {
        incoming
    }
}

fn reached_of<T: Copy + Ord + Default>(members: &Members, of: &impl Fn(NodeId) -> T) -> T {
    let mut values = [T::default(); MAX_MEMBERS];
    let mut count = 0;
    for id in counted(members).take(MAX_MEMBERS) {
        values[count] = of(id);
        count += 1;
    }
    if count == 0 {
        return T::default();
    }
    if !planted(Mutant::UnsortedQuorum) {
        values[..count].sort_unstable();
    }
    values[count - majority(count)]
}

/// How a vote stands; `None` is somebody who has not answered.
#[must_use]
pub fn tally(membership: &Membership, of: impl Fn(NodeId) -> Option<bool>) -> Tally {
    let incoming = tally_of(&membership.members, &of);
    if !membership.is_joint() || planted(Mutant::JointAsUnion) {
        return incoming;
    }
    match (incoming, tally_of(&membership.outgoing, &of)) {
        (Tally::Won, Tally::Won) => Tally::Won,
        (Tally::Lost, _) | (_, Tally::Lost) => Tally::Lost,
        _ => Tally::Open,
    }
}

fn tally_of(members: &Members, of: &impl Fn(NodeId) -> Option<bool>) -> Tally {
    let (mut count, mut granted, mut refused) = (0, 0, 0);
    for id in counted(members) {
        count += 1;
        match of(id) {
            Some(true) => granted += 1,
            Some(false) => refused += 1,
            None => {}
        }
    }
    let needed = majority(count);
    if granted >= needed {
        Tally::Won
    } else if count - refused < needed {
        Tally::Lost
    } else {
        Tally::Open
    }
}

/// Those of a configuration that count.
fn counted(members: &Members) -> impl Iterator<Item = NodeId> + '_ {
    let counts = |member: &crate::Member| member.counts() || planted(Mutant::LearnerCounts);
    let counted = members.iter().filter(move |(_, member)| counts(member));
    counted.map(|(id, _)| *id)
}

#[cfg(test)]
mod tests;
