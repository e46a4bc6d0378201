//! Indexes as users ask for them and are told of them.

use bson::RawDocumentBuf;

use crate::error::Result;
use crate::input::IntoDocument;

/// An index that is to be made.
///
/// ```
/// use bson::doc;
/// use collection_store::{Database, IndexModel};
///
/// let database = Database::open_in_memory()?;
/// let people = database.collection("people");
/// let name = people.create_index(IndexModel::new(doc! { "email": 1 }).unique(true))?;
/// assert_eq!(name, "email_1");
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Debug)]
pub struct IndexModel {
    pub(super) spec: Result<Spec>,
}

/// An index as it is described, not looked at yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Spec {
    pub(super) key: RawDocumentBuf,
    pub(super) name: Option<String>,
    pub(super) unique: bool,
    pub(super) sparse: bool,
    pub(super) hidden: bool,
    pub(super) partial: Option<RawDocumentBuf>,
    pub(super) expire_after_seconds: Option<i32>,
}

impl IndexModel {
    /// Over these fields, as `{ a: 1, "b.c": -1 }`: in this order, each ascending (1) or
    /// descending (-1). Its name is made of them unless told.
    #[must_use]
    pub fn new(keys: impl IntoDocument) -> Self {
        let spec = keys.into_document().map(|key| Spec {
            key,
            ..Spec::default()
        });
        Self { spec }
    }

    /// As MongoDB's command `createIndexes` takes it: `{ key: { .. }, name: "..", unique: true }`.
    /// What is wrong with it is told by [`create_index`](crate::Collection::create_index).
    #[must_use]
    pub fn from_spec(spec: impl IntoDocument) -> Self {
        let spec = spec
            .into_document()
            .and_then(|spec| super::definition::read_spec(&spec));
        Self { spec }
    }

    /// Under this name.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with(|spec| spec.name = Some(name.into()))
    }

    /// No two documents may have the same key.
    #[must_use]
    pub fn unique(self, unique: bool) -> Self {
        self.with(|spec| spec.unique = unique)
    }

    /// Documents that have none of the fields are left out.
    #[must_use]
    pub fn sparse(self, sparse: bool) -> Self {
        self.with(|spec| spec.sparse = sparse)
    }

    /// Queries do not choose it by themselves, nor by a hint.
    #[must_use]
    pub fn hidden(self, hidden: bool) -> Self {
        self.with(|spec| spec.hidden = hidden)
    }

    /// Only documents that match this filter are in it.
    #[must_use]
    pub fn partial_filter(mut self, filter: impl IntoDocument) -> Self {
        self.spec = self.spec.and_then(|spec| {
            Ok(Spec {
                partial: Some(filter.into_document()?),
                ..spec
            })
        });
        self
    }

    /// A document is deleted so many seconds after the date in the index's field.
    #[must_use]
    pub fn expire_after_seconds(self, seconds: i32) -> Self {
        self.with(|spec| spec.expire_after_seconds = Some(seconds))
    }

    fn with(mut self, change: impl FnOnce(&mut Spec)) -> Self {
        if let Ok(spec) = &mut self.spec {
            change(spec);
        }
        self
    }
}

/// An index that is there.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct IndexInfo {
    /// Its name.
    pub name: String,
    /// Its fields, and 1 or -1 for each.
    pub key: RawDocumentBuf,
    /// Whether no two documents have the same key.
    pub unique: bool,
    /// Whether documents without any of the fields are left out.
    pub sparse: bool,
    /// Whether queries leave it alone.
    pub hidden: bool,
    /// Which documents are in it, if not all.
    pub partial_filter: Option<RawDocumentBuf>,
    /// When documents expire.
    pub expire_after_seconds: Option<i32>,
    /// Whether queries can use it: it is not being built any more.
    pub is_ready: bool,
}

impl IndexInfo {
    /// As MongoDB's command `listIndexes` gives it.
    #[must_use]
    pub fn to_document(&self) -> RawDocumentBuf {
        let mut spec = bson::rawdoc! { "v": 2, "key": self.key.clone(), "name": self.name.clone() };
        for (name, is_set) in [
            (bson::raw::cstr!("unique"), self.unique),
            (bson::raw::cstr!("sparse"), self.sparse),
            (bson::raw::cstr!("hidden"), self.hidden),
        ] {
            if is_set {
                spec.append(name, true);
            }
        }
        if let Some(filter) = &self.partial_filter {
            spec.append(bson::raw::cstr!("partialFilterExpression"), filter.clone());
        }
        if let Some(seconds) = self.expire_after_seconds {
            spec.append(bson::raw::cstr!("expireAfterSeconds"), seconds);
        }
        spec
    }
}
