use std::sync::Arc;

use cs_raft::{Body, Entry, Index, LogId, Membership, NodeId, Payload, Run, Term};

use super::Ledger;

fn id(term: u64, index: u64) -> LogId {
    LogId::new(Term(term), Index(index))
}

fn data(term: u64, index: u64) -> Entry {
    let body = Body::Data(Payload::new([7; 4]));
    Entry {
        id: id(term, index),
        body,
    }
}

fn voters(count: u64) -> Arc<Membership> {
    Arc::new(Membership::of_voters((1..=count).map(NodeId)))
}

/// Terms 1 1 2 2 3, the third of them a membership.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(Membership::clone(&voters(3)));
    ledger.push(data(1, 1));
    ledger.push(data(1, 2));
    let body = Body::Membership(voters(5));
    ledger.push(Entry { id: id(2, 3), body });
    ledger.push(data(2, 4));
    ledger.push(data(3, 5));
    ledger
}

#[test]
fn entries_follow_each_other() {
    let mut ledger = ledger();
    assert_eq!(ledger.push(data(3, 7)), None, "a gap");
    assert_eq!(ledger.push(data(2, 6)), None, "an older term");
    assert!(ledger.push(data(3, 6)).is_some());
    assert_eq!(ledger.last(), id(3, 6));
    let run = |first, term| Run {
        first: Index(first),
        term: Term(term),
    };
    assert_eq!(ledger.runs(), [run(1, 1), run(3, 2), run(5, 3)]);
    assert_eq!(ledger.first_of(Term(2)), Some(3));
    assert_eq!(ledger.first_of(Term(9)), None);
}

#[test]
fn chains_are_the_same_whether_compacted_or_not_and_differ_with_the_past() {
    let (one, mut other) = (ledger(), ledger());
    other.compact(4);
    assert_eq!(one.at(5), other.at(5));
    assert_eq!(one.at(4), other.at(4), "the base");
    assert_eq!(other.at(3), None);
    let mut third = Ledger::new(Membership::clone(&voters(3)));
    for (term, index) in [(1, 1), (1, 2), (2, 3), (2, 4), (3, 5)] {
        third.push(data(term, index));
    }
    assert_eq!(one.at(2), third.at(2));
    assert_ne!(one.at(5), third.at(5), "the third entry was another");
}

#[test]
fn memberships_go_with_their_entries_and_stay_when_compacted() {
    let mut ledger = ledger();
    assert_eq!(ledger.membership().0, id(2, 3));
    assert_eq!(**ledger.membership_at(2), *voters(3));
    ledger.supersede(3);
    assert_eq!(*ledger.membership().1, voters(3));
    let mut ledger = self::ledger();
    ledger.compact(4);
    assert_eq!(*ledger.membership().1, voters(5));
    assert!(ledger.later_memberships().is_empty());
    ledger.supersede(5);
    assert_eq!(*ledger.membership().1, voters(5));
}

#[test]
fn reads_are_bounded_by_bytes_and_empty_where_the_log_is_gone() {
    let mut ledger = ledger();
    let indexes = |ledger: &Ledger, after, bytes| -> Vec<u64> {
        let read = ledger.read(Index(after), bytes);
        read.iter().map(|entry| entry.id.index.0).collect()
    };
    assert_eq!(indexes(&ledger, 0, 1), [1], "at least one");
    assert_eq!(indexes(&ledger, 3, usize::MAX), [4, 5]);
    ledger.compact(3);
    assert_eq!(indexes(&ledger, 2, usize::MAX), [0; 0]);
}
