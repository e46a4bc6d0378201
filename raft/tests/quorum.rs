//! The arithmetic of majorities against brute force: every set of members is tried.

use std::collections::BTreeMap;

use cs_raft::quorum::{Tally, majority, reached, tally};
use cs_raft::{Kind, Member, Members, Membership, NodeId};
use proptest::prelude::*;

/// Most nodes of a configuration here: all subsets are enumerated.
const NODES: u64 = 7;

/// A configuration: members of every kind, at least one of them counted.
fn members() -> impl Strategy<Value = Members> {
    let kind = prop_oneof![
        4 => (0..=255_u8).prop_map(|priority| Kind::Voter { priority }),
        1 => Just(Kind::Witness),
        1 => Just(Member::learner().kind),
    ];
    let member = (1..=NODES, kind).prop_map(|(id, kind)| (NodeId(id), Member::of(kind)));
    let list = prop::collection::vec(member, 1..=NODES as usize);
    list.prop_map(Members::from_iter)
}

fn membership() -> impl Strategy<Value = Membership> {
    let outgoing = prop_oneof![Just(Members::new()), members()];
    (members(), outgoing)
        .prop_map(|(members, outgoing)| Membership { members, outgoing })
        .prop_filter("somebody counts", |it| {
            !voters(&it.members).is_empty() && (!it.is_joint() || !voters(&it.outgoing).is_empty())
        })
}

/// Those who count, written down apart from the code under test.
fn voters(members: &Members) -> Vec<NodeId> {
    let counts = |kind: Kind| matches!(kind, Kind::Voter { .. } | Kind::Witness);
    members
        .iter()
        .filter(|(_, member)| counts(member.kind))
        .map(|(id, _)| *id)
        .collect()
}

/// Whether a set is a quorum: more than half of each configuration there is.
fn is_quorum(membership: &Membership, set: &[NodeId]) -> bool {
    let configurations = [&membership.members, &membership.outgoing];
    configurations.iter().all(|members| {
        let voters = voters(members);
        let inside = voters.iter().filter(|id| set.contains(id)).count();
        voters.is_empty() || 2 * inside > voters.len()
    })
}

/// Every set of nodes.
fn sets() -> impl Iterator<Item = Vec<NodeId>> {
    (0..1_u32 << NODES).map(|bits| {
        (1..=NODES)
            .filter(|id| bits & (1 << (id - 1)) != 0)
            .map(NodeId)
            .collect()
    })
}

/// The greatest value that all of some quorum have.
fn reached_by_hand(membership: &Membership, of: impl Fn(NodeId) -> u64) -> u64 {
    let quorums = sets().filter(|set| is_quorum(membership, set));
    let least = quorums.map(|set| {
        // Only those who count hold a quorum back.
        let counted = set.into_iter().filter(|id| membership.counts(*id));
        counted.map(&of).min().unwrap_or(0)
    });
    least.max().unwrap_or(0)
}

/// A vote is won when those in favour are a quorum, lost when even all who are silent would not
/// help.
fn tally_by_hand(membership: &Membership, of: impl Fn(NodeId) -> Option<bool>) -> Tally {
    let everybody = || (1..=NODES).map(NodeId);
    let granted: Vec<NodeId> = everybody().filter(|id| of(*id) == Some(true)).collect();
    let possible: Vec<NodeId> = everybody().filter(|id| of(*id) != Some(false)).collect();
    if is_quorum(membership, &granted) {
        Tally::Won
    } else if is_quorum(membership, &possible) {
        Tally::Open
    } else {
        Tally::Lost
    }
}

proptest! {
    #[test]
    fn what_a_quorum_has_reached_is_what_trying_every_quorum_finds(
        membership in membership(),
        values in prop::collection::vec(0..6_u64, NODES as usize),
    ) {
        let of = |id: NodeId| values[id.0 as usize - 1];
        prop_assert_eq!(reached(&membership, of), reached_by_hand(&membership, of));
    }

    #[test]
    fn a_vote_stands_as_trying_every_quorum_finds(
        membership in membership(),
        votes in prop::collection::vec(prop::option::of(any::<bool>()), NODES as usize),
    ) {
        let of = |id: NodeId| votes[id.0 as usize - 1];
        prop_assert_eq!(tally(&membership, of), tally_by_hand(&membership, of));
    }

    #[test]
    fn two_quorums_share_a_member(membership in membership(), one in 0..1_usize << NODES) {
        let one = sets().nth(one).unwrap();
        prop_assume!(is_quorum(&membership, &one));
        let won = |set: &[NodeId]| {
            tally(&membership, |id| Some(set.contains(&id))) == Tally::Won
        };
        prop_assert!(won(&one));
        let rest: Vec<NodeId> = (1..=NODES).map(NodeId).filter(|id| !one.contains(id)).collect();
        prop_assert!(!won(&rest));
    }

    #[test]
    fn what_is_reached_never_falls_when_a_value_rises(
        membership in membership(),
        values in prop::collection::vec(0..6_u64, NODES as usize),
        riser in 1..=NODES,
    ) {
        let of = |id: NodeId| values[id.0 as usize - 1];
        let more = |id: NodeId| of(id) + u64::from(id.0 == riser);
        prop_assert!(reached(&membership, more) >= reached(&membership, of));
    }
}

#[test]
fn a_majority_is_more_than_half() {
    let expected = BTreeMap::from([(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)]);
    for (count, needed) in expected {
        assert_eq!(majority(count), needed, "of {count}");
    }
}

#[test]
fn nobody_is_no_majority() {
    let nobody = Membership::default();
    assert_eq!(reached(&nobody, |_| 7_u64), 0);
    assert_ne!(tally(&nobody, |_| Some(true)), Tally::Won);
}

/// The table of figure 11 of the Raft paper: 1, 2, 3 are old, 3, 4, 5 are new.
#[test]
fn a_joint_configuration_needs_a_majority_of_both() {
    let of = |ids: [u64; 3]| Membership::of_voters(ids.map(NodeId)).members;
    let joint = Membership {
        members: of([3, 4, 5]),
        outgoing: of([1, 2, 3]),
    };
    let rows = [
        (&[1, 2][..], Tally::Open),
        (&[1, 2, 3], Tally::Open),
        (&[2, 3, 4], Tally::Won),
        (&[3, 4, 5], Tally::Open),
        (&[1, 3, 5], Tally::Won),
        (&[1, 2, 4, 5], Tally::Won),
    ];
    for (granted, expected) in rows {
        let of = |id: NodeId| granted.contains(&id.0).then_some(true);
        assert_eq!(tally(&joint, of), expected, "{granted:?}");
    }
    let refused = |id: NodeId| [4, 5].contains(&id.0).then_some(false);
    assert_eq!(tally(&joint, refused), Tally::Lost);
}
