//! Updating.
//!
//! A filter that asks for one `_id`, alone or with more, is evaluated where the
//! commit is, on the newest document there is: clients that update one hot
//! document neither conflict nor wait for each other's syncs. Any other filter
//! finds its documents on a snapshot, and the write is tried again when it lost.

mod many;
mod work;

use std::sync::Arc;

use bson::Bson;
use cs_kv::{Batch, Evaluate};

use super::by_id::no_reason;
use super::statement::repeated;
use super::write::{Changed, lost};
use super::{Collection, MAX_ATTEMPTS};
use crate::context::{OperationContext, Statement};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{IntoDocument, IntoFilter, IntoUpdate, UpdateSpec};
use crate::monitor::Operation;
use crate::stats::Counters;
use crate::update::UpdateOptions;

use work::ById;
pub(super) use work::Work;

/// What an update came to.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UpdateResult {
    /// Documents that matched.
    pub matched: u64,
    /// Documents that changed.
    pub modified: u64,
    /// The `_id` of the document that was inserted because none matched.
    pub upserted_id: Option<Bson>,
}

impl From<Changed> for UpdateResult {
    fn from(changed: Changed) -> Self {
        Self {
            matched: u64::from(changed != Changed::Nothing),
            modified: u64::from(changed == Changed::Written),
            upserted_id: None,
        }
    }
}

impl Collection {
    /// Updates the first document that matches, in order of `_id`, with MongoDB's
    /// update operators. Where the filter asks for one `_id`, any number of clients
    /// may do so at once, and none is refused or lost.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::Database;
    ///
    /// let database = Database::open_in_memory()?;
    /// let pages = database.collection("pages");
    /// pages.insert_one(doc! { "_id": "/", "hits": 0 })?;
    /// let updated = pages.update_one(doc! { "_id": "/" }, doc! { "$inc": { "hits": 1 } })?;
    /// assert_eq!((updated.matched, updated.modified), (1, 1));
    /// assert_eq!(pages.count(doc! { "hits": 1 })?, 1);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// Filter or update make no sense, or cannot be applied to the document; the
    /// commit failed. Nothing has changed then.
    pub fn update_one(
        &self,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
    ) -> Result<UpdateResult> {
        let options = UpdateOptions::default();
        self.update_one_with(&OperationContext::new(), filter, update, &options)
    }

    /// [`update_one`](Self::update_one) with a context and options.
    ///
    /// # Errors
    /// As [`update_one`](Self::update_one), and those of the context.
    pub fn update_one_with(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
        options: &UpdateOptions,
    ) -> Result<UpdateResult> {
        self.timed(Operation::Update, || {
            self.update_one_untimed(context, filter, update, options)
        })
    }

    fn update_one_untimed(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
        options: &UpdateOptions,
    ) -> Result<UpdateResult> {
        if let Some(statement) = context.as_statement() {
            let (filter, update) = (filter.into_filter()?, update.into_update()?);
            if !options.upsert && self.session.is_none() {
                let work = Work::new(self, &filter, &update, options)?;
                if let Some(key) = work.single_key()? {
                    let context = context.without_statement();
                    let updated = self.update_by_id(&context, &work, key, Some(statement))?;
                    if let Some(updated) = updated {
                        return Ok(updated);
                    }
                }
            }
            return self.once(context, statement, |within, context| {
                within.update_one_untimed(context, &filter, &update, options)
            });
        }
        let work = Work::new(self, filter, update, options)?;
        self.update_or_upsert(context, &work, options.upsert)
    }

    /// Replaces the first document that matches, in order of `_id`, but for its `_id`;
    /// where none matches it is inserted, if the options say `upsert`.
    ///
    /// # Errors
    /// The filter makes no sense; the replacement is not valid, has fields that start with
    /// `$`, or another `_id`; the commit failed.
    pub fn replace_one_or_insert(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
        replacement: impl IntoDocument,
        options: &UpdateOptions,
    ) -> Result<UpdateResult> {
        let filter = filter.into_filter()?;
        let replacement = UpdateSpec::replacement(replacement.into_document()?);
        if let Some(statement) = context.as_statement() {
            return self.once(context, statement, |within, context| {
                let work = Work::new(within, &filter, &replacement, options)?;
                within.update_or_upsert(context, &work, options.upsert)
            });
        }
        let work = Work::new(self, filter, replacement, options)?;
        self.update_or_upsert(context, &work, options.upsert)
    }

