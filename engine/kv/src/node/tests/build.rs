//! Pages built from sorted input.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn built_leaves_hold_all_that_was_pushed(
        page_size in any_page_size(),
        fill_percent in 1..=100_usize,
        cells in prop::collection::btree_map(any_key(), any_value(), 1..300),
    ) {
        let mut builder = LeafBuilder::new(page_size, fill_percent);
        let mut pages = Vec::new();
        let finish = |builder: &mut LeafBuilder| {
            let mut page = vec![0x5a; page_size];
            builder.finish(&mut page);
            page
        };
        for (key, value) in &cells {
            let (key, value) = (KeyRef::inline(key), ValueRef::Inline(value));
            if builder.push(key, value).is_err() {
                pages.push(finish(&mut builder));
                prop_assert!(builder.is_empty());
                prop_assert_eq!(builder.push(key, value), Ok(()));
            }
        }
        pages.push(finish(&mut builder));
        let mut found = Vec::new();
        for page in &pages {
            prop_assert_eq!(Leaf::validate(page), Ok(()));
            prop_assert!(header_is_untouched(page));
            let leaf = Leaf::new(page);
            prop_assert!(leaf.len() == 1 || leaf.fill() * 100.0 <= fill_percent as f64);
            found.extend(entries(page));
        }
        prop_assert_eq!(found, cells.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn built_branches_hold_all_that_was_pushed(
        page_size in any_page_size(),
        fill_percent in 1..=100_usize,
        keys in prop::collection::btree_set(any_key(), 1..300),
    ) {
        let mut builder = BranchBuilder::new(page_size, fill_percent);
        // The first key of each page, which the page itself does not have.
        let mut firsts = vec![keys.first().cloned().unwrap_or_default()];
        let mut pages = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            let new = child(number as u64);
            if builder.push(KeyRef::inline(key), new).is_err() {
                prop_assert!(builder.len() >= 2);
                pages.push(vec![0x5a; page_size]);
                builder.finish(pages.last_mut().expect("just pushed"));
                firsts.push(key.clone());
                prop_assert_eq!(builder.push(KeyRef::inline(key), new), Ok(()));
            }
        }
        pages.push(vec![0x5a; page_size]);
        builder.finish(pages.last_mut().expect("just pushed"));
        let mut found = Vec::new();
        for (page, first) in pages.iter().zip(firsts) {
            prop_assert_eq!(Branch::validate(page), Ok(()));
            prop_assert!(header_is_untouched(page));
            let branch = Branch::new(page);
            for index in 0..branch.len() {
                let mut key = Vec::new();
                branch.key(index, &mut key);
                prop_assert_eq!(branch.child(index), child(found.len() as u64));
                found.push(if index == 0 { first.clone() } else { key });
            }
        }
        prop_assert_eq!(found, keys.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn sorted_keys_fill_built_leaves() {
    let mut builder = LeafBuilder::new(8192, 100);
    let mut page = vec![0; 8192];
    let full = (0..10_000_u32).find(|number| {
        let key = [&b"some long prefix of all keys"[..], &number.to_be_bytes()].concat();
        builder
            .push(KeyRef::inline(&key), ValueRef::Inline(b"a value"))
            .is_err()
    });
    assert!(full.is_some());
    builder.finish(&mut page);
    assert!(Leaf::new(&page).fill() > 0.99);
    assert!(Leaf::new(&page).key_parts(0).0.len() >= 28);
}

#[test]
fn the_example_in_the_format_is_what_is_written() {
    let mut page = empty_leaf(4096);
    let mut builder = LeafBuilder::new(4096, 100);
    for key in [b"ant", b"ape"] {
        builder
            .push(KeyRef::inline(key), ValueRef::Inline(b"x"))
            .unwrap();
    }
    builder.finish(&mut page);
    let header = [2, 0, 1, 0, 0xf6, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(page[64..80], header);
    assert_eq!(page[80..97], *b"a\0\0tn\xfb\x0f\x02\0\0\0ep\xf6\x0f\x02\0");
    assert_eq!(page[4086..], *b"pe\x01\0xnt\x01\0x");
    assert!(page[97..4086].iter().all(|&byte| byte == 0));
}
