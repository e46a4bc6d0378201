//! Migrating a collection: to a newer version, lazily or at once.

use std::ops::{Bound, ControlFlow};

use cs_kv::KeyRange;

use super::insert::{MAX_BATCH_BYTES, MAX_BATCH_DOCUMENTS};
use super::matches::in_tree;
use super::place::Place;
use super::write::lost;
use super::{Collection, MAX_ATTEMPTS};
use crate::catalog::Entry;
use crate::context::{OperationContext, Watch};
use crate::error::{Error, ErrorKind, Result};
use crate::migration::Versions;
use crate::stats::Counters;

/// The schema versions of a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaVersion {
    /// What documents are read as and written in.
    pub current: i32,
    /// What every stored document has at least; behind `current` while a migration is under
    /// way.
    pub base: i32,
    /// The newest that this process has registered steps to.
    pub known: Option<i32>,
}

/// How far a migration is, or what it came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationReport {
    /// Documents looked at.
    pub documents: u64,
    /// Documents that were written in the new version.
    pub migrated: u64,
    /// Whether all documents have the newest version.
    pub is_done: bool,
}

/// What a batch came to: the last key, and how many documents were looked at and written.
struct Batch {
    last: Vec<u8>,
    looked: u64,
    migrated: u64,
}

impl Collection {
    /// The version of the collection's schema; that of one that was never given any is 0.
    ///
    /// # Errors
    /// The name is not allowed, or the catalog could not be read.
    pub fn schema_version(&self) -> Result<SchemaVersion> {
        let entry = match &self.session {
            Some(session) => session.entry(&self.namespace)?,
            None => self.environment.snapshot(&self.namespace)?.1,
        };
        let versions = entry.and_then(|entry| entry.versions);
        Ok(SchemaVersion {
            current: versions.map_or(0, |it| it.current),
            base: versions.map_or(0, |it| it.base),
            known: self.environment.migrations.of(&self.namespace).known(),
        })
    }

    /// Gives the collection a newer version: from now on its documents are read as that, and
    /// each is written in it when it is written next, or by [`migrate`](Self::migrate). The
    /// steps are those of [`Database::register_migration`](crate::Database::register_migration).
    ///
    /// # Errors
    /// [`ErrorKind::BadValue`]: the version is older; [`ErrorKind::NotRegistered`]: a step
    /// to it is missing; [`ErrorKind::NamespaceNotFound`]; the commit failed.
    pub fn set_schema_version(&self, version: i32) -> Result<()> {
        self.outside_only("a new schema version")?;
        let path = self.environment.migrations.of(&self.namespace);
        let loads = self.environment.loads.pause();
        let options = OperationContext::new().commit_options();
        self.change_entry(&options, |store, entry, batch| {
            let before = entry.versions.unwrap_or(Versions {
                current: 0,
                base: 0,
                ahead: None,
            });
            if version == before.current {
                return Ok(None);
            }
            if version < before.current {
                return Err(Error::bad_value(format!(
                    "collection '{}' has schema version {}, and cannot go back to {version}",
                    self.namespace, before.current
                )));
            }
            if loads.is_loading(entry.tree) {
                let message =
                    "something is being loaded into the collection: it can have no new version";
                return Err(Error::new(ErrorKind::Conflict, message).with_code(12587));
            }
            let mut versions = Versions {
                current: version,
                ..before
            };
            path.check(&versions)?;
            if versions.ahead.is_none() {
                let tree = store.new_tree_id();
                batch.create_tree(tree);
                versions.ahead = Some(tree);
            }
            Ok(Some(entry.with_versions(versions)))
        })
    }

    /// Gives a collection that nobody else has yet this version.
    pub(crate) fn begin_at_version(&self, version: i32) -> Result<()> {
        let options = OperationContext::new().commit_options();
        self.change_entry(&options, |_, entry, _| {
            let versions = Versions {
                current: version,
                base: version,
                ahead: None,
            };
            Ok((version != 0).then(|| entry.with_versions(versions)))
        })
    }

    /// Writes all documents that are of an older version in the newest, in transactions of
    /// bounded size, beside readers and writers. What was interrupted, by a crash too, is
    /// gone on with by the same call.
    ///
    /// # Errors
    /// [`ErrorKind::MigrationFailed`] names the document and the version: those before it
    /// are migrated, and so are all once its step takes it. [`ErrorKind::Interrupted`]:
    /// `progress` ended it. A document is refused by the collection's rules, or by an index;
    /// a commit failed.
    pub fn migrate(
        &self,
        progress: impl FnMut(&MigrationReport) -> ControlFlow<()>,
    ) -> Result<MigrationReport> {
        self.migrate_with(&OperationContext::new(), progress)
    }

