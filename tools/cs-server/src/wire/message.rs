//! OP_MSG: one body, any number of sequences of documents, in any order.

use bson::{RawBsonRef, RawDocument};
use collection_store::values::{InvalidDocument, MAX_DOCUMENT_LEN, validate_document};

use super::query::OpQuery;
use super::{
    Header, MAX_SEQUENCE_DOCUMENTS, MAX_SEQUENCES, OpCode, Result, WireError, read_i32, read_text,
};

const CHECKSUM_PRESENT: u32 = 1;
const MORE_TO_COME: u32 = 1 << 1;
const EXHAUST_ALLOWED: u32 = 1 << 16;
/// Flags that a reader has to understand; it may pass over the others.
const REQUIRED: u32 = 0xffff;
/// The longest document in a message: room for a stored one and what a command says around it.
const MAX_IN_MESSAGE: usize = MAX_DOCUMENT_LEN + 16 * 1024;
const MIN_DOCUMENT_LEN: usize = 5;

/// What a client sent.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// As all do now.
    Msg(OpMsg<'a>),
    /// As some do first.
    Query(OpQuery<'a>),
}

impl<'a> Message<'a> {
    /// Reads what follows the header.
    ///
    /// # Errors
    /// It is no message, or not one that a client sends.
    pub fn parse(header: &Header, body: &'a [u8]) -> Result<Self> {
        match header.op_code {
            OpCode::Msg => OpMsg::parse(header, body).map(Self::Msg),
            OpCode::Query => OpQuery::parse(body).map(Self::Query),
            other => Err(WireError::OpCode(other.number())),
        }
    }
}

/// A command.
#[derive(Clone, Debug)]
pub struct OpMsg<'a> {
    /// The sender expects no reply, for it goes on sending.
    pub more_to_come: bool,
    /// The sender takes more replies than one.
    pub exhaust_allowed: bool,
    /// The command with all its fields but the sequences.
    pub body: &'a RawDocument,
    /// The other sections.
    pub sequences: Vec<Sequence<'a>>,
}

/// Documents that belong to the field of a command.
#[derive(Clone, Debug)]
pub struct Sequence<'a> {
    /// The name of the field.
    pub name: &'a str,
    /// Of document shape, but not validated.
    pub documents: Vec<&'a RawDocument>,
}

