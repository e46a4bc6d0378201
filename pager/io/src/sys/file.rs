//! One file of a directory: two descriptors, and the loops around the calls.

use std::fs;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use cs_base::BLOCK_SIZE;
use cs_base::mutants::{Mutant, planted};

use super::{Shared, calls};
use crate::names::{context, range_end, read_only_error};
use crate::{File, MapChunk, OpenMode, Pending, StableBytes, WriteMode};

/// How often in a row a call may say `EAGAIN` before it counts as failed.
/// Regular files should never say it; zram on old kernels did.
const PATIENCE: u32 = 1_000;

/// Zeroes written at a time where the file system cannot allocate.
const ZEROES: usize = 64 * 1024;

/// Value of `synced_len` before the first sync: no file is that long.
const NEVER_SYNCED: u64 = u64::MAX;

/// A file opened through a [`SysDisk`](super::SysDisk).
#[derive(Debug)]
pub(crate) struct SysFile {
    name: String,
    shared: Arc<Shared>,
    writable: bool,
    buffered: fs::File,
    /// Opened at the first aligned operation; `None` inside: refused.
    direct: OnceLock<Option<fs::File>>,
    /// Length at the last sync of the metadata.
    synced_len: AtomicU64,
    /// Somebody reads through a map, which direct writes would pass by.
    mapped: AtomicBool,
}

/// A part of a write: what is left of it, and where that belongs.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) offset: u64,
}

impl Part<'_> {
    fn is_aligned(self) -> bool {
        let unit = BLOCK_SIZE;
        self.bytes.as_ptr().addr().is_multiple_of(unit)
            && self.bytes.len().is_multiple_of(unit)
            && self.offset.is_multiple_of(unit as u64)
            && !self.bytes.is_empty()
    }
}

impl SysFile {
    pub(super) fn open(shared: &Arc<Shared>, name: &str, mode: OpenMode) -> io::Result<Self> {
        let flags = match mode {
            OpenMode::Create => libc::O_RDWR | libc::O_CREAT | libc::O_EXCL,
            OpenMode::ReadWrite => libc::O_RDWR,
            OpenMode::ReadOnly => libc::O_RDONLY,
        };
        let doing = || format!("opening {name}");
        let buffered =
            calls::open_at(&shared.directory, name, flags).map_err(|e| context(&e, &doing()))?;
        let kind = buffered
            .metadata()
            .map_err(|e| context(&e, &doing()))?
            .file_type();
        if !kind.is_file() {
            let text = format!("{name}: expected a regular file, found {kind:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self {
            name: name.to_owned(),
            shared: Arc::clone(shared),
            writable: mode != OpenMode::ReadOnly,
            buffered,
            direct: OnceLock::new(),
            synced_len: AtomicU64::new(NEVER_SYNCED),
            mapped: AtomicBool::new(false),
        })
    }

    /// The direct descriptor if asked for and there is one, else the buffered one.
    pub(crate) fn descriptor(&self, direct: bool) -> &fs::File {
        let opened = if direct { self.direct.get() } else { None };
        opened.and_then(Option::as_ref).unwrap_or(&self.buffered)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The direct descriptor, if `part` is aligned and direct I/O is allowed.
    pub(crate) fn direct_for(&self, part: Part<'_>) -> Option<&fs::File> {
        let mapped = self.mapped.load(Ordering::Relaxed);
        if mapped || !part.is_aligned() || !self.shared.direct_allowed() {
            return None;
        }
        self.direct.get_or_init(|| self.open_direct()).as_ref()
    }

    /// Opens the same file once more, by its descriptor: its name may be
    /// another's by now.
    fn open_direct(&self) -> Option<fs::File> {
        let opened = fs::OpenOptions::new()
            .read(true)
            .write(self.writable)
            .custom_flags(libc::O_DIRECT)
            .open(format!("/proc/self/fd/{}", self.buffered.as_raw_fd()));
        match opened {
            Ok(direct) if self.is_same_file(&direct) => Some(direct),
            Ok(_) => None,
            Err(error) => {
                let doing = format!("opening {}", self.name);
                if is_refusal(&error) {
                    self.shared.retire_direct(&doing, &error);
                } else {
                    // This file only: out of descriptors, or no /proc.
                    self.shared
                        .add_fallback(format!("no direct I/O when {doing}: {error}"));
                }
                None
            }
        }
    }

    fn is_same_file(&self, other: &fs::File) -> bool {
        match (self.buffered.metadata(), other.metadata()) {
            (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
            _ => false,
        }
    }

    pub(crate) fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(read_only_error(&self.name))
        }
    }

