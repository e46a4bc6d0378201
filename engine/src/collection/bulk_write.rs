//! Many writes of different sorts in one call.

use bson::{Bson, RawDocumentBuf};

use super::Collection;
use crate::context::OperationContext;
use crate::error::{Error, ErrorKind, Result, WriteError};
use crate::input::{IntoDocument, IntoUpdate, UpdateSpec};
use crate::update::UpdateOptions;

/// One write of a [`bulk_write`](Collection::bulk_write).
#[derive(Clone, Debug)]
#[must_use]
pub struct WriteModel(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Insert(RawDocumentBuf),
    Update {
        filter: RawDocumentBuf,
        update: UpdateSpec,
        options: UpdateOptions,
        is_multi: bool,
    },
    Replace {
        filter: RawDocumentBuf,
        replacement: RawDocumentBuf,
        options: UpdateOptions,
    },
    Delete {
        filter: RawDocumentBuf,
        is_multi: bool,
    },
    /// What could not be encoded, for when its turn comes.
    Failed(String),
}

/// The kind, or why there is none.
fn kind(made: Result<Kind>) -> WriteModel {
    WriteModel(made.unwrap_or_else(|error| Kind::Failed(error.to_string())))
}

impl WriteModel {
    /// Inserts a document.
    pub fn insert_one(document: impl IntoDocument) -> Self {
        kind(document.into_document().map(Kind::Insert))
    }

    /// Updates the first document that matches.
    pub fn update_one(filter: impl IntoDocument, update: impl IntoUpdate) -> Self {
        Self::update(filter, update, false)
    }

    /// Updates all documents that match.
    pub fn update_many(filter: impl IntoDocument, update: impl IntoUpdate) -> Self {
        Self::update(filter, update, true)
    }

    fn update(filter: impl IntoDocument, update: impl IntoUpdate, is_multi: bool) -> Self {
        let made = filter.into_document().and_then(|filter| {
            Ok(Kind::Update {
                filter,
                update: update.into_update()?,
                options: UpdateOptions::default(),
                is_multi,
            })
        });
        kind(made)
    }

    /// Replaces the first document that matches.
    pub fn replace_one(filter: impl IntoDocument, replacement: impl IntoDocument) -> Self {
        let made = filter.into_document().and_then(|filter| {
            Ok(Kind::Replace {
                filter,
                replacement: replacement.into_document()?,
                options: UpdateOptions::default(),
            })
        });
        kind(made)
    }

    /// Deletes the first document that matches.
    pub fn delete_one(filter: impl IntoDocument) -> Self {
        Self::delete(filter, false)
    }

    /// Deletes all documents that match.
    pub fn delete_many(filter: impl IntoDocument) -> Self {
        Self::delete(filter, true)
    }

    fn delete(filter: impl IntoDocument, is_multi: bool) -> Self {
        let filter = filter.into_document();
        kind(filter.map(|filter| Kind::Delete { filter, is_multi }))
    }

    /// The same, for an update or a replacement, with these options; other writes have
    /// none.
    pub fn with_options(mut self, new: UpdateOptions) -> Self {
        if let Kind::Update { options, .. } | Kind::Replace { options, .. } = &mut self.0 {
            *options = new;
        }
        self
    }
}

/// How a bulk write is done.
#[derive(Clone, Debug)]
#[must_use]
pub struct BulkWriteOptions {
    is_ordered: bool,
}

impl Default for BulkWriteOptions {
    fn default() -> Self {
        Self { is_ordered: true }
    }
}

impl BulkWriteOptions {
    /// One after the other, up to the first that fails.
    pub fn new() -> Self {
        Self::default()
    }

    /// All of them, whichever fail.
    pub fn unordered() -> Self {
        Self { is_ordered: false }
    }
}

/// What a bulk write came to, all writes that succeeded together.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct BulkWriteResult {
    /// Documents inserted, upserts not counted.
    pub inserted: u64,
    /// Documents that matched an update or a replacement.
    pub matched: u64,
    /// Documents that changed.
    pub modified: u64,
    /// Documents deleted.
    pub deleted: u64,
    /// The `_id`s of inserted documents, each with the position of its write.
    pub inserted_ids: Vec<(u64, Bson)>,
    /// The `_id`s of documents inserted because none matched, each with the position of
    /// its write.
    pub upserted_ids: Vec<(u64, Bson)>,
}

