//! Splits and merges of two pages.

use super::*;

/// Fills a leaf with ascending keys until the next does not fit; returns its number.
fn fill_ascending(bytes: &mut [u8], key: impl Fn(u32) -> Vec<u8>) -> u32 {
    let mut leaf = LeafMut::new(bytes);
    (0..)
        .find(|&number| {
            let value = ValueRef::Inline(b"some value of moderate length");
            leaf.insert(number as usize, KeyRef::inline(&key(number)), value)
                .is_err()
        })
        .expect("a page ends")
}

fn decimal(number: u32) -> Vec<u8> {
    format!("document/{number:010}").into_bytes()
}

#[test]
fn appending_leaves_the_left_page_full() {
    for page_size in PAGE_SIZES {
        let (mut left, mut right) = (empty_leaf(page_size), empty_leaf(page_size));
        let count = fill_ascending(&mut left, decimal);
        let key = decimal(count);
        let split = split_leaf(
            &mut left,
            &mut right,
            count as usize,
            KeyRef::inline(&key),
            ValueRef::Inline(b"v"),
        );
        assert_eq!((split.side, split.index), (Side::Right, 0));
        assert!(Leaf::new(&left).fill() >= 0.9, "{:?}", Leaf::new(&left));
        assert_eq!(Leaf::new(&left).len(), count as usize);
        assert_eq!(Leaf::new(&right).len(), 1);
    }
}

#[test]
fn prepending_leaves_the_right_page_full() {
    let (mut left, mut right) = (empty_leaf(8192), empty_leaf(8192));
    let count = fill_ascending(&mut left, |number| decimal(number + 1));
    let value = ValueRef::Inline(b"some value of moderate length");
    let split = split_leaf(&mut left, &mut right, 0, KeyRef::inline(&decimal(0)), value);
    assert_eq!((split.side, split.index), (Side::Left, 0));
    assert_eq!(Leaf::new(&right).len(), count as usize);
    assert!(Leaf::new(&right).fill() >= 0.9);
}

#[test]
fn inserting_in_the_middle_splits_evenly() {
    let (mut left, mut right) = (empty_leaf(8192), empty_leaf(8192));
    let count = fill_ascending(&mut left, decimal);
    let key = [&decimal(count / 3)[..], b"x"].concat();
    let at = Leaf::new(&left).search(&key).unwrap_err();
    let split = split_leaf(
        &mut left,
        &mut right,
        at,
        KeyRef::inline(&key),
        ValueRef::Inline(b"v"),
    );
    assert_eq!((split.side, split.index), (Side::Left, at));
    let (left, right) = (Leaf::new(&left).fill(), Leaf::new(&right).fill());
    assert!((left - right).abs() < 0.02, "{left} and {right}");
}

#[test]
fn a_separator_is_as_short_as_can_be() {
    assert_eq!(shortest_separator(b"", b"\0\0"), b"\0");
    assert_eq!(shortest_separator(b"abc", b"abd"), b"abd");
    assert_eq!(shortest_separator(b"ab\xff\xff", b"ac\0\0"), b"ac");
}

