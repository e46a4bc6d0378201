//! A database: a set of named collections.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use bson::RawDocumentBuf;
use cs_kv::{
    Account, Batch, CompactOptions, CompactProgress, CompactReport, Expect, SpaceReport, system,
};

use crate::catalog::{database_prefix, entries_in, key_of};
use crate::collection::Collection;
use crate::context::OperationContext;
use crate::environment::Environment;
use crate::error::Result;
use crate::expiry::Pass;
use crate::monitor::{Alert, Monitor, Text, engine_figures};
use crate::names::{Namespace, check_database};
use crate::options::DatabaseOptions;
use crate::stats::{Counters, DatabaseStats};

/// An open database. Cheap to clone; all clones, and all handles made from
/// them, are one open database, which ends with the last of them. Nothing is
/// lost then that was acknowledged; [`close`](Self::close) makes the next open
/// quicker.
///
/// One directory holds any number of named databases; an embedded program uses
/// `main`, which is the one that opening returns, unless it asks for
/// [another](Self::database).
///
/// ```
/// use bson::doc;
/// use collection_store::Database;
///
/// let database = Database::open_in_memory()?;
/// let people = database.collection("people");
/// people.insert_one(doc! { "_id": 1, "name": "Ada" })?;
/// assert_eq!(people.count(doc! { "name": "Ada" })?, 1);
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Clone)]
pub struct Database {
    environment: Arc<Environment>,
    name: Arc<str>,
}

/// What is known about a collection without reading it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// Its number, which no other collection has or will have.
    pub id: u32,
    /// What it was created with.
    pub options: RawDocumentBuf,
}

impl Database {
    pub(crate) fn new(environment: Arc<Environment>, name: &str) -> Self {
        Self {
            environment,
            name: name.into(),
        }
    }

    pub(crate) fn environment(&self) -> &Arc<Environment> {
        &self.environment
    }

