use std::sync::Arc;

use cs_base::{Index, Lsn};

use super::Tail;
use crate::error::LogError;
use crate::log::tests::*;

fn next(tail: &mut Tail) -> Option<u64> {
    tail.next(|record| record.head.index.0).unwrap()
}

fn all(tail: &mut Tail) -> Vec<u64> {
    std::iter::from_fn(|| next(tail)).collect()
}

#[test]
fn a_tail_shows_what_is_durable_and_nothing_else() {
    let log = create(&memory());
    let owner = TestOwner::default();
    let mut tail = log.tail("tail", Index(0), None).unwrap();
    assert_eq!(next(&mut tail), None);
    commit(&log, &owner, b"one");
    assert_eq!(next(&mut tail), Some(1));
    assert_eq!(next(&mut tail), None);
    let appended = append(&log, b"two");
    append(&log, b"three");
    assert_eq!(next(&mut tail), None, "appended is not durable");
    log.wait_durable(&owner, appended.end).unwrap();
    assert_eq!(all(&mut tail), [2, 3]);
    let payload = log.tail("other", Index(1), None).unwrap();
    let mut payload = payload;
    let text = payload.next(|record| record.payload.to_vec()).unwrap();
    assert_eq!(text.as_deref(), Some(&b"two"[..]));
}

#[test]
fn it_follows_across_segments_and_keeps_what_it_has_not_read() {
    let log = create(&memory());
    let owner = TestOwner::default();
    let mut tail = log.tail("tail", Index(0), None).unwrap();
    for _ in 0..200 {
        commit(&log, &owner, &[7; 1000]);
        log.step().unwrap();
    }
    assert!(log.segments().len() > 3);
    log.recycle_below(log.durable_lsn()).unwrap();
    assert!(log.segments().len() > 3, "the tail's pin keeps them");
    for index in 1..=100 {
        assert_eq!(next(&mut tail), Some(index));
    }
    // Its pin moves on when it has read what was durable.
    assert_eq!(all(&mut tail), (101..=200).collect::<Vec<_>>());
    commit(&log, &owner, b"x");
    assert_eq!(all(&mut tail), [201]);
    log.recycle_below(log.durable_lsn()).unwrap();
    assert_eq!(log.segments().len(), 1);
    drop(tail);
    assert!(log.pins().is_empty());
}

#[test]
fn a_tail_begins_behind_any_record_that_is_kept() {
    let log = create(&memory());
    let owner = TestOwner::default();
    for round in 0..120 {
        let appended = append(&log, &[7; 700]);
        if round % 3 == 0 {
            log.wait_durable(&owner, appended.end).unwrap();
        }
        log.step().unwrap();
    }
    log.wait_durable(&owner, log.appended_lsn()).unwrap();
    for after in [0, 1, 57, 119, 120] {
        let mut tail = log.tail("tail", Index(after), None).unwrap();
        assert_eq!(all(&mut tail), (after + 1..=120).collect::<Vec<_>>());
    }
    log.recycle_below(log.durable_lsn()).unwrap();
    let gone = log.tail("tail", Index(0), None).unwrap_err();
    assert!(matches!(gone, LogError::Unreachable { .. }), "{gone}");
    assert!(log.tail("tail", Index(120), None).is_ok());
}

#[test]
fn a_tail_that_fell_behind_by_more_than_its_bytes_says_so() {
    let log = create(&memory());
    let owner = TestOwner::default();
    let mut tail = log.tail("tail", Index(0), Some(20_000)).unwrap();
    commit(&log, &owner, &[1; 1000]);
    assert_eq!(next(&mut tail), Some(1));
    for _ in 0..60 {
        commit(&log, &owner, &[1; 1000]);
        log.step().unwrap();
        log.recycle_below(log.durable_lsn()).unwrap();
    }
    let lost = tail.next(|_| ()).unwrap_err();
    assert!(
        matches!(lost, LogError::Unreachable { first: Some(_), .. }),
        "{lost}"
    );
    let again = tail.next(|_| ()).unwrap_err();
    assert!(
        matches!(again, LogError::Unreachable { .. }),
        "and stays lost: {again}"
    );
}

#[test]
fn it_follows_beside_a_crowd_of_writers() {
    let log = create_threaded(&memory());
    let owner = Arc::new(TestOwner::default());
    let mut tail = log.tail("tail", Index(0), None).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..300 {
                    let end: Lsn = {
                        let _writer = owner.writer.lock();
                        append(&log, &[3; 100]).end
                    };
                    log.wait_durable(owner.as_ref(), end).unwrap();
                }
            });
        }
        let mut last = 0;
        while last < 1200 {
            match next(&mut tail) {
                Some(index) => {
                    assert_eq!(index, last + 1);
                    last = index;
                }
                None => std::thread::yield_now(),
            }
        }
    });
}
