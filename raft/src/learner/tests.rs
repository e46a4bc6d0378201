use super::*;
use crate::testing::{Cluster, id};
use crate::{Consistency, Member, Membership, Outcome, Refusal};

fn with_delayed() -> Cluster {
    let mut membership = Membership::of_voters([id(1)]);
    let delay = Duration::from_secs(2);
    let delayed = Member::of(Kind::Learner {
        hidden: true,
        delay,
    });
    membership.members.insert(id(2), delayed);
    let mut cluster = Cluster::tuned(membership, |_| {});
    cluster.elect_node(1);
    cluster
}

#[test]
fn a_delayed_member_applies_later_and_in_order() {
    let mut cluster = with_delayed();
    cluster.run(100);
    cluster.propose(id(1), "a");
    cluster.run(1800);
    assert_eq!(cluster.status(2).commit, Index(2));
    assert_eq!(cluster.status(2).applied, Index(0));
    cluster.run(400);
    assert_eq!(cluster.status(2).applied, Index(2));
}

#[test]
fn what_a_delayed_member_holds_is_bounded_and_comes_to_an_end() {
    let mut cluster = with_delayed();
    for _ in 0..1000 {
        cluster.propose(id(1), "a");
        cluster.run(3);
        assert!(cluster.node(2).delayed.held.len() <= PARTS as usize + 1);
    }
    assert!(cluster.status(2).applied > Index(200));
    cluster.run(2200);
    assert_eq!(cluster.status(2).applied, cluster.status(1).commit);
}

#[test]
fn a_delayed_member_serves_old_reads_only() {
    let mut cluster = with_delayed();
    let fresh = cluster.read(id(2), Consistency::Linearizable);
    assert_eq!(cluster.answers[&fresh], Outcome::Refused(Refusal::NoState));
    let old = cluster.read(id(2), Consistency::Local);
    assert_eq!(cluster.reads[&old], Index(0));
}

#[test]
fn a_witness_has_nothing_that_could_lag() {
    let mut membership = Membership::of_voters([id(1)]);
    membership.members.insert(id(2), Member::witness());
    let mut cluster = Cluster::tuned(membership, |_| {});
    cluster.elect_node(1);
    cluster.run(100);
    assert_eq!(cluster.status(2).applied, Index(1));
}
