use cs_base::TreeId;

use super::{Decided, Decision, Head, decided_at_key, parse_decided_at, parse_part_key, part_key};
use crate::key_range::KeyRange;

fn head() -> Head {
    Head {
        prepared_ms: 77,
        parts: 3,
        resources: vec!["queue".into(), "ledger".into()],
        shared: vec![
            (TreeId(20), KeyRange::prefix(b"a")),
            (TreeId(21), KeyRange::prefix(b"")),
        ],
    }
}

#[test]
fn heads_and_decisions_are_read_as_they_were_written() {
    let mut value = head().encode();
    value.extend_from_slice(b"payload");
    let (read, payload) = Head::decode(&value).unwrap();
    assert_eq!((read, payload), (head(), &b"payload"[..]));
    for decision in [Decision::Committed, Decision::RolledBack] {
        let decided = Decided {
            decision,
            decided_ms: 5,
            untold: vec!["queue".into()],
        };
        assert_eq!(Decided::decode(&decided.encode()).unwrap(), decided);
    }
    assert_eq!(
        parse_part_key(&part_key("näme", 258)).unwrap(),
        ("näme", 258)
    );
    assert_eq!(parse_decided_at(&decided_at_key(9, "x")).unwrap(), (9, "x"));
}

#[test]
fn what_is_cut_short_or_of_another_version_is_damage() {
    let whole = head().encode();
    for len in 0..whole.len() {
        let error = Head::decode(&whole[..len]).unwrap_err();
        assert!(error.is_corruption(), "{len}: {error}");
    }
    let mut other = whole;
    other[0] = 2;
    let error = Head::decode(&other).unwrap_err().to_string();
    assert!(error.contains("expected version 1, found 2"), "{error}");
    let decided = Decided {
        decision: Decision::Committed,
        decided_ms: 5,
        untold: vec!["queue".into()],
    };
    let whole = decided.encode();
    for len in 0..whole.len() {
        assert!(Decided::decode(&whole[..len]).unwrap_err().is_corruption());
    }
    assert!(Decided::decode(&[&whole[..], &[0]].concat()).is_err());
    assert!(parse_part_key(b"").is_err() && parse_part_key(b"\x09abc").is_err());
    assert!(parse_decided_at(b"\x01short").is_err());
}
