use proptest::prelude::*;

use super::*;

const CODECS: [Codec; 5] = [
    Codec::None,
    Codec::Lz4,
    Codec::Gzip { level: 1 },
    Codec::Gzip { level: 6 },
    Codec::Gzip { level: 9 },
];

fn block_of(plain: &[u8], codec: Codec) -> Vec<u8> {
    let mut block = Vec::new();
    encode(plain, codec, 0, &mut block);
    block
}

/// Text that gets shorter.
fn prose(len: usize) -> Vec<u8> {
    let words = b"the city of brattleboro in the state of vermont has a post office ";
    words.iter().copied().cycle().take(len).collect()
}

/// Bytes that do not.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

fn with_declared(block: &[u8], declared: u32) -> Vec<u8> {
    let mut lying = block.to_vec();
    lying[4..8].copy_from_slice(&declared.to_le_bytes());
    lying
}

#[test]
fn what_goes_in_comes_out_at_every_size_up_to_a_few_kib() {
    for codec in CODECS {
        for len in (0..300).chain((300..5_000).step_by(97)) {
            for plain in [prose(len), noise(len), vec![0; len]] {
                let block = block_of(&plain, codec);
                assert!(block.len() <= len + BLOCK_HEADER);
                assert_eq!(decode(&block, len).unwrap(), plain, "{codec:?}, {len}");
            }
        }
    }
}

