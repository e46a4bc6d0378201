//! Finding one document and changing it, in one step: before it was, after it is.
//!
//! Each runs in a transaction of its own, tried again when it lost to another writer;
//! in a transaction of the caller's it is part of that.

use std::sync::Arc;
use std::time::Duration;

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, RawDocument, RawDocumentBuf, doc};
use parking_lot::Mutex;

use super::cursor::Projected;
use super::statement::Answer;
use super::update::Work;
use super::write::{Change, Changed, lost};
use super::{Collection, MAX_ATTEMPTS};
use crate::context::OperationContext;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::id::id_of;
use crate::input::{IntoDocument, IntoFilter, IntoUpdate, UpdateSpec};
use crate::projection::Projection;
use crate::sort::SortPattern;
use crate::stats::Counters;
use crate::transaction::pause;
use crate::transaction::session::{End, Session};
use crate::update::UpdateOptions;
use crate::values::validate_document;

/// Which of two documents comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnDocument {
    /// As it was; nothing if it was inserted.
    #[default]
    Before,
    /// As it is now.
    After,
}

/// How a document is found and changed.
///
/// ```
/// use bson::doc;
/// use collection_store::{FindAndModifyOptions, ReturnDocument};
/// let options = FindAndModifyOptions::new()
///     .sort(doc! { "priority": -1 })
///     .return_document(ReturnDocument::After)
///     .upsert(true);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct FindAndModifyOptions {
    sort: Option<RawDocumentBuf>,
    projection: Option<RawDocumentBuf>,
    returned: ReturnDocument,
    update: UpdateOptions,
    /// What could not be encoded is said when the options are used.
    failed: Option<String>,
}

impl FindAndModifyOptions {
    /// The first in order of `_id`, as it was before.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the first in this order.
    pub fn sort(mut self, sort: impl IntoDocument) -> Self {
        match sort.into_document() {
            Ok(sort) => self.sort = Some(sort),
            Err(error) => self.failed = Some(error.to_string()),
        }
        self
    }

    /// What of the document comes back.
    pub fn projection(mut self, projection: impl IntoDocument) -> Self {
        match projection.into_document() {
            Ok(projection) => self.projection = Some(projection),
            Err(error) => self.failed = Some(error.to_string()),
        }
        self
    }

    /// Which document comes back.
    pub fn return_document(mut self, returned: ReturnDocument) -> Self {
        self.returned = returned;
        self
    }

    /// Whether a document is inserted where none matches.
    pub fn upsert(mut self, upsert: bool) -> Self {
        self.update.upsert = upsert;
        self
    }

    /// The array filters of the update.
    pub fn array_filters(mut self, filters: Vec<RawDocumentBuf>) -> Self {
        self.update.array_filters = filters;
        self
    }
}

/// What a find-and-modify came to: MongoDB's `value` and `lastErrorObject`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct FoundAndModified {
    /// The document that was asked for.
    pub value: Option<RawDocumentBuf>,
    /// Documents found, or inserted: 0 or 1.
    pub count: u64,
    /// Whether a document that was there was updated or replaced.
    pub updated_existing: bool,
    /// The `_id` of the document that was inserted because none matched.
    pub upserted_id: Option<Bson>,
}

impl Answer for FoundAndModified {
    const OPERATION: &'static str = "a find-and-modify";

    fn to_fields(&self) -> Document {
        let value = self.value.as_ref().map(|value| Binary {
            subtype: BinarySubtype::Generic,
            bytes: value.as_bytes().to_vec(),
        });
        doc! {
            "value": value,
            "count": i64::try_from(self.count).unwrap_or(i64::MAX),
            "updated": self.updated_existing,
            "upserted": self.upserted_id.clone().map(|id| doc! { "id": id }),
        }
    }

    fn of_fields(fields: &Document) -> Option<Self> {
        let value = match fields.get("value")? {
            Bson::Binary(value) => Some(RawDocumentBuf::from_bytes(value.bytes.clone()).ok()?),
            _ => None,
        };
        let upserted = fields.get_document("upserted").ok();
        Some(Self {
            value,
            count: u64::try_from(fields.get_i64("count").ok()?).ok()?,
            updated_existing: fields.get_bool("updated").ok()?,
            upserted_id: upserted.and_then(|upserted| upserted.get("id").cloned()),
        })
    }
}

/// What is to become of the document.
enum Modification {
    Update(Arc<Work>),
    Delete(Filter),
}

/// All that one operation depends on.
struct Task {
    modification: Modification,
    sort: Option<SortPattern>,
    projected: Option<Projected>,
    options: FindAndModifyOptions,
}

