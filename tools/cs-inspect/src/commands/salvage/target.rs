//! The new database: an ordinary one, written to through the public interface.
//!
//! ## Invariants
//! * It is built beside its final place and appears there whole, after a check.
//! * Trees keep their numbers, so that what the log and the catalog say of them
//!   is true of the new ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use collection_store::{Database, Durability};
use cs_base::TreeId;
use cs_kv::{Batch, CommitOptions, Expect, KeyRange, SessionStatement, Store, TreeStats, system};
use tempfile::TempDir;

use crate::error::{InspectError, Result};

/// Bytes and operations of one commit, about.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_OPERATIONS: usize = 4096;
/// Name of the database within the directory that is thrown away.
const INNER: &str = "new";

/// See the module's text.
pub(super) struct Target {
    scratch: TempDir,
    path: PathBuf,
    database: Database,
    batch: Batch,
    batch_bytes: usize,
    /// User trees that are there.
    trees: BTreeSet<u32>,
    /// Sessions and what they stored: the store writes them itself.
    sessions: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Target {
    /// Begins a database that will stand at `path`.
    pub(super) fn create(path: &Path, page_size: u32, has_log: bool) -> Result<Self> {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let scratch = tempfile::Builder::new()
            .prefix(".salvage-")
            .tempdir_in(parent)
            .map_err(InspectError::at("making a directory in", parent))?;
        let durability = if has_log {
            Durability::Async
        } else {
            Durability::Memory
        };
        let options = Database::options()
            .page_size(page_size)
            .durability(durability);
        let opened = options.open(scratch.path().join(INNER));
        Ok(Self {
            scratch,
            path: path.to_owned(),
            database: opened.map_err(|error| failed(path, error))?,
            batch: Batch::new(),
            batch_bytes: 0,
            trees: BTreeSet::new(),
            sessions: BTreeMap::new(),
        })
    }

    fn store(&self) -> &Store {
        self.database.store()
    }

    /// Makes a tree, unless it is there.
    pub(super) fn ensure(&mut self, tree: TreeId) {
        if tree.0 >= system::FIRST_USER && self.trees.insert(tree.0) {
            self.batch.create_tree(tree);
        }
    }

    pub(super) fn has(&self, tree: TreeId) -> bool {
        tree.0 < system::FIRST_USER || self.trees.contains(&tree.0)
    }

    /// Every user tree.
    pub(super) fn trees(&self) -> Vec<u32> {
        self.trees.iter().copied().collect()
    }

    /// Gives a key a value, and makes the tree where there is none.
    pub(super) fn put(&mut self, tree: TreeId, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        match tree {
            // The store keeps these by itself.
            system::DIRECTORY | system::DROPPED => return Ok(()),
            system::SESSIONS => {
                self.sessions.insert(key, value);
                return Ok(());
            }
            _ => self.ensure(tree),
        }
        self.batch_bytes += key.len() + value.len() + 32;
        self.batch.put(tree, key, value, Expect::Any);
        self.flush_if_large()
    }

    pub(super) fn delete(&mut self, tree: TreeId, key: Vec<u8>) -> Result<()> {
        match tree {
            system::DIRECTORY | system::DROPPED => return Ok(()),
            system::SESSIONS => {
                self.sessions.remove(&key);
                return Ok(());
            }
            _ if !self.has(tree) => return Ok(()),
            _ => {}
        }
        self.batch_bytes += key.len() + 32;
        self.batch.delete(tree, key, Expect::Any);
        self.flush_if_large()
    }

    pub(super) fn drop_tree(&mut self, tree: TreeId) -> Result<()> {
        self.flush()?;
        if self.trees.remove(&tree.0) {
            self.batch.drop_tree(tree);
        }
        self.flush()
    }

    fn flush_if_large(&mut self) -> Result<()> {
        if self.batch_bytes >= BATCH_BYTES || self.batch.len() >= BATCH_OPERATIONS {
            self.flush()?;
        }
        Ok(())
    }

    /// Commits what has gathered.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let written = self.store().write(&batch, &CommitOptions::default());
        let written = written.and_then(|ticket| ticket.wait());
        written.map_err(|error| failed(&self.path, error)).map(drop)
    }

    /// What a tree holds now.
    pub(super) fn stats(&mut self, tree: TreeId) -> Result<TreeStats> {
        self.flush()?;
        let snapshot = self.store().snapshot();
        let stats = snapshot.and_then(|snapshot| snapshot.tree_stats(tree));
        let stats = stats.map_err(|error| failed(&self.path, error))?;
        Ok(stats.unwrap_or_default())
    }

    /// Hands out the entries of a tree, until `each` says that it is enough.
    pub(super) fn for_each(
        &mut self,
        tree: TreeId,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<()> {
        self.flush()?;
        let read = || -> cs_kv::Result<()> {
            let mut cursor = self.store().snapshot()?.cursor(tree, KeyRange::all())?;
            while let Some((key, value)) = cursor.next()? {
                if !each(key, value) {
                    break;
                }
            }
            Ok(())
        };
        let mut read = read;
        read().map_err(|error| failed(&self.path, error))
    }

    /// Checks and closes the database, and gives it its place.
    pub(super) fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.write_sessions()?;
        let path = self.path.clone();
        let report = self.store().check().map_err(|error| failed(&path, error))?;
        if let Some(finding) = report.findings.first() {
            return Err(failed(&path, &finding.text));
        }
        self.database
            .close()
            .map_err(|error| failed(&path, error))?;
        let inner = self.scratch.path().join(INNER);
        drop(self.database);
        std::fs::rename(&inner, &path).map_err(InspectError::at("making", &path))
    }

    /// Each session is a commit of its own, as it once was.
    fn write_sessions(&mut self) -> Result<()> {
        for (session, stored) in std::mem::take(&mut self.sessions) {
            let (Ok(session), Some((number, results))) =
                (<[u8; 16]>::try_from(session), stored.split_first_chunk())
            else {
                continue;
            };
            let mut options = CommitOptions::default();
            options.session = Some(SessionStatement {
                session,
                number: u64::from_le_bytes(*number),
                results: results.to_vec(),
            });
            let written = self.store().write(&Batch::new(), &options);
            let written = written.and_then(|ticket| ticket.wait());
            written.map_err(|error| failed(&self.path, error))?;
        }
        Ok(())
    }
}

fn failed(path: &Path, error: impl std::fmt::Display) -> InspectError {
    InspectError::Unreadable(format!("the new database '{}': {error}", path.display()))
}
