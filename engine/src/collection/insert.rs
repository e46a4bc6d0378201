//! Inserting: in batches of bounded size, each of which is one commit.
//!
//! The unique key of a collection is `_id`: each put demands that its key be
//! absent, judged where the commit is. The first insert into a collection that
//! does not exist creates it, in the same commit.

use bson::{Bson, RawDocumentBuf};
use cs_kv::{Batch, Store};

use super::indexing::{InsertBatch, Refused};
use super::inserter::{Inserter, Waiting};
use super::statement::Inserted;
use super::{Collection, MAX_ATTEMPTS};
use crate::catalog::Entry;
use crate::context::{OperationContext, Watch};
use crate::error::{DuplicateKey, Error, ErrorKind, Result};
use crate::id::Identified;
use crate::input::IntoDocument;
use crate::monitor::Operation;
use crate::stats::Counters;

/// Most documents in one commit of a batch.
pub const MAX_BATCH_DOCUMENTS: usize = 1000;
/// Bytes of documents after which a batch is committed.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// How [`insert_many`](Collection::insert_many) goes on after a document that
/// cannot be inserted.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct InsertManyOptions {
    /// Stop at the first; otherwise insert all that can be.
    pub ordered: bool,
}

impl Default for InsertManyOptions {
    fn default() -> Self {
        Self { ordered: true }
    }
}

impl InsertManyOptions {
    /// Insert all that can be.
    #[must_use]
    pub fn unordered() -> Self {
        Self { ordered: false }
    }
}

/// What was inserted.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct InsertMany {
    /// The `_id`s, in the order of the documents.
    pub ids: Vec<Bson>,
}

impl Collection {
    /// Inserts a document and returns its `_id`, which is generated if it has
    /// none.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateKey`]; the document is not valid or its `_id` of a
    /// type that none may have; the name is not allowed; the commit failed.
    pub fn insert_one(&self, document: impl IntoDocument) -> Result<Bson> {
        self.insert_one_with(&OperationContext::new(), document)
    }

    /// [`insert_one`](Self::insert_one) with a context.
    ///
    /// # Errors
    /// As [`insert_one`](Self::insert_one), and those of the context.
    pub fn insert_one_with(
        &self,
        context: &OperationContext,
        document: impl IntoDocument,
    ) -> Result<Bson> {
        self.timed(Operation::Insert, || {
            self.insert_one_untimed(context, document)
        })
    }

    fn insert_one_untimed(
        &self,
        context: &OperationContext,
        document: impl IntoDocument,
    ) -> Result<Bson> {
        if let Some(statement) = context.as_statement() {
            let document = document.into_document()?;
            let inserted = self.once(context, statement, |within, context| {
                within.insert_one_untimed(context, &document).map(Inserted)
            });
            return Ok(inserted?.0);
        }
        let mut watch = context.start(&self.environment.runtime);
        watch.check()?;
        let mut document = self.prepare(document)?;
        watch.charge(document.key.len() + document.document.len())?;
        let options = context.commit_options();
        for _ in 0..MAX_ATTEMPTS {
            let id = id_of(&document)?;
            let waiting = [Waiting { index: 0, document }];
            let commit = |store: &Store, batch| store.write_and_wait(batch, &options);
            let inserted = match &self.session {
                Some(session) => self.insert_within(session, &watch, &waiting)?,
                None => self.commit_inserts(&watch, &waiting, commit)?.map(drop),
            };
            let Err(Refused { error, .. }) = inserted else {
                Counters::add(&self.environment.counters.inserted, 1);
                return Ok(id);
            };
            let [refused] = waiting;
            document = self.renumbered(&refused.document, &error)?.ok_or(error)?;
        }
        Err(self.gave_up())
    }

    /// Inserts documents, in batches of at most [`MAX_BATCH_DOCUMENTS`]; each
    /// batch is one commit. Stops at the first that cannot be inserted.
    ///
    /// # Errors
    /// [`ErrorKind::BulkWrite`] names the documents that were not inserted, and
    /// how many were; other errors are those of the commit. What
    /// [`Error::written`] counts was acknowledged.
    pub fn insert_many<D: IntoDocument>(
        &self,
        documents: impl IntoIterator<Item = D>,
    ) -> Result<InsertMany> {
        let context = OperationContext::new();
        self.insert_many_with(&context, documents, InsertManyOptions::default())
    }

    /// [`insert_many`](Self::insert_many) with a context and options.
    ///
    /// # Errors
    /// As [`insert_many`](Self::insert_many), and those of the context.
    pub fn insert_many_with<D: IntoDocument>(
        &self,
        context: &OperationContext,
        documents: impl IntoIterator<Item = D>,
        options: InsertManyOptions,
    ) -> Result<InsertMany> {
        self.timed(Operation::Insert, || {
            self.insert_many_untimed(context, documents, options)
        })
    }

