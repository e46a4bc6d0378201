use crate::testing::{Cluster, id, payload};
use crate::*;

fn appends(cluster: &Cluster, to: u64) -> usize {
    let sent = cluster.seen.iter().filter(|(_, action)| {
        matches!(action, Action::Send { to: at, message: Message::Append { .. }, .. }
            if *at == id(to))
    });
    sent.count()
}

fn peer(cluster: &Cluster, of: u64, number: u64) -> PeerStatus {
    let peers = cluster.status(of).peers;
    peers
        .into_iter()
        .find(|peer| peer.id == id(number))
        .unwrap()
}

#[test]
fn going_back_takes_a_message_for_each_term_not_for_each_entry() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.isolate(1);
    for number in 0..100 {
        cluster.propose(id(1), &number.to_string());
    }
    cluster.run(1500);
    let leader = cluster.elect();
    for number in 0..100 {
        cluster.propose(leader, &(1000 + number).to_string());
    }
    cluster.settle();
    cluster.seen.clear();
    cluster.heal();
    cluster.run(200);
    assert_eq!(cluster.data(1), cluster.data(leader.0));
    assert!(appends(&cluster, 1) < 12, "{}", appends(&cluster, 1));
}

#[test]
fn an_answer_of_an_older_session_changes_nothing() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.isolate(2);
    cluster.isolate(3);
    let written = cluster.propose(id(1), "a");
    cluster.settle();
    let term = cluster.status(1).term;
    let outcome = AppendOutcome::Matched { upto: Index(2) };
    let session = Session(peer(&cluster, 1, 2).session.0 - 1);
    cluster.receive(
        1,
        2,
        Message::AppendAnswer {
            term,
            session,
            outcome,
        },
    );
    assert!(!cluster.is_committed(written));
    let session = peer(&cluster, 1, 2).session;
    cluster.receive(
        1,
        2,
        Message::AppendAnswer {
            term,
            session,
            outcome,
        },
    );
    assert!(cluster.is_committed(written));
}

#[test]
fn what_is_under_way_is_bounded_and_goes_on_with_acknowledgements() {
    let membership = Membership::of_voters((1..=3).map(NodeId));
    let mut cluster = Cluster::tuned(membership, |config| {
        config.window_bytes = 500;
        config.max_append_bytes = 200;
    });
    cluster.elect_node(1);
    for number in 0..100 {
        cluster.propose(id(1), &number.to_string());
    }
    let bytes = peer(&cluster, 1, 2).inflight_bytes;
    assert!((500..700).contains(&bytes), "{bytes}");
    cluster.settle();
    assert_eq!(cluster.data(2).len(), 100);
}

#[test]
fn lost_entries_are_sent_again_without_a_new_write() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.cut.insert((id(1), id(2)));
    cluster.propose(id(1), "a");
    cluster.settle();
    cluster.heal();
    cluster.run(300);
    assert_eq!(cluster.data(2), ["a"]);
    assert_eq!(peer(&cluster, 1, 2).state, PeerState::Replicate);
}

#[test]
fn entries_that_are_not_in_memory_are_fetched() {
    let membership = Membership::of_voters((1..=3).map(NodeId));
    let mut cluster = Cluster::tuned(membership, |config| {
        config.cache_bytes = 300;
        config.max_append_bytes = 300;
    });
    cluster.elect_node(1);
    cluster.isolate(3);
    for number in 0..50 {
        cluster.propose(id(1), &number.to_string());
        cluster.settle();
    }
    cluster.heal();
    cluster.run(500);
    assert_eq!(cluster.data(3).len(), 50);
    assert!(
        cluster
            .seen
            .iter()
            .any(|(_, action)| matches!(action, Action::Fetch { .. }))
    );
}

#[test]
fn fetched_entries_must_be_those_of_the_log() {
    let membership = Membership::of_voters((1..=3).map(NodeId));
    let mut cluster = Cluster::tuned(membership, |config| config.cache_bytes = 1);
    cluster.elect_node(1);
    let session = peer(&cluster, 1, 2).session;
    let wrong = Entry {
        id: LogId::new(Term(99), Index(1)),
        body: Body::Data(payload("x")),
    };
    let (to, after, entries) = (id(2), Index(0), vec![wrong]);
    let leader = cluster.node_mut(1).leader_mut().unwrap();
    leader.peers.get_mut(&to).unwrap().fetching = Some(after);
    let now = cluster.now;
    let found = cluster.node_mut(1).on(
        now,
        Event::Fetched {
            to,
            session,
            after,
            entries,
        },
    );
    assert_eq!(found, Err(Refused::WrongEntries { at: Index(1) }));
}

#[test]
fn a_busy_peer_is_left_alone_until_it_answers_a_heartbeat() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    let (term, session) = (cluster.status(1).term, peer(&cluster, 1, 2).session);
    let outcome = AppendOutcome::Busy;
    cluster.receive(
        1,
        2,
        Message::AppendAnswer {
            term,
            session,
            outcome,
        },
    );
    cluster.seen.clear();
    cluster.propose(id(1), "a");
    assert_eq!(appends(&cluster, 2), 0);
    cluster.run(120);
    assert_eq!(cluster.data(2), ["a"]);
}

#[test]
fn a_rejection_below_what_has_matched_is_stale() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.propose(id(1), "a");
    cluster.settle();
    let (term, session) = (cluster.status(1).term, peer(&cluster, 1, 2).session);
    let (previous, hint) = (Index(1), LogId::default());
    let outcome = AppendOutcome::Rejected { previous, hint };
    cluster.receive(
        1,
        2,
        Message::AppendAnswer {
            term,
            session,
            outcome,
        },
    );
    assert_eq!(peer(&cluster, 1, 2).state, PeerState::Replicate);
    let outcome = AppendOutcome::Matched { upto: Index(77) };
    cluster.receive(
        1,
        2,
        Message::AppendAnswer {
            term,
            session,
            outcome,
        },
    );
    assert_eq!(
        peer(&cluster, 1, 2).matched,
        Index(2),
        "nobody has what never was"
    );
}

/// A late acknowledgement moved what is sent next while older entries were
/// being read; the answer was not that for the next one, and the peer was held
/// for ever.
#[test]
fn a_fetch_that_an_acknowledgement_overtook_holds_nobody_up() {
    let membership = Membership::of_voters((1..=3).map(NodeId));
    let mut cluster = Cluster::tuned(membership, |config| config.cache_bytes = 1);
    cluster.elect_node(1);
    let (to, after) = (id(2), Index(0));
    let session = peer(&cluster, 1, 2).session;
    let leader = cluster.node_mut(1).leader_mut().unwrap();
    leader.peers.get_mut(&to).unwrap().fetching = Some(after);
    let entries = vec![cluster.hosts[&id(1)].entries[0].clone()];
    cluster.on(
        id(1),
        Event::Fetched {
            to,
            session,
            after,
            entries,
        },
    );
    cluster.propose(id(1), "a");
    cluster.settle();
    assert_eq!(cluster.data(2), ["a"]);
}

/// Entries were lost, and then compacted: the question whether they came could
/// not be asked any more, and nothing was sent for ever.
#[test]
fn lost_entries_that_are_compacted_meanwhile_are_made_good_by_a_snapshot() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.cut.insert((id(1), id(3)));
    cluster.propose(id(1), "a");
    cluster.settle();
    cluster.propose(id(1), "b");
    cluster.settle();
    cluster.compact(1);
    cluster.heal();
    cluster.run(500);
    assert_eq!(cluster.status(3).applied, Index(3));
}
