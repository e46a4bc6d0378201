//! Keys and values that live in runs.

use std::collections::HashMap;
use std::convert::Infallible;

use super::*;

const PAGE_SIZE: usize = 4096;

/// Long keys with one inline part, and their runs.
fn long_keys(ends: &[&str]) -> (Vec<Vec<u8>>, HashMap<PageId, Vec<u8>>) {
    let keys: Vec<_> = ends
        .iter()
        .map(|end| [&vec![b'k'; 1024][..], end.as_bytes()].concat())
        .collect();
    let runs = keys
        .iter()
        .enumerate()
        .map(|(index, key)| (PageId(index as u64), key.clone()));
    (keys.clone(), runs.collect())
}

fn key_ref(key: &[u8], number: usize) -> KeyRef<'_> {
    KeyRef::overflowing(key, PAGE_SIZE, run(number as u64, key.len()))
}

#[test]
fn long_keys_with_one_inline_part_are_told_apart_by_their_runs() {
    let (keys, runs) = long_keys(&["a", "c", "e"]);
    let mut bytes = empty_leaf(PAGE_SIZE);
    let mut leaf = LeafMut::new(&mut bytes);
    let exact = vec![b'k'; 1024];
    leaf.insert(0, KeyRef::inline(&exact), ValueRef::Inline(b"exact"))
        .unwrap();
    for (index, key) in keys.iter().enumerate() {
        leaf.insert(index + 1, key_ref(key, index), ValueRef::Inline(b"long"))
            .unwrap();
    }
    assert_eq!(Leaf::validate(&bytes), Ok(()));

    let leaf = Leaf::new(&bytes);
    let mut loads = 0;
    let mut load = |run: &OverflowRef| {
        loads += 1;
        Ok::<_, Infallible>(runs[&run.first].clone())
    };
    for (index, key) in keys.iter().enumerate() {
        assert_eq!(leaf.search_with(key, &mut load), Ok(Ok(index + 1)));
    }
    let between = [&exact[..], b"d"].concat();
    assert_eq!(leaf.search_with(&between, &mut load), Ok(Err(3)));
    assert!(loads > 0);
    // Keys that are wholly inline never need a run.
    assert_eq!(leaf.search(&exact), Ok(0));
    assert_eq!(leaf.search(&exact[..1023]), Err(0));
    assert_eq!(leaf.search(b"l"), Err(4));
    assert_eq!(leaf.key_overflow(0), None);
    assert_eq!(leaf.key_overflow(1), Some(run(0, 1025)));
}

#[test]
fn a_failing_load_is_the_result_of_the_search() {
    let (keys, _) = long_keys(&["a"]);
    let mut bytes = empty_leaf(PAGE_SIZE);
    LeafMut::new(&mut bytes)
        .insert(0, key_ref(&keys[0], 0), ValueRef::Inline(b""))
        .unwrap();
    let result = Leaf::new(&bytes).search_with(&keys[0], &mut |_| Err("unreadable"));
    assert_eq!(result, Err("unreadable"));
}

#[test]
fn a_split_between_equal_inline_parts_asks_for_whole_keys() {
    let (keys, runs) = long_keys(&["a", "b", "c", "d"]);
    let (mut left, mut right) = (empty_leaf(PAGE_SIZE), empty_leaf(PAGE_SIZE));
    let value = ValueRef::Inline(&[b'v'; 900]);
    for (index, key) in keys[..3].iter().enumerate() {
        LeafMut::new(&mut left)
            .insert(index, key_ref(key, index), value)
            .unwrap();
    }
    let split = split_leaf(&mut left, &mut right, 3, key_ref(&keys[3], 3), value);
    assert_eq!(split.separator, Separator::NeedsWholeKeys);
    assert_eq!(Leaf::validate(&left), Ok(()));
    assert_eq!(Leaf::validate(&right), Ok(()));
    let (left, right) = (Leaf::new(&left), Leaf::new(&right));
    let last = left.key_overflow(left.len() - 1).expect("a long key");
    let first = right.key_overflow(0).expect("a long key");
    assert_eq!(
        shortest_separator(&runs[&last.first], &runs[&first.first]),
        &keys[3][..1025]
    );
}

