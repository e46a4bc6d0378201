#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use bson::{RawDocumentBuf, rawdoc};
use proptest::prelude::*;

use super::*;

fn header(op_code: OpCode, body: &[u8]) -> Header {
    Header {
        len: Header::LEN + body.len(),
        request_id: 7,
        response_to: 0,
        op_code,
    }
}

fn body_section(document: &RawDocumentBuf) -> Vec<u8> {
    [&[0], document.as_bytes()].concat()
}

fn sequence_section(name: &str, documents: &[RawDocumentBuf]) -> Vec<u8> {
    let mut rest = [name.as_bytes(), &[0]].concat();
    for document in documents {
        rest.extend_from_slice(document.as_bytes());
    }
    let len = i32::try_from(rest.len() + 4).unwrap();
    [&[1], len.to_le_bytes().as_slice(), rest.as_slice()].concat()
}

fn message(flags: u32, sections: &[Vec<u8>]) -> Vec<u8> {
    [flags.to_le_bytes().as_slice(), &sections.concat()].concat()
}

fn parse(bytes: &[u8]) -> Result<OpMsg<'_>> {
    match Message::parse(&header(OpCode::Msg, bytes), bytes)? {
        Message::Msg(message) => Ok(message),
        Message::Query(_) => unreachable!("a message"),
    }
}

fn ping() -> RawDocumentBuf {
    rawdoc! { "ping": 1, "$db": "admin" }
}

#[test]
fn sections_come_in_any_order() {
    let documents = [rawdoc! { "_id": 1 }, rawdoc! { "_id": 2 }];
    let sequence = sequence_section("documents", &documents);
    for sections in [
        [body_section(&ping()), sequence.clone()],
        [sequence, body_section(&ping())],
    ] {
        let bytes = message(0, &sections);
        let parsed = parse(&bytes).unwrap();
        assert_eq!(*parsed.body, *ping());
        assert_eq!(parsed.sequences[0].name, "documents");
        assert_eq!(parsed.sequences[0].documents.len(), 2);
    }
}

#[test]
fn a_message_has_one_body_and_each_sequence_once() {
    let body = body_section(&ping());
    let sequence = sequence_section("documents", &[]);
    for sections in [
        vec![],
        vec![sequence.clone()],
        vec![body.clone(), body.clone()],
        vec![body.clone(), sequence.clone(), sequence],
        vec![body, vec![9]],
    ] {
        assert!(parse(&message(0, &sections)).is_err());
    }
}

#[test]
fn flags_that_have_to_be_understood_are_refused_and_others_passed_over() {
    let body = body_section(&ping());
    let parsed = message(1 << 17 | 1 << 16 | 1 << 1, std::slice::from_ref(&body));
    let parsed = parse(&parsed).unwrap();
    assert!(parsed.more_to_come && parsed.exhaust_allowed);
    let refused = parse(&message(1 << 2, &[body])).unwrap_err();
    assert_eq!(refused, WireError::Flags(4));
}

