//! Bytes that are not a node: an error, or all functions work on them.

use super::*;

/// A leaf with holes, a prefix, long keys and runs.
fn any_leaf() -> impl Strategy<Value = Vec<u8>> {
    let cells = prop::collection::btree_map(any_key(), any_value(), 1..60);
    (any_page_size(), cells, any::<u64>()).prop_map(|(page_size, cells, choice)| {
        let mut bytes = empty_leaf(page_size);
        let mut leaf = LeafMut::new(&mut bytes);
        for (number, (key, value)) in cells.iter().enumerate() {
            let index = leaf.as_leaf().len();
            let mut long = key.clone();
            long.resize(max_inline_key(page_size) + 9, 0xff);
            let is_long = choice >> (number % 64) & 5 == 5 && number + 1 == cells.len();
            let key = if is_long {
                KeyRef::overflowing(&long, page_size, run(3, long.len()))
            } else {
                KeyRef::inline(key)
            };
            let value = if choice >> (number % 61) & 7 == 7 {
                ValueRef::Overflow(run(9, 50_000))
            } else {
                ValueRef::Inline(value)
            };
            let _ = leaf.insert(index, key, value);
        }
        if leaf.as_leaf().len() > 3 {
            leaf.remove(choice as usize % 3);
        }
        bytes
    })
}

fn any_branch() -> impl Strategy<Value = Vec<u8>> {
    let keys = prop::collection::btree_set(any_key(), 1..60);
    (any_page_size(), keys).prop_map(|(page_size, keys)| {
        let mut bytes = vec![0; page_size];
        let mut branch = BranchMut::init(&mut bytes, child(0));
        for (index, key) in keys.iter().enumerate() {
            if branch
                .insert(index + 1, KeyRef::inline(key), child(index as u64))
                .is_err()
            {
                break;
            }
        }
        if branch.as_branch().len() > 3 {
            let _ = branch.remove(1);
        }
        bytes
    })
}

/// Changes to bytes, most of them where the header and the slots are.
fn any_damage() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let place = prop_oneof![
        4 => PAGE_HEADER..PAGE_HEADER + NODE_HEADER,
        4 => PAGE_HEADER..PAGE_HEADER + 200,
        3 => PAGE_HEADER..MIN_PAGE_SIZE,
        1 => PAGE_HEADER..MAX_PAGE_SIZE,
    ];
    let byte = prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(0x80), Just(1)];
    prop::collection::vec((place, byte), 1..6)
}

fn damage(bytes: &mut [u8], damage: &[(usize, u8)]) {
    for &(at, byte) in damage {
        let at = at % bytes.len();
        bytes[at.max(PAGE_HEADER)] = byte;
    }
}

/// Calls all functions on a leaf that passed.
fn use_leaf(bytes: &[u8]) {
    let leaf = Leaf::new(bytes);
    assert!(leaf.used_bytes() + leaf.free_bytes() == usable_bytes(bytes.len()));
    let (mut key, mut copy) = (Vec::new(), bytes.to_vec());
    for index in 0..leaf.len() {
        leaf.key(index, &mut key);
        let _ = leaf.value(index);
        if leaf.key_overflow(index).is_none() {
            assert_eq!(leaf.search(&key), Ok(index));
        }
        let _ = leaf.search_with::<()>(&[&key[..], b"more"].concat(), &mut |_| Err(()));
        let large = vec![b'x'; max_inline_value(bytes.len())];
        let _ = LeafMut::new(&mut copy).replace_value(index, ValueRef::Inline(&large));
    }
    assert_eq!(Leaf::validate(&copy), Ok(()));
    if let Err(place) = leaf.search(b"user/new") {
        let mut right = bytes.to_vec();
        let mut left = bytes.to_vec();
        let (key, value) = (KeyRef::inline(b"user/new"), ValueRef::Inline(b"new"));
        let _ = LeafMut::new(&mut copy).insert(place, key, value);
        assert_eq!(Leaf::validate(&copy), Ok(()));
        if !leaf.is_empty() {
            let _ = split_leaf(&mut left, &mut right, place, key, value);
            assert_eq!(Leaf::validate(&left), Ok(()));
            assert_eq!(Leaf::validate(&right), Ok(()));
            let _ = merge_leaf(&mut left, &right);
        }
    }
    for index in (0..Leaf::new(&copy).len()).rev() {
        LeafMut::new(&mut copy).remove(index);
        assert_eq!(Leaf::validate(&copy), Ok(()));
    }
}

