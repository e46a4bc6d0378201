//! One leaf and one branch against a model.

use std::collections::BTreeMap;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>, Vec<u8>),
    Remove(prop::sample::Index),
    Replace(prop::sample::Index, Vec<u8>),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any_key(), any_value()).prop_map(|(key, value)| Step::Put(key, value)),
        2 => any::<prop::sample::Index>().prop_map(Step::Remove),
        2 => (any::<prop::sample::Index>(), any_value()).prop_map(|(at, value)| Step::Replace(at, value)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn one_leaf_does_what_a_map_does(
        page_size in any_page_size(),
        steps in prop::collection::vec(any_step(), 1..200),
    ) {
        let mut model = BTreeMap::new();
        let mut bytes = empty_leaf(page_size);
        for step in steps {
            let before = bytes.clone();
            let mut leaf = LeafMut::new(&mut bytes);
            let full = match step {
                Step::Put(key, value) => {
                    let done = match leaf.as_leaf().search(&key) {
                        Ok(index) => leaf.replace_value(index, ValueRef::Inline(&value)),
                        Err(index) => {
                            prop_assert!(!model.contains_key(&key));
                            leaf.insert(index, KeyRef::inline(&key), ValueRef::Inline(&value))
                        }
                    };
                    if done.is_ok() {
                        model.insert(key, value);
                    }
                    done
                }
                Step::Remove(at) if !model.is_empty() => {
                    let index = at.index(model.len());
                    leaf.remove(index);
                    let key = model.keys().nth(index).expect("in range").clone();
                    model.remove(&key);
                    Ok(())
                }
                Step::Replace(at, value) if !model.is_empty() => {
                    let index = at.index(model.len());
                    let done = leaf.replace_value(index, ValueRef::Inline(&value));
                    if done.is_ok() {
                        *model.values_mut().nth(index).expect("in range") = value;
                    }
                    done
                }
                _ => Ok(()),
            };
            if full.is_err() {
                prop_assert_eq!(&before, &bytes);
            }
            prop_assert_eq!(Leaf::validate(&bytes), Ok(()));
            prop_assert!(header_is_untouched(&bytes));
            let expected: Vec<_> = model.clone().into_iter().collect();
            prop_assert_eq!(entries(&bytes), expected);
        }
        let leaf = Leaf::new(&bytes);
        prop_assert_eq!(leaf.used_bytes() + leaf.free_bytes(), usable_bytes(page_size));
        for (index, key) in model.keys().enumerate() {
            prop_assert_eq!(leaf.search(key), Ok(index));
        }
    }

    #[test]
    fn a_search_says_where_a_missing_key_belongs(
        keys in prop::collection::btree_set(any_key(), 0..6),
        sought in prop::collection::vec(any_key(), 20),
    ) {
        let mut bytes = empty_leaf(8192);
        for (index, key) in keys.iter().enumerate() {
            let value = ValueRef::Inline(b"");
            prop_assert_eq!(LeafMut::new(&mut bytes).insert(index, KeyRef::inline(key), value), Ok(()));
        }
        for key in &sought {
            let place = keys.range::<Vec<u8>, _>(..key).count();
            let expected = if keys.contains(key) { Ok(place) } else { Err(place) };
            prop_assert_eq!(Leaf::new(&bytes).search(key), expected);
        }
    }

    #[test]
    fn one_branch_does_what_a_map_does(
        page_size in any_page_size(),
        steps in prop::collection::vec((any_key(), 0..4_u8, any::<prop::sample::Index>()), 1..150),
    ) {
        // The model's first child has the empty key.
        let mut model = BTreeMap::from([(Vec::new(), child(0))]);
        let mut bytes = vec![0x5a; page_size];
        let _branch = BranchMut::init(&mut bytes, child(0));
        for (number, (key, what, at)) in steps.into_iter().enumerate() {
            let new = child(number as u64 + 1);
            let mut branch = BranchMut::new(&mut bytes);
            let found = branch.as_branch().find_child(&key);
            prop_assert_eq!(found, model.range(..=key.clone()).count() - 1);
            if what == 0 && model.len() > 1 {
                let index = at.index(model.len());
                prop_assert_eq!(branch.remove(index), None);
                let lost = model.keys().nth(index.max(1)).expect("in range").clone();
                let heir = model.remove(&lost).expect("it is there");
                if index == 0 {
                    model.insert(Vec::new(), heir);
                }
            } else if what == 1 {
                let index = at.index(model.len());
                branch.set_child(index, new);
                *model.values_mut().nth(index).expect("in range") = new;
            } else if !model.contains_key(&key)
                && branch.insert(found + 1, KeyRef::inline(&key), new).is_ok()
            {
                model.insert(key, new);
            }
            prop_assert_eq!(Branch::validate(&bytes), Ok(()));
            prop_assert!(header_is_untouched(&bytes));
            let branch = Branch::new(&bytes);
            prop_assert_eq!(branch.len(), model.len());
            let mut key = Vec::new();
            for (index, (expected_key, expected_child)) in model.iter().enumerate() {
                branch.key(index, &mut key);
                prop_assert_eq!(&key, expected_key);
                prop_assert_eq!(branch.child(index), *expected_child);
            }
        }
    }
}

