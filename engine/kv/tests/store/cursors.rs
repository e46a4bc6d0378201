//! Ranges and cursors, against a list.

use std::ops::Bound;
use std::sync::Arc;

use cs_io::{Disk, OpenMode};
use cs_kv::{CommitOptions, Cursor, KeyRange, Snapshot, Store};
use cs_pager::{PageHeader, PageKind};

use crate::basics::{new_tree, open, small_options};
use crate::disks::any_disk;

type Entry = (Vec<u8>, Vec<u8>);

/// Even numbers as keys, so that odd ones lie between; every tenth value fills pages.
fn entries(count: u32) -> Vec<Entry> {
    let value = |number: u32| vec![number as u8; if number.is_multiple_of(10) { 6000 } else { 60 }];
    let entry = |number: u32| ((2 * number).to_be_bytes().to_vec(), value(number));
    (0..count).map(entry).collect()
}

fn filled(store: &Store, entries: &[Entry]) -> cs_base::TreeId {
    let tree = new_tree(store);
    let mut txn = store.begin().unwrap();
    for (key, value) in entries {
        txn.put(tree, key.clone(), value.clone()).unwrap();
    }
    let ticket = txn.commit(&CommitOptions::default()).unwrap();
    ticket.wait().unwrap();
    tree
}

fn ascending(cursor: &mut Cursor) -> Vec<Entry> {
    let mut seen = Vec::new();
    while let Some((key, value)) = cursor.next().unwrap() {
        seen.push((key.to_vec(), value.to_vec()));
    }
    seen
}

fn descending(cursor: &mut Cursor) -> Vec<Entry> {
    let mut seen = Vec::new();
    while let Some((key, value)) = cursor.prev().unwrap() {
        seen.push((key.to_vec(), value.to_vec()));
    }
    seen
}

/// Every kind of bound at these keys.
fn bounds(keys: &[u32]) -> Vec<Bound<Vec<u8>>> {
    let key = |number: &u32| number.to_be_bytes().to_vec();
    let included = keys.iter().map(|number| Bound::Included(key(number)));
    let excluded = keys.iter().map(|number| Bound::Excluded(key(number)));
    [Bound::Unbounded]
        .into_iter()
        .chain(included)
        .chain(excluded)
        .collect()
}

#[test]
fn a_prefix_is_all_that_begins_with_it_and_nothing_else() {
    let keys: Vec<Vec<u8>> = [
        &b""[..],
        b"a",
        b"a\xff",
        b"a\xff\xff",
        b"a\xffb",
        b"b",
        b"\xff",
        b"\xff\xff",
        b"\xff\xffz",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    for prefix in &keys {
        let range = KeyRange::prefix(prefix);
        for key in &keys {
            assert_eq!(
                range.contains(key),
                key.starts_with(prefix),
                "{prefix:?} {key:?}"
            );
        }
    }
    assert_eq!(KeyRange::prefix(b"\xff\xff").upper, Bound::Unbounded);
}

#[test]
fn a_cursor_shows_exactly_the_keys_of_its_range_both_ways() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let all = entries(300);
    let tree = filled(&store, &all);
    let snapshot = store.snapshot().unwrap();
    // Before, at, between and behind the keys; at the ends of leaves too.
    let places = bounds(&[0, 1, 2, 77, 80, 81, 399, 400, 597, 598, 599, 5000]);
    for lower in &places {
        for upper in &places {
            let range = KeyRange {
                lower: lower.clone(),
                upper: upper.clone(),
            };
            let inside = all.iter().filter(|(key, _)| range.contains(key));
            let mut expected: Vec<Entry> = inside.cloned().collect();
            let cursor = || snapshot.cursor(tree, range.clone()).unwrap();
            assert_eq!(ascending(&mut cursor()), expected, "{range:?}");
            expected.reverse();
            assert_eq!(descending(&mut cursor()), expected, "{range:?}");
        }
    }
}

#[test]
fn stepping_back_undoes_a_step_wherever_the_cursor_stands() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let all = entries(300);
    let tree = filled(&store, &all);
    let snapshot = store.snapshot().unwrap();
    let mut cursor = snapshot.cursor(tree, KeyRange::all()).unwrap();
    for (key, value) in &all {
        for _ in 0..2 {
            let forth = cursor.next().unwrap();
            assert_eq!(forth, Some((&key[..], &value[..])));
            let back = cursor.prev().unwrap();
            assert_eq!(back, Some((&key[..], &value[..])));
        }
        assert_eq!(cursor.next_value().unwrap(), Some(&value[..]));
    }
    assert_eq!(cursor.next_value().unwrap(), None);
    assert_eq!(cursor.next().unwrap(), None, "the end stays the end");
    let last = cursor.prev().unwrap().map(|(key, _)| key.to_vec());
    assert_eq!(last.as_ref(), all.last().map(|(key, _)| key));
    assert_eq!(descending(&mut cursor).len(), all.len() - 1);
    assert_eq!(cursor.prev().unwrap(), None);
}