#[test]
fn large_blocks_come_back_too() {
    for codec in CODECS {
        for plain in [prose(3 << 20), noise(1 << 20), vec![7; 16 << 20]] {
            let block = block_of(&plain, codec);
            assert!(block.len() <= plain.len() + BLOCK_HEADER);
            assert!(decode(&block, plain.len()).unwrap() == plain, "{codec:?}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_come_back_whole(
        pieces in proptest::collection::vec((any::<u8>(), 1..200_usize), 0..60),
        tail in proptest::collection::vec(any::<u8>(), 0..3_000),
        codec in 0..CODECS.len(),
        threshold in 0..4_000_usize,
    ) {
        let mut plain: Vec<u8> = Vec::new();
        for (byte, count) in pieces {
            plain.resize(plain.len() + count, byte);
        }
        plain.extend_from_slice(&tail);
        // What was there before stays.
        let mut out = vec![9; 3];
        let made = encode(&plain, CODECS[codec], threshold, &mut out);
        prop_assert_eq!(&out[..3], &[9; 3]);
        let block = &out[3..];
        prop_assert!(block.len() <= plain.len() + BLOCK_HEADER);
        prop_assert!(plain.len() >= threshold || made == CodecId::None);
        let info = BlockInfo { codec: made, plain_len: plain.len() };
        prop_assert_eq!(inspect(block), Ok(info));
        prop_assert_eq!(decode(block, plain.len()).unwrap(), plain);
    }

    /// A changed byte may pass in a body without a checksum of its own, but the
    /// length is always the declared one, and nothing panics.
    #[test]
    fn damaged_blocks_are_refused_or_have_the_declared_length(
        len in 0..2_000_usize,
        codec in 0..CODECS.len(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut block = block_of(&prose(len), CODECS[codec]);
        let at = at.index(block.len());
        block[at] ^= flip;
        block.truncate(block.len() - cut.index(block.len().min(8)));
        if let Ok(plain) = decode(&block, 4_096) {
            prop_assert_eq!(plain.len(), inspect(&block).unwrap().plain_len);
        }
    }

    #[test]
    fn bytes_from_anywhere_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), codec in 0..5_u8) {
        let mut bytes = bytes;
        let _ = decode(&bytes, 1 << 16);
        // The same again, past the checks of the header.
        if bytes.len() > BLOCK_HEADER {
            bytes[0] = codec;
            bytes[1..4].fill(0);
            bytes[6..8].fill(0);
            let _ = decode(&bytes, 1 << 16);
        }
    }
}

#[test]
fn below_the_threshold_and_without_gain_the_bytes_stay_as_they_are() {
    let mut out = Vec::new();
    let plain = prose(1_000);
    assert_eq!(encode(&plain, Codec::Lz4, 1_001, &mut out), CodecId::None);
    out.clear();
    assert_eq!(encode(&plain, Codec::Lz4, 1_000, &mut out), CodecId::Lz4);
    for codec in [Codec::Lz4, Codec::Gzip { level: 9 }] {
        out.clear();
        assert_eq!(encode(&noise(1_000), codec, 0, &mut out), CodecId::None);
        assert_eq!(out.len(), 1_000 + BLOCK_HEADER);
    }
}

#[test]
fn a_level_of_gzip_that_there_is_not_is_taken_for_the_nearest() {
    let plain = prose(10_000);
    let of = |level| block_of(&plain, Codec::Gzip { level });
    assert_eq!((of(0), of(200)), (of(1), of(9)));
}

#[test]
fn the_bytes_of_a_block_stay_what_they_are() {
    // Stored: the bytes of every program are these.
    let stored = [1, 0, 0, 0, 3, 0, 0, 0, b'a', b'b', b'c'];
    assert_eq!(block_of(b"abc", Codec::None), stored);
    assert_eq!(decode(&stored, 3).unwrap(), &b"abc"[..]);

    // LZ4: literal `ab`, a match of 18 bytes two back, and five literals at the end.
    let lz4 = [
        2, 0, 0, 0, 25, 0, 0, 0, //
        0x2E, b'a', b'b', 2, 0, //
        0x50, b'a', b'b', b'a', b'b', b'a',
    ];
    assert_eq!(
        decode(&lz4, 25).unwrap(),
        &b"abababababababababababababa"[..25]
    );

    // Gzip: a member as RFC 1952 has it, made by another program.
    let gzip = [
        3, 0, 0, 0, 20, 0, 0, 0, //
        0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 0xFF, //
        0x4B, 0x4C, 0xC4, 0x04, 0x00, //
        0xCE, 0x8B, 0x6F, 0x26, 0x14, 0, 0, 0,
    ];
    assert_eq!(decode(&gzip, 20).unwrap(), &[b'a'; 20][..]);
}

#[test]
fn a_codec_that_there_is_not_is_refused_by_number() {
    let block = block_of(&prose(100), Codec::Lz4);
    for found in [0, 4, 255] {
        let mut lying = block.clone();
        lying[0] = found;
        assert_eq!(decode(&lying, 100), Err(CodecError::UnknownCodec { found }));
    }
    let mut reserved = block;
    reserved[2] = 1;
    let found = [0, 1, 0];
    assert_eq!(decode(&reserved, 100), Err(CodecError::Reserved { found }));
}

#[test]
fn a_block_without_a_whole_header_is_refused() {
    for found in 0..BLOCK_HEADER {
        let cut = &block_of(b"abc", Codec::None)[..found];
        assert_eq!(decode(cut, 3), Err(CodecError::Short { found }));
    }
}

#[test]
fn a_lie_about_the_length_is_found_before_memory_is_asked_for() {
    for codec in CODECS {
        let block = block_of(&prose(2_000), codec);
        // More than the caller takes.
        let error = decode(&block, 1_999).unwrap_err();
        let (declared, limit) = (2_000, 1_999);
        assert_eq!(error, CodecError::OverLimit { declared, limit });
        // More than the body can hold, though the caller would take it: four
        // gigabytes would not be noticed on a machine that has them.
        let error = decode(&with_declared(&block, u32::MAX), usize::MAX).unwrap_err();
        assert!(matches!(error, CodecError::Implausible { .. }), "{error}");
    }
}

#[test]
fn a_block_that_holds_less_or_more_than_it_says_is_refused() {
    for codec in CODECS {
        let block = block_of(&prose(2_000), codec);
        for declared in [0, 1, 1_999, 2_001] {
            let lying = with_declared(&block, declared);
            assert!(decode(&lying, 1 << 20).is_err(), "{codec:?}, {declared}");
        }
    }
    // The most honest-looking of them: a bomb that says it is small.
    for codec in [Codec::Lz4, Codec::Gzip { level: 9 }] {
        let bomb = with_declared(&block_of(&vec![0; 64 << 20], codec), 1_000);
        let error = decode(&bomb, 1 << 20).unwrap_err();
        assert!(
            matches!(
                error,
                CodecError::WrongLength { .. } | CodecError::Malformed { .. }
            ),
            "{error}"
        );
    }
}

#[test]
fn a_cut_block_and_one_with_more_behind_it_are_refused() {
    for codec in CODECS {
        let block = block_of(&prose(2_000), codec);
        for len in 0..block.len() {
            assert!(decode(&block[..len], 2_000).is_err(), "{codec:?}, {len}");
        }
        for tail in [&[0][..], &[0; 9], &[1, 2, 3]] {
            let longer = [&block, tail].concat();
            assert!(decode(&longer, 2_000).is_err(), "{codec:?}, {tail:?}");
        }
    }
}

#[test]
fn damage_in_a_gzip_member_is_found_by_its_checksum() {
    let plain = noise(40).repeat(20);
    let block = block_of(&plain, Codec::Gzip { level: 6 });
    assert_eq!(block[0], CodecId::Gzip as u8);
    let at = block.len() - 8;
    let mut damaged = block;
    damaged[at] ^= 1;
    let error = decode(&damaged, plain.len()).unwrap_err();
    assert!(matches!(error, CodecError::Malformed { .. }), "{error}");
}

#[test]
fn no_body_unpacks_to_more_than_the_plausible_most() {
    for (codec, id) in [
        (Codec::Lz4, CodecId::Lz4),
        (Codec::Gzip { level: 9 }, CodecId::Gzip),
    ] {
        for len in [100, 10_000, 1 << 20, 64 << 20] {
            let block = block_of(&vec![0; len], codec);
            let body = block.len() - BLOCK_HEADER;
            assert!(len <= body * id.ratio(), "{id}: {len} bytes in {body}");
        }
    }
}

/// The cells of the rows of FORMAT.md that begin with a number.
fn rows() -> Vec<Vec<&'static str>> {
    let lines = include_str!("../../FORMAT.md").lines();
    let rows = lines.filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.filter(|row| row.starts_with(|first: char| first.is_ascii_digit()))
        .map(|row| row.split(" | ").collect())
        .collect()
}

#[test]
fn the_format_page_says_what_the_code_does() {
    let rows = rows();
    let fields = [
        ("`codec`", offset_of!(Header, codec), 1),
        ("`reserved`", offset_of!(Header, reserved), 3),
        ("`plain_len`", offset_of!(Header, plain_len), 4),
    ];
    for (row, (name, offset, size)) in rows.iter().zip(fields) {
        assert_eq!(row[..3], [&offset.to_string(), &size.to_string(), name]);
    }
    assert_eq!(rows[3][0], BLOCK_HEADER.to_string());
    let codecs = &rows[4..];
    assert_eq!(codecs.len(), 3);
    for row in codecs {
        let number: u8 = row[0].parse().unwrap();
        let codec = CodecId::of(number).unwrap();
        assert_eq!(row[1], codec.to_string());
        assert_eq!(row[3], codec.ratio().to_string());
    }
}
