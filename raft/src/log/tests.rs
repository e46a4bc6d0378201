use proptest::prelude::*;

use super::*;
use crate::{NodeId, Payload};

fn data(term: u64, index: u64) -> Entry {
    Entry {
        id: LogId::new(Term(term), Index(index)),
        body: Body::Data(Payload::new(index.to_le_bytes())),
    }
}

fn members(term: u64, index: u64, count: u64) -> Entry {
    let membership = Membership::of_voters((1..=count).map(NodeId));
    Entry {
        body: Body::Membership(membership.into()),
        ..data(term, index)
    }
}

/// A log with entries of these terms, from index 1 on.
fn log_of(terms: &[u64]) -> Log {
    let one = Membership::of_voters([NodeId(1)]);
    let mut log = Log::new(&Restored::founding(one), 1 << 20).unwrap();
    for (term, index) in terms.iter().zip(1..) {
        log.append(data(*term, index));
    }
    log
}

fn id(term: u64, index: u64) -> LogId {
    LogId::new(Term(term), Index(index))
}

#[test]
fn terms_are_found_from_the_base_to_the_end_and_nowhere_else() {
    let mut log = log_of(&[1, 1, 3, 3, 3, 4]);
    log.compact(Index(2));
    let found: Vec<_> = (0..8)
        .map(|index| log.term_at(Index(index)).map(|term| term.0))
        .collect();
    let (none, expected) = (None, [Some(1), Some(3), Some(3), Some(3), Some(4)]);
    assert_eq!(found[..2], [none, none]);
    assert_eq!(found[2..7], expected);
    assert_eq!(found[7], none);
}

#[test]
fn going_back_skips_whole_terms() {
    let log = log_of(&[1, 1, 3, 3, 3, 6]);
    let table = [
        (6, 6, id(6, 6)),
        (6, 5, id(3, 5)),
        (9, 3, id(3, 5)),
        (4, 3, id(3, 4)),
        (6, 2, id(1, 2)),
        (1, 9, id(1, 1)),
        (6, 0, id(0, 0)),
    ];
    for (index, term, expected) in table {
        assert_eq!(
            log.last_at_most(Index(index), Term(term)),
            expected,
            "{index} {term}"
        );
    }
}

#[test]
fn a_superseded_membership_gives_way_to_the_one_before() {
    let mut log = log_of(&[1]);
    log.append(members(1, 2, 3));
    log.append(members(1, 3, 5));
    assert_eq!(log.membership().members.len(), 5);
    log.truncate(Index(3));
    assert_eq!(log.membership().members.len(), 3);
    assert_eq!(log.membership_id(), id(1, 2));
    log.truncate(Index(1));
    assert_eq!(log.membership().members.len(), 1);
    assert_eq!(log.last_id(), id(0, 0));
}

#[test]
fn compaction_keeps_the_membership_that_counts_at_the_base() {
    let mut log = log_of(&[1]);
    log.append(members(1, 2, 3));
    log.append(data(1, 3));
    log.append(members(1, 4, 5));
    log.compact(Index(3));
    assert_eq!(log.membership_at(Index(3)).members.len(), 3);
    assert_eq!(log.membership().members.len(), 5);
    log.compact(Index(4));
    assert_eq!(log.base(), id(1, 4));
    assert_eq!(log.last_id(), id(1, 4));
    assert_eq!(log.membership().members.len(), 5);
    assert_eq!(log.term_at(Index(3)), None);
}

#[test]
fn a_snapshot_leaves_nothing_of_the_log_and_brings_its_membership() {
    let mut log = log_of(&[1, 1]);
    log.append(members(1, 3, 5));
    let two = Membership::of_voters([NodeId(1), NodeId(2)]);
    log.reset(id(4, 2), two.into());
    assert_eq!((log.last_id(), log.base()), (id(4, 2), id(4, 2)));
    assert_eq!(log.membership().members.len(), 2);
    assert_eq!(log.cached(Index(2), 1000), None);
    log.append(data(5, 3));
    assert_eq!(log.cached(Index(2), 1000), Some(vec![data(5, 3)]));
}

#[test]
fn the_cache_forgets_the_oldest_and_gives_at_least_one() {
    let one = Membership::of_voters([NodeId(1)]);
    let each = data(1, 1).bytes();
    let mut log = Log::new(&Restored::founding(one), 3 * each).unwrap();
    for index in 1..=5 {
        log.append(data(1, index));
    }
    assert_eq!(log.cached(Index(1), 1000), None);
    assert_eq!(log.cached(Index(2), 1), Some(vec![data(1, 3)]));
    assert_eq!(
        log.cached(Index(2), 2 * each).map(|entries| entries.len()),
        Some(2)
    );
    assert_eq!(log.cached(Index(5), 1000), None);
}

#[test]
fn what_contradicts_itself_is_not_restored() {
    let sound = Restored {
        runs: vec![
            Run {
                first: Index(1),
                term: Term(1),
            },
            Run {
                first: Index(3),
                term: Term(2),
            },
        ],
        last: Index(4),
        recent: vec![data(2, 3), data(2, 4)],
        ..Restored::founding(Membership::of_voters([NodeId(1)]))
    };
    assert!(Log::new(&sound, 1000).is_ok());
    let mut gap = sound.clone();
    gap.runs[0].first = Index(2);
    let mut backwards = sound.clone();
    backwards.runs[1].term = Term(1);
    let mut short = sound.clone();
    short.last = Index(2);
    let mut other = sound.clone();
    other.recent[1].id.term = Term(1);
    let mut late = sound.clone();
    late.memberships = vec![(id(2, 5), Membership::default())];
    for wrong in [gap, backwards, short, other, late] {
        let found = Log::new(&wrong, 1000);
        assert!(matches!(found, Err(Error::Restored { .. })), "{wrong:?}");
    }
}

proptest! {
    /// The runs say of each index what a plain list of terms says.
    #[test]
    fn runs_agree_with_a_plain_list(
        steps in proptest::collection::vec((0_u8..4, 0_u64..12), 1..60),
    ) {
        let mut log = log_of(&[]);
        let (mut terms, mut base, mut term) = (vec![0_u64], 0_usize, 1);
        for (kind, number) in steps {
            match kind {
                0 | 1 => {
                    log.append(data(term, terms.len() as u64));
                    terms.push(term);
                }
                2 => {
                    let from = (base + 1 + number as usize).min(terms.len());
                    if from < terms.len() {
                        log.truncate(Index(from as u64));
                        terms.truncate(from);
                    }
                    term += 1;
                }
                _ => {
                    base = (base + number as usize / 2).min(terms.len() - 1);
                    log.compact(Index(base as u64));
                }
            }
            for index in 0..terms.len() as u64 + 2 {
                let expected = terms.get(index as usize).filter(|_| index as usize >= base);
                prop_assert_eq!(log.term_at(Index(index)).map(|term| term.0), expected.copied());
            }
            prop_assert_eq!(log.last_id().term.0, terms[terms.len() - 1]);
        }
    }
}