    /// Refuses what can be refused before anything is written.
    pub(crate) fn check_write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        range_end(&self.name, offset, bytes.len() as u64).map(drop)
    }

    /// Writes all of `bytes` and makes them durable if asked to.
    pub(crate) fn write_all(&self, bytes: &[u8], offset: u64, mode: WriteMode) -> io::Result<()> {
        self.check_write(bytes, offset)?;
        let mode = mode.unless_planted();
        let mut written = 0;
        let mut unsynced = false;
        let mut patience = PATIENCE;
        while written < bytes.len() {
            let rest = Part {
                bytes: &bytes[written..],
                offset: offset + written as u64,
            };
            let direct = self.direct_for(rest);
            let dsync =
                mode == WriteMode::Durable && direct.is_some() && self.shared.dsync_allowed();
            let result = match direct {
                Some(file) if dsync => calls::write_dsync(file, rest.bytes, rest.offset),
                Some(file) => file.write_at(rest.bytes, rest.offset),
                None => self.buffered.write_at(rest.bytes, rest.offset),
            };
            match result {
                Ok(0) => return Err(self.write_error(&io::ErrorKind::WriteZero.into(), rest)),
                Ok(count) => {
                    written += count;
                    unsynced |= !dsync;
                    if direct.is_some() {
                        self.shared.direct_worked();
                    }
                }
                Err(error) if self.may_retry(&error, &mut patience) => {}
                Err(error) if direct.is_some() && is_refusal(&error) => {
                    self.refused(dsync, true, &error);
                }
                Err(error) => return Err(self.write_error(&error, rest)),
            }
        }
        if mode == WriteMode::Durable {
            self.shared.syscall_writes.fetch_add(1, Ordering::Relaxed);
            if unsynced {
                return self.sync_now();
            }
        }
        Ok(())
    }

    /// Decides what it was that a write was refused for. Bad alignment of a
    /// direct one is `EINVAL`; anything else speaks of `RWF_DSYNC` first, and of
    /// direct I/O if it is refused without the flag too. Each call retires
    /// something that was used, so refusals come to an end.
    pub(crate) fn refused(&self, dsync: bool, direct: bool, error: &io::Error) {
        let doing = format!("writing {}", self.name);
        let misaligned = direct && error.raw_os_error() == Some(libc::EINVAL);
        if dsync && !misaligned {
            self.shared.retire_dsync(&doing, error);
        } else {
            self.shared.retire_direct(&doing, error);
        }
    }

    pub(crate) fn write_error(&self, error: &io::Error, part: Part<'_>) -> io::Error {
        let (len, offset) = (part.bytes.len(), part.offset);
        context(
            error,
            &format!("writing {len} bytes to {} at offset {offset}", self.name),
        )
    }

    fn may_retry(&self, error: &io::Error, patience: &mut u32) -> bool {
        match error.kind() {
            io::ErrorKind::Interrupted => true,
            io::ErrorKind::WouldBlock if *patience > 0 => {
                *patience -= 1;
                std::thread::yield_now();
                true
            }
            _ => false,
        }
    }

    /// The present length, or `end` if that is more, where it is not what the
    /// last sync of the metadata saw.
    pub(crate) fn synced_len_differs_from(&self, end: u64) -> io::Result<Option<u64>> {
        let len = File::len(self)?.max(end);
        Ok((len != self.synced_len.load(Ordering::Acquire)).then_some(len))
    }

    /// A sync of the metadata that saw `len` has succeeded.
    pub(crate) fn len_synced(&self, len: u64) {
        self.synced_len.store(len, Ordering::Release);
    }

    pub(crate) fn sync_error(&self, error: &io::Error) -> io::Error {
        context(error, &format!("syncing {}", self.name))
    }

    fn sync_now(&self) -> io::Result<()> {
        self.check_writable()?;
        if planted(Mutant::SkipSync) {
            return Ok(());
        }
        match self.synced_len_differs_from(0)? {
            None => self.buffered.sync_data().map_err(|e| self.sync_error(&e)),
            Some(len) => {
                self.buffered.sync_all().map_err(|e| self.sync_error(&e))?;
                self.len_synced(len);
                Ok(())
            }
        }
    }

    /// Extends the file with written zeroes.
    fn fill_with_zeroes(&self, from: u64, to: u64) -> io::Result<()> {
        let zeroes = vec![0u8; ZEROES];
        let mut at = from;
        while at < to {
            let count = usize::try_from(to - at).unwrap_or(ZEROES).min(ZEROES);
            self.write_all(&zeroes[..count], at, WriteMode::Plain)?;
            at += count as u64;
        }
        Ok(())
    }
}