    fn update_or_upsert(
        &self,
        context: &OperationContext,
        work: &Arc<Work>,
        upsert: bool,
    ) -> Result<UpdateResult> {
        Counters::add(&self.environment.counters.queries, 1);
        for _ in 0..MAX_ATTEMPTS {
            let result = self.update_first(context, work)?;
            if result.matched > 0 || !upsert {
                Counters::add(&self.environment.counters.updated, result.modified);
                return Ok(result);
            }
            if let Some(result) = self.upsert(context, work)? {
                return Ok(result);
            }
        }
        Err(self.gave_up())
    }

    fn update_first(&self, context: &OperationContext, work: &Arc<Work>) -> Result<UpdateResult> {
        if let (Some(key), None) = (work.single_key()?, &self.session)
            && let Some(updated) = self.update_by_id(context, work, key, None)?
        {
            return Ok(updated);
        }
        let changed = self.change_one(context, &work.filter, |found| work.change(found))?;
        Ok(changed.into())
    }

    /// Evaluated where the commit is; `None` if that has to be found out in the other way.
    fn update_by_id(
        &self,
        context: &OperationContext,
        work: &Arc<Work>,
        key: Vec<u8>,
        statement: Option<Statement>,
    ) -> Result<Option<UpdateResult>> {
        let watch = context.start(&self.environment.runtime);
        let mut options = context.commit_options();
        // What it comes to is filled in where it is evaluated.
        options.session = statement.map(|statement| statement.with_results(Vec::new()));
        for _ in 0..MAX_ATTEMPTS {
            watch.check()?;
            let store = self.environment.writable()?;
            let Some(entry) = self.environment.entry(&self.namespace)? else {
                let Some(statement) = statement else {
                    return Ok(Some(UpdateResult::default()));
                };
                // That there was nothing has to be remembered.
                let once = self.once(context, statement, |within, context| {
                    within.update_first(context, work)
                });
                return once.map(Some);
            };
            self.check_version(&entry)?;
            if entry.needs_transaction() {
                return Ok(None);
            }
            let judge = self.judge_of(&entry);
            let evaluation = Arc::new(ById::new(work, &key, &entry.indexes, judge));
            let mut batch = Batch::new();
            if let Some(kept) = &entry.kept {
                batch.keep(kept.clone());
            }
            if self.tells_before(&entry) {
                batch.tell_before(entry.tree);
            }
            batch.evaluate(
                entry.tree,
                key.clone(),
                Arc::clone(&evaluation) as Arc<dyn Evaluate>,
            );
            batch.note_in_part();
            let committed = store.write_and_wait(batch, &options);
            let seen = evaluation.take_seen();
            match committed {
                Ok(_) => return Ok(Some(seen?.into())),
                Err(cs_kv::Error::AlreadyApplied { number, results }) => {
                    let statement = statement.ok_or_else(|| {
                        Error::new(ErrorKind::Internal, "an update without a name has one")
                    })?;
                    return repeated(statement, number, &results).map(Some);
                }
                // Another has a unique key of the new document.
                Err(cs_kv::Error::Expectation { .. }) => return Ok(None),
                Err(cs_kv::Error::Declined { .. }) => {
                    return Err(seen.err().unwrap_or_else(no_reason));
                }
                Err(error) if lost(&error) => {
                    Counters::add(&self.environment.counters.retries, 1);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.gave_up())
    }

    /// Inserts what the update makes of nothing; `None` if somebody else was quicker.
    fn upsert(&self, context: &OperationContext, work: &Work) -> Result<Option<UpdateResult>> {
        let new = work.upserted()?;
        match self.insert_one_with(context, new) {
            Ok(id) => Ok(Some(UpdateResult {
                upserted_id: Some(id),
                ..UpdateResult::default()
            })),
            // There is one now: whether it matches is another question.
            Err(error) if error.kind() == ErrorKind::DuplicateKey => {
                let is_there = self.find(work.filter.clone()).limit(1).run()?.next();
                match is_there.transpose()? {
                    Some(_) => Ok(None),
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }
}
