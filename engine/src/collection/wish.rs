//! What a query wants beside its filter, as far as it bears on how it is carried out.

use bson::RawDocumentBuf;

/// The index that a query is to use.
#[derive(Clone, Debug, PartialEq)]
pub enum Hint {
    /// The one of this name; `_id_` is that over `_id`.
    Name(String),
    /// The one of these fields, as `{ a: 1, b: -1 }`; `{ $natural: 1 }` is none: all documents
    /// in the order of `_id`, with -1 backwards.
    Key(RawDocumentBuf),
}

impl From<&str> for Hint {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl From<String> for Hint {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<RawDocumentBuf> for Hint {
    fn from(key: RawDocumentBuf) -> Self {
        Self::Key(key)
    }
}

impl TryFrom<bson::Document> for Hint {
    type Error = crate::Error;

    fn try_from(key: bson::Document) -> crate::Result<Self> {
        Ok(Self::Key(RawDocumentBuf::try_from(&key)?))
    }
}

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// The index to use.
    pub(super) hint: Option<Hint>,
    /// The order in which documents are wanted: paths, and whether each descends; empty
    /// for any. [`Matches::is_sorted`](super::matches::Matches::is_sorted) says whether
    /// they come in it; if not, the caller sorts.
    pub(super) sort: Vec<(Vec<u8>, bool)>,
}