impl WriteMode {
    /// The mode itself, but for a planted bug.
    pub(crate) fn unless_planted(self) -> Self {
        if planted(Mutant::SkipSync) {
            Self::Plain
        } else {
            self
        }
    }
}

/// Whether the file system says that it cannot do such a thing at all.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS)
    )
}

impl File for SysFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        range_end(&self.name, offset, buffer.len() as u64)?;
        let mut filled = 0;
        let mut patience = PATIENCE;
        while filled < buffer.len() {
            let at = offset + filled as u64;
            let rest = &mut buffer[filled..];
            // What follows a short direct read (the end of the file) is not
            // aligned any more and takes the buffered descriptor.
            let direct = self.direct_for(Part {
                bytes: rest,
                offset: at,
            });
            match direct.unwrap_or(&self.buffered).read_at(rest, at) {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    if direct.is_some() {
                        self.shared.direct_worked();
                    }
                }
                Err(error) if self.may_retry(&error, &mut patience) => {}
                Err(error) if direct.is_some() && is_refusal(&error) => {
                    self.shared
                        .retire_direct(&format!("reading {}", self.name), &error);
                }
                Err(error) => {
                    let (len, name) = (buffer.len() - filled, &self.name);
                    let doing = format!("reading {len} bytes of {name} at offset {at}");
                    return Err(context(&error, &doing));
                }
            }
        }
        Ok(filled)
    }

    fn map_read_only(&self, offset: u64, len: u64) -> io::Result<Option<MapChunk>> {
        let end = range_end(&self.name, offset, len)?;
        let have = File::len(self)?;
        let doing = format!("mapping {len} bytes of {} at offset {offset}", self.name);
        let (true, Ok(wanted)) = (len > 0 && end <= have, usize::try_from(len)) else {
            let text = format!("{doing}: the file has {have} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        let chunk = MapChunk::new(&self.buffered, offset, wanted);
        let chunk = chunk.map_err(|error| context(&error, &doing))?;
        self.mapped.store(true, Ordering::Relaxed);
        Ok(Some(chunk))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all(bytes, offset, WriteMode::Plain)
    }

    fn start_write(&self, bytes: Arc<dyn StableBytes>, offset: u64, mode: WriteMode) -> Pending {
        Pending::Ready(self.write_all(bytes.stable_bytes(), offset, mode))
    }

    fn start_sync(&self) -> Pending {
        Pending::Ready(self.sync_now())
    }

    /// By `lseek`, since nothing here uses the position. `statx` as std makes it
    /// asks for the timestamps too: where these are multigrain (Linux 6.13) the
    /// next write must then draw a fresh one and journal it, which made a
    /// buffered durable write half as slow again.
    fn len(&self) -> io::Result<u64> {
        let end = (&self.buffered).seek(SeekFrom::End(0));
        end.map_err(|e| context(&e, &format!("measuring {}", self.name)))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        range_end(&self.name, 0, len)?;
        let result = self.buffered.set_len(len);
        result.map_err(|e| context(&e, &format!("setting the length of {} to {len}", self.name)))
    }

    /// Where the file system cannot allocate, the part beyond the end is
    /// written with zeroes; a hole inside the file stays one.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let end = range_end(&self.name, offset, len)?;
        if len == 0 {
            return Ok(());
        }
        let before = File::len(self)?;
        let result = match calls::allocate(&self.buffered, offset, len) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => {
                self.shared
                    .add_fallback(format!("no fallocate, writing zeroes: {error}"));
                self.fill_with_zeroes(before, end)
            }
            result => result,
        };
        result.map_err(|error| {
            // ext4 keeps what it got before it ran out of space: give it back.
            if File::len(self).is_ok_and(|now| now > before) {
                let _ = self.buffered.set_len(before);
            }
            let name = &self.name;
            context(
                &error,
                &format!("allocating {len} bytes of {name} at offset {offset}"),
            )
        })
    }
}

#[cfg(test)]
mod tests;
