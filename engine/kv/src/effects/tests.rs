use cs_base::codec::{Codec, encode};

use super::*;

/// A block of two bytes, as they are.
const BLOCK: [u8; 10] = [1, 0, 0, 0, 2, 0, 0, 0, 5, 6];

fn sample() -> Vec<u8> {
    let mut writer = EffectWriter::with_capacity(0);
    writer.push(Effect::CreateTree { tree: TreeId(16) });
    writer.push(Effect::Put {
        tree: TreeId(16),
        key: b"k",
        value: b"value",
    });
    writer.push(Effect::Delete {
        tree: TreeId(16),
        key: b"gone",
    });
    writer.push(Effect::DropTree { tree: TreeId(17) });
    writer.push(Effect::PutPacked {
        tree: TreeId(16),
        key: b"large",
        digest: 7,
        block: &BLOCK,
    });
    writer.finish()
}

#[test]
fn effects_come_back_as_they_went_in() {
    let payload = sample();
    let effects: Vec<_> = Effects::of(&payload).unwrap().map(Result::unwrap).collect();
    assert_eq!(effects.len(), 5);
    assert_eq!(
        effects[1],
        Effect::Put {
            tree: TreeId(16),
            key: b"k",
            value: b"value"
        }
    );
    assert_eq!(effects[3], Effect::DropTree { tree: TreeId(17) });
    let block = &BLOCK;
    let (tree, key, digest) = (TreeId(16), &b"large"[..], 7);
    let packed = Effect::PutPacked {
        tree,
        key,
        digest,
        block,
    };
    assert_eq!(effects[4], packed);
}

#[test]
fn whether_a_key_was_there_travels_with_puts_and_deletes_only() {
    let tree = TreeId(16);
    let key = &b"k"[..];
    let mut writer = EffectWriter::with_capacity(0);
    writer.push(Effect::Put {
        tree,
        key,
        value: b"v",
    });
    writer.note_absent();
    writer.push(Effect::Delete { tree, key });
    writer.push(Effect::Delete { tree, key });
    writer.note_absent();
    let payload = writer.finish();
    let mut effects = Effects::of(&payload).unwrap();
    let mut absent = Vec::new();
    while let Some(effect) = effects.next() {
        effect.unwrap();
        absent.push(effects.was_absent());
    }
    assert_eq!(absent, [true, false, true]);
    for op in [3, 4, 6] {
        let mut wrong = payload.clone();
        wrong[HEAD] = WAS_ABSENT | op;
        let error = Effects::of(&wrong).unwrap().next().unwrap().unwrap_err();
        assert!(error.to_string().contains("unknown operation"), "{error}");
    }
}

#[test]
fn that_a_value_was_changed_in_part_travels_with_puts_of_keys_that_were_there() {
    let (tree, key) = (TreeId(16), &b"k"[..]);
    let mut writer = EffectWriter::with_capacity(0);
    let value = &b"v"[..];
    writer.push(Effect::Put { tree, key, value });
    writer.note_in_part();
    writer.push(Effect::Put { tree, key, value });
    let payload = writer.finish();
    let mut effects = Effects::of(&payload).unwrap();
    let mut in_part = Vec::new();
    while let Some(effect) = effects.next() {
        assert_eq!(effect.unwrap(), Effect::Put { tree, key, value });
        in_part.push(effects.in_part());
    }
    assert_eq!(in_part, [true, false]);
    for op in [
        IN_PART | 2,
        IN_PART | 3,
        IN_PART | 6,
        IN_PART | WAS_ABSENT | 1,
    ] {
        let mut wrong = payload.clone();
        wrong[HEAD] = op;
        let error = Effects::of(&wrong).unwrap().next().unwrap().unwrap_err();
        assert!(error.to_string().contains("unknown operation"), "{error}");
    }
}

#[test]
fn a_cut_or_padded_payload_is_refused_and_never_overread() {
    let payload = sample();
    for len in 0..payload.len() {
        let read = Effects::of(&payload[..len]).and_then(Iterator::collect::<Result<Vec<_>>>);
        assert!(read.is_err(), "{len} bytes of {}", payload.len());
    }
    let mut padded = payload;
    padded.push(0);
    assert!(
        Effects::of(&padded)
            .unwrap()
            .collect::<Result<Vec<_>>>()
            .is_err()
    );
}

fn compressed(payload: &[u8]) -> Vec<u8> {
    let mut packed = vec![PACKED_VERSION];
    encode(payload, Codec::Lz4, 0, &mut packed);
    packed
}

#[test]
fn a_compressed_payload_is_read_as_the_plain_one() {
    let payload = sample();
    assert_eq!(unpack_payload(&payload).unwrap(), payload);
    assert_eq!(unpack_payload(&compressed(&payload)).unwrap(), payload);
    assert!(Effects::of(&compressed(&payload)).is_err(), "not by itself");
    let twice = compressed(&compressed(&payload));
    assert!(Effects::of(&unpack_payload(&twice).unwrap()).is_err());
}

#[test]
fn a_compressed_payload_that_lies_about_its_length_is_refused() {
    let mut lying = compressed(&sample());
    lying[5..9].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = unpack_payload(&lying).unwrap_err();
    assert!(error.to_string().contains("at most 268435456"), "{error}");
    assert!(unpack_payload(&[PACKED_VERSION]).is_err());
}

#[test]
fn a_packed_value_without_a_sound_header_is_refused() {
    let large = (MAX_VALUE as u32 + 1).to_le_bytes();
    let large = [&BLOCK[..4], &large, &BLOCK[8..]].concat();
    for block in [&[][..], &[0; 10], &BLOCK[..7], &large] {
        let mut writer = EffectWriter::with_capacity(0);
        writer.push(Effect::PutPacked {
            tree: TreeId(16),
            key: b"k",
            digest: 0,
            block,
        });
        let payload = writer.finish();
        assert!(Effects::of(&payload).unwrap().next().unwrap().is_err());
    }
}
