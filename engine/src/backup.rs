//! Backup and restore of a whole directory: all databases and collections in it.
//!
//! The work is the store's; this gives it paths, and our errors.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use cs_kv::io::sys::{DirectIo, SysDisk, SysOptions};
use cs_kv::io::uring::open_best;
use cs_kv::io::{Disk, RealRuntime};
use cs_kv::{
    BackupOptions, BackupProgress, BackupReader, BackupReport, BackupSummary, RestoreOptions,
    RestoreProgress, RestoreReport, VerifiedBackup,
};

use crate::database::Database;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{DatabaseOptions, directory_error};

/// The directory and the name of a file.
fn split(path: &Path) -> Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| {
        let message = format!("'{}' is not the path of a file", path.display());
        Error::new(ErrorKind::BadValue, message)
    })?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    Ok((parent.unwrap_or(Path::new(".")), name))
}

fn open_backup(path: &Path) -> Result<BackupReader> {
    let (parent, name) = split(path)?;
    let disk = SysDisk::open_read_only(parent).map_err(|error| directory_error(parent, error))?;
    Ok(BackupReader::open(&*disk, name)?)
}

impl Database {
    /// Makes a backup in a new file, while reading and writing go on: one state
    /// of everything in the directory, all databases. Until it is whole and on
    /// disk the file is called `PATH.partial`; what an earlier attempt left of
    /// that is gone on with, unless the options say otherwise, and comes to the
    /// state of now. `progress` is told how far it has come, and may end it.
    ///
    /// The name of the file may have ASCII letters, digits, `.`, `-` and `_`; its
    /// directory must be there and one's own. Named snapshots are not in it; each has a
    /// backup of its own ([`DatabaseSnapshot::backup_to`](crate::DatabaseSnapshot::backup_to)). To make a backup in small steps:
    /// [`Store::begin_backup`](cs_kv::Store::begin_backup) of [`store`](Self::store).
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// use bson::doc;
    /// use collection_store::{BackupOptions, Database};
    ///
    /// # let scratch = tempfile::tempdir()?;
    /// let database = Database::open(scratch.path().join("shop"))?;
    /// database.collection("orders").insert_one(doc! { "_id": 1 })?;
    /// let file = scratch.path().join("shop.csb");
    /// let progress = |_: &_| ControlFlow::Continue(());
    /// let report = database.backup_to(&file, &BackupOptions::default(), progress)?;
    ///
    /// let found = Database::verify_backup(&file, |_| ControlFlow::Continue(()))?;
    /// assert_eq!(found, report.summary);
    ///
    /// Database::restore(&file, scratch.path().join("copy"))?;
    /// let copy = Database::open(scratch.path().join("copy"))?;
    /// assert_eq!(copy.collection("orders").count(doc! {})?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// There is a file of that name, the options make no sense, `progress` ended
    /// it ([`ErrorKind::Interrupted`]), or a page could not be read or the file
    /// not be written: then the same call goes on.
    pub fn backup_to(
        &self,
        path: impl AsRef<Path>,
        options: &BackupOptions,
        mut progress: impl FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<BackupReport> {
        let (parent, name) = split(path.as_ref())?;
        let system = SysOptions {
            create: false,
            direct: DirectIo::Off,
        };
        let disk: Arc<dyn Disk> =
            SysDisk::open(parent, system).map_err(|error| directory_error(parent, error))?;
        let state = self.environment().state()?;
        Ok(state.backup_to(&disk, name, options, &mut progress)?)
    }

    /// Makes a backup of everything in the directory into anything that takes
    /// bytes; the same bytes as [`backup_to`](Self::backup_to) writes to a new file.
    ///
    /// # Errors
    /// As [`backup_to`](Self::backup_to).
    pub fn backup_into(
        &self,
        sink: impl Write,
        options: &BackupOptions,
        mut progress: impl FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<BackupReport> {
        let mut backup = self.environment().state()?.backup(sink, options)?;
        Ok(backup.run(&mut progress)?)
    }

    /// Proves a backup without making a database of it: every byte is as it was
    /// written, and each tree is what the source said of it. `progress` is told
    /// how many bytes were read.
    ///
    /// # Errors
    /// [`ErrorKind::Corruption`] says at which byte it is damaged;
    /// [`ErrorKind::Unsupported`]; or it could not be read.
    pub fn verify_backup(
        path: impl AsRef<Path>,
        mut progress: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<BackupSummary> {
        let reader = open_backup(path.as_ref())?;
        let reader = std::io::BufReader::with_capacity(1 << 20, reader);
        Ok(cs_kv::verify_backup(reader, &mut progress)?)
    }

    /// Makes a new database of a backup; see [`DatabaseOptions::restore`].
    ///
    /// # Errors
    /// As there.
    pub fn restore(backup: impl AsRef<Path>, directory: impl AsRef<Path>) -> Result<RestoreReport> {
        DatabaseOptions::default().restore(backup, directory, |_| ControlFlow::Continue(()))
    }
}

impl DatabaseOptions {
    /// Makes a new database in `directory`, which must be missing or empty, of a
    /// backup. It is verified before anything is changed; the database appears
    /// whole, or not at all. It has the page size of the source, and a log if
    /// that had one, unless [`durability`](Self::durability) was told.
    ///
    /// The restored database is another one: its history begins anew, and
    /// positions and ids of the source's files mean nothing in it.
    ///
    /// # Errors
    /// [`ErrorKind::Corruption`]: the backup is damaged. The directory is not
    /// empty or in use, `progress` ended it, or the system refused; the next
    /// attempt removes what was left.
    pub fn restore(
        self,
        backup: impl AsRef<Path>,
        directory: impl AsRef<Path>,
        mut progress: impl FnMut(&RestoreProgress) -> ControlFlow<()>,
    ) -> Result<RestoreReport> {
        let mut options = RestoreOptions::default();
        options.store = self.store;
        options.store.check()?;
        let mut verifying = |_| progress(&RestoreProgress::default());
        let verified = VerifiedBackup::verify(open_backup(backup.as_ref())?, &mut verifying)?;
        let path = directory.as_ref();
        let disk = open_best(path, true, self.io, self.direct)
            .map_err(|error| directory_error(path, error))?;
        Ok(verified.restore(&disk, RealRuntime::new(), &options, &mut progress)?)
    }
}
