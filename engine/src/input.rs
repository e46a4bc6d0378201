//! What users may hand in where a document or a filter is wanted.

use bson::{Document, RawDocument, RawDocumentBuf};

use crate::error::Result;
use crate::filter::Filter;
use crate::update::{Update, UpdateOptions};

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

/// Something that is an update: a document of operators, or a pipeline (an array, slice
/// or vector of stages).
pub trait IntoUpdate {
    /// The update, not yet parsed.
    ///
    /// # Errors
    /// It has no encoding.
    fn into_update(self) -> Result<UpdateSpec>;
}

/// An update that was not parsed yet.
#[derive(Clone, Debug)]
pub struct UpdateSpec(Spec);

#[derive(Clone, Debug)]
enum Spec {
    Operators(RawDocumentBuf),
    Replacement(RawDocumentBuf),
    Pipeline(Vec<RawDocumentBuf>),
}

impl UpdateSpec {
    /// A whole new document.
    pub(crate) fn replacement(document: RawDocumentBuf) -> Self {
        Self(Spec::Replacement(document))
    }

    pub(crate) fn compile(&self, options: &UpdateOptions) -> Result<Update> {
        match &self.0 {
            Spec::Operators(document) => Update::parse(document, options),
            Spec::Replacement(document) => Update::parse_replacement(document, options),
            Spec::Pipeline(stages) => Update::parse_pipeline(stages, options),
        }
    }
}

impl IntoUpdate for UpdateSpec {
    fn into_update(self) -> Result<UpdateSpec> {
        Ok(self)
    }
}

impl IntoUpdate for &UpdateSpec {
    fn into_update(self) -> Result<UpdateSpec> {
        Ok(self.clone())
    }
}

/// A document is an update of operators.
macro_rules! update_from_document {
    ($($document:ty),+) => {$(
        impl IntoUpdate for $document {
            fn into_update(self) -> Result<UpdateSpec> {
                Ok(UpdateSpec(Spec::Operators(self.into_document()?)))
            }
        }
    )+};
}

update_from_document!(
    Document,
    &Document,
    RawDocumentBuf,
    &RawDocumentBuf,
    &RawDocument
);

fn pipeline<D: IntoDocument>(stages: impl IntoIterator<Item = D>) -> Result<UpdateSpec> {
    let stages = stages.into_iter().map(IntoDocument::into_document);
    Ok(UpdateSpec(Spec::Pipeline(stages.collect::<Result<_>>()?)))
}

impl<D: IntoDocument> IntoUpdate for Vec<D> {
    fn into_update(self) -> Result<UpdateSpec> {
        pipeline(self)
    }
}

impl<D: IntoDocument, const N: usize> IntoUpdate for [D; N] {
    fn into_update(self) -> Result<UpdateSpec> {
        pipeline(self)
    }
}

impl<'d, D> IntoUpdate for &'d [D]
where
    &'d D: IntoDocument,
{
    fn into_update(self) -> Result<UpdateSpec> {
        pipeline(self)
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
