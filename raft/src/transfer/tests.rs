use crate::testing::{Cluster, id};
use crate::*;

fn transfer(cluster: &mut Cluster, to: Option<u64>) -> RequestId {
    let request = cluster.request();
    cluster.on(
        id(1),
        Event::Transfer {
            id: request,
            to: to.map(NodeId),
        },
    );
    request
}

#[test]
fn leadership_goes_to_whom_it_is_handed_without_a_timeout() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    let request = transfer(&mut cluster, Some(3));
    cluster.settle();
    assert_eq!(
        cluster.answers[&request],
        Outcome::Transferred { to: id(3) }
    );
    assert_eq!(cluster.leader(), Some(id(3)));
}

#[test]
fn nobody_is_told_to_stand_before_its_log_is_complete_and_durable() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.hold(3);
    cluster.propose(id(1), "a");
    cluster.settle();
    let request = transfer(&mut cluster, Some(3));
    cluster.settle();
    assert_eq!(cluster.status(1).role, Role::Leader);
    let refused = cluster.propose(id(1), "b");
    assert_eq!(
        cluster.answers[&refused],
        Outcome::Refused(Refusal::Transferring)
    );
    cluster.release(3);
    cluster.settle();
    assert_eq!(
        cluster.answers[&request],
        Outcome::Transferred { to: id(3) }
    );
}

#[test]
fn a_handover_that_takes_too_long_is_given_up_and_the_leader_goes_on() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.isolate(3);
    cluster.propose(id(1), "a");
    let request = transfer(&mut cluster, Some(3));
    cluster.run(700);
    assert_eq!(
        cluster.answers[&request],
        Outcome::Refused(Refusal::TimedOut)
    );
    let written = cluster.propose(id(1), "b");
    cluster.settle();
    assert!(cluster.is_committed(written));
}

#[test]
fn a_lost_word_is_said_again() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    let request = transfer(&mut cluster, Some(3));
    cluster.queue.clear();
    cluster.run(100);
    assert_eq!(
        cluster.answers[&request],
        Outcome::Transferred { to: id(3) }
    );
}

#[test]
fn the_best_one_is_chosen_and_who_cannot_lead_is_refused() {
    let mut membership = Membership::of_voters((1..=3).map(NodeId));
    membership.members.insert(id(4), Member::witness());
    let mut cluster = Cluster::tuned(membership, |_| {});
    cluster.elect_node(1);
    for wrong in [4, 9] {
        let request = transfer(&mut cluster, Some(wrong));
        assert_eq!(
            cluster.answers[&request],
            Outcome::Refused(Refusal::BadTarget)
        );
    }
    let itself = transfer(&mut cluster, Some(1));
    assert_eq!(cluster.answers[&itself], Outcome::Transferred { to: id(1) });
    cluster.isolate(2);
    cluster.propose(id(1), "a");
    cluster.settle();
    let request = transfer(&mut cluster, None);
    cluster.settle();
    assert_eq!(
        cluster.answers[&request],
        Outcome::Transferred { to: id(3) }
    );
}

#[test]
fn only_the_leader_of_the_term_tells_to_stand() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    let term = cluster.status(2).term;
    cluster.receive(2, 3, Message::TimeoutNow { term });
    assert_eq!(cluster.status(2).role, Role::Follower);
    cluster.receive(1, 3, Message::TimeoutNow { term });
    assert_eq!(cluster.status(1).role, Role::Leader);
}
