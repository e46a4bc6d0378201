//! A collection: documents under their `_id`s.
//!
//! Reading order: this file (the handle, and what changes the catalog), `find`
//! and `cursor` (queries, over `matches`), `distinct`, `insert` (over `inserter`), `write`
//! (replace and delete), `update`, `statement` (writes that may be sent again), `transfer` (lines of JSON in and out), `bulk` (whole
//! collections at once), `place` and `within` (the same in a transaction).

mod aggregate;
mod build;
mod bulk;
mod bulk_write;
mod by_id;
mod check;
mod cursor;
mod distinct;
mod expire;
mod explain;
mod find;
mod find_and_modify;
mod identify;
mod index_read;
mod indexes;
mod indexing;
mod insert;
mod inserter;
mod judging;
mod lens;
mod matches;
mod migrate;
mod modify;
mod modify_index;
mod place;
mod schemas;
mod statement;
mod tally;
mod targets;
mod transfer;
mod update;
mod within;
mod write;

pub use aggregate::{AggregateCursor, AggregateOptions};
pub use bulk_write::{BulkWriteOptions, BulkWriteResult, WriteModel};
pub use check::IndexCheck;
pub use cursor::Cursor;
pub(crate) use expire::Expiring;
pub use explain::{Explain, ExplainStep};
pub use find::Find;
pub use find_and_modify::{FindAndModifyOptions, FoundAndModified, ReturnDocument};
pub use indexes::IndexProgress;
pub use insert::{InsertMany, InsertManyOptions, MAX_BATCH_BYTES, MAX_BATCH_DOCUMENTS};
pub use migrate::{MigrationReport, SchemaVersion};
pub(crate) use place::View;
pub use transfer::{ImportOptions, ImportReport};
pub use update::UpdateResult;
pub use write::ReplaceResult;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bson::RawDocumentBuf;
use cs_kv::{Batch, Expect, system};

use crate::catalog::{Entry, entry_in, key_of};
use crate::context::OperationContext;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::input::IntoDocument;
use crate::monitor::Operation;
use crate::names::Namespace;
use crate::rules::check_options;
use crate::stats::CollectionStats;
use crate::transaction::session::Session;
use crate::typed::Untyped;
use crate::values::validate_document;

/// How often a write that lost to another is tried again before it gives up.
/// Each loss is another's success, so that losing so often means a storm.
pub(crate) const MAX_ATTEMPTS: u32 = 100;

/// A collection of documents. Cheap to clone, `Send` and `Sync`; it need not
/// exist yet. Each operation has a form with an [`OperationContext`].
///
/// With a type it stores and finds values of that: see [`typed`](crate::typed).
pub struct Collection<T = Untyped> {
    environment: Arc<Environment>,
    namespace: Namespace,
    /// The transaction of which all that is done with this handle is part.
    session: Option<Arc<Session>>,
    /// What it writes is not judged by validators.
    bypasses_validation: bool,
    marker: PhantomData<fn() -> T>,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        self.with_type()
    }
}

impl<T> Collection<T> {
    /// The same collection, of documents of another type.
    pub(crate) fn with_type<U>(&self) -> Collection<U> {
        Collection {
            environment: Arc::clone(&self.environment),
            namespace: self.namespace.clone(),
            session: self.session.clone(),
            bypasses_validation: self.bypasses_validation,
            marker: PhantomData,
        }
    }

    /// Its name, without that of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.namespace.collection
    }

    /// The name of its database.
    #[must_use]
    pub fn database_name(&self) -> &str {
        &self.namespace.database
    }
}

impl Collection {
    pub(crate) fn new(environment: Arc<Environment>, namespace: Namespace) -> Self {
        Self {
            environment,
            namespace,
            session: None,
            bypasses_validation: false,
            marker: PhantomData,
        }
    }

