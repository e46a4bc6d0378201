use std::collections::HashSet;

use super::*;

#[test]
fn pairs_of_a_seed_are_always_the_same_and_differ_from_each_other() {
    for value_bytes in [150, 1024] {
        let pairs = Pairs::new(7, value_bytes);
        let again = Pairs::new(7, value_bytes);
        let other = Pairs::new(8, value_bytes);
        let mut keys = HashSet::new();
        let mut values = HashSet::new();
        for number in 0..10_000 {
            let pair = pairs.pair(number);
            assert_eq!(pair, again.pair(number));
            assert_eq!(pair.key, pairs.key(number));
            assert_ne!(pair.key, other.key(number));
            assert_eq!(pair.value.len() as u64, value_bytes);
            assert!(keys.insert(pair.key) && values.insert(pair.value));
        }
    }
}

#[test]
fn large_values_are_json_objects() {
    let pairs = Pairs::new(1, 1024);
    for number in [0, 1, 77_777, u64::from(u32::MAX)] {
        let value: serde_json::Value = serde_json::from_slice(&pairs.pair(number).value).unwrap();
        assert_eq!(value["id"].as_str().unwrap().len(), 16);
        assert!(value["note"].as_str().unwrap().len() > 500);
    }
}

#[test]
fn a_sum_does_not_ask_for_the_order_and_sees_every_change() {
    let pairs = Pairs::new(3, 150);
    let forwards = (0..100).fold(0u64, |sum, number| sum.wrapping_add(pairs.sum(number)));
    let backwards = (0..100)
        .rev()
        .fold(0u64, |sum, number| sum.wrapping_add(pairs.sum(number)));
    assert_eq!(forwards, backwards);
    let one = pairs.pair(1);
    let two = pairs.pair(2);
    // Two values changed places.
    assert_ne!(
        sum_of(&one.key, &two.value).wrapping_add(sum_of(&two.key, &one.value)),
        pairs.sum(1).wrapping_add(pairs.sum(2))
    );
    assert_ne!(sum_of(&one.key, &one.value[..149]), pairs.sum(1));
}

#[test]
fn chosen_pairs_are_loaded_and_not_deleted() {
    for loaded in [100, 101] {
        let mut live = Live {
            loaded,
            ..Live::default()
        };
        assert!((0..1000).all(|random| live.choose(random) < loaded));
        live.halved = true;
        let chosen: HashSet<u64> = (0..1000).map(|random| live.choose(random)).collect();
        assert!(
            chosen
                .iter()
                .all(|number| number % 2 == 1 && *number < loaded)
        );
        assert_eq!(chosen.len() as u64, loaded / 2);
    }
}
