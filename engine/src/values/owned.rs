//! A value that owns its bytes.

use super::kind::Kind;
use super::scan::{Elements, RawValue};

/// A value on its own, outside of any document: the operand of a filter, an `_id`.
#[derive(Clone, Debug)]
pub struct OwnedValue {
    kind: Kind,
    bytes: Box<[u8]>,
}

impl OwnedValue {
    /// Null.
    #[must_use]
    pub fn null() -> Self {
        Self {
            kind: Kind::Null,
            bytes: Box::default(),
        }
    }

    /// The value for reading.
    #[inline]
    #[must_use]
    pub fn as_raw(&self) -> RawValue<'_> {
        RawValue {
            kind: self.kind,
            bytes: &self.bytes,
        }
    }

    /// The value as the crate `bson` has it.
    ///
    /// # Errors
    /// The bytes are not valid BSON, or not of a form that the crate reads.
    pub fn to_bson(&self) -> Result<bson::Bson, bson::error::Error> {
        self.as_raw().to_bson()
    }
}

impl From<RawValue<'_>> for OwnedValue {
    fn from(value: RawValue<'_>) -> Self {
        Self {
            kind: value.kind,
            bytes: value.bytes.into(),
        }
    }
}

impl TryFrom<&bson::Bson> for OwnedValue {
    type Error = bson::error::Error;

    fn try_from(value: &bson::Bson) -> Result<Self, Self::Error> {
        let mut document = bson::RawDocumentBuf::new();
        document.append(
            bson::raw::cstr!(""),
            bson::RawBson::try_from(value.clone())?,
        );
        // What was appended is there: the other arm never runs.
        let element = Elements::new(document.as_bytes()).next();
        Ok(element.map_or_else(Self::null, |element| element.value.into()))
    }
}

impl RawValue<'_> {
    /// The value as the crate `bson` has it.
    ///
    /// # Errors
    /// The bytes are not valid BSON, or not of a form that the crate reads.
    pub fn to_bson(&self) -> Result<bson::Bson, bson::error::Error> {
        let document = bson::RawDocumentBuf::from_bytes(self.to_document(b""))?;
        match document.iter().next() {
            Some(element) => element?.1.try_into(),
            None => Ok(bson::Bson::Null),
        }
    }

    /// A document that holds the value alone, under `name`.
    pub(crate) fn to_document(self, name: &[u8]) -> Vec<u8> {
        let len = 4 + 1 + name.len() + 1 + self.bytes.len() + 1;
        let mut document = Vec::with_capacity(len);
        document.extend_from_slice(&i32::try_from(len).unwrap_or(i32::MAX).to_le_bytes());
        document.push(self.kind as u8);
        document.extend_from_slice(name);
        document.push(0);
        document.extend_from_slice(self.bytes);
        document.push(0);
        document
    }
}
