//! A directory whose writes and syncs go through io_uring.
//!
//! Files, names and the lock are those of [`SysDisk`]; only the operations
//! that may be in flight differ. A durable write is one of three *forms*:
//!
//! | form | when |
//! |---|---|
//! | direct write with `RWF_DSYNC` | memory and range aligned, direct I/O allowed |
//! | write linked to `fsync(DATASYNC)` | else |
//! | buffered write with `RWF_DSYNC` | only if asked for ([`DurableForm::Dsync`]): the kernel hands it to a thread of its own |
//!
//! ```text
//! start_write ── Operation ──► Pool ── first ring that is free ──► Ring ──► kernel
//!                    ▲ absorb: short? refused? cancelled? ◄── completion ◄──┘
//! ```
//!
//! An `Operation` is a small machine: it submits what
//! is left, looks at what came back, and submits again until nothing is left
//! or its attempts are used up; then system calls do the rest.
//!
//! ## Invariants
//! * Memory and file of a submission belong to the ring's table until the
//!   kernel has answered: nothing a caller drops or forgets can free them.
//! * Nobody blocks in the kernel while another thread wants his ring: a ring
//!   that is taken is passed over, and with all of them taken (or full) the
//!   operation goes by system call.
//! * A linked fsync counts only if its write was complete and both were
//!   submitted together.
//! * A failed fsync is never tried again. One that never ran (cancelled) may be.
//! * No thread of ours. (The kernel has its own for what cannot be done at once.)

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

mod choice;
mod operation;
mod pool;
mod read;
mod ring;

pub use choice::{IoChoice, open_best};

use crate::sys::{DirectIo, SysDisk, SysFile, SysOptions};
use crate::{
    BackendReport, Disk, File, LockError, LockGuard, MapChunk, OpenMode, PageBuf, Pending,
    PendingRead, StableBytes, WriteMode,
};
use operation::Operation;
use pool::Pool;
use read::ReadOperation;

/// How a durable write is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DurableForm {
    /// `RWF_DSYNC` with direct I/O, linked without.
    #[default]
    Auto,
    /// Always `RWF_DSYNC`, through the page cache too.
    Dsync,
    /// Always a write linked to `fsync(DATASYNC)`.
    Linked,
}

/// How [`File::write_durable`] and [`File::sync`] are done, which leave nothing
/// to overlap with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoneWrite {
    /// Through the ring: one `io_uring_enter` submits and waits.
    #[default]
    Ring,
    /// By `pwritev2` or `fdatasync`: measured 5 to 20 % faster, since nothing is handed over.
    Syscall,
}

/// How a directory is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct UringOptions {
    /// Create the directory where missing.
    pub create: bool,
    /// Whether to use direct I/O.
    pub direct: DirectIo,
    /// How durable writes are made.
    pub form: DurableForm,
    /// How a lone durable write is made.
    pub lone: LoneWrite,
}

/// A directory with io_uring.
#[derive(Debug)]
pub struct UringDisk {
    sys: Arc<SysDisk>,
    shared: Arc<Shared>,
}

impl UringDisk {
    /// Opens a directory and sets up the first ring.
    ///
    /// # Errors
    /// As [`SysDisk::open`], or io_uring was refused; [`open_best`] falls back then.
    pub fn open(path: &Path, options: UringOptions) -> io::Result<Arc<Self>> {
        let pool = Pool::new(ring::set_up)?;
        let sys_options = SysOptions {
            create: options.create,
            direct: options.direct,
        };
        Ok(Self::with(SysDisk::open(path, sys_options)?, pool, options))
    }

    fn with(sys: Arc<SysDisk>, pool: Pool, options: UringOptions) -> Arc<Self> {
        let shared = Shared {
            pool,
            options,
            ring_writes: AtomicU64::new(0),
        };
        Arc::new(Self {
            sys,
            shared: Arc::new(shared),
        })
    }
}

impl Disk for UringDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = self.sys.open_file(name, mode)?;
        Ok(Arc::new(UringFile {
            file,
            shared: Arc::clone(&self.shared),
        }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.sys.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.sys.rename(from, to)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.sys.list()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.sys.sync_directory()
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>, LockError> {
        self.sys.lock()
    }

    fn report(&self) -> BackendReport {
        let ring_writes = self.shared.ring_writes.load(Ordering::Relaxed);
        let mut report = BackendReport {
            ring_writes,
            ..self.sys.shared().report("io_uring")
        };
        report.fallbacks.extend(self.shared.pool.failures());
        report
    }
}

/// What the disk, its files and its operations have in common.
#[derive(Debug)]
struct Shared {
    pool: Pool,
    options: UringOptions,
    ring_writes: AtomicU64,
}

#[derive(Debug)]
struct UringFile {
    file: Arc<SysFile>,
    shared: Arc<Shared>,
}

impl UringFile {
    fn write(&self, bytes: Arc<dyn StableBytes>, offset: u64, mode: WriteMode) -> Operation {
        Operation::write(&self.shared, &self.file, bytes, offset, mode)
    }
}

impl File for UringFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn start_read(&self, buffer: PageBuf, offset: u64) -> PendingRead {
        ReadOperation::start(&self.shared, &self.file, buffer, offset)
    }

    fn reads_overlap(&self) -> bool {
        true
    }

    fn map_read_only(&self, offset: u64, len: u64) -> io::Result<Option<MapChunk>> {
        self.file.map_read_only(offset, len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn start_write(&self, bytes: Arc<dyn StableBytes>, offset: u64, mode: WriteMode) -> Pending {
        if let Err(error) = self.file.check_write(bytes.stable_bytes(), offset) {
            return Pending::Ready(Err(error));
        }
        self.write(bytes, offset, mode).start()
    }

    fn write_durable(&self, bytes: Arc<dyn StableBytes>, offset: u64) -> io::Result<()> {
        self.file.check_write(bytes.stable_bytes(), offset)?;
        match self.shared.options.lone {
            LoneWrite::Ring => self.write(bytes, offset, WriteMode::Durable).run_alone(),
            LoneWrite::Syscall => {
                self.file
                    .write_all(bytes.stable_bytes(), offset, WriteMode::Durable)
            }
        }
    }

    fn start_sync(&self) -> Pending {
        if let Err(error) = self.file.check_writable() {
            return Pending::Ready(Err(error));
        }
        Operation::sync(&self.shared, &self.file).start()
    }

    fn sync(&self) -> io::Result<()> {
        self.file.check_writable()?;
        match self.shared.options.lone {
            LoneWrite::Ring => Operation::sync(&self.shared, &self.file).run_alone(),
            LoneWrite::Syscall => self.file.sync(),
        }
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.allocate(offset, len)
    }
}

#[cfg(test)]
mod tests;
