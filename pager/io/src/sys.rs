//! A directory of the operating system, by positional system calls.
//!
//! Each file has up to two descriptors: a *buffered* one, and a *direct* one
//! (`O_DIRECT`) that is opened at the first operation whose memory, offset and
//! length are multiples of [`BLOCK_SIZE`](cs_base::BLOCK_SIZE). A durable
//! write is then one `pwritev2` with `RWF_DSYNC`; where direct I/O or that
//! flag is refused it is `pwrite` and `fdatasync`, and the report says so.
//!
//! ## Invariants
//! * Names resolve against the descriptor of the directory, never against its
//!   path: a directory that is renamed under us stays ours.
//! * Direct and buffered access to one file stay coherent only because the
//!   kernel writes back and drops the cached pages of a range before it reads
//!   or writes that range directly. It promises this between calls, not for a
//!   buffered and a direct write of the same block *at the same time*: then it
//!   logs a "page cache invalidation failure", and the next sync of the file
//!   fails with EIO. Whoever writes one block from two threads must order the
//!   writes himself. A memory map is not coherent with direct writes: with a
//!   map, open with [`DirectIo::Off`].
//! * A refusal of direct I/O is remembered for the whole disk, and never asked again.
//! * `fdatasync` after a change of length is `fsync`: some file systems left
//!   the new length out of `fdatasync` (OpenLDAP developers, January 2015).

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cs_base::mutants::{self, planted};
use parking_lot::Mutex;

pub(crate) mod calls;
mod file;
mod lock;

pub(crate) use file::{Part, SysFile, is_refusal};

use crate::names::{check_name, context, read_only_error};
use crate::{BackendReport, Disk, File, LockError, LockGuard, OpenMode};

/// Whether reads and writes may go past the page cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirectIo {
    /// Where memory and range are aligned and the file system allows it.
    #[default]
    Auto,
    /// Never: for databases that are read through a memory map.
    Off,
}

/// How a directory is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct SysOptions {
    /// Create the directory, and those above it, where missing.
    pub create: bool,
    /// Whether to use direct I/O.
    pub direct: DirectIo,
}

/// A directory, by system calls. Operations end before they return.
///
/// ```
/// use cs_io::{Disk, OpenMode, sys::{SysDisk, SysOptions}};
/// # let scratch = tempfile::tempdir()?;
/// # let path = scratch.path().join("db");
/// let disk = SysDisk::open(&path, SysOptions { create: true, ..Default::default() })?;
/// let file = disk.open("log", OpenMode::Create)?;
/// file.write_at(b"hello", 0)?;
/// file.sync()?;
/// disk.sync_directory()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct SysDisk {
    shared: Arc<Shared>,
}

impl SysDisk {
    /// Opens a directory for reading and writing.
    ///
    /// # Errors
    /// `NotFound` without `create`; `PermissionDenied` where the directory
    /// belongs to somebody else or anybody may write to it; or what the
    /// system said.
    pub fn open(path: &Path, options: SysOptions) -> io::Result<Arc<Self>> {
        if options.create {
            create_directory(path)?;
        }
        let directory = open_directory(path)?;
        check_owner(&directory, path)?;
        Ok(Self::with(directory, path, options.direct, false))
    }

    /// Opens a directory to look at: nothing in it is created, locked or changed.
    ///
    /// # Errors
    /// What the system said.
    pub fn open_read_only(path: &Path) -> io::Result<Arc<Self>> {
        Ok(Self::with(open_directory(path)?, path, DirectIo::Off, true))
    }

    fn with(directory: OwnedFd, path: &Path, direct: DirectIo, read_only: bool) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::new(Shared {
                directory,
                path: path.to_owned(),
                read_only,
                direct_allowed: AtomicBool::new(direct == DirectIo::Auto),
                direct_seen: AtomicBool::new(false),
                dsync_allowed: AtomicBool::new(true),
                fallbacks: Mutex::default(),
                syscall_writes: AtomicU64::new(0),
            }),
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn open_file(&self, name: &str, mode: OpenMode) -> io::Result<Arc<SysFile>> {
        check_name(name)?;
        if mode != OpenMode::ReadOnly {
            self.shared.check_writable(name)?;
        }
        SysFile::open(&self.shared, name, mode).map(Arc::new)
    }
}

impl Disk for SysDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        Ok(self.open_file(name, mode)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        self.shared.check_writable(name)?;
        calls::unlink_at(&self.shared.directory, name)
            .map_err(|e| context(&e, &format!("removing {name}")))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        self.shared.check_writable(from)?;
        calls::rename_at(&self.shared.directory, from, to)
            .map_err(|e| context(&e, &format!("renaming {from} to {to}")))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = calls::file_names(&self.shared.directory)
            .map_err(|e| context(&e, &format!("listing {}", self.shared.path.display())))?;
        names.retain(|name| check_name(name).is_ok());
        names.sort_unstable();
        Ok(names)
    }

    fn sync_directory(&self) -> io::Result<()> {
        let path = &self.shared.path;
        self.shared.check_writable(&path.to_string_lossy())?;
        let result = self.shared.directory.try_clone().map(fs::File::from);
        result
            .and_then(|directory| {
                if planted(mutants::Mutant::SkipSync) {
                    return Ok(());
                }
                directory.sync_all()
            })
            .map_err(|e| context(&e, &format!("syncing directory {}", path.display())))
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>, LockError> {
        self.shared
            .check_writable("the lock")
            .map_err(LockError::Io)?;
        lock::DirectoryLock::take(&self.shared.directory)
    }

    fn report(&self) -> BackendReport {
        self.shared.report("syscalls")
    }
}