    pub(crate) fn environment(&self) -> &Arc<Environment> {
        &self.environment
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Carries an operation out, timed if somebody wants to know.
    #[inline]
    fn timed<T>(&self, operation: Operation, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let environment = &self.environment;
        environment
            .monitor
            .timed(&environment.runtime, operation, work)
    }

    /// Whether its changes are to tell what was before.
    fn tells_before(&self, entry: &Entry) -> bool {
        self.environment.wanting.is_wanted(&self.namespace, entry)
    }

    /// Creates the collection. Inserting does so by itself.
    ///
    /// # Errors
    /// [`ErrorKind::NamespaceExists`], a name that is not allowed, or the
    /// commit failed.
    pub fn create(&self) -> Result<()> {
        self.create_with(&OperationContext::new(), RawDocumentBuf::new())
    }

    /// Creates the collection, with options that are kept as given. MongoDB's `validator`,
    /// `validationLevel` and `validationAction` say what documents must match (where the
    /// action is `warn`, [`OperationStats::validation_warnings`](crate::OperationStats)
    /// counts those that do not); with `changeStreamPreAndPostImages: { enabled: true }`
    /// what changes replace goes into the log, for change streams that ask for it.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::{Database, ErrorKind, OperationContext};
    ///
    /// let database = Database::open_in_memory()?;
    /// let people = database.collection("people");
    /// let options = doc! { "validator": { "age": { "$gte": 0 } } };
    /// people.create_with(&OperationContext::new(), options)?;
    /// let error = people.insert_one(doc! { "age": -1 }).unwrap_err();
    /// assert_eq!((error.kind(), error.code()), (ErrorKind::DocumentValidation, Some(121)));
    /// assert!(error.details().is_some(), "it says why");
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create); the options are no valid document, one makes no sense
    /// or is not supported; those of the context.
    pub fn create_with(
        &self,
        context: &OperationContext,
        options: impl IntoDocument,
    ) -> Result<()> {
        let options = options.into_document()?;
        validate_document(options.as_bytes())?;
        check_options(&options)?;
        self.namespace.check()?;
        context.start(&self.environment.runtime).check()?;
        if let Some(session) = &self.session {
            return self.create_within(session, options);
        }
        let store = self.environment.writable()?;
        let mut batch = Batch::new();
        let entry = Entry::create(options, || store.new_tree_id())?;
        let may_expire = entry.ttl.is_some();
        self.add_creation(&mut batch, &entry);
        match store.write(&batch, &context.commit_options()) {
            Ok(ticket) => {
                ticket.wait()?;
                if may_expire {
                    self.environment.expiry.made(&self.environment);
                }
                Ok(())
            }
            Err(cs_kv::Error::Expectation { .. }) => Err(self.exists()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes tree and entry part of the batch, which fails if there is an entry.
    fn add_creation(&self, batch: &mut Batch, entry: &Entry) {
        for tree in entry.trees() {
            batch.create_tree(tree);
        }
        batch.put(
            system::CATALOG,
            key_of(&self.namespace),
            entry.encode(),
            Expect::Absent,
        );
    }

    /// Whether the collection exists.
    ///
    /// # Errors
    /// The name is not allowed, or the catalog could not be read.
    pub fn exists_now(&self) -> Result<bool> {
        self.exists_now_with(&OperationContext::new())
    }

    /// [`exists_now`](Self::exists_now) with a context.
    ///
    /// # Errors
    /// As [`exists_now`](Self::exists_now), and those of the context.
    pub fn exists_now_with(&self, context: &OperationContext) -> Result<bool> {
        context.start(&self.environment.runtime).check()?;
        Ok(self.view()?.entry.is_some())
    }

    /// What the collection was created with, or `None` if it does not exist.
    ///
    /// # Errors
    /// As [`exists_now`](Self::exists_now).
    pub fn options(&self) -> Result<Option<RawDocumentBuf>> {
        self.options_with(&OperationContext::new())
    }

    /// [`options`](Self::options) with a context.
    ///
    /// # Errors
    /// As [`exists_now_with`](Self::exists_now_with).
    pub fn options_with(&self, context: &OperationContext) -> Result<Option<RawDocumentBuf>> {
        context.start(&self.environment.runtime).check()?;
        let entry = self.view()?.entry;
        Ok(entry.map(|entry| (*entry.options).clone()))
    }

    /// Drops the collection with all it holds; returns whether it existed.
    ///
    /// # Errors
    /// The name is not allowed, or the commit failed: then it is still there.
    pub fn drop_collection(&self) -> Result<bool> {
        self.drop_collection_with(&OperationContext::new())
    }

    /// [`drop_collection`](Self::drop_collection) with a context.
    ///
    /// # Errors
    /// As [`drop_collection`](Self::drop_collection), and those of the context.
    pub fn drop_collection_with(&self, context: &OperationContext) -> Result<bool> {
        self.outside_only("a drop")?;
        self.namespace.check()?;
        let store = self.environment.writable()?;
        let watch = context.start(&self.environment.runtime);
        let _change = self.environment.catalog.change();
        // Getting here may have meant waiting for another change.
        watch.check()?;
        let Some(entry) = entry_in(&store.snapshot()?, &self.namespace)? else {
            return Ok(false);
        };
        let mut batch = Batch::new();
        batch.tell_before(system::CATALOG);
        batch.delete(system::CATALOG, key_of(&self.namespace), Expect::Present);
        for tree in entry.trees() {
            batch.drop_tree(tree);
        }
        store.write(&batch, &context.commit_options())?.wait()?;
        Ok(true)
    }

    /// Renames the collection within its database and returns it by its new
    /// name. What has that name already is dropped if `drop_target` says so.
    ///
    /// # Errors
    /// [`ErrorKind::NamespaceNotFound`], [`ErrorKind::NamespaceExists`], a name
    /// that is not allowed, or the commit failed.
    pub fn rename(&self, name: &str, drop_target: bool) -> Result<Self> {
        self.rename_with(&OperationContext::new(), name, drop_target)
    }

    /// [`rename`](Self::rename) with a context.
    ///
    /// # Errors
    /// As [`rename`](Self::rename), and those of the context.
    pub fn rename_with(
        &self,
        context: &OperationContext,
        name: &str,
        drop_target: bool,
    ) -> Result<Self> {
        let database = Arc::clone(&self.namespace.database);
        let target = Self {
            environment: Arc::clone(&self.environment),
            namespace: Namespace {
                database,
                collection: name.into(),
            },
            session: None,
            bypasses_validation: self.bypasses_validation,
            marker: PhantomData,
        };
        self.outside_only("a rename")?;
        self.namespace.check()?;
        target.namespace.check()?;
        if target.namespace == self.namespace {
            let message = format!("cannot rename collection '{}' to itself", self.namespace);
            return Err(Error::new(ErrorKind::BadValue, message).with_code(20));
        }
        let store = self.environment.writable()?;
        let watch = context.start(&self.environment.runtime);
        let _change = self.environment.catalog.change();
        // A round is lost only to an insert that creates the target.
        for _ in 0..MAX_ATTEMPTS {
            watch.check()?;
            let snapshot = store.snapshot()?;
            let Some(entry) = entry_in(&snapshot, &self.namespace)? else {
                let message = format!("collection '{}' does not exist", self.namespace);
                return Err(Error::new(ErrorKind::NamespaceNotFound, message));
            };
            let mut batch = Batch::new();
            batch.tell_before(system::CATALOG);
            batch.delete(system::CATALOG, key_of(&self.namespace), Expect::Present);
            let expect = match entry_in(&snapshot, &target.namespace)? {
                Some(_) if !drop_target => return Err(target.exists()),
                Some(old) => {
                    for tree in old.trees() {
                        batch.drop_tree(tree);
                    }
                    Expect::Present
                }
                None => Expect::Absent,
            };
            batch.put(
                system::CATALOG,
                key_of(&target.namespace),
                entry.encode(),
                expect,
            );
            match store.write(&batch, &context.commit_options()) {
                Ok(ticket) => {
                    ticket.wait()?;
                    return Ok(target);
                }
                Err(cs_kv::Error::Expectation { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.gave_up())
    }

    /// Figures; zeroes if the collection does not exist.
    ///
    /// # Errors
    /// As [`exists_now`](Self::exists_now).
    pub fn stats(&self) -> Result<CollectionStats> {
        self.stats_with(&OperationContext::new())
    }

    /// [`stats`](Self::stats) with a context.
    ///
    /// # Errors
    /// As [`exists_now_with`](Self::exists_now_with).
    pub fn stats_with(&self, context: &OperationContext) -> Result<CollectionStats> {
        self.outside_only("figures of a collection")?;
        context.start(&self.environment.runtime).check()?;
        let (snapshot, entry) = self.environment.snapshot(&self.namespace)?;
        let Some(entry) = entry else {
            return Ok(CollectionStats::default());
        };
        let stats = snapshot.tree_stats(entry.tree)?.unwrap_or_default();
        Ok(CollectionStats {
            documents: stats.count,
            bytes: stats.bytes,
            hash: stats.hash,
        })
    }

    /// The bytes of the keys in each index but that of `_id`, which is the documents
    /// themselves; in order of creation. None where there is no collection.
    ///
    /// # Errors
    /// As [`stats`](Self::stats).
    pub fn index_sizes(&self) -> Result<Vec<(String, u64)>> {
        self.outside_only("figures of indexes")?;
        let (snapshot, entry) = self.environment.snapshot(&self.namespace)?;
        let mut sizes = Vec::new();
        for index in entry.iter().flat_map(|entry| entry.indexes.iter()) {
            let stats = snapshot.tree_stats(index.tree)?.unwrap_or_default();
            sizes.push((index.definition.name.to_string(), stats.bytes));
        }
        Ok(sizes)
    }

    fn exists(&self) -> Error {
        let message = format!("collection '{}' already exists", self.namespace);
        Error::new(ErrorKind::NamespaceExists, message)
    }

    fn gave_up(&self) -> Error {
        let message = format!(
            "a write to '{}' lost to others {MAX_ATTEMPTS} times",
            self.namespace
        );
        Error::new(ErrorKind::Conflict, message)
    }
}

impl<T> fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Collection")
            .field(&format_args!("{}", self.namespace))
            .finish()
    }
}