#[test]
fn equal_contents_rewritten_are_equal_bytes() {
    let mut pages = [empty_leaf(4096), empty_leaf(4096)];
    for (page, order) in pages.iter_mut().zip([[0, 1, 2], [2, 0, 1]]) {
        let mut builder = LeafBuilder::new(4096, 100);
        for number in order {
            let key = [number];
            let mut leaf = LeafMut::new(page);
            let place = leaf.as_leaf().search(&key).unwrap_err();
            leaf.insert(place, KeyRef::inline(&key), ValueRef::Inline(b"value"))
                .unwrap();
        }
        for (key, value) in entries(page) {
            builder
                .push(KeyRef::inline(&key), ValueRef::Inline(&value))
                .unwrap();
        }
        builder.finish(page);
    }
    assert_eq!(pages[0], pages[1]);
}

#[test]
fn a_full_page_of_alike_keys_takes_more_once_the_prefix_is_shared() {
    let mut bytes = empty_leaf(4096);
    let mut count = 0_u32;
    let key = |number: u32| format!("a rather long beginning of all keys {number:06}").into_bytes();
    let mut leaf = LeafMut::new(&mut bytes);
    while leaf
        .insert(
            count as usize,
            KeyRef::inline(&key(count)),
            ValueRef::Inline(b"v"),
        )
        .is_ok()
    {
        count += 1;
    }
    assert!(
        count as usize > usable_bytes(4096) * 2 / key(0).len(),
        "only {count} entries"
    );
    assert!(
        leaf.as_leaf()
            .key_parts(0)
            .0
            .starts_with(b"a rather long beginning of all keys ")
    );
    assert_eq!(Leaf::validate(&bytes), Ok(()));
}

#[test]
fn a_leaf_emptied_is_as_new() {
    let mut bytes = empty_leaf(4096);
    let mut leaf = LeafMut::new(&mut bytes);
    leaf.insert(0, KeyRef::inline(b""), ValueRef::Inline(b""))
        .unwrap();
    assert!(!leaf.as_leaf().is_empty());
    leaf.remove(0);
    assert!(leaf.as_leaf().is_empty() && leaf.as_leaf().is_underfull());
    assert_eq!(leaf.as_leaf().used_bytes(), 0);
    assert_eq!(leaf.as_leaf().free_bytes(), usable_bytes(4096));
    assert_eq!(Leaf::validate(&bytes), Ok(()));
}

#[test]
#[should_panic(expected = "needs a resolver")]
fn a_search_for_a_long_key_needs_a_resolver() {
    let bytes = empty_leaf(4096);
    let _ = Leaf::new(&bytes).search(&[0; 1025]);
}

#[test]
#[should_panic(expected = "an inline value has 945 bytes, expected at most 944")]
fn a_value_over_the_limit_is_refused() {
    let mut bytes = empty_leaf(4096);
    let _ = LeafMut::new(&mut bytes).insert(0, KeyRef::inline(b"k"), ValueRef::Inline(&[0; 945]));
}