impl Collection {
    /// Updates the first document that matches and returns it, as it was before unless
    /// the options say otherwise.
    ///
    /// ```
    /// use bson::{doc, rawdoc};
    /// use collection_store::{FindAndModifyOptions, ReturnDocument};
    /// # let database = collection_store::Database::open_in_memory()?;
    /// # let counters = database.collection("counters");
    /// let options = FindAndModifyOptions::new().upsert(true).return_document(ReturnDocument::After);
    /// let next = counters.find_one_and_update(doc! { "_id": "a" }, doc! { "$inc": { "n": 1 } }, &options)?;
    /// assert_eq!(next.value, Some(rawdoc! { "_id": "a", "n": 1 }));
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// Filter, update or options make no sense, or cannot be applied to the document; the
    /// commit failed. Nothing has changed then.
    pub fn find_one_and_update(
        &self,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
        options: &FindAndModifyOptions,
    ) -> Result<FoundAndModified> {
        self.find_one_and_update_with(&OperationContext::new(), filter, update, options)
    }

    /// [`find_one_and_update`](Self::find_one_and_update) with a context.
    ///
    /// # Errors
    /// As [`find_one_and_update`](Self::find_one_and_update), and those of the context.
    pub fn find_one_and_update_with(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
        options: &FindAndModifyOptions,
    ) -> Result<FoundAndModified> {
        let work = Work::new(self, filter, update, &options.update)?;
        self.find_and_modify(context, Modification::Update(work), options)
    }

    /// Replaces the first document that matches, but for its `_id`, and returns it, as it
    /// was before unless the options say otherwise.
    ///
    /// # Errors
    /// As [`find_one_and_update`](Self::find_one_and_update); the replacement has fields
    /// that start with `$`, or another `_id`.
    pub fn find_one_and_replace(
        &self,
        filter: impl IntoFilter,
        replacement: impl IntoDocument,
        options: &FindAndModifyOptions,
    ) -> Result<FoundAndModified> {
        self.find_one_and_replace_with(&OperationContext::new(), filter, replacement, options)
    }

    /// [`find_one_and_replace`](Self::find_one_and_replace) with a context.
    ///
    /// # Errors
    /// As [`find_one_and_replace`](Self::find_one_and_replace), and those of the context.
    pub fn find_one_and_replace_with(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
        replacement: impl IntoDocument,
        options: &FindAndModifyOptions,
    ) -> Result<FoundAndModified> {
        let replacement = UpdateSpec::replacement(replacement.into_document()?);
        let work = Work::new(self, filter, replacement, &options.update)?;
        self.find_and_modify(context, Modification::Update(work), options)
    }

    /// Deletes the first document that matches and returns it.
    ///
    /// # Errors
    /// Filter or options make no sense; the commit failed. Nothing has changed then.
    pub fn find_one_and_delete(
        &self,
        filter: impl IntoFilter,
        options: &FindAndModifyOptions,
    ) -> Result<FoundAndModified> {
        self.find_one_and_delete_with(&OperationContext::new(), filter, options)
    }

    /// [`find_one_and_delete`](Self::find_one_and_delete) with a context.
    ///
    /// # Errors
    /// As [`find_one_and_delete`](Self::find_one_and_delete), and those of the context;
    /// the options ask for the document after, or for an upsert (code 9).
    pub fn find_one_and_delete_with(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
        options: &FindAndModifyOptions,
    ) -> Result<FoundAndModified> {
        let refuse = |what: &str| {
            let message = format!("a find-and-modify that deletes cannot {what}");
            Err(Error::new(ErrorKind::FailedToParse, message))
        };
        if options.update.upsert {
            return refuse("upsert");
        }
        if options.returned == ReturnDocument::After {
            return refuse("return the document after");
        }
        let filter = self.aware(filter.into_filter()?)?;
        let filter = self.environment().filter(filter)?;
        self.find_and_modify(context, Modification::Delete(filter), options)
    }

