use crate::testing::{Cluster, id};
use crate::*;

fn voters(ids: &[u64]) -> Members {
    Membership::of_voters(ids.iter().copied().map(NodeId)).members
}

fn joining(cluster: &mut Cluster, ids: &[u64]) {
    for number in ids {
        cluster.add(id(*number), Restored::joining());
    }
}

#[test]
fn voters_change_through_a_joint_configuration_that_is_left_by_itself() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    joining(&mut cluster, &[4, 5]);
    let change = cluster.change(id(1), voters(&[1, 4, 5]));
    assert!(cluster.status(1).membership.is_joint());
    cluster.run(300);
    assert!(cluster.is_committed(change));
    assert_eq!(cluster.status(1).membership.members, voters(&[1, 4, 5]));
    assert!(!cluster.status(4).membership.is_joint());
    cluster.isolate(2);
    cluster.isolate(3);
    let written = cluster.propose(id(1), "a");
    cluster.settle();
    assert!(cluster.is_committed(written));
}

#[test]
fn both_halves_must_agree_while_a_change_is_under_way() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    let change = cluster.change(id(1), voters(&[1, 4, 5]));
    cluster.settle();
    assert!(!cluster.is_committed(change), "nobody is there at 4 and 5");
    let written = cluster.propose(id(1), "a");
    cluster.settle();
    assert!(!cluster.is_committed(written));
    joining(&mut cluster, &[4]);
    cluster.run(200);
    assert!(cluster.is_committed(change) && cluster.is_committed(written));
}

#[test]
fn one_change_at_a_time_and_none_before_the_first_commit() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node_slowly(1);
    let early = cluster.change(id(1), voters(&[1, 2]));
    assert_eq!(cluster.answers[&early], Outcome::Refused(Refusal::NotReady));
    cluster.release(2);
    cluster.release(3);
    cluster.run(200);
    cluster.isolate(1);
    cluster.change(id(1), voters(&[1, 2]));
    let second = cluster.change(id(1), voters(&[1, 3]));
    assert_eq!(
        cluster.answers[&second],
        Outcome::Refused(Refusal::ChangeInProgress)
    );
}

#[test]
fn a_removed_leader_leads_until_its_removal_is_committed_and_hands_on() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    let change = cluster.change(id(1), voters(&[2, 3]));
    cluster.settle();
    assert!(cluster.is_committed(change));
    assert_eq!(cluster.status(1).role, Role::Follower);
    let leader = cluster.leader().unwrap();
    assert_ne!(leader, id(1));
    let term = cluster.status(leader.0).term;
    cluster.run(5000);
    assert_eq!(
        cluster.status(leader.0).term,
        term,
        "whoever is gone disturbs nobody"
    );
    assert!(!cluster.status(1).membership.counts(id(1)), "it knows");
}

#[test]
fn a_leader_whose_removal_is_not_committed_may_stand_again() {
    // Its log is the newest, and the other one cannot win without it.
    let mut cluster = Cluster::of(2);
    cluster.elect_node(1);
    cluster.change(id(1), voters(&[2]));
    while !cluster.status(1).membership.members.eq(&voters(&[2]))
        || cluster.status(1).membership.is_joint()
    {
        let (from, to, message) = cluster.queue.pop_front().unwrap();
        cluster.on(to, Event::Receive { from, message });
    }
    cluster.queue.clear();
    cluster.restart(id(1));
    cluster.run(5000);
    assert_eq!(cluster.leader(), Some(id(2)));
    assert_eq!(cluster.status(2).membership.members, voters(&[2]));
    assert!(!cluster.status(2).membership.is_joint());
}

#[test]
fn a_membership_in_the_log_counts_after_a_restart_committed_or_not() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.isolate(1);
    cluster.change(id(1), voters(&[1, 4, 5]));
    cluster.restart(id(1));
    assert!(cluster.status(1).membership.is_joint());
}

#[test]
fn a_superseded_change_is_undone() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.isolate(1);
    let change = cluster.change(id(1), voters(&[1, 4, 5]));
    cluster.run(2000);
    cluster.heal();
    cluster.run(1000);
    assert_eq!(cluster.status(1).membership.members, voters(&[1, 2, 3]));
    assert_eq!(cluster.answers[&change], Outcome::Unknown);
}

#[test]
fn a_new_leader_finishes_the_change_of_the_old_one() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    joining(&mut cluster, &[4]);
    cluster.isolate(4);
    cluster.change(id(1), voters(&[2, 3, 4]));
    cluster.settle();
    cluster.isolate(1);
    cluster
        .cut
        .retain(|(from, to)| *from != id(4) && *to != id(4));
    cluster.cut.insert((id(1), id(4)));
    cluster.cut.insert((id(4), id(1)));
    cluster.run(3000);
    let leader = cluster.leader().unwrap();
    assert_eq!(
        cluster.status(leader.0).membership.members,
        voters(&[2, 3, 4])
    );
    assert!(!cluster.status(leader.0).membership.is_joint());
}

#[test]
fn a_member_added_again_within_a_term_has_a_stream_of_its_own() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    let session = |cluster: &Cluster| {
        let peers = cluster.status(1).peers;
        peers
            .into_iter()
            .find(|peer| peer.id == id(3))
            .map(|peer| peer.session)
    };
    let before = session(&cluster);
    cluster.change(id(1), voters(&[1, 2]));
    cluster.settle();
    assert_eq!(session(&cluster), None);
    cluster.change(id(1), voters(&[1, 2, 3]));
    cluster.settle();
    assert!(session(&cluster) > before);
}

#[test]
fn learners_come_and_go_in_one_step_and_apply_what_is_committed() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    joining(&mut cluster, &[4]);
    let mut members = voters(&[1, 2, 3]);
    members.insert(id(4), Member::learner());
    let change = cluster.change(id(1), members);
    assert!(!cluster.status(1).membership.is_joint());
    cluster.settle();
    assert!(cluster.is_committed(change));
    cluster.propose(id(1), "a");
    cluster.run(100);
    assert_eq!(cluster.data(4), ["a"]);
    assert_eq!(cluster.status(4).applied, Index(3));
}

#[test]
fn impossible_members_are_refused_by_name() {
    let mut membership = Membership::of_voters([id(1), id(2)]);
    membership.members.insert(id(3), Member::witness());
    let mut cluster = Cluster::tuned(membership, |_| {});
    cluster.elect_node(1);
    let nobody = cluster.change(id(1), Members::new());
    let wrong = |error| Outcome::Refused(Refusal::BadMembership(error));
    assert_eq!(
        cluster.answers[&nobody],
        wrong(MembershipError::NobodyCanLead)
    );
    let promoted = cluster.change(id(1), voters(&[1, 2, 3]));
    let node = id(3);
    assert_eq!(
        cluster.answers[&promoted],
        wrong(MembershipError::WitnessForEver { node })
    );
}