/// Calls all functions on a branch that passed.
fn use_branch(bytes: &[u8]) {
    let branch = Branch::new(bytes);
    let (mut key, mut copy) = (Vec::new(), bytes.to_vec());
    for index in 0..branch.len() {
        branch.key(index, &mut key);
        let _ = (
            branch.child(index),
            branch.key_overflow(index),
            branch.key_parts(index),
        );
        let _ = branch.find_child(&key);
        let _ = branch.find_child_with::<()>(&[&key[..], b"more"].concat(), &mut |_| Err(()));
        BranchMut::new(&mut copy).set_child(index, child(77));
    }
    let place = branch.find_child(b"user/new");
    branch.key(place, &mut key);
    if key != b"user/new" {
        let _ = BranchMut::new(&mut copy).insert(place + 1, KeyRef::inline(b"user/new"), child(5));
        if branch.len() >= 3 {
            let (mut left, mut right) = (bytes.to_vec(), bytes.to_vec());
            let key = KeyRef::inline(b"user/new");
            let split = split_branch(&mut left, &mut right, place + 1, key, child(5));
            assert_eq!(Branch::validate(&left), Ok(()));
            assert_eq!(Branch::validate(&right), Ok(()));
            let _ = merge_branch(&mut left, split.separator.as_key(), &right);
        }
    }
    while Branch::new(&copy).len() > 1 {
        let _ = BranchMut::new(&mut copy).remove(0);
        assert_eq!(Branch::validate(&copy), Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_damaged_leaf_is_refused_or_harmless(mut bytes in any_leaf(), bits in any_damage()) {
        prop_assert_eq!(Leaf::validate(&bytes), Ok(()));
        damage(&mut bytes, &bits);
        let _ = Branch::validate(&bytes);
        if Leaf::validate(&bytes).is_ok() {
            use_leaf(&bytes);
        }
    }

    #[test]
    fn a_damaged_branch_is_refused_or_harmless(mut bytes in any_branch(), bits in any_damage()) {
        prop_assert_eq!(Branch::validate(&bytes), Ok(()));
        damage(&mut bytes, &bits);
        let _ = Leaf::validate(&bytes);
        if Branch::validate(&bytes).is_ok() {
            use_branch(&bytes);
        }
    }

    #[test]
    fn noise_is_refused(bytes in prop::collection::vec(1..=u8::MAX, MIN_PAGE_SIZE)) {
        prop_assert!(Leaf::validate(&bytes).is_err());
        prop_assert!(Branch::validate(&bytes).is_err());
    }
}

#[test]
fn each_kind_of_damage_has_its_error() {
    let mut good = empty_leaf(4096);
    let mut leaf = LeafMut::new(&mut good);
    for (index, key) in [b"aaaaa", b"bbbbb", b"ccccc"].into_iter().enumerate() {
        leaf.insert(index, KeyRef::inline(key), ValueRef::Inline(b"value"))
            .unwrap();
    }
    // Each cell has 5 + 2 + 5 bytes; the slots begin at 80.
    let with = |changes: &[(usize, u8)]| {
        let mut bytes = good.clone();
        damage(&mut bytes, changes);
        Leaf::validate(&bytes).unwrap_err()
    };
    assert_eq!(
        Leaf::validate(&good[..4095]),
        Err(NodeError::PageSize(4095))
    );
    assert_eq!(Leaf::validate(&[]), Err(NodeError::PageSize(0)));
    assert_eq!(with(&[(76, 1)]), NodeError::Reserved(1));
    assert!(matches!(
        with(&[(65, 0xff)]),
        NodeError::Geometry {
            slot_count: 0xff03,
            ..
        }
    ));
    assert!(matches!(
        with(&[(67, 0x04)]),
        NodeError::CellOutside { .. } | NodeError::Geometry { .. }
    ));
    assert!(matches!(
        with(&[(70, 1)]),
        NodeError::Geometry {
            cells_start: 0x10fdc,
            ..
        }
    ));
    assert_eq!(
        with(&[(72, 1)]),
        NodeError::DeadBytes {
            expected: 0,
            found: 1
        }
    );
    assert!(matches!(
        with(&[(85, 0)]),
        NodeError::CellOutside { slot: 0, .. }
    ));
    assert!(matches!(
        with(&[(86, 0x40)]),
        NodeError::CellOutside { slot: 0, .. }
    ));
    assert_eq!(with(&[(92, 0xf4)]), NodeError::Overlap(1));
    assert!(matches!(
        with(&[(80, 1)]),
        NodeError::Head {
            slot: 0,
            found: 0x6161_6101,
            ..
        }
    ));
    assert!(matches!(
        with(&[(87, 0x80)]),
        NodeError::CellOutside { .. } | NodeError::KeyLen { .. }
    ));
    let tag_at = 4096 - 7;
    assert_eq!(
        with(&[(tag_at + 1, 0x40)]),
        NodeError::ValueTag {
            slot: 0,
            found: 0x4005,
            limit: 944
        }
    );
    assert!(matches!(
        with(&[(tag_at, 6)]),
        NodeError::CellOutside { slot: 0, .. }
    ));
    let key_at = 4096 - 12;
    let swapped: Vec<_> = (0..4)
        .map(|at| (key_at + at, b'x'))
        .chain((80..84).map(|at| (at, b'x')))
        .collect();
    assert_eq!(with(&swapped), NodeError::Order(1));
    assert_eq!(Branch::validate(&empty_leaf(4096)), Err(NodeError::NoChild));
    assert_eq!(Branch::validate(&good), Err(NodeError::FirstKey));
    assert_eq!(
        with(&[(76, 1)]).to_string(),
        "reserved bytes of the node header: expected 0, found 0x1"
    );
}