    fn insert_many_untimed<D: IntoDocument>(
        &self,
        context: &OperationContext,
        documents: impl IntoIterator<Item = D>,
        options: InsertManyOptions,
    ) -> Result<InsertMany> {
        if let Some(statement) = context.as_statement() {
            let mut watch = context.without_statement().start(&self.environment.runtime);
            let documents = collected(&mut watch, documents)?;
            return self.once(context, statement, |within, context| {
                within.insert_many_untimed(context, &documents, options)
            });
        }
        let mut inserter = Inserter::new(self, context, options.ordered);
        inserter.keep_ids();
        for (index, document) in (0..).zip(documents) {
            if inserter.is_stopped() {
                break;
            }
            if let Err(error) = inserter.push(index, document) {
                return Err(inserter.fail(error));
            }
        }
        let outcome = inserter.finish()?;
        if outcome.errors.is_empty() {
            Ok(InsertMany { ids: outcome.ids })
        } else {
            Err(Error::bulk(outcome.inserted, outcome.errors))
        }
    }

    /// Commits as many of the documents as can be together, creating the collection if
    /// need be; says how many those are. The inner error is one of them that cannot be
    /// inserted.
    pub(super) fn commit_inserts<T>(
        &self,
        watch: &Watch,
        documents: &[Waiting],
        commit: impl Fn(&Store, Batch) -> Result<T, cs_kv::Error>,
    ) -> Result<Result<(T, usize), Refused>> {
        for _ in 0..MAX_ATTEMPTS {
            watch.check()?;
            let store = self.environment.writable()?;
            let entry = self.environment.entry(&self.namespace)?;
            let mut batch = Batch::new();
            let entry = match entry {
                Some(entry) => entry,
                None => {
                    let entry = Entry::new(store.new_tree_id(), RawDocumentBuf::new())?;
                    self.add_creation(&mut batch, &entry);
                    entry
                }
            };
            let refused = |position: usize, found: Result<Option<Error>>| {
                Ok::<_, Error>(found?.map(|error| Refused { position, error }))
            };
            let InsertBatch {
                batch,
                count,
                documents: owners,
                markers,
            } = match self.insert_batch(batch, &entry, documents) {
                Ok(batch) => batch,
                Err(error) => {
                    // Something else may be wrong with it, which MongoDB finds first, but
                    // for rules, which come before all.
                    let found = match error.kind() {
                        ErrorKind::CannotIndex | ErrorKind::BadValue => {
                            self.refusal(&documents[0])?
                        }
                        _ => None,
                    };
                    let error = found.unwrap_or(error);
                    return Ok(Err(Refused { position: 0, error }));
                }
            };
            match commit(store, batch) {
                Ok(committed) => {
                    self.environment.markers.add(markers);
                    return Ok(Ok((committed, count)));
                }
                Err(cs_kv::Error::Expectation { position, .. })
                    if owners.get(position).is_some_and(|owner| *owner < count) =>
                {
                    let position = owners[position];
                    let found = self.refusal(&documents[position]);
                    if let Some(refused) = refused(position, found)? {
                        return Ok(Err(refused));
                    }
                    // What was in the way is gone again.
                    Counters::add(&self.environment.counters.retries, 1);
                }
                // Somebody else created the collection, or dropped it: look again.
                Err(
                    cs_kv::Error::Expectation { .. }
                    | cs_kv::Error::UnknownTree(_)
                    | cs_kv::Error::Conflict { .. },
                ) => {
                    Counters::add(&self.environment.counters.retries, 1);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.gave_up())
    }

    /// MongoDB's words, for drivers take them apart.
    pub(super) fn duplicate(&self, document: &Identified) -> Error {
        let value = document.id().map(|id| id.to_document(b"_id"));
        let value = value.and_then(|bytes| RawDocumentBuf::from_bytes(bytes).ok());
        let key_value = value.unwrap_or_default();
        let shown = bson::Document::try_from(&*key_value)
            .map_or_else(|_| "{ }".to_owned(), |value| value.to_string());
        let message = format!(
            "E11000 duplicate key error collection: {} index: _id_ dup key: {shown}",
            self.namespace
        );
        Error::new(ErrorKind::DuplicateKey, message).with_duplicate(DuplicateKey {
            key_pattern: bson::rawdoc! { "_id": 1 },
            key_value,
        })
    }
}

/// All documents at once, for a statement that is tried again.
fn collected<D: IntoDocument>(
    watch: &mut Watch,
    documents: impl IntoIterator<Item = D>,
) -> Result<Vec<RawDocumentBuf>> {
    let mut all = Vec::new();
    for document in documents {
        watch.check()?;
        let document = document.into_document()?;
        watch.charge(document.as_bytes().len())?;
        all.push(document);
    }
    Ok(all)
}

pub(super) fn id_of(document: &Identified) -> Result<Bson> {
    document.id().map_or(Ok(Bson::Null), |id| Ok(id.to_bson()?))
}
