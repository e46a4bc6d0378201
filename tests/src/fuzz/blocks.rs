//! Compressed blocks, and payloads of records.

use cs_base::codec::{Codec, decode, encode, inspect};
use cs_kv::{Effects, unpack_payload};
use cs_wal::{RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES};

use super::files;

const CODECS: [Codec; 3] = [Codec::None, Codec::Lz4, Codec::Gzip { level: 1 }];

pub(super) fn block(input: &[u8]) {
    let Some((limit, block)) = input.split_first_chunk::<2>() else {
        return;
    };
    let limit = usize::from(u16::from_le_bytes(*limit)) * 64;
    if let Ok(plain) = decode(block, limit) {
        assert!(plain.len() <= limit);
        let said = inspect(block).map(|info| info.plain_len);
        assert_eq!(said.ok(), Some(plain.len()));
    }
    for codec in CODECS {
        let mut made = Vec::new();
        encode(block, codec, usize::from(input[0]), &mut made);
        let back = decode(&made, block.len());
        assert_eq!(back.as_deref().ok(), Some(block), "{codec:?}");
    }
}

pub(super) fn block_seeds() -> Vec<Vec<u8>> {
    let plain = b"to be or not to be, that is the question; ".repeat(9);
    CODECS
        .into_iter()
        .map(|codec| {
            let mut seed = vec![0xFF, 0xFF];
            encode(&plain, codec, 0, &mut seed);
            seed
        })
        .collect()
}

pub(super) fn effects(input: &[u8]) {
    let Ok(plain) = unpack_payload(input) else {
        return;
    };
    let Ok(effects) = Effects::of(&plain) else {
        return;
    };
    let mut bytes = 0;
    for effect in effects {
        let Ok(effect) = effect else { break };
        let _ = effect.tree();
        // Each takes some of the payload, so there is an end.
        bytes += 5;
        assert!(bytes <= plain.len());
    }
}

/// The payloads in the log of the sample, plain and packed.
pub(super) fn effects_seeds() -> Vec<Vec<u8>> {
    let (_, segment) = files::sample();
    let mut seeds = Vec::new();
    let mut at = SEGMENT_HEADER_BYTES as usize;
    while let Some(header) = segment.get(at..at + RECORD_HEADER_BYTES) {
        let mut len = [0; 4];
        len.copy_from_slice(&header[8..12]);
        let start = at + RECORD_HEADER_BYTES;
        let end = start + u32::from_le_bytes(len) as usize;
        match (header[4], segment.get(start..end)) {
            (0, _) => at = (at / cs_base::BLOCK_SIZE + 1) * cs_base::BLOCK_SIZE,
            (1, Some(payload)) => {
                seeds.push(payload.to_vec());
                let plain = unpack_payload(payload).unwrap_or_default();
                let mut packed = vec![2];
                encode(&plain, Codec::Lz4, 0, &mut packed);
                seeds.extend([plain.into_owned(), packed]);
                at = end.next_multiple_of(8);
            }
            _ => at = end.next_multiple_of(8),
        }
    }
    seeds
}