    /// [`migrate`](Self::migrate) with a context.
    ///
    /// # Errors
    /// As [`migrate`](Self::migrate), and those of the context.
    pub fn migrate_with(
        &self,
        context: &OperationContext,
        mut progress: impl FnMut(&MigrationReport) -> ControlFlow<()>,
    ) -> Result<MigrationReport> {
        self.outside_only("a migration")?;
        let watch = context.start(&self.environment.runtime);
        let mut report = MigrationReport::default();
        let (mut after, mut attempts) = (None::<Vec<u8>>, 0);
        let target = self.schema_version()?.current;
        loop {
            watch.check()?;
            match self.migrate_batch(&watch, context, after.as_deref(), target)? {
                Some(Ok(batch)) => {
                    report.documents += batch.looked;
                    report.migrated += batch.migrated;
                    (after, attempts) = (Some(batch.last), 0);
                }
                Some(Err(error)) if lost(&error) => {
                    attempts += 1;
                    Counters::add(&self.environment.counters.retries, 1);
                    if attempts >= MAX_ATTEMPTS {
                        return Err(self.gave_up());
                    }
                    continue;
                }
                Some(Err(error)) => return Err(error.into()),
                None => break,
            }
            if progress(&report).is_break() {
                let message = "the migration was interrupted; it can go on";
                return Err(Error::new(ErrorKind::Interrupted, message));
            }
        }
        report.is_done = self.finish_migration(context, target)?;
        Ok(report)
    }

    /// The next documents; `None` when there are no more. The inner error is that of the
    /// commit.
    fn migrate_batch(
        &self,
        watch: &Watch,
        context: &OperationContext,
        after: Option<&[u8]>,
        target: i32,
    ) -> Result<Option<Result<Batch, cs_kv::Error>>> {
        let (mut transaction, entry) = self.environment.begin(&self.namespace)?;
        let Some(entry) = entry.filter(|entry| is_under_way(entry, target)) else {
            return Ok(None);
        };
        let Some(tree) = in_tree(transaction.snapshot().tree(entry.tree))? else {
            return Ok(None);
        };
        let Place::Shown(lens) = self.shown(Place::Stored(tree), &entry)? else {
            return Ok(None);
        };
        let lower = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.to_vec()));
        let mut rows = lens.stored.rows(KeyRange {
            lower,
            upper: Bound::Unbounded,
        })?;
        let mut batch = Batch {
            last: Vec::new(),
            looked: 0,
            migrated: 0,
        };
        let (mut found, mut bytes) = (Vec::new(), 0);
        while found.len() < MAX_BATCH_DOCUMENTS && bytes < MAX_BATCH_BYTES {
            watch.check()?;
            let Some((key, document)) = rows.next()? else {
                break;
            };
            batch.looked += 1;
            batch.last = key.to_vec();
            if lens.version_of(key)? < target {
                bytes += key.len() + document.len();
                watch.room_for(bytes)?;
                found.push((key.to_vec(), lens.show(key, document)?));
            }
        }
        if batch.looked == 0 {
            return Ok(None);
        }
        if self.tells_before(&entry) {
            transaction.tell_before(entry.tree)?;
        }
        for (key, new) in found {
            let shown = Some(new.as_slice());
            self.write_indexes(&mut transaction, &entry, &key, shown, shown)
                .map_err(|error| self.in_migration(&new, target, error))?;
            transaction.put(entry.tree, key, new)?;
            batch.migrated += 1;
        }
        if batch.migrated == 0 {
            return Ok(Some(Ok(batch)));
        }
        let committed = transaction.commit(&context.commit_options());
        Ok(Some(
            committed.and_then(|ticket| ticket.wait()).map(|()| batch),
        ))
    }

    fn in_migration(&self, document: &[u8], version: i32, error: Error) -> Error {
        let id = crate::id::id_of(document).and_then(|id| id.to_bson().ok());
        let id = id.map_or_else(String::new, |id| id.to_string());
        error.at(format!(
            "document {id} of '{}' in schema version {version}",
            self.namespace
        ))
    }

    /// Notes that all documents have the version, unless there is a newer one by now.
    fn finish_migration(&self, context: &OperationContext, target: i32) -> Result<bool> {
        let mut is_done = false;
        self.change_entry(&context.commit_options(), |_, entry, batch| {
            let is_newest = entry.versions.is_none_or(|it| it.current == target);
            is_done = is_newest;
            let Some(ahead) = entry.versions.and_then(|it| it.ahead).filter(|_| is_newest) else {
                return Ok(None);
            };
            batch.drop_tree(ahead);
            Ok(Some(entry.with_versions(Versions {
                current: target,
                base: target,
                ahead: None,
            })))
        })?;
        Ok(is_done)
    }
}

fn is_under_way(entry: &Entry, target: i32) -> bool {
    let versions = entry.versions.filter(|it| it.ahead.is_some());
    versions.is_some_and(|it| it.current == target)
}
