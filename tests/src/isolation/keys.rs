//! Keys and lists as bytes.
//!
//! Keys lie in a few groups, each in a tree of its own. The first of each group is
//! hot; the others are many, and become more as time goes on, so that ranges meet
//! keys that were not there before.

use cs_io::sim::Rng;
use cs_kv::KeyRange;

use super::history::{Key, Number};

pub(super) const GROUPS: u32 = 4;
/// Keys of a group, at most.
const KEYS: u32 = 60;
/// So many numbers are appended for each key that comes to be drawn.
const NUMBERS_A_KEY: u32 = 16;

/// Hot or cold.
pub(super) fn draw(rng: &mut Rng, numbers: Number) -> Key {
    let group = rng.below(u64::from(GROUPS)) as u32;
    if rng.percent(45) {
        return group << 16;
    }
    let known = (2 + numbers / (GROUPS * NUMBERS_A_KEY)).min(KEYS);
    group << 16 | (1 + rng.below(u64::from(known)) as u32)
}

/// The first and last key of a group, drawn at random.
pub(super) fn group(rng: &mut Rng) -> (Key, Key) {
    bounds(rng.below(u64::from(GROUPS)) as u32)
}

/// The first and last key of each group, in order.
pub(super) fn groups() -> impl Iterator<Item = (Key, Key)> {
    (0..GROUPS).map(bounds)
}

fn bounds(group: u32) -> (Key, Key) {
    (group << 16, group << 16 | 0xFFFF)
}

/// In which of the trees a key is.
pub(super) fn group_of(key: Key) -> usize {
    ((key >> 16) % GROUPS) as usize
}

pub(super) fn bytes(key: Key) -> Vec<u8> {
    key.to_be_bytes().to_vec()
}

/// A key that is no key of ours is one that nobody appended to.
pub(super) fn parse(bytes: &[u8]) -> Key {
    bytes.try_into().map_or(Key::MAX, Key::from_be_bytes)
}

/// From a key to another, both included.
pub(super) fn range(first: Key, last: Key) -> KeyRange {
    KeyRange {
        lower: std::ops::Bound::Included(bytes(first)),
        upper: std::ops::Bound::Included(bytes(last)),
    }
}

pub(super) fn encode(list: &[Number]) -> Vec<u8> {
    list.iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// A list; what is no list has a number that nobody appended.
pub(super) fn decode(bytes: Option<&[u8]>) -> Vec<Number> {
    let chunks = bytes.unwrap_or_default().chunks(4);
    let number = |chunk: &[u8]| chunk.try_into().map_or(Number::MAX, Number::from_le_bytes);
    chunks.map(number).collect()
}
