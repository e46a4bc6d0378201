use cs_base::TreeId;

use super::*;

fn payload(effects: &[Effect<'_>]) -> Vec<u8> {
    let mut writer = EffectWriter::with_capacity(0);
    for &effect in effects {
        writer.push(effect);
    }
    writer.finish()
}

fn put<'a>(tree: u32, key: &'a [u8], value: &'a [u8]) -> Effect<'a> {
    let tree = TreeId(tree);
    Effect::Put { tree, key, value }
}

fn delete(tree: u32, key: &[u8]) -> Effect<'_> {
    let tree = TreeId(tree);
    Effect::Delete { tree, key }
}

fn joined(records: &[Vec<u8>]) -> Vec<u8> {
    let mut ends = Vec::new();
    for record in records {
        ends.push(ends.last().copied().unwrap_or(0) + record.len());
    }
    join(&records.concat(), &ends).unwrap()
}

#[test]
fn joined_records_come_by_tree_and_key_with_the_last_word_on_each() {
    let records = [
        payload(&[put(17, b"b", b"1"), put(16, b"twelve bytes", b"2")]),
        payload(&[
            put(16, b"twelve", b"3"),
            delete(17, b"b"),
            put(16, b"", b"4"),
        ]),
        payload(&[delete(16, b"twelve bytes"), put(17, b"a", b"5")]),
        payload(&[put(16, b"twelve bytes", b"6")]),
    ];
    let expected = payload(&[
        put(16, b"", b"4"),
        put(16, b"twelve", b"3"),
        put(16, b"twelve bytes", b"6"),
        put(17, b"a", b"5"),
        delete(17, b"b"),
    ]);
    assert_eq!(joined(&records), expected);
}

#[test]
fn keys_that_differ_by_trailing_zeroes_alone_are_different_keys() {
    let records = [
        payload(&[put(16, b"k\0", b"long")]),
        payload(&[put(16, b"k", b"short")]),
    ];
    let expected = payload(&[put(16, b"k", b"short"), put(16, b"k\0", b"long")]);
    assert_eq!(joined(&records), expected);
}

#[test]
fn a_record_in_which_a_tree_comes_or_goes_is_not_gathered() {
    let tree = TreeId(16);
    let plain = payload(&[put(16, b"k", b"v"), delete(16, b"k")]);
    assert!(!is_structural(&plain).unwrap());
    for effect in [Effect::CreateTree { tree }, Effect::DropTree { tree }] {
        let structural = payload(&[put(16, b"k", b"v"), effect]);
        assert!(is_structural(&structural).unwrap());
        assert!(join(&structural, &[structural.len()]).is_err());
    }
}
