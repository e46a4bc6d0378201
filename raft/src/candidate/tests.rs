use crate::testing::{Cluster, id};
use crate::*;

/// What node 1 of three says to these messages from node 2, in order.
fn said(messages: Vec<Message>) -> (Cluster, Vec<Message>) {
    let mut cluster = Cluster::of(3);
    cluster.isolate(2);
    cluster.forget_promises();
    for message in messages {
        cluster.receive(1, 2, message);
    }
    let sent = cluster.queue.drain(..).map(|(_, _, message)| message);
    let sent = sent.collect();
    (cluster, sent)
}

fn vote(term: u64, last: (u64, u64)) -> Message {
    let (term, last) = (Term(term), LogId::new(Term(last.0), Index(last.1)));
    Message::Vote {
        term,
        last,
        forced: false,
    }
}

fn grants(messages: &[Message]) -> Vec<bool> {
    let granted = messages.iter().filter_map(|message| match message {
        Message::VoteAnswer { granted, .. } | Message::PreVoteAnswer { granted, .. } => {
            Some(*granted)
        }
        _ => None,
    });
    granted.collect()
}

#[test]
fn one_vote_in_a_term() {
    let mut cluster = Cluster::of(3);
    cluster.forget_promises();
    cluster.receive(1, 2, vote(5, (0, 0)));
    cluster.receive(1, 3, vote(5, (0, 0)));
    cluster.receive(1, 2, vote(5, (0, 0)));
    let sent: Vec<Message> = cluster.queue.iter().map(|sent| sent.2.clone()).collect();
    assert_eq!(grants(&sent), [true, false, true]);
}

#[test]
fn a_vote_survives_a_restart() {
    let (mut cluster, sent) = said(vec![vote(5, (0, 0))]);
    assert_eq!(grants(&sent), [true]);
    cluster.restart(id(1));
    cluster.forget_promises();
    cluster.receive(1, 3, vote(5, (9, 9)));
    assert_eq!(grants(&[cluster.queue[0].2.clone()]), [false]);
}

#[test]
fn a_vote_waits_for_the_disk() {
    let mut cluster = Cluster::of(3);
    cluster.forget_promises();
    cluster.hold(1);
    cluster.receive(1, 2, vote(5, (0, 0)));
    assert!(cluster.queue.is_empty());
    cluster.release(1);
    assert_eq!(grants(&[cluster.queue[0].2.clone()]), [true]);
}

#[test]
fn an_older_log_gets_no_vote() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.propose(id(1), "a");
    cluster.settle();
    cluster.forget_promises();
    let term = cluster.status(2).term.0;
    for (last, expected) in [((term, 1), false), ((0, 9), false), ((term, 2), true)] {
        cluster.queue.clear();
        let asked = cluster.status(2).term.0 + 1;
        cluster.receive(2, 3, vote(asked, last));
        assert_eq!(
            grants(&[cluster.queue[0].2.clone()]),
            [expected],
            "{last:?}"
        );
    }
}

#[test]
fn whoever_hears_a_leader_is_not_moved_by_others() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    let before = cluster.status(2);
    cluster.receive(2, 3, vote(before.term.0 + 7, (99, 99)));
    assert!(cluster.queue.is_empty());
    assert_eq!(cluster.status(2).term, before.term);
    let (term, last) = (Term(before.term.0 + 7), LogId::new(Term(99), Index(99)));
    cluster.receive(2, 3, Message::PreVote { term, last });
    assert_eq!(grants(&[cluster.queue[0].2.clone()]), [false]);
}

#[test]
fn whoever_hears_a_leader_votes_for_nobody_in_a_term_that_it_entered_otherwise() {
    // A voter can be moved to a newer term by a refused pre-vote while it owes
    // its leader a promise; the lease of that leader rests on it.
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    let term = cluster.status(2).term.next();
    let (asked, granted) = (term, false);
    cluster.receive(
        2,
        3,
        Message::PreVoteAnswer {
            term,
            asked,
            granted,
        },
    );
    assert_eq!(cluster.status(2).term, term);
    cluster.receive(2, 3, vote(term.0, (99, 99)));
    assert_eq!(cluster.status(2).voted_for, None);
}

