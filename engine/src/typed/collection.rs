//! Collections of values of one type.

use bson::{Bson, RawDocumentBuf, doc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::change::IntoChanges;
use super::condition::IntoCondition;
use super::cursor::{TypedFind, decode};
use super::{Document, Field, Untyped};
use crate::collection::{Collection, InsertMany, ReplaceResult, UpdateResult};
use crate::context::OperationContext;
use crate::database::Database;
use crate::error::{ErrorKind, Result};
use crate::transaction::Transaction;
use crate::update::UpdateOptions;

impl Database {
    /// The collection that the type names.
    #[must_use]
    pub fn typed<T: Document>(&self) -> Collection<T> {
        self.collection(T::COLLECTION).typed()
    }
}

impl Transaction {
    /// The collection that the type names, in the transaction.
    #[must_use]
    pub fn typed<T: Document>(&self) -> Collection<T> {
        self.collection(T::COLLECTION).typed()
    }
}

impl Collection {
    /// The same collection, of values of a type that serde knows. What other documents it
    /// has are errors where they are met.
    #[must_use]
    pub fn typed<T>(&self) -> Collection<T> {
        self.with_type()
    }
}

fn encode<T: Serialize>(value: &T) -> Result<RawDocumentBuf> {
    Ok(bson::serialize_to_raw_document_buf(value)?)
}

impl<T: Document> Collection<T> {
    /// Makes the collection, with the rules that the type declares, and its indexes; what
    /// is there already stays, and where the rules were others they are these from now on.
    ///
    /// # Errors
    /// Documents that are there are in the way of a unique index, an index of the same name
    /// is another, or the commit failed.
    pub fn ensure(&self) -> Result<()> {
        let collection = self.untyped();
        let declaration = T::declaration();
        let rules = doc! { "validator": { "$jsonSchema": declaration.json_schema() } };
        match collection.create_with(&OperationContext::new(), &rules) {
            Err(error) if error.kind() == ErrorKind::NamespaceExists => {
                let before = collection.options()?.unwrap_or_default();
                let before = before.get_document("validator").ok().map(ToOwned::to_owned);
                let wanted = RawDocumentBuf::try_from(&rules)?;
                if before.as_deref() != wanted.get_document("validator").ok() {
                    collection.modify(rules)?;
                }
            }
            made => made?,
        }
        let indexes = declaration.into_indexes();
        if !indexes.is_empty() {
            collection.create_indexes(indexes)?;
        }
        Ok(())
    }
}

impl<T: Serialize + DeserializeOwned> Collection<T> {
    /// The same collection, of any documents.
    #[must_use]
    pub fn untyped(&self) -> Collection<Untyped> {
        self.with_type()
    }

    /// Inserts a value; returns its `_id`.
    ///
    /// # Errors
    /// As [`Collection::insert_one`], or it has no form in documents.
    pub fn insert_one(&self, value: &T) -> Result<Bson> {
        self.insert_one_with(&OperationContext::new(), value)
    }

    /// [`insert_one`](Self::insert_one) with a context.
    ///
    /// # Errors
    /// As there, and those of the context.
    pub fn insert_one_with(&self, context: &OperationContext, value: &T) -> Result<Bson> {
        self.untyped().insert_one_with(context, encode(value)?)
    }

    /// Inserts values in order, up to the first that cannot be.
    ///
    /// # Errors
    /// As [`Collection::insert_many`], or one has no form in documents: then none is inserted.
    pub fn insert_many<'v>(&self, values: impl IntoIterator<Item = &'v T>) -> Result<InsertMany>
    where
        T: 'v,
    {
        let documents: Vec<_> = values.into_iter().map(encode).collect::<Result<_>>()?;
        self.untyped().insert_many(documents)
    }

    /// The values that satisfy a condition.
    pub fn find(&self, condition: impl IntoCondition<T>) -> TypedFind<T> {
        TypedFind::new(self.untyped().find(condition.into_condition()))
    }

    /// The first of them, in order of `_id`.
    ///
    /// # Errors
    /// As [`Collection::find_one`], or the document is no `T`.
    pub fn find_one(&self, condition: impl IntoCondition<T>) -> Result<Option<T>> {
        let found = self.untyped().find_one(condition.into_condition()?)?;
        found.map(|document| decode(&document)).transpose()
    }

    /// The value with this `_id`.
    ///
    /// # Errors
    /// As [`find_one`](Self::find_one).
    pub fn find_by_id(&self, id: impl Into<Bson>) -> Result<Option<T>> {
        let found = self.untyped().find_by_id(id)?;
        found.map(|document| decode(&document)).transpose()
    }

    /// How many satisfy a condition.
    ///
    /// # Errors
    /// As [`Collection::count`].
    pub fn count(&self, condition: impl IntoCondition<T>) -> Result<u64> {
        self.untyped().count(condition.into_condition()?)
    }

    /// The different values of a field among those that satisfy a condition.
    ///
    /// # Errors
    /// As [`Collection::distinct`], or one is no `V`.
    pub fn distinct<V: DeserializeOwned, P>(
        &self,
        field: &Field<T, V, P>,
        condition: impl IntoCondition<T>,
    ) -> Result<Vec<V>> {
        let values = self
            .untyped()
            .distinct(field.path(), condition.into_condition()?)?;
        let values = values.into_iter();
        values
            .map(|value| Ok(bson::deserialize_from_bson(value)?))
            .collect()
    }

    /// Changes the first that satisfies a condition.
    ///
    /// # Errors
    /// As [`Collection::update_one`].
    pub fn update_one(
        &self,
        condition: impl IntoCondition<T>,
        changes: impl IntoChanges<T>,
    ) -> Result<UpdateResult> {
        let (context, options) = (OperationContext::new(), UpdateOptions::default());
        self.update_one_with(&context, condition, changes, &options)
    }

    /// [`update_one`](Self::update_one) with a context and options.
    ///
    /// # Errors
    /// As there, and those of the context.
    pub fn update_one_with(
        &self,
        context: &OperationContext,
        condition: impl IntoCondition<T>,
        changes: impl IntoChanges<T>,
        options: &UpdateOptions,
    ) -> Result<UpdateResult> {
        let (filter, update) = (condition.into_condition()?, changes.into_changes()?);
        self.untyped()
            .update_one_with(context, filter, update, options)
    }

    /// Changes all that satisfy a condition.
    ///
    /// # Errors
    /// As [`Collection::update_many`].
    pub fn update_many(
        &self,
        condition: impl IntoCondition<T>,
        changes: impl IntoChanges<T>,
    ) -> Result<UpdateResult> {
        let (filter, update) = (condition.into_condition()?, changes.into_changes()?);
        self.untyped().update_many(filter, update)
    }

    /// Puts a value in the place of the first that satisfies a condition.
    ///
    /// # Errors
    /// As [`Collection::replace_one`].
    pub fn replace_one(
        &self,
        condition: impl IntoCondition<T>,
        value: &T,
    ) -> Result<ReplaceResult> {
        let filter = condition.into_condition()?;
        self.untyped().replace_one(filter, encode(value)?)
    }

    /// Deletes the first that satisfies a condition; returns whether there was one.
    ///
    /// # Errors
    /// As [`Collection::delete_one`].
    pub fn delete_one(&self, condition: impl IntoCondition<T>) -> Result<bool> {
        self.untyped().delete_one(condition.into_condition()?)
    }

    /// Deletes all that satisfy a condition; returns how many.
    ///
    /// # Errors
    /// As [`Collection::delete_many`].
    pub fn delete_many(&self, condition: impl IntoCondition<T>) -> Result<u64> {
        self.untyped().delete_many(condition.into_condition()?)
    }
}
