use std::ops::Bound;

use cs_base::TreeId;

use super::Footprint;
use crate::key_range::KeyRange;

const TREE: TreeId = TreeId(20);

fn range(lower: &[u8], upper: Option<&[u8]>) -> KeyRange {
    KeyRange {
        lower: Bound::Included(lower.to_vec()),
        upper: upper.map_or(Bound::Unbounded, |upper| Bound::Excluded(upper.to_vec())),
    }
}

fn covered(footprint: &Footprint, key: &[u8]) -> bool {
    footprint
        .iter()
        .any(|(tree, range)| tree == TREE && range.contains(key))
}

#[test]
fn ranges_that_touch_become_one() {
    let mut footprint = Footprint::new(1 << 20);
    footprint.range(TREE, &range(b"b", Some(b"d")));
    footprint.range(TREE, &range(b"f", Some(b"h")));
    assert_eq!(footprint.iter().count(), 2);
    footprint.range(TREE, &range(b"d", Some(b"f")));
    let all: Vec<_> = footprint.iter().collect();
    assert_eq!(all, [(TREE, range(b"b", Some(b"h")))]);
    footprint.key(TREE, b"c");
    assert_eq!(footprint.iter().count(), 1, "a key inside adds nothing");
    footprint.range(TREE, &range(b"a", None));
    let all: Vec<_> = footprint.iter().collect();
    assert_eq!(all, [(TREE, range(b"a", None))]);
    footprint.key(TREE, b"zzz");
    assert_eq!(footprint.iter().count(), 1);
}

#[test]
fn a_key_that_was_read_covers_itself_and_no_other() {
    let mut footprint = Footprint::new(1 << 20);
    footprint.key(TREE, b"k");
    assert!(covered(&footprint, b"k"));
    assert!(!covered(&footprint, b"k\0"));
    assert!(!covered(&footprint, b"j"));
    let excluded = KeyRange {
        lower: Bound::Excluded(b"m".to_vec()),
        upper: Bound::Included(b"o".to_vec()),
    };
    footprint.range(TREE, &excluded);
    assert!(!covered(&footprint, b"m"));
    assert!(covered(&footprint, b"m\0"));
    assert!(covered(&footprint, b"o"));
    assert!(!covered(&footprint, b"o\0"));
}

#[test]
fn an_empty_range_is_no_reading() {
    let mut footprint = Footprint::new(1 << 20);
    footprint.range(TREE, &range(b"d", Some(b"b")));
    footprint.range(TREE, &range(b"d", Some(b"d")));
    assert_eq!(footprint.iter().count(), 0);
    assert_eq!(footprint.bytes(), 0);
}

#[test]
fn beyond_its_budget_a_footprint_coarsens_and_forgets_nothing() {
    let mut footprint = Footprint::new(4096);
    let keys: Vec<[u8; 4]> = (0..1000_u32)
        .map(|n| (n * 7919 % 1000).to_be_bytes())
        .collect();
    for key in &keys {
        footprint.key(TREE, key);
        assert!(footprint.bytes() <= 4096);
    }
    assert!(footprint.is_coarse());
    for key in &keys {
        assert!(covered(&footprint, key), "{key:?}");
    }
    let mut last: Option<KeyRange> = None;
    for (_, range) in footprint.iter() {
        if let (Some(before), Bound::Included(first)) = (&last, &range.lower) {
            assert!(!before.contains(first), "ranges are apart");
        }
        last = Some(range);
    }
}
