//! The rules of a collection, asked where documents are written.

use super::Collection;
use crate::catalog::Entry;
use crate::error::Result;
use crate::rules::Judge;

impl Collection {
    /// The same collection; what is written through this handle is not judged by its
    /// validator, as with MongoDB's `bypassDocumentValidation`.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::{Database, OperationContext};
    ///
    /// let database = Database::open_in_memory()?;
    /// let people = database.collection("people");
    /// people.create_with(&OperationContext::new(), doc! { "validator": { "age": { "$gte": 0 } } })?;
    /// people.bypassing_validation().insert_one(doc! { "age": -1 })?;
    /// assert!(people.insert_one(doc! { "age": -1 }).is_err());
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    #[must_use]
    pub fn bypassing_validation(&self) -> Self {
        Self {
            bypasses_validation: true,
            ..self.clone()
        }
    }

    /// Who judges documents that are written to the collection, if anybody does.
    pub(super) fn judge_of(&self, entry: &Entry) -> Option<Judge> {
        let rules = entry.rules.as_ref().filter(|_| !self.bypasses_validation);
        rules.map(|rules| Judge::new(rules, &self.environment))
    }

    /// Judges a document that takes the place of another.
    ///
    /// # Errors
    /// The collection's rules refuse it.
    pub(super) fn judge(
        &self,
        entry: &Entry,
        old: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<()> {
        match (new, self.judge_of(entry)) {
            (Some(new), Some(judge)) => judge.judge(old, new),
            _ => Ok(()),
        }
    }
}
