//! The rules of a collection, asked where documents are written.

use super::Collection;
use super::write::Change;
use crate::catalog::Entry;
use crate::error::Result;
use crate::filter::Filter;
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
        let rules = entry.rules.as_ref();
        let judge = rules.map(|rules| Judge::new(rules, &self.environment));
        judge.map(|judge| judge.bypassing(self.bypasses_validation))
    }

    /// A change with what the collection's schema makes of the new document.
    ///
    /// # Errors
    /// A function is not registered, or the document becomes too large.
    pub(super) fn shape_change(
        &self,
        entry: &Entry,
        found: &[u8],
        change: Change,
    ) -> Result<Change> {
        match self.judge_of(entry) {
            Some(judge) => change.shaped(&judge, found),
            None => Ok(change),
        }
    }

    /// The filter as the collection's schema has the fields that it asks for.
    ///
    /// # Errors
    /// An operand makes no sense for its field.
    pub(super) fn aware(&self, filter: Filter) -> Result<Filter> {
        if filter.source().is_empty() {
            return Ok(filter);
        }
        let Some(rules) = self.ruled_entry()?.and_then(|entry| entry.rules) else {
            return Ok(filter);
        };
        match rules.filter(filter.source())? {
            Some(source) => filter.rewritten(source),
            None => Ok(filter),
        }
    }

    /// The collection's entry, if it has rules.
    pub(super) fn ruled_entry(&self) -> Result<Option<Entry>> {
        match &self.session {
            Some(session) => {
                let entry = session.entry(&self.namespace)?;
                Ok(entry.filter(|entry| entry.rules.is_some()))
            }
            None => self.environment.ruled_entry(&self.namespace),
        }
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

impl Change {
    /// With what a schema makes of the new document. One that comes to nothing is none.
    pub(super) fn shaped(self, judge: &Judge, found: &[u8]) -> Result<Self> {
        let (new, make): (_, fn(Vec<u8>) -> Self) = match self {
            Self::Put(new) => (new, Self::Put),
            Self::Update(new) => (new, Self::Update),
            other => return Ok(other),
        };
        let new = judge.shape(new)?;
        Ok(if new == found { Self::None } else { make(new) })
    }
}
