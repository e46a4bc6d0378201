//! Messages of clients, as the server reads them: framed, decompressed, cut into sections.

use bson::{RawDocumentBuf, rawdoc};
use cs_server::wire::{
    Compressor, Header, MAX_MESSAGE_LEN, Message, OpCode, compress, decompress, encode_reply,
};

/// A message with its header, read as a connection reads it.
pub(super) fn wire(input: &[u8]) {
    let Some((head, rest)) = input.split_first_chunk() else {
        return;
    };
    let Ok(header) = Header::parse(head, MAX_MESSAGE_LEN) else {
        return;
    };
    assert_eq!(header.encode(), *head, "a header is what was read");
    // The length is what the connection waits for; here it is what there is.
    let header = Header {
        len: Header::LEN + rest.len(),
        ..header
    };
    let unpacked;
    let (header, body) = match header.op_code {
        OpCode::Compressed => match decompress(&header, rest) {
            Ok((inner, body, _)) => {
                assert!(body.len() <= MAX_MESSAGE_LEN, "a message has its limit");
                assert_eq!(inner.body_len(), body.len(), "its header agrees");
                unpacked = body;
                (inner, unpacked.as_slice())
            }
            Err(_) => return,
        },
        _ => (header, rest),
    };
    match Message::parse(&header, body) {
        Ok(Message::Msg(message)) => {
            read(message.body.to_owned());
            for sequence in &message.sequences {
                for document in &sequence.documents {
                    // Of these nothing but their lengths is known.
                    for field in *document {
                        if field.is_err() {
                            break;
                        }
                    }
                }
            }
        }
        Ok(Message::Query(query)) => read(query.body.to_owned()),
        Err(_) => {}
    }
}

/// A body was validated: its fields can be read, and it can be written again.
fn read(body: RawDocumentBuf) {
    for field in &body {
        field.expect("a body that was validated");
    }
    let reply = encode_reply(1, 2, &body, false);
    for compressor in Compressor::OFFERED {
        let packed = compress(reply.clone(), compressor);
        let (head, rest) = packed.split_first_chunk().expect("a header");
        let header = Header::parse(head, usize::MAX).expect("its own header");
        if rest.len() < MAX_MESSAGE_LEN {
            let (_, plain, _) = decompress(&header, rest).expect("what it packed itself");
            assert_eq!(Some(plain.as_slice()), reply.get(Header::LEN..));
        }
    }
}

fn message(body: &[u8], op_code: OpCode) -> Vec<u8> {
    let header = Header {
        len: Header::LEN + body.len(),
        request_id: 1,
        response_to: 0,
        op_code,
    };
    [header.encode().as_slice(), body].concat()
}

pub(super) fn wire_seeds() -> Vec<Vec<u8>> {
    let ping = rawdoc! { "ping": 1, "$db": "admin" };
    let insert = rawdoc! { "insert": "c", "ordered": true, "$db": "shop" };
    let documents = [
        rawdoc! { "_id": 1, "a": [1, { "b": "c" }] },
        rawdoc! { "_id": 2 },
    ];
    let mut sequence = b"documents\0".to_vec();
    for document in &documents {
        sequence.extend_from_slice(document.as_bytes());
    }
    let len = u32::try_from(sequence.len() + 4).expect("a few bytes");
    let sequence = [&[1], len.to_le_bytes().as_slice(), &sequence].concat();
    let body = |document: &RawDocumentBuf| [&[0], document.as_bytes()].concat();
    let flags = [0; 4];
    let plain = message(&[flags.as_slice(), &body(&ping)].concat(), OpCode::Msg);
    let with_sequence = [flags.as_slice(), &sequence, &body(&insert)].concat();
    let mut query = [flags.as_slice(), b"admin.$cmd\0", &[0; 8]].concat();
    query.extend_from_slice(ping.as_bytes());
    let mut seeds = vec![
        message(&with_sequence, OpCode::Msg),
        message(&query, OpCode::Query),
    ];
    seeds.extend(Compressor::OFFERED.map(|compressor| compress(plain.clone(), compressor)));
    seeds.push(plain);
    seeds
}