#[test]
fn a_checksum_is_checked_where_there_is_one() {
    let mut bytes = message(1, &[body_section(&ping())]);
    let mut whole = header(OpCode::Msg, &bytes);
    whole.len += 4;
    let sum = crc32c::crc32c_append(crc32c::crc32c(&whole.encode()), &bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    assert!(parse(&bytes).is_ok());
    let last = bytes.len() - 6;
    bytes[last] ^= 1;
    assert!(matches!(parse(&bytes), Err(WireError::Checksum { .. })));
}

#[test]
fn a_length_that_cannot_be_is_refused_before_anything_is_cut() {
    let body = body_section(&ping());
    for (at, len) in [(5, i32::MAX), (5, -1), (5, 4), (5, 0)] {
        let mut bytes = message(0, std::slice::from_ref(&body));
        bytes[at..at + 4].copy_from_slice(&len.to_le_bytes());
        assert!(
            matches!(parse(&bytes), Err(WireError::Length { .. })),
            "{len}"
        );
    }
    for len in [-1_i32, 15, 1001] {
        let mut bytes = header(OpCode::Msg, &[]).encode();
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        assert!(Header::parse(&bytes, 1000).is_err(), "{len}");
    }
}

#[test]
fn a_body_that_is_no_bson_is_refused() {
    let mut document = ping().into_bytes();
    document[4] = 0x7e;
    let bytes = message(0, &[[&[0], document.as_slice()].concat()]);
    assert!(matches!(parse(&bytes), Err(WireError::Malformed(_))));
}

#[test]
fn the_first_hello_may_come_as_a_query() {
    let hello = rawdoc! { "isMaster": 1, "helloOk": true };
    let mut bytes = 0_i32.to_le_bytes().to_vec();
    bytes.extend_from_slice(b"admin.$cmd\0");
    bytes.extend_from_slice(&0_i32.to_le_bytes());
    bytes.extend_from_slice(&(-1_i32).to_le_bytes());
    bytes.extend_from_slice(hello.as_bytes());
    let Message::Query(query) = Message::parse(&header(OpCode::Query, &bytes), &bytes).unwrap()
    else {
        unreachable!("a query");
    };
    assert_eq!((query.database, query.body), ("admin", &*hello));
    let reply = encode_query_reply(1, 7, &rawdoc! { "ok": 1.0 });
    let header = Header::parse(reply.first_chunk().unwrap(), 1000).unwrap();
    assert_eq!((header.op_code, header.response_to), (OpCode::Reply, 7));
    assert_eq!(header.len, reply.len());
}

#[test]
fn every_compressor_gives_back_what_went_in() {
    let document = rawdoc! { "ok": 1.0, "text": "abc".repeat(1000) };
    let plain = encode_reply(3, 7, &document, false);
    for compressor in Compressor::OFFERED {
        let packed = compress(plain.clone(), compressor);
        assert!(packed.len() < plain.len());
        let (head, body) = packed.split_first_chunk().unwrap();
        let outer = Header::parse(head, MAX_MESSAGE_LEN).unwrap();
        assert_eq!(outer.op_code, OpCode::Compressed);
        let (inner, body, found) = decompress(&outer, body).unwrap();
        assert_eq!((inner.op_code, found), (OpCode::Msg, compressor));
        assert_eq!([inner.encode().as_slice(), &body].concat(), plain);
    }
}

#[test]
fn a_compressed_message_that_lies_about_its_size_is_refused() {
    let plain = encode_reply(3, 7, &rawdoc! { "text": "a".repeat(100_000) }, false);
    for compressor in Compressor::OFFERED {
        let packed = compress(plain.clone(), compressor);
        let (head, body) = packed.split_first_chunk().unwrap();
        let outer = Header::parse(head, MAX_MESSAGE_LEN).unwrap();
        for len in [0, 1, 99_000, 200_000, i32::MAX, -1] {
            let mut body = body.to_vec();
            body[4..8].copy_from_slice(&len.to_le_bytes());
            assert!(decompress(&outer, &body).is_err(), "{compressor:?} {len}");
        }
    }
}

#[test]
fn nothing_is_compressed_twice() {
    let plain = encode_reply(3, 7, &rawdoc! { "ok": 1.0 }, false);
    let twice = compress(compress(plain, Compressor::Zlib), Compressor::Zlib);
    let (head, body) = twice.split_first_chunk().unwrap();
    let outer = Header::parse(head, MAX_MESSAGE_LEN).unwrap();
    assert!(decompress(&outer, body).is_err());
}

proptest! {
    #[test]
    fn no_bytes_do_worse_than_be_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for op_code in [OpCode::Msg, OpCode::Query, OpCode::Reply, OpCode::Compressed] {
            let header = header(op_code, &bytes);
            let _ = Message::parse(&header, &bytes);
            let _ = decompress(&header, &bytes);
        }
    }

    #[test]
    fn a_flipped_bit_does_no_worse_than_be_refused(bit in 0..2000_usize) {
        let documents = [rawdoc! { "_id": 1, "a": [1, { "b": "c" }] }];
        let sections = [sequence_section("documents", &documents), body_section(&ping())];
        let mut bytes = message(0, &sections);
        let place = bit / 8 % bytes.len();
        bytes[place] ^= 1 << (bit % 8);
        let _ = parse(&bytes);
    }
}
