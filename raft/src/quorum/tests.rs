use super::*;
use crate::{Kind, Member};

fn joint(new: &[u64], old: &[u64]) -> Membership {
    let of = |ids: &[u64]| Membership::of_voters(ids.iter().copied().map(NodeId)).members;
    Membership {
        members: of(new),
        outgoing: of(old),
    }
}

/// Nodes from 1 on.
fn at(values: &[u64]) -> impl Fn(NodeId) -> u64 + '_ {
    |id| values[id.0 as usize - 1]
}

#[test]
fn a_majority_has_reached_the_median() {
    let table: [(&[u64], u64); 8] = [
        (&[5], 5),
        (&[5, 3], 3),
        (&[1, 9, 4], 4),
        (&[9, 1, 4], 4),
        (&[7, 7, 1, 1], 1),
        (&[7, 7, 7, 1], 7),
        (&[1, 2, 3, 4, 5], 3),
        (&[5, 0, 0, 5, 5], 5),
    ];
    for (values, expected) in table {
        let all = Membership::of_voters((1..=values.len() as u64).map(NodeId));
        assert_eq!(reached(&all, at(values)), expected, "{values:?}");
    }
}

#[test]
fn a_change_under_way_needs_both_majorities() {
    let change = joint(&[1, 2, 3], &[3, 4, 5]);
    assert_eq!(reached(&change, at(&[9, 9, 9, 1, 1])), 1);
    assert_eq!(reached(&change, at(&[9, 1, 9, 9, 1])), 9);
    let grants = |ids: &[u64]| {
        let ids = ids.to_vec();
        move |id: NodeId| Some(ids.contains(&id.0))
    };
    assert_eq!(tally(&change, grants(&[1, 2, 3])), Tally::Lost);
    assert_eq!(tally(&change, grants(&[2, 3, 4])), Tally::Won);
}

#[test]
fn a_vote_is_open_until_a_majority_decides() {
    let three = Membership::of_voters((1..=3).map(NodeId));
    let table = [
        ([None, None, None], Tally::Open),
        ([Some(true), None, None], Tally::Open),
        ([Some(true), Some(false), None], Tally::Open),
        ([Some(true), Some(true), None], Tally::Won),
        ([Some(false), Some(false), None], Tally::Lost),
    ];
    for (answers, expected) in table {
        assert_eq!(tally(&three, |id| answers[id.0 as usize - 1]), expected);
    }
}

#[test]
fn learners_count_for_nothing_and_witnesses_like_voters() {
    let mut all = Membership::of_voters([NodeId(1)]);
    all.members.insert(NodeId(2), Member::witness());
    all.members.insert(NodeId(3), Member::learner());
    assert_eq!(reached(&all, at(&[4, 2, 9])), 2);
    all.members
        .insert(NodeId(2), Member::of(Kind::Voter { priority: 0 }));
    assert_eq!(reached(&all, at(&[4, 2, 9])), 2);
}

#[test]
fn without_anybody_who_counts_there_is_no_majority() {
    let nobody = Membership::default();
    assert_eq!(reached(&nobody, |_| 7_u64), 0);
    assert_ne!(tally(&nobody, |_| Some(true)), Tally::Won);
}
