//! A backup as a file: `NAME.partial` until it is finished, then `NAME`.
//!
//! ## Invariants
//! * Nothing has the name `NAME` but a finished backup that is on disk.
//! * An unfinished file needs no record of how far it came: it is read again,
//!   and its last block whose chain is right is where it goes on.
//! * After a failed sync the file is cut to what an earlier one had made
//!   durable, and no more is written: what the cache of the kernel shows of the
//!   rest may not be on disk.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use cs_io::{Disk, File, OpenMode};
use cs_pager::format::DATA_FILE;

use super::error::BackupError;
use super::frames::{Frames, Place};
use super::scan::Scan;
use super::{Backup, BackupOptions, BackupProgress, BackupReport, BackupSummary};
use crate::error::{Error, Result};
use crate::snapshot::Snapshot;

/// What the name of an unfinished backup has at its end.
pub const PARTIAL: &str = ".partial";
/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// What an earlier attempt left.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    pub(crate) scan: Scan,
    pub(crate) place: Place,
    pub(crate) discarded: u64,
}

/// A file of a disk, read from front to end or from any place.
#[derive(Debug)]
pub struct BackupReader {
    file: Arc<dyn File>,
    at: u64,
}

impl BackupReader {
    /// Opens a file, which is not changed.
    ///
    /// # Errors
    /// [`BackupError::Source`].
    pub fn open(disk: &dyn Disk, name: &str) -> Result<Self> {
        let file = disk
            .open(name, OpenMode::ReadOnly)
            .map_err(BackupError::Source)?;
        Ok(Self { file, at: 0 })
    }

    /// Its size in bytes.
    ///
    /// # Errors
    /// [`BackupError::Source`].
    pub fn file_bytes(&self) -> Result<u64> {
        Ok(self.file.len().map_err(BackupError::Source)?)
    }
}

impl Read for BackupReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read_at(into, self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for BackupReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.len()?.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A backup file that is being written; see [`Store::begin_backup`](crate::Store::begin_backup).
#[derive(Debug)]
pub struct BackupFile {
    disk: Arc<dyn Disk>,
    name: String,
    file: Arc<dyn File>,
    at: u64,
    synced: u64,
    sync_bytes: u64,
    is_broken: bool,
}

impl Write for BackupFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        if self.at - self.synced >= self.sync_bytes {
            self.flush()?;
        }
        self.file.write_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    /// Makes durable what was written.
    fn flush(&mut self) -> io::Result<()> {
        self.check()?;
        if let Err(error) = self.file.sync() {
            self.is_broken = true;
            // Whoever resumes must not take for written what may not be.
            let _ = self.file.set_len(self.synced);
            return Err(error);
        }
        self.synced = self.at;
        Ok(())
    }
}

impl BackupFile {
    fn check(&self) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other(
                "an earlier sync of the file failed: the backup has to be begun anew",
            ));
        }
        Ok(())
    }

    /// Opens the unfinished file or makes one.
    fn open(
        disk: &Arc<dyn Disk>,
        name: &str,
        options: &BackupOptions,
        summary: &BackupSummary,
    ) -> Result<(Self, Earlier)> {
        let destination = BackupError::Destination;
        let partial = format!("{name}{PARTIAL}");
        let names = disk.list().map_err(destination)?;
        if names.iter().any(|known| known == name) {
            return Err(BackupError::Exists(name.to_owned()).into());
        }
        if names.iter().any(|known| known == DATA_FILE) {
            return Err(Error::InvalidOption(
                "a backup does not go into the directory of a database".into(),
            ));
        }
        let is_there = names.contains(&partial);
        let mode = if is_there {
            OpenMode::ReadWrite
        } else {
            OpenMode::Create
        };
        let file = disk.open(&partial, mode).map_err(destination)?;
        let mut earlier = Earlier::default();
        if is_there && options.resume {
            earlier = read_earlier(&file)?;
            if let Some(before) = &earlier.scan.summary
                && before.file != summary.file
            {
                return Err(BackupError::OtherDatabase {
                    name: partial,
                    expected: summary.file,
                    found: before.file,
                }
                .into());
            }
        }
        let at = earlier.place.offset;
        file.set_len(at).map_err(destination)?;
        // A crash must find the name; what is behind it is found by reading.
        file.sync().map_err(destination)?;
        disk.sync_directory().map_err(destination)?;
        let file = Self {
            disk: Arc::clone(disk),
            name: name.to_owned(),
            file,
            at,
            synced: at,
            sync_bytes: options.sync_bytes,
            is_broken: false,
        };
        Ok((file, earlier))
    }

    /// Gives the file its name, once the backup is done.
    ///
    /// # Errors
    /// [`BackupError::Destination`]. It may be tried again.
    pub fn install(&self) -> Result<()> {
        self.check().map_err(BackupError::Destination)?;
        if self.synced < self.at {
            let what = io::Error::other("the backup is not done");
            return Err(BackupError::Destination(what).into());
        }
        let partial = format!("{}{PARTIAL}", self.name);
        let named = || {
            // An earlier try may have come as far as the sync of the directory.
            if self.disk.list()?.contains(&partial) {
                self.disk.rename(&partial, &self.name)?;
            }
            self.disk.sync_directory()
        };
        named().map_err(BackupError::Destination)?;
        Ok(())
    }
}

/// What is good of an unfinished file.
fn read_earlier(file: &Arc<dyn File>) -> Result<Earlier> {
    let len = file.len().map_err(BackupError::Source)?;
    let reader = BackupReader {
        file: Arc::clone(file),
        at: 0,
    };
    let unreadable = |error: &BackupError| !error.is_corruption();
    let mut frames = match Frames::begin(BufReader::with_capacity(READ_BYTES, reader)) {
        Ok(frames) => frames,
        Err(error) if unreadable(&error) => return Err(error.into()),
        // Zeroes are what a crash leaves of bytes that were not synced; all
        // else is somebody's file.
        Err(BackupError::NotABackup { found, expected }) if found != [0; 8] => {
            return Err(BackupError::NotABackup { found, expected }.into());
        }
        Err(_) => {
            return Ok(Earlier {
                discarded: len,
                ..Earlier::default()
            });
        }
    };
    let mut scan = Scan::default();
    let mut good = frames.place().clone();
    loop {
        let taken = match frames.next() {
            Ok(None) => break,
            Ok(Some(frame)) => scan.take(frame),
            Err(error) => Err(error),
        };
        match taken {
            Ok(_) => good = frames.place().clone(),
            Err(error) if unreadable(&error) => return Err(error.into()),
            Err(_) => break,
        }
    }
    // Behind an end nothing may follow: it is taken off again.
    let place = match frames.resume_at() {
        end if end.offset < good.offset => end,
        _ => good,
    };
    Ok(Earlier {
        scan,
        discarded: len - place.offset,
        place,
    })
}

/// Begins a backup to the file `name` of a disk.
pub(crate) fn begin(
    snapshot: Snapshot,
    disk: &Arc<dyn Disk>,
    name: &str,
    options: &BackupOptions,
) -> Result<Backup<BackupFile>> {
    options.check()?;
    Backup::resume(snapshot, options, |summary| {
        BackupFile::open(disk, name, options, summary)
    })
}

/// Makes a backup in the file `name` of a disk.
pub(crate) fn backup_to(
    snapshot: Snapshot,
    disk: &Arc<dyn Disk>,
    name: &str,
    options: &BackupOptions,
    progress: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
) -> Result<BackupReport> {
    let mut backup = begin(snapshot, disk, name, options)?;
    let report = backup.run(progress)?;
    backup.into_sink().install()?;
    Ok(report)
}
