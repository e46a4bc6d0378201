use std::time::Duration;

use crate::testing::{Cluster, id, payload};
use crate::*;

#[test]
fn an_older_entry_is_committed_by_one_of_the_own_term_only() {
    // Figure 8 of the paper: a quorum has the old entry, and yet it may be
    // superseded until an entry of the leader's own term is on a quorum.
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.isolate(1);
    cluster.propose(id(1), "old");
    cluster.settle();
    cluster.restart(id(1));
    cluster.forget_promises();
    cluster.node_mut(1).campaign_at = Time(0);
    cluster.on(id(1), Event::Tick);
    let (asked, granted) = (cluster.status(1).term.next(), true);
    cluster.receive(
        1,
        2,
        Message::PreVoteAnswer {
            term: Term(1),
            asked,
            granted,
        },
    );
    let term = asked;
    cluster.receive(1, 2, Message::VoteAnswer { term, granted });
    assert_eq!(cluster.status(1).role, Role::Leader);
    let session = cluster.status(1).peers[0].session;
    let matched = |upto| Message::AppendAnswer {
        term,
        session,
        outcome: AppendOutcome::Matched { upto: Index(upto) },
    };
    cluster.receive(1, 2, matched(2));
    assert_eq!(cluster.status(1).commit, Index(1));
    cluster.receive(1, 2, matched(3));
    assert_eq!(cluster.status(1).commit, Index(3));
}

#[test]
fn the_own_disk_counts_like_any_other() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.hold(1);
    let written = cluster.propose(id(1), "a");
    cluster.settle();
    assert!(cluster.is_committed(written), "the two others are enough");
    cluster.isolate(2);
    let written = cluster.propose(id(1), "b");
    cluster.settle();
    assert!(!cluster.is_committed(written));
    cluster.release(1);
    assert!(cluster.is_committed(written));
}

#[test]
fn a_leader_without_a_quorum_steps_down_and_its_clients_learn_that_nothing_is_known() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.isolate(1);
    let written = cluster.propose(id(1), "a");
    cluster.run(400);
    assert_eq!(cluster.status(1).role, Role::Follower);
    assert!(!cluster.answers.contains_key(&written));
    cluster.run(4000);
    assert_eq!(cluster.answers[&written], Outcome::Unknown);
}

#[test]
fn what_another_leader_superseded_is_said_to_be_so() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.isolate(1);
    let written = cluster.propose(id(1), "lost");
    cluster.run(1500);
    cluster.heal();
    cluster.run(1000);
    assert_eq!(cluster.answers[&written], Outcome::Superseded);
}

#[test]
fn a_leader_is_ready_when_its_first_entry_is_applied() {
    let mut cluster = Cluster::of(3);
    cluster.hold(1);
    cluster.forget_promises();
    cluster.node_mut(1).campaign_at = Time(0);
    cluster.on(id(1), Event::Tick);
    cluster.settle();
    cluster.release(1);
    cluster.settle();
    let seen = cluster.seen.iter().filter_map(|(of, action)| match action {
        Action::Role {
            role: Role::Leader,
            readiness,
            ..
        } if *of == id(1) => Some(*readiness),
        _ => None,
    });
    let seen: Vec<Readiness> = seen.collect();
    let expected = [
        Readiness::AwaitingCommit,
        Readiness::AwaitingApply,
        Readiness::Ready,
    ];
    assert_eq!(seen, expected);
}

#[test]
fn what_waits_is_bounded_by_bytes_and_refused_by_name() {
    let membership = Membership::of_voters((1..=3).map(NodeId));
    let mut cluster = Cluster::tuned(membership, |config| {
        config.max_uncommitted_bytes = 200;
        config.max_payload_bytes = 150;
    });
    let other = cluster.propose(id(1), "a");
    assert_eq!(cluster.answers[&other], Outcome::NotLeader { leader: None });
    cluster.elect_node(1);
    let refusal = |cluster: &mut Cluster, payloads| {
        let id = cluster.request();
        cluster.on(NodeId(1), Event::Propose { id, payloads });
        cluster.answers.get(&id).cloned()
    };
    let bad = |found| Some(Outcome::Refused(Refusal::BadLen { found, limit: 150 }));
    assert_eq!(refusal(&mut cluster, vec![]), bad(0));
    assert_eq!(
        refusal(&mut cluster, vec![Payload::new([0; 151])]),
        bad(151)
    );
    assert_eq!(refusal(&mut cluster, vec![Payload::new([0; 100])]), None);
    let (waiting, limit) = (164, 200);
    let busy = Some(Outcome::Refused(Refusal::TooBusy { waiting, limit }));
    assert_eq!(refusal(&mut cluster, vec![payload("x")]), busy);
    cluster.settle();
    assert_eq!(refusal(&mut cluster, vec![payload("x")]), None);
}