impl BulkWriteResult {
    fn written(&self) -> u64 {
        self.inserted + self.modified + self.deleted + self.upserted_ids.len() as u64
    }
}

impl Collection {
    /// Carries out writes of different sorts, in order, each as it would be alone. Ordered
    /// (unless told otherwise) it ends with the first that fails.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::{BulkWriteOptions, WriteModel};
    /// # let database = collection_store::Database::open_in_memory()?;
    /// # let stock = database.collection("stock");
    /// let writes = [
    ///     WriteModel::insert_one(doc! { "_id": "tea", "n": 1 }),
    ///     WriteModel::update_one(doc! { "_id": "tea" }, doc! { "$inc": { "n": 4 } }),
    ///     WriteModel::delete_many(doc! { "n": 0 }),
    /// ];
    /// let result = stock.bulk_write(writes, &BulkWriteOptions::new())?;
    /// assert_eq!((result.inserted, result.modified, result.deleted), (1, 1, 0));
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::BulkWrite`] with the position of each write that failed
    /// ([`Error::write_errors`]) and the number of documents written
    /// ([`Error::written`]); what has no position ends the whole as it is.
    pub fn bulk_write(
        &self,
        writes: impl IntoIterator<Item = WriteModel>,
        options: &BulkWriteOptions,
    ) -> Result<BulkWriteResult> {
        self.bulk_write_with(&OperationContext::new(), writes, options)
    }

    /// [`bulk_write`](Self::bulk_write) with a context.
    ///
    /// # Errors
    /// As [`bulk_write`](Self::bulk_write), and those of the context.
    pub fn bulk_write_with(
        &self,
        context: &OperationContext,
        writes: impl IntoIterator<Item = WriteModel>,
        options: &BulkWriteOptions,
    ) -> Result<BulkWriteResult> {
        if context.as_statement().is_some() {
            let message = "a bulk write as a statement of a session is not supported";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let watch = context.start(&self.environment().runtime);
        let mut result = BulkWriteResult::default();
        let mut errors: Vec<WriteError> = Vec::new();
        for (index, write) in (0..).zip(writes) {
            let done = watch.check().and_then(|()| {
                // The time runs over all writes.
                self.write_model(context, index, write, &mut result)
            });
            let Err(error) = done else { continue };
            let is_fatal = matches!(
                error.kind(),
                ErrorKind::TimedOut
                    | ErrorKind::Interrupted
                    | ErrorKind::Closed
                    | ErrorKind::Poisoned
                    | ErrorKind::ReadOnly
                    | ErrorKind::OutcomeUnknown
            );
            if is_fatal {
                return Err(error.with_written(result.written()));
            }
            errors.push(WriteError { index, error });
            if options.is_ordered {
                break;
            }
        }
        if errors.is_empty() {
            return Ok(result);
        }
        Err(Error::bulk(result.written(), errors))
    }

    fn write_model(
        &self,
        context: &OperationContext,
        index: u64,
        write: WriteModel,
        result: &mut BulkWriteResult,
    ) -> Result<()> {
        let updated = match write.0 {
            Kind::Insert(document) => {
                let id = self.insert_one_with(context, document)?;
                result.inserted += 1;
                result.inserted_ids.push((index, id));
                return Ok(());
            }
            Kind::Delete { filter, is_multi } => {
                result.deleted += if is_multi {
                    self.delete_many_with(context, &filter)?
                } else {
                    u64::from(self.delete_one_with(context, &filter)?)
                };
                return Ok(());
            }
            Kind::Failed(message) => {
                return Err(Error::new(ErrorKind::InvalidDocument, message));
            }
            Kind::Update {
                filter,
                update,
                options,
                is_multi: false,
            } => self.update_one_with(context, &filter, &update, &options)?,
            Kind::Update {
                filter,
                update,
                options,
                is_multi: true,
            } => self.update_many_with(context, &filter, &update, &options)?,
            Kind::Replace {
                filter,
                replacement,
                options,
            } => self.replace_one_or_insert(context, &filter, replacement, &options)?,
        };
        result.matched += updated.matched;
        result.modified += updated.modified;
        let upserted = updated.upserted_id.map(|id| (index, id));
        result.upserted_ids.extend(upserted);
        Ok(())
    }
}
