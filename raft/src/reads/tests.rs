use std::time::Duration;

use crate::testing::{Cluster, id};
use crate::*;

fn leased(config: &mut Config) {
    config.lease = Some(Lease {
        max_drift_per_mille: 200,
    });
}

fn three(tune: fn(&mut Config)) -> Cluster {
    let mut cluster = Cluster::tuned(Membership::of_voters((1..=3).map(NodeId)), tune);
    cluster.elect_node(1);
    cluster
}

#[test]
fn a_read_waits_for_a_round_that_was_sent_after_it_came() {
    let mut cluster = three(|_| {});
    cluster.seen.clear();
    let first = cluster.read(id(1), Consistency::Linearizable);
    let second = cluster.read(id(1), Consistency::Linearizable);
    let (term, session) = (cluster.status(1).term, cluster.status(1).peers[0].session);
    let answer = |token, incarnation| Message::HeartbeatAnswer {
        term,
        session,
        token,
        incarnation,
    };
    let token = cluster.node_mut(1).leader_mut().unwrap().round;
    cluster.queue.clear();
    cluster.receive(1, 2, answer(Token(token.0 - 1), 0));
    assert!(cluster.reads.is_empty(), "that round was sent before");
    cluster.receive(1, 2, answer(token, 0));
    assert!(cluster.reads.contains_key(&first) && !cluster.reads.contains_key(&second));
    cluster.receive(1, 2, answer(token.next(), 0));
    assert!(cluster.reads.contains_key(&second));
}

#[test]
fn a_leader_cut_off_confirms_nothing_and_says_so() {
    let mut cluster = three(|_| {});
    cluster.isolate(1);
    let read = cluster.read(id(1), Consistency::Linearizable);
    cluster.run(500);
    assert!(cluster.reads.is_empty());
    assert_eq!(cluster.answers[&read], Outcome::NotLeader { leader: None });
}

#[test]
fn a_new_leader_reads_only_after_its_first_commit() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node_slowly(1);
    let read = cluster.read(id(1), Consistency::Linearizable);
    cluster.settle();
    assert!(cluster.reads.is_empty());
    cluster.release(2);
    cluster.settle();
    assert_eq!(cluster.reads[&read], Index(1));
}

#[test]
fn a_follower_reads_what_its_leader_has_committed() {
    let mut cluster = three(|_| {});
    cluster.cut.insert((id(1), id(3)));
    let written = cluster.propose(id(1), "a");
    cluster.settle();
    assert!(cluster.is_committed(written));
    cluster.heal();
    let read = cluster.read(id(3), Consistency::Linearizable);
    cluster.run(200);
    assert_eq!(cluster.reads[&read], Index(2));
    assert_eq!(cluster.status(3).applied, Index(2));
}

#[test]
fn reads_of_a_follower_share_an_asking_and_those_that_come_meanwhile_the_next() {
    let mut cluster = three(|_| {});
    cluster.seen.clear();
    for _ in 0..10 {
        cluster.read(id(2), Consistency::Linearizable);
    }
    cluster.settle();
    assert_eq!(cluster.reads.len(), 10);
    let asked = cluster.seen.iter().filter(|(_, action)| {
        matches!(
            action,
            Action::Send {
                message: Message::ReadIndex { .. },
                ..
            }
        )
    });
    assert_eq!(asked.count(), 2);
}

#[test]
fn an_answer_to_an_asking_before_a_restart_confirms_nothing() {
    let mut cluster = three(|_| {});
    cluster.read(id(2), Consistency::Linearizable);
    let (_, _, Message::ReadIndex { term, round, .. }) = cluster.queue[0].clone() else {
        unreachable!()
    };
    cluster.queue.clear();
    cluster.restart(id(2));
    cluster.run(60);
    let read = cluster.read(id(2), Consistency::Linearizable);
    let index = Some(Index(1));
    cluster.receive(2, 1, Message::ReadIndexAnswer { term, round, index });
    assert!(!cluster.reads.contains_key(&read));
    cluster.settle();
    assert!(cluster.reads.contains_key(&read));
}

#[test]
fn a_read_that_nobody_answers_times_out() {
    let mut cluster = three(|_| {});
    cluster.cut.insert((id(2), id(1)));
    let read = cluster.read(id(2), Consistency::Linearizable);
    cluster.run(2000);
    let timed_out = Outcome::Refused(Refusal::TimedOut);
    assert!([timed_out, Outcome::NotLeader { leader: None }].contains(&cluster.answers[&read]));
}

#[test]
fn a_lease_serves_without_a_round_and_ends_before_any_promise() {
    let mut cluster = three(leased);
    cluster.run(100);
    let until = cluster.status(1).lease_until.unwrap();
    let promised = (2..=3)
        .map(|number| cluster.node(number).loyal_until)
        .min()
        .unwrap();
    assert!(until < promised && until > cluster.now);
    cluster.isolate(1);
    let read = cluster.read(id(1), Consistency::Lease);
    assert!(cluster.reads.contains_key(&read));
    cluster.run(250);
    let late = cluster.read(id(1), Consistency::Lease);
    assert!(!cluster.reads.contains_key(&late), "the lease is over");
}