impl<'a> OpMsg<'a> {
    fn parse(header: &Header, bytes: &'a [u8]) -> Result<Self> {
        #[allow(clippy::cast_sign_loss, reason = "flags are bits")]
        let flags = read_i32(bytes, 0, "the flags")? as u32;
        let unknown = flags & REQUIRED & !(CHECKSUM_PRESENT | MORE_TO_COME);
        if unknown != 0 {
            return Err(WireError::Flags(unknown));
        }
        let mut end = bytes.len();
        if flags & CHECKSUM_PRESENT != 0 {
            let before = end.checked_sub(4).filter(|before| *before >= 4);
            end = before.ok_or(WireError::Truncated("a checksum"))?;
            check_checksum(header, bytes, end)?;
        }
        let sections = bytes.get(..end).unwrap_or_default();
        let (mut body, mut sequences) = (None, Vec::<Sequence<'a>>::new());
        let mut at = 4;
        while let Some(kind) = sections.get(at) {
            at += 1;
            let rest = sections.get(at..).unwrap_or_default();
            match kind {
                0 if body.is_some() => {
                    return Err(WireError::Malformed("a message has two bodies".into()));
                }
                0 => {
                    let (document, len) = split_document(rest)?;
                    body = Some(document);
                    at += len;
                }
                1 => {
                    let (sequence, len) = Sequence::parse(rest)?;
                    let is_known = sequences.iter().any(|other| other.name == sequence.name);
                    if is_known || sequences.len() == MAX_SEQUENCES {
                        let message = format!("a sequence '{}' too many", sequence.name);
                        return Err(WireError::Malformed(message));
                    }
                    sequences.push(sequence);
                    at += len;
                }
                other => {
                    let message = format!("a section of kind {other}, expected 0 or 1");
                    return Err(WireError::Malformed(message));
                }
            }
        }
        let body = body.ok_or_else(|| WireError::Malformed("a message has no body".into()))?;
        validate_outer(body).map_err(|error| WireError::Malformed(error.to_string()))?;
        Ok(Self {
            more_to_come: flags & MORE_TO_COME != 0,
            exhaust_allowed: flags & EXHAUST_ALLOWED != 0,
            body,
            sequences,
        })
    }
}

/// Validates what may be a little longer than a document that can be stored, since it has one or
/// two of these within: then each of its fields for itself.
///
/// # Errors
/// It is not valid, or something in it is too long.
pub fn validate_outer(document: &RawDocument) -> std::result::Result<(), InvalidDocument> {
    let bytes = document.as_bytes();
    if bytes.len() <= MAX_DOCUMENT_LEN || bytes.len() > MAX_IN_MESSAGE {
        return validate_document(bytes);
    }
    let fields: Option<Vec<_>> = document.into_iter().map(|field| field.ok()).collect();
    let Some(fields) = fields else {
        return validate_document(bytes);
    };
    fields.into_iter().try_for_each(|(_, value)| match value {
        RawBsonRef::Document(inner) => validate_document(inner.as_bytes()),
        RawBsonRef::Array(inner) => validate_document(inner.as_bytes()),
        RawBsonRef::JavaScriptCodeWithScope(code) => validate_document(code.scope.as_bytes()),
        _ => Ok(()),
    })
}

/// The checksum is over all that is before it, the header included.
fn check_checksum(header: &Header, bytes: &[u8], end: usize) -> Result<()> {
    let (covered, stated) = bytes.split_at(end);
    let computed = crc32c::crc32c_append(crc32c::crc32c(&header.encode()), covered);
    #[allow(clippy::cast_sign_loss, reason = "a checksum is bits")]
    let found = read_i32(stated, 0, "a checksum")? as u32;
    if found == computed {
        return Ok(());
    }
    Err(WireError::Checksum {
        expected: computed,
        found,
    })
}

impl<'a> Sequence<'a> {
    /// And how many bytes it takes.
    fn parse(bytes: &'a [u8]) -> Result<(Self, usize)> {
        let stated = read_i32(bytes, 0, "a sequence")?;
        let len = usize::try_from(stated).unwrap_or(0);
        if len < 5 || len > bytes.len() {
            return Err(WireError::Length {
                what: "a sequence",
                stated: i64::from(stated),
                allowed: bytes.len(),
            });
        }
        let bytes = bytes.get(..len).unwrap_or_default();
        let (name, at) = read_text(bytes, 4, "the name of a sequence")?;
        let splitter = Splitter(bytes.get(at..).unwrap_or_default());
        let mut documents = Vec::new();
        for document in splitter {
            if documents.len() == MAX_SEQUENCE_DOCUMENTS {
                let message = format!("a sequence of over {MAX_SEQUENCE_DOCUMENTS} documents");
                return Err(WireError::Malformed(message));
            }
            documents.push(document?);
        }
        Ok((Self { name, documents }, len))
    }
}

/// Documents that lie behind one another.
#[derive(Clone, Debug)]
pub struct Splitter<'a>(&'a [u8]);

impl<'a> Iterator for Splitter<'a> {
    type Item = Result<&'a RawDocument>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let split = split_document(self.0);
        let len = split.as_ref().map_or(self.0.len(), |(_, len)| *len);
        self.0 = self.0.get(len..).unwrap_or_default();
        Some(split.map(|(document, _)| document))
    }
}

/// The document that these bytes begin with, and its length.
///
/// # Errors
/// Its length cannot be, or its end is not marked.
pub fn split_document(bytes: &[u8]) -> Result<(&RawDocument, usize)> {
    let stated = read_i32(bytes, 0, "a document")?;
    let len = usize::try_from(stated).unwrap_or(0);
    let allowed = bytes.len().min(MAX_IN_MESSAGE);
    if len < MIN_DOCUMENT_LEN || len > allowed {
        return Err(WireError::Length {
            what: "a document",
            stated: i64::from(stated),
            allowed,
        });
    }
    let document = RawDocument::from_bytes(bytes.get(..len).unwrap_or_default())
        .map_err(|error| WireError::Malformed(error.to_string()))?;
    Ok((document, len))
}

/// A reply as OP_MSG; `more_to_come` says that another follows unasked.
#[must_use]
pub fn encode_reply(
    request_id: i32,
    response_to: i32,
    document: &RawDocument,
    more_to_come: bool,
) -> Vec<u8> {
    let len = Header::LEN + 5 + document.as_bytes().len();
    let header = Header {
        len,
        request_id,
        response_to,
        op_code: OpCode::Msg,
    };
    let flags = if more_to_come { MORE_TO_COME } else { 0 };
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&header.encode());
    bytes.extend_from_slice(&flags.to_le_bytes());
    bytes.push(0);
    bytes.extend_from_slice(document.as_bytes());
    bytes
}