    /// Opens the database in the directory `path`, and makes it if there is none.
    ///
    /// # Errors
    /// See [`DatabaseOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        DatabaseOptions::default().open(path)
    }

    /// Opens a new, empty database in memory.
    ///
    /// # Errors
    /// See [`DatabaseOptions::open_in_memory`].
    pub fn open_in_memory() -> Result<Self> {
        DatabaseOptions::default().open_in_memory()
    }

    /// Opens the database in the directory `path` to look at it.
    ///
    /// # Errors
    /// See [`DatabaseOptions::open_read_only`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        DatabaseOptions::default().open_read_only(path)
    }

    /// Options for opening.
    pub fn options() -> DatabaseOptions {
        DatabaseOptions::default()
    }

    /// The name of this database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Another database in the same directory. It needs no creation: it is
    /// there as long as it has collections.
    #[must_use]
    pub fn database(&self, name: &str) -> Self {
        Self {
            environment: Arc::clone(&self.environment),
            name: name.into(),
        }
    }

    /// A collection of this database, whether it exists or not: the first
    /// insert makes it. A name that is not allowed is an error of each operation.
    #[must_use]
    pub fn collection(&self, name: &str) -> Collection {
        let namespace = Namespace {
            database: Arc::clone(&self.name),
            collection: name.into(),
        };
        Collection::new(Arc::clone(&self.environment), namespace)
    }

    /// The collections of this database, in order of name.
    ///
    /// # Errors
    /// The name of the database is not allowed, or the catalog could not be read.
    pub fn list_collections(&self) -> Result<Vec<CollectionInfo>> {
        check_database(&self.name)?;
        let snapshot = self.environment.state()?;
        let entries = entries_in(&snapshot, Some(&self.name))?;
        let info = entries
            .into_iter()
            .map(|(namespace, entry)| CollectionInfo {
                name: namespace.collection.to_string(),
                id: entry.tree.get(),
                options: (*entry.options).clone(),
            });
        Ok(info.collect())
    }

    /// The databases that have collections, in order of name.
    ///
    /// # Errors
    /// The catalog could not be read.
    pub fn list_databases(&self) -> Result<Vec<String>> {
        let snapshot = self.environment.state()?;
        let mut names: Vec<String> = entries_in(&snapshot, None)?
            .into_iter()
            .map(|(namespace, _)| namespace.database.to_string())
            .collect();
        names.dedup();
        Ok(names)
    }

    /// Drops all collections of this database, in one commit; returns how many.
    ///
    /// # Errors
    /// The database is read-only, or the commit failed: then all are still there.
    pub fn drop_database(&self) -> Result<u64> {
        check_database(&self.name)?;
        let store = self.environment.writable()?;
        let _change = self.environment.catalog.change();
        let entries = entries_in(&store.snapshot()?, Some(&self.name))?;
        if entries.is_empty() {
            return Ok(0);
        }
        let mut batch = Batch::new();
        batch.tell_before(system::CATALOG);
        for (namespace, entry) in &entries {
            batch.delete(system::CATALOG, key_of(namespace), Expect::Present);
            for tree in entry.trees() {
                batch.drop_tree(tree);
            }
        }
        // Nothing is there; whoever follows the changes knows what it means.
        batch.delete(system::CATALOG, database_prefix(&self.name), Expect::Any);
        store
            .write(&batch, &cs_kv::CommitOptions::default())?
            .wait()?;
        Ok(entries.len() as u64)
    }

    /// Deletes the documents of all databases in the directory that have expired by now,
    /// and returns how many: what the database does by itself every so often
    /// ([`DatabaseOptions::expire_interval`]), for tests, tools, and programs that do not
    /// run for so long. Until it is deleted, an expired document can be seen.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use bson::{DateTime, doc};
    /// use collection_store::{Database, IndexModel};
    ///
    /// let database = Database::open_in_memory()?;
    /// let sessions = database.collection("sessions");
    /// sessions.create_index(IndexModel::new(doc! { "used": 1 }).expire_after_seconds(3600))?;
    /// let long_ago = DateTime::from_system_time(SystemTime::now() - Duration::from_secs(3601));
    /// sessions.insert_many([
    ///     doc! { "_id": "old", "used": long_ago },
    ///     doc! { "_id": "new", "used": DateTime::now() },
    /// ])?;
    /// assert_eq!(database.expire_now()?, 1);
    /// assert_eq!(sessions.count(doc! { "_id": "new" })?, 1);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// The database is read-only; or the first thing that went wrong, when all else was
    /// done.
    pub fn expire_now(&self) -> Result<u64> {
        let environment = &self.environment;
        let mut pass = Pass::begin(environment, &OperationContext::new())?;
        pass.run(environment);
        Counters::add(&environment.counters.expiry_passes, 1);
        match pass.error {
            Some(error) => Err(error.with_written(pass.deleted)),
            None => Ok(pass.deleted),
        }
    }

    /// Makes everything committed so far part of the data file.
    ///
    /// # Errors
    /// The database is read-only, or a write or sync failed.
    pub fn checkpoint(&self) -> Result<()> {
        Ok(self.environment.writable()?.checkpoint()?)
    }

    /// Makes everything committed so far durable, whatever its commits asked for.
    /// Not where there is no log: there only a [`checkpoint`](Self::checkpoint)
    /// saves anything.
    ///
    /// # Errors
    /// The database is read-only, or a write or sync failed.
    pub fn flush(&self) -> Result<()> {
        Ok(self.environment.writable()?.flush()?)
    }

    /// Refuses further operations on all handles, and writes a checkpoint, so
    /// that the next open has nothing to recover. Cursors go on; the directory
    /// is free for others when the last handle and cursor are gone.
    ///
    /// # Errors
    /// A write or sync failed; what was acknowledged is safe all the same.
    pub fn close(&self) -> Result<()> {
        self.environment.close()
    }

    /// Whether it was opened for reading only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.environment.is_read_only()
    }

    /// Figures: contents, operations since open, and the store beneath.
    ///
    /// # Errors
    /// The database was closed, or the catalog could not be read.
    pub fn stats(&self) -> Result<DatabaseStats> {
        let snapshot = self.environment.state()?;
        let (mut collections, mut documents, mut bytes) = (0, 0, 0);
        for (_, entry) in entries_in(&snapshot, None)? {
            let stats = snapshot.tree_stats(entry.tree)?.unwrap_or_default();
            collections += 1;
            documents += stats.count;
            bytes += stats.bytes;
        }
        Ok(DatabaseStats {
            collections,
            documents,
            bytes,
            named_snapshots: self.environment.any_store().list_snapshots()?,
            operations: self.environment.counters.read(),
            expiry: self.environment.counters.expiry(),
            filters: self.environment.filters.figures(),
            store: self.environment.any_store().stats(),
        })
    }

    /// What is watched of this database: the registry of figures, and thresholds.
    #[must_use]
    pub fn monitor(&self) -> &Monitor {
        &self.environment.monitor
    }

    /// All figures, the engine's and those of the program, in Prometheus' text format,
    /// version 0.0.4.
    ///
    /// # Errors
    /// As [`stats`](Self::stats).
    pub fn metrics_text(&self) -> Result<String> {
        let mut text = Text::default();
        engine_figures(&mut text, &self.stats()?);
        self.environment.monitor.registry().write(&mut text);
        Ok(text.finish())
    }

    /// Looks whether a threshold was passed since the last time, calls back, and returns what
    /// it told; every few seconds is right. `memory` is what the process takes, if the
    /// caller knows, in bytes; else what the database takes for pages counts.
    pub fn check_thresholds(&self, memory: Option<u64>) -> Vec<Alert> {
        let memory = memory.unwrap_or_else(|| {
            let store = self.environment.any_store();
            store.stats().pool.resident_bytes
        });
        let now = self.environment.runtime.monotonic();
        self.environment.monitor.check(now, memory)
    }

    /// Gives space back to the file system, beside readers and writers; see
    /// [`Store::compact`](cs_kv::Store::compact). `progress` is told after each
    /// small step, and may end the work.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// use collection_store::{CompactOptions, Database};
    ///
    /// let database = Database::open_in_memory()?;
    /// let report = database.compact(&CompactOptions::default(), |_| ControlFlow::Continue(()))?;
    /// assert!(report.bytes_after <= report.bytes_before);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// The database is read-only, `progress` ended it
    /// ([`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted)), or a read, write or sync failed.
    pub fn compact(
        &self,
        options: &CompactOptions,
        mut progress: impl FnMut(&CompactProgress) -> ControlFlow<()>,
    ) -> Result<CompactReport> {
        Ok(self
            .environment
            .writable()?
            .compact(options, &mut progress)?)
    }

    /// Where every byte of the files went: reads all pages once. `progress` is
    /// told how many of how many, and may end it.
    ///
    /// # Errors
    /// `progress` ended it, or a page could not be read.
    pub fn account(
        &self,
        mut progress: impl FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Account> {
        Ok(self.environment.store()?.account(&mut progress)?)
    }

    /// What the files take, without reading any.
    ///
    /// # Errors
    /// The size of a file could not be asked for.
    pub fn space(&self) -> Result<SpaceReport> {
        Ok(self.environment.store()?.space()?)
    }

    /// The key/value store beneath, for tools that verify or inspect it.
    #[must_use]
    pub fn store(&self) -> &cs_kv::Store {
        self.environment.any_store()
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