#[test]
fn a_refused_pre_vote_brings_the_higher_term() {
    // One has the newer log, the other the newer term; the third is down.
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.isolate(3);
    cluster.propose(id(1), "a");
    cluster.settle();
    cluster.heal();
    cluster.isolate(1);
    cluster.queue.clear();
    let (term, granted) = (Term(cluster.status(3).term.0 + 5), false);
    cluster.receive(3, 1, Message::VoteAnswer { term, granted });
    assert!(cluster.status(3).term > cluster.status(2).term);
    cluster.run(3000);
    assert_eq!(cluster.status(2).role, Role::Leader);
}

#[test]
fn a_lone_node_does_not_raise_its_term() {
    let mut cluster = Cluster::of(3);
    cluster.elect();
    let term = cluster.status(1).term;
    cluster.isolate(1);
    cluster.run(5000);
    assert_eq!(cluster.status(1).term, term);
    cluster.heal();
    cluster.run(2000);
    assert_eq!(cluster.data(1), cluster.data(2));
}

#[test]
fn of_equals_the_one_with_priority_leads_and_without_it_another_does() {
    let mut membership = Membership::of_voters((1..=3).map(NodeId));
    let low = Member::of(Kind::Voter { priority: 0 });
    membership.members.insert(id(1), low.clone());
    membership.members.insert(id(2), low);
    let high = Member::of(Kind::Voter { priority: 255 });
    membership.members.insert(id(3), high);
    let mut cluster = Cluster::tuned(membership, |config| config.seed = 5);
    assert_eq!(cluster.elect(), id(3));
    cluster.isolate(3);
    cluster.run(3000);
    assert!((1..=2).any(|number| cluster.status(number).role == Role::Leader));
}

#[test]
fn witnesses_and_learners_vote_but_never_stand() {
    let mut membership = Membership::of_voters([id(1)]);
    membership.members.insert(id(2), Member::witness());
    membership.members.insert(id(3), Member::witness());
    let mut cluster = Cluster::tuned(membership, |_| {});
    cluster.isolate(1);
    cluster.run(5000);
    assert!((2..=3).all(|number| cluster.status(number).term == Term(0)));
    cluster.heal();
    assert_eq!(cluster.elect(), id(1));
}

#[test]
fn a_voter_that_knows_no_membership_votes() {
    let mut cluster = Cluster::of(1);
    cluster.add(id(9), Restored::joining());
    cluster.forget_promises();
    cluster.receive(9, 1, vote(3, (0, 0)));
    assert_eq!(cluster.status(9).voted_for, Some(id(1)));
}

#[test]
fn a_node_with_a_sick_disk_neither_votes_nor_stands() {
    let mut cluster = Cluster::of(3);
    cluster.forget_promises();
    cluster.on(id(1), Event::DiskStalled);
    cluster.receive(1, 2, vote(5, (0, 0)));
    assert_eq!(cluster.status(1).voted_for, None);
    cluster.isolate(1);
    cluster.run(3000);
    assert_eq!(cluster.status(1).role, Role::Follower);
    cluster.on(id(1), Event::DiskHealthy);
    cluster.run(3000);
    assert_eq!(cluster.status(1).role, Role::PreCandidate);
}

/// In the last term there is the next one was the same, so a node that had
/// voted in it stood, and voted for itself.
#[test]
fn nobody_stands_after_the_last_term() {
    let mut cluster = Cluster::of(3);
    cluster.forget_promises();
    cluster.receive(1, 2, vote(u64::MAX, (0, 0)));
    let term = Term(u64::MAX);
    cluster.receive(1, 3, Message::TimeoutNow { term });
    cluster.run(1000);
    assert_eq!(cluster.status(1).voted_for, Some(id(2)));
}