/// What the disk and its files have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    directory: OwnedFd,
    /// For messages only.
    path: PathBuf,
    read_only: bool,
    direct_allowed: AtomicBool,
    direct_seen: AtomicBool,
    dsync_allowed: AtomicBool,
    fallbacks: Mutex<Vec<String>>,
    syscall_writes: AtomicU64,
}

impl Shared {
    pub(crate) fn report(&self, name: &'static str) -> BackendReport {
        BackendReport {
            name,
            direct_io: self.direct_allowed() && self.direct_seen.load(Ordering::Relaxed),
            fallbacks: self.fallbacks.lock().clone(),
            ring_writes: 0,
            syscall_writes: self.syscall_writes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn add_fallback(&self, reason: String) {
        let mut fallbacks = self.fallbacks.lock();
        if !fallbacks.contains(&reason) {
            fallbacks.push(reason);
        }
    }

    pub(crate) fn direct_allowed(&self) -> bool {
        self.direct_allowed.load(Ordering::Relaxed)
    }

    pub(crate) fn dsync_allowed(&self) -> bool {
        self.dsync_allowed.load(Ordering::Relaxed)
    }

    /// Says that direct I/O has worked at least once.
    pub(crate) fn direct_worked(&self) {
        if !self.direct_seen.load(Ordering::Relaxed) {
            self.direct_seen.store(true, Ordering::Relaxed);
        }
    }

    /// Remembers that direct I/O is refused. Others may say so at the same
    /// time: the first one is reported.
    pub(crate) fn retire_direct(&self, doing: &str, error: &io::Error) {
        if self.direct_allowed.swap(false, Ordering::Relaxed) {
            self.add_fallback(format!("direct I/O refused when {doing}: {error}"));
        }
    }

    /// Remembers that `RWF_DSYNC` is refused.
    pub(crate) fn retire_dsync(&self, doing: &str, error: &io::Error) {
        if self.dsync_allowed.swap(false, Ordering::Relaxed) {
            self.add_fallback(format!("RWF_DSYNC refused when {doing}: {error}"));
        }
    }

    fn check_writable(&self, name: &str) -> io::Result<()> {
        if self.read_only {
            Err(read_only_error(name))
        } else {
            Ok(())
        }
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    // `File::open` sets O_CLOEXEC. A link to the directory is the user's own
    // choice and followed; links *in* the directory are not.
    let doing = || format!("opening directory {}", path.display());
    let directory = fs::File::open(path).map_err(|e| context(&e, &doing()))?;
    let is_directory = directory
        .metadata()
        .map_err(|e| context(&e, &doing()))?
        .is_dir();
    if is_directory {
        Ok(directory.into())
    } else {
        let text = format!("{} is not a directory", path.display());
        Err(io::Error::new(io::ErrorKind::NotADirectory, text))
    }
}

/// Creates what is missing of `path`, for the owner only, and makes each new
/// name durable in the directory above it.
fn create_directory(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|p| !p.as_os_str().is_empty() && !p.exists())
        .collect();
    for directory in missing.into_iter().rev() {
        let doing = || format!("creating directory {}", directory.display());
        match DirBuilder::new().mode(0o700).create(directory) {
            // Somebody was faster: his directory is as good.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result.map_err(|e| context(&e, &doing()))?,
        }
        let above = match directory.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::File::open(above)
            .and_then(|above| above.sync_all())
            .map_err(|e| context(&e, &doing()))?;
    }
    Ok(())
}

/// Refuses a directory in which somebody else can replace our files.
fn check_owner(directory: &OwnedFd, path: &Path) -> io::Result<()> {
    const STICKY: u32 = 0o1000;
    const WORLD_WRITABLE: u32 = 0o002;
    let metadata = fs::File::from(directory.try_clone()?).metadata()?;
    let (owner, me) = (metadata.uid(), calls::effective_uid());
    let refuse = |why: String| {
        let text = format!("directory {}: {why}", path.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    };
    if owner != me {
        return refuse(format!(
            "expected it to belong to user {me}, found user {owner}"
        ));
    }
    if metadata.mode() & (WORLD_WRITABLE | STICKY) == WORLD_WRITABLE {
        let mode = metadata.mode() & 0o7777;
        return refuse(format!(
            "expected that not everybody may write to it, found mode {mode:o}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
