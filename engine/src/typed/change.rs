//! Changes of documents of one type.

use std::fmt;
use std::marker::PhantomData;

use bson::{Bson, doc};

use crate::error::Result;

/// One change of a document of type `T`, made of a [field](super::Field).
pub struct Change<T> {
    operator: &'static str,
    /// Path and operand.
    what: Result<(String, Bson)>,
    marker: PhantomData<fn() -> T>,
}

impl<T> Change<T> {
    pub(super) fn of(operator: &'static str, path: &str, operand: Result<Bson>) -> Self {
        Self {
            operator,
            what: operand.map(|operand| (path.to_owned(), operand)),
            marker: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Change<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(self.operator).field(&self.what).finish()
    }
}

/// What may be handed in where documents of type `T` are updated: one change or several,
/// or an update of the untyped kind.
pub trait IntoChanges<T> {
    /// The update.
    ///
    /// # Errors
    /// A value in it has no form in documents.
    fn into_changes(self) -> Result<bson::Document>;
}

impl<T> IntoChanges<T> for Change<T> {
    fn into_changes(self) -> Result<bson::Document> {
        [self].into_changes()
    }
}

impl<T, const N: usize> IntoChanges<T> for [Change<T>; N] {
    fn into_changes(self) -> Result<bson::Document> {
        joined(self)
    }
}

impl<T> IntoChanges<T> for Vec<Change<T>> {
    fn into_changes(self) -> Result<bson::Document> {
        joined(self)
    }
}

impl<T> IntoChanges<T> for bson::Document {
    fn into_changes(self) -> Result<bson::Document> {
        Ok(self)
    }
}

/// One document with each operator once; a path that comes twice below one counts once,
/// the last.
fn joined<T>(changes: impl IntoIterator<Item = Change<T>>) -> Result<bson::Document> {
    let mut update = bson::Document::new();
    for change in changes {
        let (path, operand) = change.what?;
        match update.get_document_mut(change.operator) {
            Ok(operands) => {
                operands.insert(path, operand);
            }
            Err(_) => {
                update.insert(change.operator, doc! { path: operand });
            }
        }
    }
    Ok(update)
}
