//! The place where a database is built that nobody may see yet.
//!
//! ## Invariants
//! * All files of the database have names with [`PREFIX`], so that no crash
//!   leaves one that opens; they get their own names only when it is finished and
//!   on disk, the data file last: a database exists when its data file does.
//! * While there is a data file with the prefix, whatever else is in the
//!   directory is of the same attempt: it began in an empty one.

use std::io;
use std::sync::Arc;

use cs_io::{BackendReport, Disk, File, LockError, LockGuard, OpenMode};
use cs_pager::format::DATA_FILE;

use super::error::BackupError;
use crate::error::{Error, Result};

/// What the names of files begin with until they are finished.
const PREFIX: &str = "restore-";
/// Names of files of a database begin with one of these.
const OURS: [&str; 3] = [PREFIX, "wal-", "spare-"];

/// A view of a disk in which every name has the prefix.
#[derive(Debug)]
pub(crate) struct Staging {
    disk: Arc<dyn Disk>,
}

/// The lock of the real directory is held by whoever restores.
#[derive(Debug)]
struct Held;

impl LockGuard for Held {}

fn staged(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// The lock of the directory of the database.
pub(crate) fn lock(disk: &dyn Disk) -> Result<Box<dyn LockGuard>> {
    disk.lock().map_err(|error| match error {
        LockError::Held(whom) => Error::Locked(whom),
        LockError::Io(source) => Error::Directory(source),
    })
}

impl Staging {
    /// Takes a directory that is empty, or that has what an interrupted attempt
    /// left in it, which is removed.
    pub(crate) fn begin(disk: &Arc<dyn Disk>) -> Result<Arc<Self>> {
        let names = disk.list().map_err(Error::Directory)?;
        let was_begun = names.contains(&staged(DATA_FILE));
        let foreign = names.iter().find(|name| {
            let is_ours = if was_begun {
                OURS.iter().any(|ours| name.starts_with(ours))
            } else {
                name.starts_with(PREFIX)
            };
            !is_ours
        });
        if let Some(name) = foreign {
            return Err(BackupError::NotEmpty(name.clone()).into());
        }
        let staging = Arc::new(Self {
            disk: Arc::clone(disk),
        });
        staging.remove_all().map_err(Error::Directory)?;
        Ok(staging)
    }

    /// Removes everything, what tells that it may be removed last.
    pub(crate) fn remove_all(&self) -> io::Result<()> {
        let data = staged(DATA_FILE);
        let names = self.disk.list()?;
        let others = names.iter().filter(|name| **name != data);
        for name in others.filter(|name| OURS.iter().any(|ours| name.starts_with(ours))) {
            self.disk.remove(name)?;
        }
        self.disk.sync_directory()?;
        if names.contains(&data) {
            self.disk.remove(&data)?;
            self.disk.sync_directory()?;
        }
        Ok(())
    }

    /// Gives the files of the finished database their names.
    pub(crate) fn install(&self) -> io::Result<()> {
        let data = staged(DATA_FILE);
        for name in self.disk.list()? {
            if let Some(own) = name.strip_prefix(PREFIX)
                && name != data
            {
                self.disk.rename(&name, own)?;
            }
        }
        self.disk.sync_directory()?;
        self.disk.rename(&data, DATA_FILE)?;
        self.disk.sync_directory()
    }
}

impl Disk for Staging {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.disk.open(&staged(name), mode)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(&staged(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(&staged(from), &staged(to))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = self.disk.list()?;
        let own = names.iter().filter_map(|name| name.strip_prefix(PREFIX));
        Ok(own.map(str::to_owned).collect())
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.disk.sync_directory()
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>, LockError> {
        Ok(Box::new(Held))
    }

    fn report(&self) -> BackendReport {
        self.disk.report()
    }
}
