use super::*;

#[test]
fn the_first_keys_of_a_zipf_distribution_come_as_often_as_it_says() {
    let zipf = Zipf::new(100_000);
    let mut random = Rand64::new(1);
    let mut counts = [0_u32; 3];
    for _ in 0..100_000 {
        let key = zipf.draw(&mut random);
        assert!(key < 100_000);
        if let Some(count) = counts.get_mut(key as usize) {
            *count += 1;
        }
    }
    // 1 / zeta(100,000, 0.99) is 7.8 %, half of that for the next.
    assert!((7_300..8_300).contains(&counts[0]), "{counts:?}");
    assert!((3_600..4_300).contains(&counts[1]), "{counts:?}");
}

#[test]
fn threads_with_keys_of_their_own_never_meet_and_no_key_comes_twice() {
    let mut random = Rand64::new(1);
    for thread in 0..3 {
        let draw = Draw::Own {
            thread,
            threads: 3,
            keys: 40,
        };
        let mut keys = draw.next(&mut random).to_vec();
        assert!(keys.iter().all(|key| key % 3 == thread && *key < 40));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), KEYS);
    }
}
