//! The traits through which all I/O goes.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::{MapChunk, PageBuf};

/// Whether `error` says that the disk is full (ENOSPC, EDQUOT, EFBIG).
///
/// A refused allocation is not a failed write: nothing was promised and
/// nothing is lost.
#[must_use]
pub fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Bytes that keep their address for as long as the value lives, so that the
/// kernel may read them while a write is in flight.
pub trait StableBytes: Send + Sync + fmt::Debug {
    /// The bytes; the same address and length at every call.
    fn stable_bytes(&self) -> &[u8];
}

/// What a finished write promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteMode {
    /// The bytes are with the device or the kernel; a later sync makes them durable.
    Plain,
    /// The bytes are durable. The range must lie inside the file and be
    /// allocated and written before, or the metadata costs a second flush.
    Durable,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// It must not exist yet.
    Create,
    /// It must exist.
    ReadWrite,
    /// It must exist and is never changed through this handle.
    ReadOnly,
}

/// An operation in flight.
pub trait PendingIo: Send + fmt::Debug {
    /// Whether [`wait`](Self::wait) would return at once. Never blocks.
    fn is_finished(&mut self) -> bool;
    /// Waits for the end and says how it went.
    ///
    /// # Errors
    /// The error of the operation itself.
    fn wait(self: Box<Self>) -> io::Result<()>;
}

/// An operation in flight, or its result where it ended at once.
#[derive(Debug)]
#[must_use = "an operation that nobody waits for has an unknown outcome"]
pub enum Pending {
    /// It has ended.
    Ready(io::Result<()>),
    /// It goes on.
    InFlight(Box<dyn PendingIo>),
}

impl Pending {
    /// Whether [`wait`](Self::wait) would return at once.
    pub fn is_finished(&mut self) -> bool {
        match self {
            Self::Ready(_) => true,
            Self::InFlight(pending) => pending.is_finished(),
        }
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The error of the operation. After a failed write or sync nothing may be
    /// assumed about the bytes concerned, now or later.
    pub fn wait(self) -> io::Result<()> {
        match self {
            Self::Ready(result) => result,
            Self::InFlight(pending) => pending.wait(),
        }
    }
}

/// A read in flight.
pub trait PendingReadIo: Send + fmt::Debug {
    /// Whether [`wait`](Self::wait) would return at once. Never blocks.
    fn is_finished(&mut self) -> bool;
    /// Waits for the end; gives the buffer back and says how many bytes were read.
    ///
    /// # Errors
    /// The error of the read itself.
    fn wait(self: Box<Self>) -> io::Result<(PageBuf, usize)>;
}

/// A read in flight, or its result where it ended at once.
#[derive(Debug)]
pub enum PendingRead {
    /// It has ended.
    Ready(io::Result<(PageBuf, usize)>),
    /// It goes on.
    InFlight(Box<dyn PendingReadIo>),
}

impl PendingRead {
    /// Whether [`wait`](Self::wait) would return at once.
    pub fn is_finished(&mut self) -> bool {
        match self {
            Self::Ready(_) => true,
            Self::InFlight(pending) => pending.is_finished(),
        }
    }

    /// Waits for the end; gives the buffer back and says how many bytes were
    /// read, fewer than it has only where the file ends.
    ///
    /// # Errors
    /// As [`File::read_at`].
    pub fn wait(self) -> io::Result<(PageBuf, usize)> {
        match self {
            Self::Ready(result) => result,
            Self::InFlight(pending) => pending.wait(),
        }
    }
}

/// An open file. All offsets are in bytes. Handles may be shared between threads.
///
/// Writes should be whole [`BLOCK_SIZE`](cs_base::BLOCK_SIZE) multiples at such
/// offsets from memory so aligned ([`AlignedBuf`](crate::AlignedBuf)); then
/// direct I/O is used where the disk allows it. Others are legal and buffered.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads until `buffer` is full or the file ends; returns the bytes read.
    ///
    /// # Errors
    /// What the system said. A short count is not an error here.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Starts to read until `buffer` is full or the file ends. Unless a disk
    /// can do better the read has ended when this returns.
    fn start_read(&self, mut buffer: PageBuf, offset: u64) -> PendingRead {
        let read = self.read_at(&mut buffer, offset);
        PendingRead::Ready(read.map(|count| (buffer, count)))
    }