#[test]
fn a_key_without_the_prefix_goes_alone() {
    let (mut left, mut right) = (empty_leaf(4096), empty_leaf(4096));
    let prefix = vec![b'p'; 1000];
    let count = fill_ascending(&mut left, |number| {
        [&prefix[..], &number.to_be_bytes()].concat()
    });
    assert!(count > 50, "the prefix is stored once");
    for (key, at, lens) in [(b"a", 0, (1, count)), (b"z", count, (count, 1))] {
        let mut left = left.clone();
        let value = ValueRef::Inline(&[b'v'; 944]);
        assert_eq!(
            LeafMut::new(&mut left).insert(at as usize, KeyRef::inline(key), value),
            Err(Full)
        );
        let _ = split_leaf(
            &mut left,
            &mut right,
            at as usize,
            KeyRef::inline(key),
            value,
        );
        assert_eq!(Leaf::validate(&left), Ok(()));
        assert_eq!(Leaf::validate(&right), Ok(()));
        assert_eq!(
            (
                Leaf::new(&left).len() as u32,
                Leaf::new(&right).len() as u32
            ),
            lens
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_leaf_splits_for_any_cell_and_merges_back(
        page_size in any_page_size(),
        cells in prop::collection::btree_map(any_key(), any_value(), 2..400),
        incoming in any::<prop::sample::Index>(),
        room in 0..8_usize,
    ) {
        // Widen some keys and values to the limits of this page size.
        let mut cells: Vec<_> = cells.into_iter().collect();
        for (_, value) in cells.iter_mut().step_by(room + 1) {
            value.resize(max_inline_value(page_size), b'w');
        }
        let (key, value) = cells.remove(incoming.index(cells.len()));
        let (mut left, mut right) = (empty_leaf(page_size), empty_leaf(page_size));
        for (index, (key, value)) in cells.iter().enumerate() {
            if LeafMut::new(&mut left).insert(index, KeyRef::inline(key), ValueRef::Inline(value)).is_err() {
                break;
            }
        }
        let mut expected = entries(&left);
        let at = Leaf::new(&left).search(&key).unwrap_err();
        expected.insert(at, (key.clone(), value.clone()));

        let split = split_leaf(&mut left, &mut right, at, KeyRef::inline(&key), ValueRef::Inline(&value));

        prop_assert_eq!(Leaf::validate(&left), Ok(()));
        prop_assert_eq!(Leaf::validate(&right), Ok(()));
        prop_assert!(header_is_untouched(&left) && header_is_untouched(&right));
        let (first, second) = (entries(&left), entries(&right));
        prop_assert!(!first.is_empty() && !second.is_empty());
        let place = if split.side == Side::Left { &first } else { &second };
        prop_assert_eq!(&place[split.index].0, &key);

        let Separator::Key(separator) = split.separator else { panic!("no key has a run") };
        let (last, next) = (&first[first.len() - 1].0, &second[0].0);
        prop_assert!(last < &separator && &separator <= next);
        prop_assert!(last[..] >= separator[..separator.len() - 1], "a shorter one would do");
        prop_assert_eq!(&[first, second].concat(), &expected);

        let before = left.clone();
        if merge_leaf(&mut left, &right) {
            prop_assert_eq!(Leaf::validate(&left), Ok(()));
            prop_assert_eq!(entries(&left), expected);
        } else {
            prop_assert_eq!(left, before);
        }
    }

    #[test]
    fn a_branch_splits_for_any_cell_and_merges_back(
        page_size in any_page_size(),
        keys in prop::collection::btree_set(any_key(), 6..400),
        widen in 1..9_usize,
        incoming in any::<prop::sample::Index>(),
    ) {
        let limit = max_inline_key(page_size);
        let mut keys: Vec<_> = keys.into_iter().collect();
        for key in keys.iter_mut().step_by(widen) {
            // Wider keys stay in order: zeros are the least that can follow.
            key.resize(limit, 0);
        }
        keys.sort();
        keys.dedup();
        prop_assume!(keys.len() >= 4);
        let key = keys.remove(incoming.index(keys.len()));
        let mut left = vec![0x5a; page_size];
        let mut right = left.clone();
        let _branch = BranchMut::init(&mut left, child(0));
        for (index, key) in keys.iter().enumerate() {
            let new = child(index as u64 + 1);
            if BranchMut::new(&mut left).insert(index + 1, KeyRef::inline(key), new).is_err() {
                break;
            }
        }
        let children = |bytes: &[u8]| {
            let branch = Branch::new(bytes);
            let mut key = Vec::new();
            let one = |index| { branch.key(index, &mut key); (key.clone(), branch.child(index)) };
            (0..branch.len()).map(one).collect::<Vec<_>>()
        };
        let mut expected = children(&left);
        let at = Branch::new(&left).find_child(&key) + 1;
        expected.insert(at, (key.clone(), child(99)));

        let split = split_branch(&mut left, &mut right, at, KeyRef::inline(&key), child(99));

        prop_assert_eq!(Branch::validate(&left), Ok(()));
        prop_assert_eq!(Branch::validate(&right), Ok(()));
        prop_assert!(header_is_untouched(&left) && header_is_untouched(&right));
        let (first, mut second) = (children(&left), children(&right));
        prop_assert!(first.len() >= 2 && second.len() >= 2);
        prop_assert!(second[0].0.is_empty());
        second[0].0.clone_from(&split.separator.inline);
        let place = if split.side == Side::Left { &first } else { &second };
        prop_assert_eq!(&place[split.index], &(key, child(99)));
        prop_assert_eq!(&[first, second].concat(), &expected);

        let before = left.clone();
        if merge_branch(&mut left, split.separator.as_key(), &right) {
            prop_assert_eq!(Branch::validate(&left), Ok(()));
            prop_assert_eq!(children(&left), expected);
        } else {
            prop_assert_eq!(left, before);
        }
    }
}
