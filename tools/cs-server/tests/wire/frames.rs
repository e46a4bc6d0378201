//! Frames: sections, flags, checksums, compression, exhaust, old queries, and what is none of these.

use bson::{RawDocumentBuf, doc, rawdoc};
use cs_server::wire::{Compressor, Header, OpCode};

use crate::support::{Client, TestServer, body_of};

/// More follows unasked.
const MORE_TO_COME: u32 = 1 << 1;
const EXHAUST_ALLOWED: u32 = 1 << 16;

fn ping() -> RawDocumentBuf {
    rawdoc! { "ping": 1, "$db": "admin" }
}

#[test]
fn documents_beside_the_body_come_before_or_behind_it() {
    let server = TestServer::start();
    let mut client = server.client();
    for (id, is_first) in [(1, true), (2, false)] {
        let command = rawdoc! { "insert": "c", "$db": "shop" };
        let document = rawdoc! { "_id": id };
        let mut sequence = vec![1];
        let len = i32::try_from(4 + "documents".len() + 1 + document.as_bytes().len()).unwrap();
        sequence.extend_from_slice(&len.to_le_bytes());
        sequence.extend_from_slice(b"documents\0");
        sequence.extend_from_slice(document.as_bytes());
        let body = [&[0], command.as_bytes()].concat();
        let sections = if is_first {
            [sequence, body]
        } else {
            [body, sequence]
        };
        let message = [&[0; 4], sections.concat().as_slice()].concat();
        client.send_message(OpCode::Msg, &message);
        assert_eq!(client.reply().1, doc! { "n": 1, "ok": 1.0 });
    }
}

#[test]
fn a_wrong_checksum_ends_the_connection_and_a_right_one_does_not() {
    let server = TestServer::start();
    for is_right in [true, false] {
        let mut client = server.client();
        let body = body_of(1, &ping());
        let header = Header {
            len: Header::LEN + body.len() + 4,
            request_id: 1,
            response_to: 0,
            op_code: OpCode::Msg,
        };
        let covered = [header.encode().as_slice(), &body].concat();
        let sum = crc32c::crc32c(&covered) ^ u32::from(!is_right);
        client.send(&[covered.as_slice(), &sum.to_le_bytes()].concat());
        assert_eq!(client.receive().is_some(), is_right);
    }
}

#[test]
fn a_request_that_wants_no_reply_gets_none() {
    let server = TestServer::start();
    let mut client = server.client();
    let insert = doc! { "insert": "c", "documents": [{ "_id": 1 }], "$db": "shop" };
    client.send_command(MORE_TO_COME, &insert);
    let count = client.ok(doc! { "count": "c", "$db": "shop" });
    assert_eq!(count.get_i32("n").unwrap(), 1);
}

#[test]
fn an_exhaust_cursor_sends_all_its_batches_each_in_answer_to_the_one_before() {
    let server = TestServer::start();
    let mut client = server.client();
    client.fill(10);
    let first = client.ok(doc! { "find": "c", "batchSize": 2, "$db": "shop" });
    let id = first.get_document("cursor").unwrap().get_i64("id").unwrap();
    let more = doc! { "getMore": id, "collection": "c", "batchSize": 3, "$db": "shop" };
    let mut expected = client.send_command(EXHAUST_ALLOWED, &more);
    let mut sizes = Vec::new();
    loop {
        let (header, reply, has_more) = client.reply();
        assert_eq!(header.response_to, expected);
        expected = header.request_id;
        let cursor = reply.get_document("cursor").unwrap();
        sizes.push(cursor.get_array("nextBatch").unwrap().len());
        if !has_more {
            assert_eq!(cursor.get_i64("id").unwrap(), 0);
            break;
        }
    }
    assert_eq!(sizes, [3, 3, 2]);
    client.ok(doc! { "ping": 1, "$db": "admin" });
}

#[test]
fn every_compressor_is_answered_in_kind_but_not_in_a_hello() {
    let server = TestServer::start();
    let mut client = server.client();
    let hello =
        client.ok(doc! { "hello": 1, "compression": ["lz9", "zlib", "snappy"], "$db": "admin" });
    let agreed: Vec<&str> = hello
        .get_array("compression")
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    assert_eq!(agreed, ["zlib", "snappy"]);
    for compressor in Compressor::OFFERED {
        let ping = doc! { "ping": 1, "$db": "admin" };
        assert_eq!(client.run_compressed(&ping, compressor), doc! { "ok": 1.0 });
    }
}

#[test]
fn an_old_query_may_say_hello_and_nothing_else() {
    let server = TestServer::start();
    let mut client = server.client();
    let query = |command: &RawDocumentBuf| {
        let mut bytes = 0_i32.to_le_bytes().to_vec();
        bytes.extend_from_slice(b"admin.$cmd\0");
        bytes.extend_from_slice(&[0, 0, 0, 0, 255, 255, 255, 255]);
        bytes.extend_from_slice(command.as_bytes());
        bytes
    };
    client.send_message(
        OpCode::Query,
        &query(&rawdoc! { "isMaster": 1, "helloOk": true }),
    );
    let (header, reply, _) = client.reply();
    assert_eq!(header.op_code, OpCode::Reply);
    assert!(reply.get_bool("ismaster").unwrap() && reply.get_bool("helloOk").unwrap());
    client.send_message(OpCode::Query, &query(&rawdoc! { "listDatabases": 1 }));
    assert_eq!(client.reply().1.get_i32("code").unwrap(), 352);
}

#[test]
fn what_is_no_message_ends_its_connection_and_no_other() {
    let server = TestServer::start();
    let mut bystander = server.client();
    let mut deep = rawdoc! {};
    for _ in 0..200 {
        deep = rawdoc! { "a": deep };
    }
    let frames: Vec<Vec<u8>> = vec![
        vec![0; 16],
        vec![255; 64],
        body_of(0, &ping()),
        [i32::MAX.to_le_bytes().as_slice(), &[0; 12]].concat(),
        [
            &20_i32.to_le_bytes(),
            [0; 8].as_slice(),
            &2013_i32.to_le_bytes(),
            &[4, 0, 0, 0],
        ]
        .concat(),
        {
            let body = body_of(0, &rawdoc! { "ping": deep, "$db": "admin" });
            let header = Header {
                len: 16 + body.len(),
                request_id: 1,
                response_to: 0,
                op_code: OpCode::Msg,
            };
            [header.encode().as_slice(), &body].concat()
        },
    ];
    for frame in frames {
        let mut client = server.client();
        client.send(&frame);
        assert!(client.receive().is_none(), "{frame:?}");
        bystander.ok(doc! { "ping": 1, "$db": "admin" });
    }
}

#[test]
fn a_unix_socket_serves_and_is_gone_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cs.sock");
    let mut server = TestServer::start_with(|config| config.unix_socket = Some(path.clone()));
    Client::unix(&path).ok(doc! { "ping": 1, "$db": "admin" });
    server.stop();
    assert!(!path.exists());
}