#[test]
fn a_lease_is_counted_from_the_question_not_from_the_answer() {
    let mut cluster = three(leased);
    cluster.run(100);
    let before = cluster.status(1).lease_until.unwrap();
    cluster.cut.insert((id(1), id(3)));
    // The answer of node 2 to a round takes long.
    cluster.now = cluster.now + Duration::from_millis(60);
    let sent = cluster.now;
    cluster.on(id(1), Event::Tick);
    cluster.now = cluster.now + Duration::from_millis(150);
    cluster.settle();
    let after = cluster.status(1).lease_until.unwrap();
    assert!(after > before && after < sent + Duration::from_millis(240));
}

#[test]
fn no_lease_from_the_moment_in_which_somebody_may_have_been_told_to_stand() {
    let mut cluster = three(leased);
    cluster.run(100);
    cluster.cut.insert((id(1), id(2)));
    let transfer = cluster.request();
    cluster.on(
        id(1),
        Event::Transfer {
            id: transfer,
            to: Some(id(2)),
        },
    );
    cluster.run(50);
    assert_eq!(cluster.status(1).lease_until, None);
    cluster.run(700);
    assert_eq!(cluster.answers[&transfer], Outcome::Unknown);
    cluster.heal();
    cluster.run(100);
    if cluster.status(1).role == Role::Leader {
        assert_eq!(
            cluster.status(1).lease_until,
            None,
            "the word may still arrive"
        );
    }
}

#[test]
fn without_the_option_a_lease_read_takes_a_round() {
    let mut cluster = three(|_| {});
    cluster.run(100);
    let read = cluster.read(id(1), Consistency::Lease);
    assert!(!cluster.reads.contains_key(&read));
    cluster.settle();
    assert!(cluster.reads.contains_key(&read));
}

#[test]
fn local_reads_ask_nobody_and_witnesses_have_nothing_to_read() {
    let mut membership = Membership::of_voters([id(1), id(2)]);
    membership.members.insert(id(3), Member::witness());
    let mut cluster = Cluster::tuned(membership, |_| {});
    let local = cluster.read(id(1), Consistency::Local);
    assert_eq!(cluster.reads[&local], Index(0));
    let refused = cluster.read(id(3), Consistency::Local);
    assert_eq!(
        cluster.answers[&refused],
        Outcome::Refused(Refusal::NoState)
    );
}

#[test]
fn a_read_whose_index_never_comes_times_out() {
    let mut cluster = three(|_| {});
    cluster.propose(id(1), "a");
    cluster.settle();
    cluster.isolate(3);
    cluster.propose(id(1), "b");
    cluster.settle();
    cluster.node_mut(3).serve(RequestId(77), Index(3));
    cluster.run(2900);
    assert!(!cluster.answers.contains_key(&RequestId(77)));
    cluster.run(200);
    assert_eq!(
        cluster.answers[&RequestId(77)],
        Outcome::Refused(Refusal::TimedOut)
    );
}

#[test]
fn whoever_learns_that_it_is_a_witness_has_nothing_to_read() {
    let mut cluster = three(|_| {});
    cluster.add(id(4), Restored::joining());
    cluster.node_mut(4).serve(RequestId(77), Index(9));
    let mut members = cluster.status(1).membership.members.clone();
    members.insert(id(4), Member::witness());
    cluster.change(id(1), members);
    cluster.run(200);
    assert_eq!(
        cluster.answers[&RequestId(77)],
        Outcome::Refused(Refusal::NoState)
    );
}

#[test]
fn reads_that_wait_are_bounded() {
    let mut cluster = three(|config| config.max_pending_reads = 3);
    cluster.isolate(1);
    for _ in 0..4 {
        cluster.read(id(1), Consistency::Linearizable);
    }
    let (waiting, limit) = (3, 3);
    let busy = Outcome::Refused(Refusal::TooBusy { waiting, limit });
    assert!(cluster.answers.values().any(|outcome| *outcome == busy));
}

/// A witness that was removed took a read, and served it with what it counted
/// as applied though it has no state.
#[test]
fn whoever_is_a_member_no_more_takes_no_read_and_a_witness_never() {
    let mut cluster = three(|_| {});
    cluster.add(id(4), Restored::joining());
    let without = cluster.status(1).membership.members.clone();
    let mut members = without.clone();
    members.insert(id(4), Member::witness());
    cluster.change(id(1), members);
    cluster.run(200);
    cluster.change(id(1), without.clone());
    cluster.run(200);
    assert!(cluster.status(4).membership.member(id(4)).is_none());
    for consistency in [Consistency::Linearizable, Consistency::Local] {
        let read = cluster.read(id(4), consistency);
        cluster.settle();
        assert_eq!(cluster.answers[&read], Outcome::Refused(Refusal::NoState));
    }
    let mut two = without;
    two.remove(&id(3));
    cluster.change(id(1), two);
    cluster.run(200);
    let read = cluster.read(id(3), Consistency::Linearizable);
    assert!(matches!(cluster.answers[&read], Outcome::NotLeader { .. }));
}
