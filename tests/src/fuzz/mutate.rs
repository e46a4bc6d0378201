//! Inputs from seeds: a few changes of the kinds that find most.

use oorandom::Rand64;

/// Numbers at which code often thinks otherwise.
const INTERESTING: [u64; 12] = [
    0,
    1,
    0x7F,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
    1 << 32,
    u64::MAX >> 1,
    u64::MAX,
    4096,
];
/// Changes to one input, at most.
const MOST_CHANGES: u64 = 6;
/// Longest part that is moved, removed or put in.
const LONGEST_PART: u64 = 64;

/// Input `number`: one of the seeds, changed a little. The first ones are the
/// seeds themselves.
pub(super) fn input(seeds: &[Vec<u8>], seed: u64, number: u64) -> Vec<u8> {
    if let Some(whole) = usize::try_from(number).ok().and_then(|nth| seeds.get(nth)) {
        return whole.clone();
    }
    let mut rng = Rand64::new(u128::from(seed) << 64 | u128::from(number));
    let mut bytes = seeds[rng.rand_range(0..seeds.len() as u64) as usize].clone();
    for _ in 0..=rng.rand_range(0..MOST_CHANGES) {
        change(&mut bytes, seeds, &mut rng);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut Rand64) {
    let at = rng.rand_range(0..bytes.len() as u64 + 1) as usize;
    let most = (bytes.len() - at) as u64;
    let len = rng.rand_range(0..LONGEST_PART.min(most) + 1) as usize;
    match rng.rand_range(0..8) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << rng.rand_range(0..8),
        2 if at < bytes.len() => bytes[at] = rng.rand_u64() as u8,
        3 => {
            let number = INTERESTING[rng.rand_range(0..INTERESTING.len() as u64) as usize];
            let width = 1 << rng.rand_range(0..4);
            let fits = bytes.len().saturating_sub(at).min(width);
            bytes[at..at + fits].copy_from_slice(&number.to_le_bytes()[..fits]);
        }
        4 => drop(bytes.drain(at..at + len)),
        5 => {
            let other = &seeds[rng.rand_range(0..seeds.len() as u64) as usize];
            let from = rng.rand_range(0..other.len() as u64 + 1) as usize;
            let part = other[from..].iter().copied().take(len).collect::<Vec<_>>();
            drop(bytes.splice(at..at, part));
        }
        6 if len > 0 => {
            let to = rng.rand_range(0..(bytes.len() - len) as u64 + 1) as usize;
            bytes.copy_within(at..at + len, to);
        }
        _ => bytes.truncate(at),
    }
}
