use std::collections::BTreeSet;

use super::*;

const TARGET: usize = 4096;

/// The last keys of the chunks that these entries come to.
fn ends(entries: impl Iterator<Item = (u32, usize)>) -> BTreeSet<Vec<u8>> {
    let mut chunk = ChunkBuilder::default();
    let mut ends = BTreeSet::new();
    for (number, len) in entries {
        if chunk.push(&number.to_be_bytes(), &vec![7; len], TARGET) {
            assert!(chunk.plain.len() >= TARGET / CHUNK_SPREAD);
            ends.insert(chunk.last.clone());
            chunk.clear();
        }
    }
    ends
}

#[test]
fn chunks_of_nearly_the_same_tree_end_nearly_everywhere_together() {
    let before = ends((0..20_000).map(|number| (number, 100)));
    assert!(
        before.len() > 300 && before.len() < 1200,
        "{}",
        before.len()
    );
    // One entry more near the beginning, one longer, one gone.
    let changed = (0..20_000).filter(|number| *number != 9_000);
    let changed = changed.map(|number| (number, if number == 500 { 300 } else { 100 }));
    let after = ends(changed);
    let common = before.intersection(&after).count();
    assert!(common + 20 > before.len(), "{common} of {}", before.len());
}

#[test]
fn a_chunk_ends_at_its_limit_whatever_the_keys_are() {
    let mut chunk = ChunkBuilder::default();
    let mut count = 0;
    // The same key hash each time would never end it: only its size does.
    while !chunk.push(b"a key that ends nothing", &[0; 8], 1 << 20) {
        count += 1;
        assert!(count < 1 << 20);
    }
    assert!(chunk.plain.len() <= (1 << 20) * CHUNK_SPREAD + 64);
}

#[test]
fn a_chunk_comes_back_as_it_went_in_and_no_other_does() {
    let mut chunk = ChunkBuilder::default();
    for (key, value) in [("a", "1"), ("b", ""), ("bc", "3")] {
        chunk.push(key.as_bytes(), value.as_bytes(), TARGET);
    }
    let content = examine(&chunk.plain).unwrap();
    assert_eq!(content.stats, chunk.stats);
    assert_eq!(
        (content.first, content.last),
        (chunk.first.clone(), chunk.last.clone())
    );
    let keys: Vec<_> = entries(&chunk.plain).map(|(key, _)| key).collect();
    assert_eq!(keys, [&b"a"[..], b"b", b"bc"]);
    for len in 1..chunk.plain.len() {
        let cut = examine(&chunk.plain[..len]);
        assert!(cut.is_err() || [10, 19].contains(&len), "cut to {len}");
    }
    assert!(examine(&[]).is_err(), "an empty chunk");
    let mut twice = chunk.plain[..10].to_vec();
    twice.extend_from_slice(&chunk.plain[..10]);
    assert!(examine(&twice).unwrap_err().contains("out of order"));
    let mut large = chunk.plain.clone();
    large[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(examine(&large).is_err());
}
