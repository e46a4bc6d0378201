use std::time::Duration;

use crate::testing::{Cluster, id, payload};
use crate::*;

const TERM: Term = Term(3);
const SESSION: Session = Session(4);

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(Term(term), Index(index))
}

fn append(previous: LogId, ids: &[(u64, u64)], commit: u64) -> Message {
    let entry = |(term, index): &(u64, u64)| Entry {
        id: log_id(*term, *index),
        body: Body::Data(payload("x")),
    };
    Message::Append {
        term: TERM,
        session: SESSION,
        previous,
        entries: ids.iter().map(entry).collect(),
        commit: Index(commit),
    }
}

fn heartbeat(commit: u64, quorum_age: Duration) -> Message {
    let (term, session, token) = (TERM, SESSION, Token(1));
    Message::Heartbeat {
        term,
        session,
        commit: Index(commit),
        token,
        quorum_age,
    }
}

fn outcomes(cluster: &mut Cluster) -> Vec<AppendOutcome> {
    let outcomes = cluster
        .queue
        .drain(..)
        .filter_map(|(_, _, message)| match message {
            Message::AppendAnswer { outcome, .. } => Some(outcome),
            _ => None,
        });
    outcomes.collect()
}

fn matched(upto: u64) -> AppendOutcome {
    AppendOutcome::Matched { upto: Index(upto) }
}

fn rejected(previous: u64, hint: LogId) -> AppendOutcome {
    AppendOutcome::Rejected {
        previous: Index(previous),
        hint,
    }
}

#[test]
fn entries_are_acknowledged_when_they_are_durable() {
    let mut cluster = Cluster::of(3);
    cluster.receive(1, 2, heartbeat(0, Duration::ZERO));
    cluster.hold(1);
    cluster.receive(1, 2, append(log_id(0, 0), &[(1, 1), (1, 2)], 0));
    cluster.receive(1, 2, append(log_id(1, 2), &[(3, 3)], 0));
    assert_eq!(outcomes(&mut cluster), []);
    let second = cluster.hosts[&id(1)].held[1];
    cluster.end(id(1), second);
    assert_eq!(outcomes(&mut cluster), [], "the first write is still open");
    cluster.release(1);
    assert_eq!(outcomes(&mut cluster), [matched(3)]);
}

#[test]
fn a_gap_or_a_mismatch_is_rejected_with_what_can_agree() {
    let mut cluster = Cluster::of(3);
    cluster.receive(1, 2, append(log_id(0, 0), &[(1, 1), (1, 2), (2, 3)], 0));
    outcomes(&mut cluster);
    cluster.receive(1, 2, append(log_id(3, 9), &[], 0));
    assert_eq!(outcomes(&mut cluster), [rejected(9, log_id(2, 3))]);
    cluster.receive(1, 2, append(log_id(1, 3), &[], 0));
    assert_eq!(outcomes(&mut cluster), [rejected(3, log_id(1, 2))]);
}

#[test]
fn a_conflict_supersedes_the_tail_and_a_doubled_append_does_not() {
    let mut cluster = Cluster::of(3);
    cluster.receive(1, 2, append(log_id(0, 0), &[(1, 1), (1, 2), (1, 3)], 1));
    cluster.receive(1, 2, append(log_id(1, 1), &[(2, 2)], 1));
    assert_eq!(cluster.status(1).last, log_id(2, 2));
    cluster.receive(1, 2, append(log_id(2, 2), &[(3, 3)], 1));
    cluster.receive(1, 2, append(log_id(1, 1), &[(2, 2)], 1));
    assert_eq!(
        cluster.status(1).last,
        log_id(3, 3),
        "an older one takes nothing away"
    );
    let superseded = cluster.seen.iter();
    let superseded =
        superseded.filter(|(_, action)| matches!(action, Action::SupersedeTail { .. }));
    assert_eq!(superseded.count(), 1);
}

#[test]
#[should_panic(expected = "is committed and cannot be superseded")]
fn a_committed_entry_is_never_superseded() {
    let mut cluster = Cluster::of(3);
    cluster.receive(1, 2, append(log_id(0, 0), &[(1, 1)], 1));
    cluster.receive(1, 2, append(log_id(0, 0), &[(2, 1)], 1));
}

