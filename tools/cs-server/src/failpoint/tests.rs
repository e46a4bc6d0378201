#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use super::*;

fn times(count: u64) -> FailPoint {
    let data = rawdoc! { "failCommands": ["insert"], "errorCode": 91 };
    FailPoint::read(Mode::Times(count), Some(&data)).unwrap()
}

#[test]
fn a_fail_point_is_hit_as_often_as_it_says() {
    let points = FailPoints::default();
    assert!(points.enter("insert", None).is_none());
    points.set(Some(times(2)));
    assert!(points.enter("find", None).is_none());
    let hits = (0..4).filter(|_| points.enter("insert", None).is_some());
    assert_eq!(hits.count(), 2);
    assert_eq!(points.set(None), 2);
}

#[test]
fn one_that_skips_hits_all_behind() {
    let points = FailPoints::default();
    let skipping = FailPoint {
        mode: Mode::Skip(1),
        ..times(0)
    };
    points.set(Some(skipping));
    let hits: Vec<bool> = (0..3)
        .map(|_| points.enter("insert", None).is_some())
        .collect();
    assert_eq!(hits, [false, true, true]);
}

#[test]
fn one_that_names_an_application_hits_no_other() {
    let points = FailPoints::default();
    let meant = FailPoint {
        app_name: Some("a".to_owned()),
        ..times(9)
    };
    points.set(Some(meant));
    assert!(points.enter("insert", None).is_none());
    assert!(points.enter("insert", Some("b")).is_none());
    assert!(points.enter("insert", Some("a")).is_some());
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let read = |data: RawDocumentBuf| FailPoint::read(Mode::Always, Some(&data)).unwrap_err();
    assert_eq!(read(rawdoc! { "failCommand": ["a"] }).code, 40415);
    assert!(
        read(rawdoc! { "errorLabels": ["Bad"] })
            .message
            .contains("Bad")
    );
    assert_eq!(read(rawdoc! { "blockTimeMS": 1_000_000 }).code, 2);
}