    /// Whether reads that were [started](Self::start_read) go on beside each
    /// other and their caller, so that reading ahead gains something.
    fn reads_overlap(&self) -> bool {
        false
    }

    /// Maps `len` bytes at `offset` for reading; `None` where the disk has no
    /// such thing. From the first map on this handle reads and writes through
    /// the page cache only, with which the map is coherent: so the first one
    /// comes before the first write. What a map cannot promise is said at
    /// [`MapChunk`].
    ///
    /// # Errors
    /// The range is not inside the file, or the system refused.
    fn map_read_only(&self, offset: u64, len: u64) -> io::Result<Option<MapChunk>> {
        let _ = (offset, len);
        Ok(None)
    }

    /// Writes all of `bytes`, extending the file where needed; not durable.
    ///
    /// # Errors
    /// What the system said; part of the bytes may then be written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Starts to write all of `bytes`; several may be in flight, in any order.
    fn start_write(&self, bytes: Arc<dyn StableBytes>, offset: u64, mode: WriteMode) -> Pending;

    /// [`start_write`](Self::start_write) with [`WriteMode::Durable`], and
    /// waits. For a writer that has nothing else to do in the meantime this is
    /// the cheaper form: one system call, whatever the disk.
    ///
    /// # Errors
    /// As [`Pending::wait`].
    fn write_durable(&self, bytes: Arc<dyn StableBytes>, offset: u64) -> io::Result<()> {
        self.start_write(bytes, offset, WriteMode::Durable).wait()
    }

    /// Starts to make durable all writes that *ended* before this call, and
    /// the size of the file.
    fn start_sync(&self) -> Pending;

    /// [`start_sync`](Self::start_sync), and waits.
    ///
    /// # Errors
    /// The sync failed. It must not be tried again.
    fn sync(&self) -> io::Result<()> {
        self.start_sync().wait()
    }

    /// Present size in bytes.
    ///
    /// # Errors
    /// What the system said.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// What the system said.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends (with zeroes, unallocated) to `len` bytes.
    ///
    /// # Errors
    /// What the system said.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves space for the range and extends the file over it, so that a
    /// later write of it cannot fail for lack of space. New bytes read as zero.
    ///
    /// # Errors
    /// [`is_no_space`] where there is none: nothing has changed then.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()>;
}

/// What the disk turned out to be able to do: shown by `cs-bench`, in metrics
/// and in logs, so that a fallback never goes unseen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendReport {
    /// `io_uring`, `syscalls`, `memory`, `simulated`, `overlay`.
    pub name: &'static str,
    /// Whether durable writes go past the page cache.
    pub direct_io: bool,
    /// Why something better was not used, one line each; empty if nothing fell back.
    pub fallbacks: Vec<String>,
    /// Durable writes through the ring so far.
    pub ring_writes: u64,
    /// Durable writes by system call so far.
    pub syscall_writes: u64,
}

/// Why the directory could not be locked.
#[derive(Debug)]
pub enum LockError {
    /// Somebody else has it; the text names pid, host and start time as far as known.
    Held(String),
    /// The lock file could not be opened, locked or written.
    Io(io::Error),
}

/// The exclusive right to the directory; ends when dropped, or with the process.
pub trait LockGuard: Send + Sync + fmt::Debug {}

/// One directory of flat file names. Names are made by us: ASCII letters,
/// digits, `.`, `-` and `_`, not beginning with `.`; others are refused with
/// `InvalidInput`. The lock file `lock` is the disk's own: it cannot be opened
/// and is not listed.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a file. A file that was created is durable as a name only after
    /// [`sync_directory`](Self::sync_directory).
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists`, or what the system said.
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// Removes a name.
    ///
    /// # Errors
    /// What the system said.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Renames, replacing what had the new name. Open handles stay valid.
    ///
    /// # Errors
    /// What the system said.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// All file names, sorted.
    ///
    /// # Errors
    /// What the system said.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes creations, removals and renames durable.
    ///
    /// # Errors
    /// What the system said; see [`File::sync`].
    fn sync_directory(&self) -> io::Result<()>;

    /// Takes the exclusive lock of the directory: an open-file-description
    /// lock on the file `lock`, which then says who holds it.
    ///
    /// # Errors
    /// [`LockError::Held`] names the holder.
    fn lock(&self) -> Result<Box<dyn LockGuard>, LockError>;

    /// What this disk can do and has done.
    fn report(&self) -> BackendReport;
}
