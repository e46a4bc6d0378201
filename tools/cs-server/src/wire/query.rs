//! OP_QUERY and OP_REPLY: how drivers greet a server of which they know nothing.

use bson::RawDocument;
use collection_store::values::validate_document;

use super::message::split_document;
use super::{Header, OpCode, Result, WireError, read_i32, read_text};

/// A query of old; only commands to `$cmd` are answered.
#[derive(Clone, Debug)]
pub struct OpQuery<'a> {
    /// The database that the command is for.
    pub database: &'a str,
    /// The command.
    pub body: &'a RawDocument,
}

impl<'a> OpQuery<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        // flags, name, skip, count, document, and what of it is wanted
        let (name, at) = read_text(bytes, 4, "the name of a collection")?;
        let Some(database) = name.strip_suffix(".$cmd") else {
            return Err(WireError::OpCode(OpCode::Query.number()));
        };
        read_i32(bytes, at + 4, "a query")?;
        let (body, _) = split_document(bytes.get(at + 8..).unwrap_or_default())?;
        validate_document(body.as_bytes())
            .map_err(|error| WireError::Malformed(error.to_string()))?;
        Ok(Self { database, body })
    }
}

/// A reply as OP_REPLY with one document.
#[must_use]
pub fn encode_query_reply(request_id: i32, response_to: i32, document: &RawDocument) -> Vec<u8> {
    /// The server can await data; the bit that MongoDB always sets.
    const AWAIT_CAPABLE: i32 = 8;
    let len = Header::LEN + 20 + document.as_bytes().len();
    let header = Header {
        len,
        request_id,
        response_to,
        op_code: OpCode::Reply,
    };
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&header.encode());
    bytes.extend_from_slice(&AWAIT_CAPABLE.to_le_bytes());
    bytes.extend_from_slice(&0_i64.to_le_bytes()); // the cursor
    bytes.extend_from_slice(&0_i32.to_le_bytes()); // where in the cursor
    bytes.extend_from_slice(&1_i32.to_le_bytes()); // documents
    bytes.extend_from_slice(document.as_bytes());
    bytes
}