#[test]
fn the_commit_index_stays_within_what_is_known_to_agree() {
    let mut cluster = Cluster::of(3);
    cluster.receive(1, 2, append(log_id(0, 0), &[(1, 1), (1, 2), (1, 3)], 0));
    cluster.receive(1, 2, append(log_id(1, 1), &[], 9));
    assert_eq!(
        cluster.status(1).commit,
        Index(3),
        "all of it came in this term"
    );
    cluster.restart(id(1));
    cluster.receive(1, 2, heartbeat(9, Duration::ZERO));
    assert_eq!(cluster.status(1).commit, Index(3), "applied before");
    let mut other = Cluster::of(3);
    other.receive(1, 2, append(log_id(0, 0), &[(1, 1), (1, 2), (1, 3)], 0));
    other.restart(id(1));
    other.receive(1, 2, heartbeat(3, Duration::ZERO));
    assert_eq!(
        other.status(1).commit,
        Index(0),
        "nothing shows that the logs agree"
    );
    other.receive(1, 2, append(log_id(1, 2), &[], 3));
    assert_eq!(other.status(1).commit, Index(2));
}

#[test]
fn a_replaced_stream_is_not_listened_to() {
    let mut cluster = Cluster::of(3);
    let Message::Append {
        term,
        previous,
        entries,
        commit,
        ..
    } = append(log_id(0, 0), &[(1, 1)], 0)
    else {
        unreachable!()
    };
    cluster.receive(1, 2, heartbeat(0, Duration::ZERO));
    let session = Session(SESSION.0 - 1);
    cluster.receive(
        1,
        2,
        Message::Append {
            term,
            session,
            previous,
            entries,
            commit,
        },
    );
    assert_eq!(cluster.status(1).last, log_id(0, 0));
}

#[test]
fn only_a_leader_with_a_quorum_is_waited_for() {
    let mut cluster = Cluster::of(3);
    cluster.forget_promises();
    let old = Duration::from_millis(300);
    cluster.receive(1, 2, heartbeat(0, old));
    assert!(!cluster.node(1).is_loyal());
    cluster.receive(1, 2, append(log_id(0, 0), &[(1, 1)], 0));
    assert!(!cluster.node(1).is_loyal());
    cluster.receive(1, 2, heartbeat(0, Duration::from_millis(50)));
    assert!(cluster.node(1).is_loyal());
}

#[test]
fn an_older_leader_is_told_of_the_newer_term() {
    let mut cluster = Cluster::of(3);
    cluster.receive(1, 2, heartbeat(0, Duration::ZERO));
    cluster.queue.clear();
    let (term, session, previous) = (Term(1), SESSION, log_id(0, 0));
    let (entries, commit) = (Vec::new(), Index(0));
    cluster.receive(
        1,
        3,
        Message::Append {
            term,
            session,
            previous,
            entries,
            commit,
        },
    );
    assert_eq!(cluster.queue[0].2.term(), TERM);
    assert_eq!(cluster.status(1).leader, Some(id(2)));
}

#[test]
fn a_disk_with_too_much_to_write_takes_no_more() {
    let membership = Membership::of_voters((1..=3).map(NodeId));
    let mut cluster = Cluster::tuned(membership, |config| config.max_unpersisted_bytes = 100);
    cluster.receive(1, 2, heartbeat(0, Duration::ZERO));
    cluster.hold(1);
    cluster.receive(1, 2, append(log_id(0, 0), &[(1, 1)], 0));
    cluster.receive(1, 2, append(log_id(1, 1), &[(1, 2)], 0));
    assert_eq!(outcomes(&mut cluster), [AppendOutcome::Busy]);
    cluster.release(1);
    cluster.receive(1, 2, append(log_id(1, 1), &[(1, 2)], 0));
    assert_eq!(outcomes(&mut cluster), [matched(1), matched(2)]);
}

/// A follower that had asked for votes, and heard its leader again, forgot how
/// far their logs agree; the leader had nothing more to send, and the follower
/// never learned of the last commit.
#[test]
fn what_agrees_with_a_leader_agrees_for_its_term() {
    let mut cluster = Cluster::of(3);
    cluster.receive(1, 2, append(log_id(0, 0), &[(1, 1), (1, 2)], 1));
    cluster.forget_promises();
    cluster.node_mut(1).campaign_at = Time(0);
    cluster.on(id(1), Event::Tick);
    assert_eq!(cluster.status(1).role, Role::PreCandidate);
    cluster.receive(1, 2, heartbeat(2, Duration::ZERO));
    assert_eq!(cluster.status(1).commit, Index(2));
}