#[test]
fn an_empty_tree_has_nothing_either_way() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let tree = new_tree(&store);
    let snapshot = store.snapshot().unwrap();
    for range in [KeyRange::all(), KeyRange::prefix(b"a")] {
        let mut cursor = snapshot.cursor(tree, range).unwrap();
        assert_eq!(cursor.next().unwrap(), None);
        assert_eq!(cursor.prev().unwrap(), None);
        assert_eq!(cursor.next_value().unwrap(), None);
    }
}

#[test]
fn a_cursor_outlives_the_snapshot_and_the_changes_that_come_later() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let all = entries(300);
    let tree = filled(&store, &all);
    let mut cursor = {
        let snapshot: Snapshot = store.snapshot().unwrap();
        snapshot.cursor(tree, KeyRange::all()).unwrap()
    };
    assert!(cursor.next().unwrap().is_some());
    let mut txn = store.begin().unwrap();
    for (key, _) in &all {
        txn.delete(tree, key.clone()).unwrap();
    }
    let ticket = txn.commit(&CommitOptions::default()).unwrap();
    ticket.wait().unwrap();
    store.checkpoint().unwrap();
    assert_eq!(ascending(&mut cursor), all[1..]);
}

/// Changes a byte of the leaf that holds the key, behind the store's back.
fn damage_leaf_with(disk: &Arc<impl Disk + 'static>, key: &[u8]) {
    let file = disk.open("data.cs", OpenMode::ReadWrite).unwrap();
    let mut found = 0;
    for page in 2..file.len().unwrap() / 4096 {
        let mut bytes = vec![0; 4096];
        file.read_at(&mut bytes, page * 4096).unwrap();
        let is_leaf = PageHeader::of(&bytes).kind == PageKind::Leaf as u8;
        if is_leaf && PageHeader::of(&bytes).tree.get() >= 16 {
            let leaf = cs_kv::node::Leaf::new(&bytes);
            if leaf.search(key).is_ok() {
                bytes[100] ^= 1;
                file.write_at(&bytes, page * 4096).unwrap();
                found += 1;
            }
        }
    }
    assert!(found > 0, "no leaf has the key");
}

#[test]
fn after_an_error_a_cursor_yields_nothing_more_and_never_skips() {
    let disk = any_disk();
    let all = entries(300);
    let tree = {
        let store = open(&disk, small_options());
        let tree = filled(&store, &all);
        store.close().unwrap();
        tree
    };
    let bad = &all[150].0;
    damage_leaf_with(&disk, bad);
    let store = open(&disk, small_options());
    let snapshot = store.snapshot().unwrap();
    for backwards in [false, true] {
        let mut cursor = snapshot.cursor(tree, KeyRange::all()).unwrap();
        let mut seen: Vec<Vec<u8>> = Vec::new();
        let error = loop {
            let step = if backwards {
                cursor.prev()
            } else {
                cursor.next()
            };
            match step {
                Ok(Some((key, _))) => seen.push(key.to_vec()),
                Ok(None) => panic!("the damaged leaf was skipped"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("checksum"), "{error}");
        assert!(error.page().is_some());
        let mut expected: Vec<_> = all.iter().map(|(key, _)| key.clone()).collect();
        if backwards {
            expected.reverse();
        }
        assert_eq!(seen, expected[..seen.len()], "all up to there, in order");
        assert!(!seen.contains(bad));
        for _ in 0..2 {
            assert_eq!(cursor.next().unwrap(), None);
            assert_eq!(cursor.prev().unwrap(), None);
            assert_eq!(cursor.next_value().unwrap(), None);
        }
    }
    // Whoever does not come there does not notice.
    let text = snapshot.get(tree, bad).unwrap_err().to_string();
    assert!(text.contains("checksum"), "{text}");
    assert!(snapshot.get(tree, &all[0].0).unwrap().is_some());
}

#[test]
fn a_scan_asks_ahead_for_its_leaves_where_the_disk_can_and_shows_the_same() {
    use cs_io::sys::DirectIo;
    use cs_io::uring::{IoChoice, open_best};

    let scratch = tempfile::tempdir().unwrap();
    let disk = open_best(scratch.path(), true, IoChoice::Auto, DirectIo::Auto).unwrap();
    let runtime = cs_io::RealRuntime::new();
    let reopened = || Store::open(disk.clone(), runtime.clone(), small_options()).unwrap();
    let mut all = entries(4000);
    all.iter_mut().for_each(|(_, value)| value.truncate(200));
    let tree = {
        let store = reopened();
        let tree = filled(&store, &all);
        store.close().unwrap();
        tree
    };
    for backwards in [false, true] {
        let store = reopened();
        let snapshot = store.snapshot().unwrap();
        let mut cursor = snapshot.cursor(tree, KeyRange::all()).unwrap();
        let mut seen = if backwards {
            descending(&mut cursor)
        } else {
            ascending(&mut cursor)
        };
        if backwards {
            seen.reverse();
        }
        assert!(seen == all);
        let stats = store.stats();
        // With plain system calls reads do not overlap, and nothing is asked for.
        if stats.io.name == "io_uring" {
            assert!(stats.pool.pages_read_ahead > 0, "{:?}", stats.pool);
        }
        store.close().unwrap();
    }
}
