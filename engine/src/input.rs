//! What users may hand in where a document or a filter is wanted.

use bson::{Document, RawDocument, RawDocumentBuf};

use crate::error::Result;
use crate::filter::Filter;

/// Something that is, or can be encoded as, a document.
pub trait IntoDocument {
    /// The document's bytes, not yet validated.
    ///
    /// # Errors
    /// It has no encoding, as with a field name that contains NUL.
    fn into_document(self) -> Result<RawDocumentBuf>;
}

impl IntoDocument for RawDocumentBuf {
    fn into_document(self) -> Result<RawDocumentBuf> {
        Ok(self)
    }
}

impl IntoDocument for &RawDocumentBuf {
    fn into_document(self) -> Result<RawDocumentBuf> {
        Ok(self.clone())
    }
}

impl IntoDocument for &RawDocument {
    fn into_document(self) -> Result<RawDocumentBuf> {
        Ok(self.to_owned())
    }
}

impl IntoDocument for Document {
    fn into_document(self) -> Result<RawDocumentBuf> {
        (&self).into_document()
    }
}

impl IntoDocument for &Document {
    fn into_document(self) -> Result<RawDocumentBuf> {
        Ok(RawDocumentBuf::try_from(self)?)
    }
}

/// Something that is, or can be compiled to, a filter.
pub trait IntoFilter {
    /// The filter.
    ///
    /// # Errors
    /// As [`Filter::compile`].
    fn into_filter(self) -> Result<Filter>;
}

impl IntoFilter for Filter {
    fn into_filter(self) -> Result<Filter> {
        Ok(self)
    }
}

impl IntoFilter for &Filter {
    fn into_filter(self) -> Result<Filter> {
        Ok(self.clone())
    }
}

/// What could not be compiled is an error of the operation that is asked with it.
impl IntoFilter for Result<Filter> {
    fn into_filter(self) -> Result<Filter> {
        self
    }
}

/// Any document is a filter document.
macro_rules! filter_from_document {
    ($($document:ty),+) => {$(
        impl IntoFilter for $document {
            fn into_filter(self) -> Result<Filter> {
                Filter::compile(&self.into_document()?)
            }
        }
    )+};
}

filter_from_document!(
    Document,
    &Document,
    RawDocumentBuf,
    &RawDocumentBuf,
    &RawDocument
);
