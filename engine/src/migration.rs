//! Schema versions of collections, and how documents come from one to the next.
//!
//! A collection has a *version*, and a process registers what makes a document of version
//! n one of n + 1. Documents carry no mark of it: the collection knows the version that
//! all of them have at least (the *base*), and while that is behind, a tree of its own
//! notes each document that is ahead of the base. So nothing is hidden in documents, and a
//! collection that is not being migrated pays nothing.
//!
//! While a migration is under way documents are read as what they will be (lazily), and
//! whoever writes one writes the newest version; `Collection::migrate` writes all that are
//! left, in transactions of bounded size, and then moves the base (eagerly).
//!
//! ## Invariants
//! * What is read has the collection's version, wherever it is read from.
//! * What is written has it too, and the note is in the same commit.
//! * Indexes hold what is stored, and are not asked while a migration is under way.
//! * Functions are never called under the lock that commits share.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use bson::{Document, RawDocument};
use cs_kv::base::TreeId;
use parking_lot::RwLock;

use crate::database::Database;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{id_of, with_stored_id};
use crate::names::Namespace;
use crate::values::validate_document;

type Step = dyn Fn(Document) -> std::result::Result<Document, String> + Send + Sync;
/// The steps of one collection, by the version that they begin with.
type Steps = BTreeMap<i32, Arc<Step>>;

/// The versions of a collection's documents, as its entry in the catalog has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    /// What is written now.
    pub(crate) current: i32,
    /// What every document has at least.
    pub(crate) base: i32,
    /// Which documents are ahead of the base, and of what version; while a migration is
    /// under way.
    pub(crate) ahead: Option<TreeId>,
}

/// The steps that are registered in this process.
#[derive(Default)]
pub(crate) struct Migrations(RwLock<HashMap<Namespace, Steps>>);

impl fmt::Debug for Migrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migrations").finish_non_exhaustive()
    }
}

impl Database {
    /// Registers, for this process, what makes a document of a collection's version `from`
    /// one of `from + 1`. It keeps the `_id`, and says why if it cannot. The highest step
    /// also says which version the program knows: a collection that is ahead of it is
    /// neither read nor written.
    ///
    /// It may be called more than once for one document, and never where commits wait for it.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// use bson::{doc, rawdoc};
    /// use collection_store::Database;
    ///
    /// let database = Database::open_in_memory()?;
    /// let users = database.collection("users");
    /// users.insert_one(doc! { "_id": 1, "name": "Ada Lovelace" })?;
    ///
    /// database.register_migration("users", 0, |mut user| {
    ///     let name = user.remove("name").ok_or("it has no name")?;
    ///     user.insert("names", vec![name]);
    ///     Ok(user)
    /// });
    /// users.set_schema_version(1)?;
    /// let migrated = rawdoc! { "_id": 1, "names": ["Ada Lovelace"] };
    /// assert_eq!(users.find_by_id(1)?, Some(migrated), "read as what it will be");
    /// let report = users.migrate(|_| ControlFlow::Continue(()))?;
    /// assert_eq!(report.migrated, 1);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    pub fn register_migration(
        &self,
        collection: &str,
        from: i32,
        step: impl Fn(Document) -> std::result::Result<Document, String> + Send + Sync + 'static,
    ) {
        let key = Namespace {
            database: self.name().into(),
            collection: collection.into(),
        };
        let mut all = self.environment().migrations.0.write();
        all.entry(key).or_default().insert(from, Arc::new(step));
    }
}

impl Migrations {
    /// Refuses versions as [`Path::check`] does.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn check(&self, namespace: &Namespace, versions: &Versions) -> Result<()> {
        let all = self.0.read();
        match all.get(namespace) {
            Some(steps) => check(namespace, steps, versions),
            None => check(namespace, &Steps::new(), versions),
        }
    }

    /// The steps of a collection.
    pub(crate) fn of(&self, namespace: &Namespace) -> Path {
        Path {
            namespace: namespace.clone(),
            steps: self.0.read().get(namespace).cloned().unwrap_or_default(),
        }
    }
}

/// How documents of one collection come from version to version.
#[derive(Clone)]
pub(crate) struct Path {
    namespace: Namespace,
    steps: Steps,
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<_> = self.steps.keys().collect();
        f.debug_struct("Path").field("steps", &steps).finish()
    }
}

impl Path {
    /// The newest version that the program knows; `None` if it knows of none.
    pub(crate) fn known(&self) -> Option<i32> {
        known(&self.steps)
    }

    /// Refuses a version that is newer than the program, or that is not reached.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], [`ErrorKind::NotRegistered`].
    pub(crate) fn check(&self, versions: &Versions) -> Result<()> {
        check(&self.namespace, &self.steps, versions)
    }

    /// The document of version `from`, as version `to` has it.
    ///
    /// # Errors
    /// A step does not take it, or makes of it what cannot be stored: the message names
    /// document and version.
    pub(crate) fn migrate(&self, document: &[u8], from: i32, to: i32) -> Result<Vec<u8>> {
        let id = id_of(document);
        let failed = |version: i32, why: String| {
            let shown = id.and_then(|id| id.to_bson().ok());
            let shown = shown.map_or_else(String::new, |id| id.to_string());
            let message = format!(
                "document {shown} of '{}' cannot go from schema version {version} to {}: {why}",
                self.namespace,
                version + 1
            );
            Error::new(ErrorKind::MigrationFailed, message)
        };
        let mut new = Document::try_from(RawDocument::from_bytes(document)?)?;
        for version in from..to {
            let step = self.steps.get(&version);
            let step = step.ok_or_else(|| failed(version, "no step is registered".into()))?;
            new = step(new).map_err(|why| failed(version, why))?;
        }
        let last = to.saturating_sub(1);
        let broken = |error: Error| failed(last, error.to_string());
        let new = bson::RawDocumentBuf::try_from(&new).map_err(|error| broken(error.into()))?;
        validate_document(new.as_bytes()).map_err(|error| broken(error.into()))?;
        match id {
            Some(id) => with_stored_id(new.as_bytes(), id).map_err(broken),
            None => Ok(new.into_bytes()),
        }
    }
}

fn known(steps: &Steps) -> Option<i32> {
    let last = steps.keys().next_back();
    last.map(|last| last.saturating_add(1))
}

fn check(namespace: &Namespace, steps: &Steps, versions: &Versions) -> Result<()> {
    let Versions { current, base, .. } = *versions;
    if let Some(known) = known(steps)
        && current > known
    {
        let message = format!(
            "collection '{namespace}' has schema version {current}, this program knows none beyond {known}"
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    for version in base..current {
        if !steps.contains_key(&version) {
            let message = format!(
                "documents of '{namespace}' go from schema version {base} to {current}, and the step from {version} is not registered in this process"
            );
            return Err(Error::new(ErrorKind::NotRegistered, message));
        }
    }
    Ok(())
}

/// The value of a note: a document is of this version.
pub(crate) fn note(version: i32) -> Vec<u8> {
    version.to_le_bytes().to_vec()
}

/// The version in a note.
///
/// # Errors
/// It is damaged.
pub(crate) fn read_note(value: &[u8]) -> Result<i32> {
    let version = value.try_into().map(i32::from_le_bytes);
    version.map_err(|_| {
        Error::new(
            ErrorKind::Corruption,
            "a note of a schema version is damaged",
        )
    })
}
