use cs_base::TreeId;

use super::Locks;
use crate::batch::{Batch, Expect};
use crate::effects::{Effect, EffectWriter};
use crate::error::Error;
use crate::key_range::KeyRange;
use crate::prepared::entry::{Head, part_key};
use crate::transaction::Footprint;

const TREE: TreeId = TreeId(20);
const DROPPED: TreeId = TreeId(21);
const MADE: TreeId = TreeId(22);

/// "a" changes "k", drops a tree, makes another; "b", in two parts, has read a range.
fn locks() -> Locks {
    let mut payload = EffectWriter::with_capacity(100);
    let (key, value) = (b"k", b"v");
    payload.push(Effect::Put {
        tree: TREE,
        key,
        value,
    });
    payload.push(Effect::CreateTree { tree: MADE });
    payload.push(Effect::DropTree { tree: DROPPED });
    let head = |parts, shared| Head {
        prepared_ms: 0,
        parts,
        resources: Vec::new(),
        shared,
    };
    let first = [head(1, Vec::new()).encode(), payload.finish()].concat();
    let mut payload = EffectWriter::with_capacity(100);
    payload.push(Effect::Delete {
        tree: TREE,
        key: b"z",
    });
    let payload = payload.finish();
    let ranges = vec![
        (TREE, KeyRange::prefix(b"n")),
        (TREE, KeyRange::prefix(b"m")),
    ];
    let second = [&head(2, ranges).encode(), &payload[..3]].concat();
    let entries = [
        (part_key("a", 0), first),
        (part_key("b", 0), second),
        (part_key("b", 1), payload[3..].to_vec()),
    ];
    Locks::build(entries).unwrap()
}

fn put(tree: TreeId, key: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.put(tree, key.to_vec(), Vec::new(), Expect::Any);
    batch
}

#[test]
fn what_is_changed_read_or_dropped_is_locked_against_others_by_name() {
    let locks = locks();
    assert_eq!(locks.created(), [MADE]);
    let holder = |batch: &Batch, own| match locks.check_batch(batch, own) {
        Ok(()) => None,
        Err(Error::Prepared { gid }) => Some(gid),
        Err(other) => panic!("{other}"),
    };
    let cases: [(TreeId, &[u8], Option<&str>); 7] = [
        (TREE, b"k", Some("a")),
        (TREE, b"k\0", None),
        (TREE, b"z", Some("b")),
        (TREE, b"mm", Some("b")),
        (TREE, b"nn", Some("b")),
        (TREE, b"o", None),
        (DROPPED, b"any", Some("a")),
    ];
    for (tree, key, expected) in cases {
        let batch = put(tree, key);
        assert_eq!(holder(&batch, None).as_deref(), expected, "{key:?}");
        if let Some(own) = expected {
            assert_eq!(holder(&batch, Some(own)), None, "its own");
        }
    }
    let mut drop = Batch::new();
    drop.drop_tree(TREE);
    assert!(holder(&drop, None).is_some());
    assert!(holder(&drop, Some("a")).is_some(), "b is in the way too");
}

#[test]
fn what_somebody_will_change_cannot_be_promised_to_stay() {
    let locks = locks();
    let mut footprint = Footprint::new(1000);
    footprint.key(TREE, b"j");
    locks.check_reads(&footprint).unwrap();
    footprint.range(TREE, &KeyRange::prefix(b"k"));
    assert!(locks.check_reads(&footprint).is_err());
}

#[test]
fn an_entry_without_its_parts_is_damage() {
    let head = Head {
        prepared_ms: 0,
        parts: 2,
        resources: Vec::new(),
        shared: Vec::new(),
    };
    let alone = [(part_key("a", 0), head.encode())];
    assert!(Locks::build(alone).unwrap_err().is_corruption());
    let second = [(part_key("a", 1), Vec::new())];
    assert!(Locks::build(second).unwrap_err().is_corruption());
}
