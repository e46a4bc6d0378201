use cs_base::TreeId;

use super::Changes;
use crate::error::Error;
use crate::limits::{MAX_KEY, MAX_VALUE};

const TREE: TreeId = TreeId(20);

fn put(changes: &mut Changes, key: &str, value: &str) {
    let (key, value) = (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    changes.set(TREE, key, Some(value)).unwrap();
}

fn shown(changes: &Changes) -> String {
    let all = changes.of(TREE).into_iter().flat_map(|own| own.iter());
    let all = all.map(|(key, change)| {
        let value = change
            .value
            .as_deref()
            .map_or("-".into(), String::from_utf8_lossy);
        format!("{}={value}", String::from_utf8_lossy(key))
    });
    all.collect::<Vec<_>>().join(" ")
}

#[test]
fn going_back_to_a_savepoint_takes_back_what_came_after_it_and_no_more() {
    let mut changes = Changes::default();
    put(&mut changes, "a", "1");
    let outer = changes.set_savepoint();
    put(&mut changes, "a", "2");
    put(&mut changes, "b", "1");
    let inner = changes.set_savepoint();
    changes.set(TREE, b"a".to_vec(), None).unwrap();
    put(&mut changes, "c", "1");
    assert_eq!(shown(&changes), "a=- b=1 c=1");
    changes.roll_back_to(inner).unwrap();
    assert_eq!(shown(&changes), "a=2 b=1");
    put(&mut changes, "c", "2");
    changes.roll_back_to(inner).unwrap();
    assert_eq!(shown(&changes), "a=2 b=1", "a savepoint serves again");
    changes.roll_back_to(outer).unwrap();
    assert_eq!(shown(&changes), "a=1");
    let gone = changes.roll_back_to(inner).unwrap_err();
    assert!(gone.to_string().contains("savepoint"), "{gone}");
}

#[test]
fn a_key_is_changed_in_part_if_all_its_changes_were() {
    let in_part = |changes: &Changes| changes.of(TREE).unwrap()[&b"a"[..]].in_part;
    let part = |changes: &mut Changes| changes.set_in_part(TREE, b"a".to_vec(), b"p".to_vec());
    let mut changes = Changes::default();
    part(&mut changes).unwrap();
    part(&mut changes).unwrap();
    assert!(in_part(&changes));
    let savepoint = changes.set_savepoint();
    put(&mut changes, "a", "whole");
    part(&mut changes).unwrap();
    assert!(!in_part(&changes), "what was replaced stays so");
    changes.roll_back_to(savepoint).unwrap();
    assert!(in_part(&changes));
    assert!(changes.into_batch().operations[0].in_part);
}

#[test]
fn a_released_savepoint_is_gone_and_its_changes_belong_to_the_one_before() {
    let mut changes = Changes::default();
    let outer = changes.set_savepoint();
    put(&mut changes, "a", "1");
    let inner = changes.set_savepoint();
    put(&mut changes, "b", "1");
    changes.release(inner).unwrap();
    assert!(changes.release(inner).is_err());
    assert_eq!(shown(&changes), "a=1 b=1");
    changes.roll_back_to(outer).unwrap();
    assert_eq!(shown(&changes), "");
    assert!(changes.is_empty());
    assert_eq!(changes.bytes(), 0);
}

#[test]
fn trees_made_and_dropped_come_back_with_what_was_in_them() {
    let (own, stored) = (TreeId(30), TREE);
    let mut changes = Changes::default();
    changes.create(own);
    changes
        .set(own, b"k".to_vec(), Some(b"v".to_vec()))
        .unwrap();
    put(&mut changes, "a", "1");
    let bytes = changes.bytes();
    let savepoint = changes.set_savepoint();
    changes.drop_tree(own);
    changes.drop_tree(stored);
    changes.create(TreeId(31));
    assert!(!changes.made(own) && changes.has_dropped(stored));
    assert_eq!(changes.bytes(), 0);
    changes.roll_back_to(savepoint).unwrap();
    assert!(changes.made(own) && !changes.has_dropped(stored) && !changes.made(TreeId(31)));
    assert!(changes.of(own).is_some_and(|changes| changes.len() == 1));
    assert_eq!(shown(&changes), "a=1");
    assert_eq!(changes.bytes(), bytes);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_taken() {
    let mut changes = Changes::default();
    let long = changes.set(TREE, vec![0; MAX_KEY + 1], None).unwrap_err();
    assert!(
        matches!(long, Error::TooLarge { what: "key", .. }),
        "{long}"
    );
    let large = changes.set(TREE, vec![0], Some(vec![0; MAX_VALUE + 1]));
    let large = large.unwrap_err();
    assert!(
        matches!(large, Error::TooLarge { what: "value", .. }),
        "{large}"
    );
    assert!(changes.is_empty());
    for number in 0_u8..255 {
        let value = Some(vec![0; MAX_VALUE]);
        match changes.set(TREE, vec![number], value) {
            Ok(()) => {}
            Err(error) => {
                assert!(
                    matches!(
                        error,
                        Error::TooLarge {
                            what: "transaction",
                            ..
                        }
                    ),
                    "{error}"
                );
                assert!(
                    !changes
                        .of(TREE)
                        .is_some_and(|own| own.contains_key(&vec![number][..]))
                );
                return;
            }
        }
    }
    panic!("no limit was met");
}
