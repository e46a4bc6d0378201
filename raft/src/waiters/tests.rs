use super::*;

fn at(term: u64, index: u64) -> LogId {
    LogId::new(Term(term), Index(index))
}

fn told(waiters: &mut Waiters, commit: u64, term: u64) -> Vec<(u64, Outcome)> {
    let mut told = Vec::new();
    let tell = |id: RequestId, outcome| told.push((id.0, outcome));
    waiters.committed(Index(commit), |_| Some(Term(term)), tell);
    told
}

#[test]
fn whoever_waits_is_told_once_the_entry_is_committed() {
    let mut waiters = Waiters::default();
    waiters.add(RequestId(1), at(2, 4), 10);
    waiters.add(RequestId(2), at(2, 6), 10);
    assert_eq!(told(&mut waiters, 3, 2), []);
    assert_eq!(
        told(&mut waiters, 5, 2),
        [(1, Outcome::Committed { last: at(2, 4) })]
    );
    assert_eq!((waiters.len(), waiters.bytes()), (1, 10));
}

#[test]
fn another_entry_committed_in_the_place_is_said_to_be_so() {
    let mut waiters = Waiters::default();
    waiters.add(RequestId(1), at(2, 4), 10);
    waiters.truncated(Index(4));
    assert_eq!(told(&mut waiters, 4, 3), [(1, Outcome::Superseded)]);
}

#[test]
fn a_later_term_in_an_earlier_place_is_told_first() {
    let mut waiters = Waiters::default();
    waiters.add(RequestId(1), at(2, 9), 1);
    waiters.add(RequestId(2), at(4, 5), 1);
    assert_eq!(
        told(&mut waiters, 5, 4),
        [(2, Outcome::Committed { last: at(4, 5) })]
    );
    assert_eq!(told(&mut waiters, 9, 4), [(1, Outcome::Superseded)]);
}

#[test]
fn out_of_office_they_wait_for_a_while_only() {
    let mut waiters = Waiters::default();
    waiters.add(RequestId(1), at(2, 4), 10);
    assert_eq!(waiters.deadline(), None);
    waiters.doubt(Time(50));
    waiters.doubt(Time(90));
    waiters.add(RequestId(2), at(3, 5), 10);
    assert_eq!(waiters.deadline(), Some(Time(50)));
    assert_eq!(waiters.expired(Some(Time(49))), []);
    assert_eq!(
        waiters.expired(Some(Time(50))),
        [(RequestId(1), Outcome::Unknown)]
    );
    assert_eq!((waiters.deadline(), waiters.bytes()), (None, 10));
    assert_eq!(waiters.expired(None), [(RequestId(2), Outcome::Unknown)]);
}
