use super::*;

#[test]
fn a_tree_root_comes_back_and_each_reserved_byte_is_checked() {
    let stats = TreeStats {
        count: 3,
        bytes: 99,
        hash: 7 << 100,
    };
    let page = PageRef {
        page: PageId(5),
        version: Version(8),
    };
    let root = TreeRoot {
        page,
        height: 2,
        stats,
    };
    let bytes = root.encode();
    assert_eq!(TreeRoot::decode(TreeId(16), &bytes).unwrap(), root);
    for at in 49..TREE_ROOT {
        let mut damaged = bytes;
        damaged[at] = 1;
        assert!(TreeRoot::decode(TreeId(16), &damaged).is_err(), "byte {at}");
    }
    assert!(TreeRoot::decode(TreeId(16), &bytes[1..]).is_err());
}

#[test]
fn the_sum_forgets_the_order_and_nothing_else() {
    let entries: Vec<_> = (0..100_u8)
        .map(|number| ([number], vec![number; 9]))
        .collect();
    let sum = |entries: &[([u8; 1], Vec<u8>)]| {
        let mut stats = TreeStats::default();
        for (key, value) in entries {
            stats.add(key, value.len() as u64, digest(key, value));
        }
        stats
    };
    let mut reversed = entries.clone();
    reversed.reverse();
    assert_eq!(sum(&entries), sum(&reversed));
    let mut swapped = entries.clone();
    (swapped[0].1, swapped[1].1) = (entries[1].1.clone(), entries[0].1.clone());
    assert_ne!(sum(&entries), sum(&swapped), "a value belongs to its key");
}

#[test]
fn the_format_page_names_the_sizes_in_use() {
    let text = include_str!("../../FORMAT.md");
    for row in [
        "| 0 | 64 | `directory` |",
        "| 48 | 1 | `height` |",
        "| 49 | 15 | `reserved` |",
    ] {
        assert!(text.contains(row), "{row}");
    }
    assert_eq!(TREE_ROOT, 64);
}
