//! Replies, typed as drivers insist: `ok` a double, ids of cursors int64, counts int32.

use bson::raw::cstr;
use bson::{RawDocument, RawDocumentBuf};
use collection_store::values::PositionName;

/// What a command answers.
#[derive(Debug)]
pub struct Reply {
    /// All fields, `ok` included.
    pub document: RawDocumentBuf,
    /// The cursor that has more; for a client that takes several replies to one request.
    pub cursor: i64,
}

impl Reply {
    /// These fields, and `ok: 1.0`.
    #[must_use]
    pub fn new(mut document: RawDocumentBuf) -> Self {
        document.append(cstr!("ok"), 1.0);
        Self {
            document,
            cursor: 0,
        }
    }

    /// Whether the command was carried out.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.document.get_f64("ok").is_ok_and(|ok| ok == 1.0)
    }

    /// Nothing but `ok: 1.0`.
    #[must_use]
    pub fn ok() -> Self {
        Self::new(RawDocumentBuf::new())
    }
}

impl From<RawDocumentBuf> for Reply {
    fn from(document: RawDocumentBuf) -> Self {
        Self::new(document)
    }
}

/// A count as an int32, which is what drivers expect; as an int64 where it does not fit.
#[must_use]
pub fn count(count: u64) -> bson::RawBson {
    match i32::try_from(count) {
        Ok(count) => bson::RawBson::Int32(count),
        Err(_) => bson::RawBson::Int64(i64::try_from(count).unwrap_or(i64::MAX)),
    }
}

/// The reply of a cursor, written in one go: documents are copied once, from where the engine
/// has them to where the socket takes them.
#[derive(Debug)]
pub struct BatchWriter {
    bytes: Vec<u8>,
    array_at: usize,
    documents: usize,
}

const DOCUMENT: u8 = 3;
const ARRAY: u8 = 4;
/// Where the document `cursor` begins: behind the length of the reply, a type and a name.
const CURSOR_AT: usize = 4 + 1 + "cursor".len() + 1;

impl BatchWriter {
    /// A batch of this name: `firstBatch` or `nextBatch`.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(&[0; 4]);
        open(&mut bytes, DOCUMENT, "cursor");
        open(&mut bytes, ARRAY, name);
        Self {
            array_at: bytes.len() - 4,
            bytes,
            documents: 0,
        }
    }

    /// How many bytes it has by now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no documents.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.documents == 0
    }

    /// How many documents it has.
    #[must_use]
    pub fn documents(&self) -> usize {
        self.documents
    }

    /// Adds a document.
    pub fn push(&mut self, document: &RawDocument) {
        self.bytes.push(DOCUMENT);
        self.bytes
            .extend_from_slice(PositionName::new(self.documents).as_bytes());
        self.bytes.push(0);
        self.bytes.extend_from_slice(document.as_bytes());
        self.documents += 1;
    }

    /// The whole reply. `token` is where a change stream goes on behind this batch.
    #[must_use]
    pub fn finish(mut self, id: i64, namespace: &str, token: Option<&RawDocument>) -> Reply {
        close(&mut self.bytes, self.array_at);
        self.bytes.push(0x12);
        self.bytes.extend_from_slice(b"id\0");
        self.bytes.extend_from_slice(&id.to_le_bytes());
        self.bytes.push(2);
        self.bytes.extend_from_slice(b"ns\0");
        let len = i32::try_from(namespace.len() + 1).unwrap_or(i32::MAX);
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(namespace.as_bytes());
        self.bytes.push(0);
        if let Some(token) = token {
            self.bytes.push(DOCUMENT);
            self.bytes.extend_from_slice(b"postBatchResumeToken\0");
            self.bytes.extend_from_slice(token.as_bytes());
        }
        close(&mut self.bytes, CURSOR_AT);
        self.bytes.push(1);
        self.bytes.extend_from_slice(b"ok\0");
        self.bytes.extend_from_slice(&1.0_f64.to_le_bytes());
        close(&mut self.bytes, 0);
        // The lengths were just written; were they wrong, an empty reply would say so.
        let document = RawDocumentBuf::from_bytes(self.bytes).unwrap_or_default();
        Reply {
            document,
            cursor: id,
        }
    }
}

fn open(bytes: &mut Vec<u8>, kind: u8, name: &str) {
    bytes.push(kind);
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&[0; 5]);
}

/// Ends what begins at `start`, and writes its length there.
fn close(bytes: &mut Vec<u8>, start: usize) {
    bytes.push(0);
    let len = i32::try_from(bytes.len() - start).unwrap_or(i32::MAX);
    if let Some(place) = bytes.get_mut(start..start + 4) {
        place.copy_from_slice(&len.to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