#[test]
fn a_value_changes_between_inline_and_run() {
    let mut bytes = empty_leaf(PAGE_SIZE);
    let (keys, _) = long_keys(&["a"]);
    let mut leaf = LeafMut::new(&mut bytes);
    leaf.insert(0, KeyRef::inline(b"a"), ValueRef::Inline(b"small"))
        .unwrap();
    leaf.insert(1, key_ref(&keys[0], 0), ValueRef::Inline(b"small"))
        .unwrap();
    for index in 0..2 {
        for value in [
            ValueRef::Overflow(run(5, 100_000)),
            ValueRef::Inline(b""),
            ValueRef::Inline(&[1; 500]),
        ] {
            leaf.replace_value(index, value).unwrap();
            assert_eq!(leaf.as_leaf().value(index), value);
            assert_eq!(leaf.as_leaf().key_overflow(1), Some(run(0, 1025)));
        }
    }
    assert_eq!(Leaf::validate(&bytes), Ok(()));
}

#[test]
fn the_run_of_a_branch_key_goes_up_with_it_and_comes_back() {
    let (keys, _) = long_keys(&["a", "b", "c", "d"]);
    let (mut left, mut right) = (vec![0; PAGE_SIZE], vec![0; PAGE_SIZE]);
    let mut branch = BranchMut::init(&mut left, child(0));
    for (index, key) in keys[..3].iter().enumerate() {
        branch
            .insert(index + 1, key_ref(key, index), child(index as u64 + 1))
            .unwrap();
    }
    let split = split_branch(&mut left, &mut right, 4, key_ref(&keys[3], 3), child(4));
    assert_eq!(Branch::new(&left).len(), 3);
    assert_eq!(split.separator.overflow, Some(run(2, 1025)));
    assert_eq!(Branch::new(&right).key_overflow(0), None);
    assert_eq!(Branch::new(&right).child(0), child(3));
    assert_eq!((split.side, split.index), (Side::Right, 1));

    assert!(merge_branch(&mut left, split.separator.as_key(), &right));
    assert_eq!(Branch::validate(&left), Ok(()));
    let branch = Branch::new(&left);
    assert_eq!(branch.len(), 5);
    assert_eq!(branch.key_overflow(3), Some(run(2, 1025)));
    assert_eq!(BranchMut::new(&mut left).remove(0), Some(run(0, 1025)));
    assert_eq!(Branch::new(&left).child(0), child(1));
    assert_eq!(BranchMut::new(&mut left).remove(3), Some(run(3, 1025)));
    assert_eq!(Branch::validate(&left), Ok(()));
}

#[test]
fn the_largest_cells_always_split() {
    for page_size in PAGE_SIZES {
        let inline_len = max_inline_key(page_size);
        // Keys without a common prefix, so that nothing is saved.
        let keys: Vec<_> = (0..6_u8).map(|first| vec![first; inline_len + 1]).collect();
        let key =
            |at: usize| KeyRef::overflowing(&keys[at], page_size, run(at as u64, inline_len + 1));
        let large = vec![b'v'; max_inline_value(page_size)];
        let value = ValueRef::Inline(&large);
        for incoming in 0..3 {
            let (mut left, mut right) = (empty_leaf(page_size), empty_leaf(page_size));
            let others: Vec<_> = (0..3).filter(|&at| at != incoming).collect();
            for (index, &at) in others.iter().enumerate() {
                LeafMut::new(&mut left)
                    .insert(index, key(at), value)
                    .unwrap();
            }
            assert_eq!(
                LeafMut::new(&mut left).insert(incoming, key(incoming), value),
                Err(Full)
            );
            let _ = split_leaf(&mut left, &mut right, incoming, key(incoming), value);
            assert_eq!(Leaf::validate(&left), Ok(()));
            assert_eq!(Leaf::validate(&right), Ok(()));
        }
    }
}
