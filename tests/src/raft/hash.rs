//! A quick hash of numbers, for traces and chains: not for strangers.

/// The hash with one more number in it.
#[inline]
pub(super) fn mix(hash: u64, number: u64) -> u64 {
    let mixed = (hash ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

/// Of bytes.
pub(super) fn of_bytes(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    for byte in chunks.remainder() {
        hash = mix(hash, u64::from(*byte));
    }
    mix(hash, bytes.len() as u64)
}
