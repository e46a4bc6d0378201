//! Named snapshots: states that are kept until they are dropped, over restarts,
//! and read like a database.
//!
//! ## Invariants
//! * What is opened by a name is one state of all databases of the directory: names
//!   of collections, options and documents as they were.
//! * It is read by the same code as the newest state, through an environment that
//!   has no other state and refuses writes (`environment.rs`).
//! * One that was dropped while it is read stays until its last reader is gone.

use std::fmt;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use cs_kv::base::HybridTime;
use cs_kv::{BackupOptions, BackupProgress, BackupReport, NamedSnapshot};

use crate::changes::ResumeToken;
use crate::collection::Collection;
use crate::database::{CollectionInfo, Database};
use crate::error::{Error, ErrorKind, Result};
use crate::names::check_snapshot;

/// A snapshot that has a name.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SnapshotInfo {
    /// Its name.
    pub name: String,
    /// The last commit that it sees.
    pub transaction: u64,
    /// When that was made.
    pub time: HybridTime,
    /// When the snapshot was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// The place behind that commit: a change stream that resumes after it tells
    /// what has changed since, as long as that is kept.
    pub token: ResumeToken,
    /// Bytes of pages that it has and the newest state has not; what several
    /// snapshots have counts for each. `None`: its state was lost when a page of it
    /// was damaged, and only the name is left.
    pub retained_bytes: Option<u64>,
}

impl SnapshotInfo {
    fn new(named: NamedSnapshot, retained_bytes: Option<u64>) -> Self {
        Self {
            transaction: named.index.get(),
            time: named.time,
            created_ms: named.created_ms,
            token: ResumeToken::at(named.position),
            name: named.name,
            retained_bytes,
        }
    }
}

/// A database as of a named snapshot. Its collections are read with the methods
/// that any collection has; whatever would change something is refused
/// ([`ErrorKind::ReadOnly`]).
///
/// ```
/// use bson::doc;
/// use collection_store::{Database, ErrorKind};
///
/// let database = Database::open_in_memory()?;
/// let prices = database.collection("prices");
/// prices.insert_one(doc! { "_id": "tea", "cents": 450 })?;
/// database.create_snapshot("before the sale")?;
/// prices.update_one(doc! { "_id": "tea" }, doc! { "$set": { "cents": 300 } })?;
///
/// let before = database.open_snapshot("before the sale")?;
/// let old = before.collection("prices");
/// assert_eq!(old.count(doc! { "cents": 450 })?, 1);
/// let refused = old.delete_many(doc! {}).unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::ReadOnly);
/// assert!(database.drop_snapshot("before the sale")?);
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Clone)]
pub struct DatabaseSnapshot {
    /// Over an environment that is as of the snapshot.
    database: Database,
    name: String,
    transaction: u64,
    time: HybridTime,
}

impl DatabaseSnapshot {
    /// The name of the snapshot.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last commit that it sees.
    #[must_use]
    pub fn transaction(&self) -> u64 {
        self.transaction
    }

    /// When that was made.
    #[must_use]
    pub fn time(&self) -> HybridTime {
        self.time
    }

    /// A collection of the database that the snapshot was opened on, as it was;
    /// one that was not there yet, or is there under another name, is empty.
    #[must_use]
    pub fn collection(&self, name: &str) -> Collection {
        self.database.collection(name)
    }

    /// Another database of the same directory, as of the same snapshot.
    #[must_use]
    pub fn database(&self, name: &str) -> Self {
        Self {
            database: self.database.database(name),
            ..self.clone()
        }
    }

    /// The collections that the database had, in order of name.
    ///
    /// # Errors
    /// The name of the database is not allowed, or the catalog could not be read.
    pub fn list_collections(&self) -> Result<Vec<CollectionInfo>> {
        self.database.list_collections()
    }

    /// Makes a backup of this state of everything in the directory: as
    /// [`Database::backup_to`].
    ///
    /// # Errors
    /// As there.
    pub fn backup_to(
        &self,
        path: impl AsRef<Path>,
        options: &BackupOptions,
        progress: impl FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<BackupReport> {
        self.database.backup_to(path, options, progress)
    }

    /// Makes a backup of this state into anything that takes bytes: as
    /// [`Database::backup_into`].
    ///
    /// # Errors
    /// As there.
    pub fn backup_into(
        &self,
        sink: impl Write,
        options: &BackupOptions,
        progress: impl FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<BackupReport> {
        self.database.backup_into(sink, options, progress)
    }

    /// The databases that had collections, in order of name.
    ///
    /// # Errors
    /// The catalog could not be read.
    pub fn list_databases(&self) -> Result<Vec<String>> {
        self.database.list_databases()
    }
}

impl fmt::Debug for DatabaseSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSnapshot")
            .field("name", &self.name)
            .field("database", &self.database.name())
            .field("transaction", &self.transaction)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Keeps the newest state of everything in the directory under a name, until it
    /// is [dropped](Self::drop_snapshot): also over restarts. Writes a checkpoint.
    ///
    /// # Errors
    /// [`ErrorKind::BadValue`]: the [name](crate::names::check_snapshot) is not
    /// allowed; [`ErrorKind::NamespaceExists`]: there is one of that name; the
    /// database is read-only, or a write or sync failed.
    pub fn create_snapshot(&self, name: &str) -> Result<SnapshotInfo> {
        check_snapshot(name)?;
        let named = self.environment().writable()?.create_snapshot(name)?;
        Ok(SnapshotInfo::new(named, Some(0)))
    }

    /// The named snapshots, in order of name. What each keeps is found by comparing
    /// it with the newest state, which reads as much as has changed since.
    ///
    /// # Errors
    /// A page could not be read.
    pub fn list_snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        let store = self.environment().store()?;
        let bytes = store.snapshot_bytes()?;
        let named = store.list_snapshots()?.into_iter();
        let info = named.map(|named| {
            let retained = bytes.get(&named.name).copied();
            SnapshotInfo::new(named, retained)
        });
        Ok(info.collect())
    }

    /// This database, and all others of the directory, as of a named snapshot.
    ///
    /// # Errors
    /// [`ErrorKind::NamespaceNotFound`]: there is none of that name;
    /// [`ErrorKind::Corruption`]: its state was lost when a page of it was damaged.
    pub fn open_snapshot(&self, name: &str) -> Result<DatabaseSnapshot> {
        check_snapshot(name)?;
        let environment = self.environment();
        let opened = environment.store()?.open_snapshot(name);
        let snapshot = opened.map_err(|error| match error {
            cs_kv::Error::NoSuchSnapshot(_) => {
                let message = format!("there is no snapshot '{name}'");
                Error::new(ErrorKind::NamespaceNotFound, message)
            }
            error => error.into(),
        })?;
        Ok(DatabaseSnapshot {
            name: name.into(),
            transaction: snapshot.index().get(),
            time: snapshot.time(),
            database: Self::new(environment.as_of(name, snapshot), self.name()),
        })
    }

    /// Gives up a named snapshot; returns whether there was one. What only it needed
    /// is free when nobody reads it any more.
    ///
    /// # Errors
    /// The database is read-only, or the commit failed: then it is still there.
    pub fn drop_snapshot(&self, name: &str) -> Result<bool> {
        check_snapshot(name)?;
        Ok(self.environment().writable()?.drop_snapshot(name)?)
    }
}
