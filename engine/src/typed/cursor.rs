//! Queries and their results, typed.

use std::fmt;
use std::marker::PhantomData;

use bson::RawDocument;
use serde::de::DeserializeOwned;

use super::condition::Sorting;
use crate::collection::{Cursor, Find};
use crate::context::OperationContext;
use crate::error::{Error, ErrorKind, Result};

/// A document as the value that it stands for.
///
/// # Errors
/// [`ErrorKind::InvalidDocument`]: it is none; the message names its `_id`.
pub(super) fn decode<T: DeserializeOwned>(document: &RawDocument) -> Result<T> {
    bson::deserialize_from_slice(document.as_bytes()).map_err(|error| {
        let id = document.get("_id").ok().flatten();
        let id = id.and_then(|id| bson::Bson::try_from(id).ok());
        let id = id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        let name = std::any::type_name::<T>();
        let message = format!("the document with _id {id} is no {name}: {error}");
        Error::new(ErrorKind::InvalidDocument, message)
    })
}

/// A query for values of type `T`, to be refined and [run](Self::run).
#[derive(Debug)]
pub struct TypedFind<T> {
    find: Find,
    marker: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> TypedFind<T> {
    pub(super) fn new(find: Find) -> Self {
        Self {
            find,
            marker: PhantomData,
        }
    }

    fn with(self, change: impl FnOnce(Find) -> Find) -> Self {
        Self::new(change(self.find))
    }

    /// In this order.
    #[must_use]
    pub fn sort(self, sorting: Sorting<T>) -> Self {
        self.with(|find| find.sort(sorting.keys))
    }

    /// Without the first so many.
    #[must_use]
    pub fn skip(self, count: u64) -> Self {
        self.with(|find| find.skip(count))
    }

    /// At most so many.
    #[must_use]
    pub fn limit(self, count: u64) -> Self {
        self.with(|find| find.limit(count))
    }

    /// With a context.
    #[must_use]
    pub fn context(self, context: OperationContext) -> Self {
        self.with(|find| find.context(context))
    }

    /// How many there are.
    ///
    /// # Errors
    /// As [`Find::count`].
    pub fn count(self) -> Result<u64> {
        self.find.count()
    }

    /// Begins the query.
    ///
    /// # Errors
    /// As [`Find::run`].
    pub fn run(self) -> Result<TypedCursor<T>> {
        Ok(TypedCursor {
            cursor: self.find.run()?,
            marker: PhantomData,
        })
    }
}

/// Values of type `T`, one by one; nothing after an error.
pub struct TypedCursor<T> {
    cursor: Cursor,
    marker: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Iterator for TypedCursor<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.cursor.advance() {
            Ok(document) => document.map(decode),
            Err(error) => Some(Err(error)),
        }
    }
}

impl<T> fmt::Debug for TypedCursor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedCursor").field(&self.cursor).finish()
    }
}