#[test]
fn a_proposal_of_many_is_answered_once_with_its_last() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    let request = cluster.request();
    let payloads = ["a", "b", "c"].map(payload).to_vec();
    cluster.on(
        id(1),
        Event::Propose {
            id: request,
            payloads,
        },
    );
    cluster.settle();
    let last = LogId::new(cluster.status(1).term, Index(4));
    assert_eq!(cluster.answers[&request], Outcome::Committed { last });
    assert_eq!(cluster.data(2), ["a", "b", "c"]);
}

#[test]
fn a_peer_started_anew_has_to_show_what_it_has() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.propose(id(1), "a");
    cluster.settle();
    let before = cluster.status(1).peers[0].session;
    cluster.restart(id(2));
    cluster.isolate(3);
    cluster.cut.insert((id(2), id(1)));
    cluster.run(60);
    let session = cluster.status(1).peers[0].session;
    assert_eq!(session, before);
    cluster.heal();
    cluster.run(120);
    let peer = cluster.status(1).peers[0].clone();
    assert!(peer.session > before);
    assert_eq!(peer.matched, Index(2), "it has shown it");
}

#[test]
fn a_stalled_disk_hands_leadership_on_at_once() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.on(id(1), Event::DiskStalled);
    cluster.settle();
    assert_eq!(cluster.status(1).role, Role::Follower);
    assert!((2..=3).any(|number| cluster.status(number).role == Role::Leader));
}

#[test]
fn a_poisoned_node_takes_part_in_nothing_and_says_so() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.hold(1);
    cluster.isolate(1);
    let written = cluster.propose(id(1), "a");
    let read = cluster.read(id(1), Consistency::Linearizable);
    let ticket = cluster.hosts[&id(1)].held[0];
    let reason = "no space".into();
    cluster.on(id(1), Event::PersistFailed { ticket, reason });
    assert_eq!(cluster.answers[&written], Outcome::Unknown);
    assert_eq!(cluster.answers[&read], Outcome::NotLeader { leader: None });
    assert_eq!(cluster.status(1).failure.as_deref(), Some("no space"));
    let later = cluster.propose(id(1), "b");
    assert_eq!(
        cluster.answers[&later],
        Outcome::Refused(Refusal::DiskUnhealthy)
    );
    cluster.heal();
    cluster.queue.clear();
    let (term, last) = (Term(99), LogId::new(Term(99), Index(99)));
    cluster.receive(
        1,
        2,
        Message::Vote {
            term,
            last,
            forced: true,
        },
    );
    assert!(cluster.queue.is_empty());
    assert_eq!(cluster.node(1).deadline(), Time(u64::MAX));
}

#[test]
fn rounds_that_wait_stay_few_under_many_reads() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    for _ in 0..50 {
        cluster.read(id(1), Consistency::Linearizable);
    }
    let heartbeats = cluster.queue.iter();
    let heartbeats = heartbeats.filter(|sent| matches!(sent.2, Message::Heartbeat { .. }));
    assert_eq!(heartbeats.count(), 2, "one round");
    cluster.settle();
    assert_eq!(cluster.reads.len(), 50);
}

#[test]
fn heartbeats_go_on_at_their_interval() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.seen.clear();
    cluster.run(500);
    let sent = cluster.seen.iter().filter(|(_, action)| {
        matches!(
            action,
            Action::Send {
                message: Message::Heartbeat { .. },
                ..
            }
        )
    });
    let count = sent.count();
    assert!((18..=22).contains(&count), "{count}");
    assert!(
        cluster
            .status(1)
            .peers
            .iter()
            .all(|peer| peer.heard.is_some())
    );
    let age = Duration::from_millis(100);
    assert!(cluster.now - cluster.node_mut(1).leader_mut().unwrap().quorum_at() < age);
}

#[test]
fn nobody_who_could_not_win_is_told_to_take_over() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.hold(2);
    cluster.isolate(3);
    cluster.propose(id(1), "a");
    cluster.settle();
    cluster.release(2);
    cluster.settle();
    cluster.isolate(2);
    cluster.heal();
    cluster.on(id(1), Event::DiskStalled);
    let told = cluster
        .queue
        .iter()
        .map(|(_, to, message)| (*to, message.kind()));
    let told: Vec<_> = told.filter(|(_, kind)| *kind == "timeout-now").collect();
    assert_eq!(told, [(id(2), "timeout-now")]);
    let mut lagging = Cluster::of(3);
    lagging.elect_node(1);
    let leader = lagging.node_mut(1).leader_mut().unwrap();
    leader
        .peers
        .values_mut()
        .for_each(|peer| peer.matched = Index(0));
    lagging.queue.clear();
    lagging.on(id(1), Event::DiskStalled);
    assert!(lagging.queue.is_empty());
}