    fn find_and_modify(
        &self,
        context: &OperationContext,
        modification: Modification,
        options: &FindAndModifyOptions,
    ) -> Result<FoundAndModified> {
        let task = self.task(modification, options.clone())?;
        if let Some(statement) = context.as_statement() {
            return self.once(context, statement, |within, context| {
                within.modify_within(context, &task)
            });
        }
        let runtime = &self.environment().runtime;
        let watch = context.start(runtime);
        Counters::add(&self.environment().counters.queries, 1);
        if self.is_in_transaction() {
            return self.modify_within(context, &task);
        }
        for conflicts in 0..MAX_ATTEMPTS {
            watch.check()?;
            let transaction = self.environment().writable()?.begin()?;
            let id = self.environment().transactions.next_id();
            let session = Session::new(id, transaction, runtime, Duration::MAX);
            let within = self.clone().within(Arc::clone(&session));
            let result = within.modify_within(context, &task)?;
            let store = session.take(End::Committed)?.store;
            let committed = store.commit(&context.commit_options());
            match committed.and_then(|ticket| ticket.wait()) {
                Ok(()) => return Ok(result),
                Err(error) if lost(&error) => {
                    Counters::add(&self.environment().counters.retries, 1);
                    pause(&**runtime, conflicts);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.gave_up())
    }

    fn task(&self, modification: Modification, options: FindAndModifyOptions) -> Result<Task> {
        if let Some(failed) = &options.failed {
            return Err(Error::new(ErrorKind::InvalidDocument, failed));
        }
        let sort = match &options.sort {
            Some(sort) => {
                validate_document(sort.as_bytes())?;
                Some(SortPattern::parse(sort)?).filter(|sort| !sort.is_empty())
            }
            None => None,
        };
        let filter = match &modification {
            Modification::Update(work) => &work.filter,
            Modification::Delete(filter) => filter,
        };
        let projected = match &options.projection {
            Some(projection) => {
                let projection = Projection::parse_find(projection)?;
                Some(Projected {
                    filter: projection.needs_position().then(|| filter.clone()),
                    surroundings: self.environment().surroundings(),
                    projection,
                })
            }
            None => None,
        };
        Ok(Task {
            modification,
            sort,
            projected,
            options,
        })
    }

    /// One attempt, in a transaction.
    fn modify_within(&self, context: &OperationContext, task: &Task) -> Result<FoundAndModified> {
        let filter = match &task.modification {
            Modification::Update(work) => &work.filter,
            Modification::Delete(filter) => filter,
        };
        let mut find = self.find(filter).context(context.clone()).limit(1);
        if let Some(sort) = &task.sort {
            find = find.sorted_by(sort.clone());
        }
        let found = find.run()?.next().transpose()?;
        let Some(before) = found else {
            return match &task.modification {
                Modification::Update(work) if task.options.update.upsert => {
                    self.insert_instead(context, work, task)
                }
                _ => Ok(FoundAndModified::default()),
            };
        };
        let after = Mutex::new(None);
        let id = id_of(before.as_bytes()).ok_or_else(|| {
            let message = "a stored document is damaged: it has no _id";
            Error::new(ErrorKind::Corruption, message)
        })?;
        let by_id = doc! { "_id": { "$eq": id.to_bson()? } }.into_filter()?;
        let changed = self.change_one(context, &by_id, |found| {
            let change = match &task.modification {
                Modification::Update(work) => work.change(found)?,
                Modification::Delete(_) => Change::Delete,
            };
            // What comes back is what the collection's schema makes of it.
            let change = match self.ruled_entry()? {
                Some(entry) => self.shape_change(&entry, found, change)?,
                None => change,
            };
            *after.lock() = change.document().map(<[u8]>::to_vec);
            Ok(change)
        })?;
        let is_update = matches!(task.modification, Modification::Update(_));
        self.count_change(changed, is_update);
        let returned = match (task.options.returned, after.into_inner()) {
            (ReturnDocument::After, Some(after)) => after,
            _ => before.as_bytes().to_vec(),
        };
        Ok(FoundAndModified {
            value: Some(projected(task, before.as_bytes(), returned)?),
            count: 1,
            updated_existing: is_update,
            upserted_id: None,
        })
    }

    fn count_change(&self, changed: Changed, is_update: bool) {
        let counters = &self.environment().counters;
        let counter = if is_update {
            &counters.updated
        } else {
            &counters.deleted
        };
        Counters::add(counter, u64::from(changed == Changed::Written));
    }

    fn insert_instead(
        &self,
        context: &OperationContext,
        work: &Work,
        task: &Task,
    ) -> Result<FoundAndModified> {
        let new = work.upserted()?;
        let id = self.insert_one_with(context, new)?;
        let value = match task.options.returned {
            ReturnDocument::Before => None,
            ReturnDocument::After => {
                let inserted = self.find_by_id_with(context, id.clone())?;
                let whole =
                    |new: RawDocumentBuf| projected(task, new.as_bytes(), new.as_bytes().to_vec());
                inserted.map(whole).transpose()?
            }
        };
        Ok(FoundAndModified {
            value,
            count: 1,
            updated_existing: false,
            upserted_id: Some(id),
        })
    }
}

/// What comes back of a document; the position for the positional `$` is that in the
/// document that was found.
fn projected(task: &Task, found: &[u8], returned: Vec<u8>) -> Result<RawDocumentBuf> {
    let bytes = match &task.projected {
        None => returned,
        Some(projected) => {
            let position = match &projected.filter {
                Some(filter) => filter.matched_position(RawDocument::from_bytes(found)?)?,
                None => None,
            };
            let (projection, surroundings) = (&projected.projection, &projected.surroundings);
            projection.apply_in(&returned, position, surroundings)?
        }
    };
    Ok(RawDocumentBuf::from_bytes(bytes)?)
}
