//! A disk on which a chosen operation goes wrong, once.
//!
//! Invariants
//! * A trap is taken down before it springs, and springs with no lock held: it
//!   may use the store that sits on this disk.
//! * Whatever no trap is set for goes to the disk below.

use std::fmt;
use std::io;
use std::sync::Arc;

use cs_io::{
    BackendReport, Disk, File, LockError, LockGuard, OpenMode, Pending, PendingIo, StableBytes,
    WriteMode,
};
use parking_lot::{Condvar, Mutex};

/// What a trap can be set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Making a file.
    Create,
    /// Reserving space for the data file.
    GrowData,
    /// Writing pages, but not a meta.
    WritePages,
    /// Syncing the data file.
    SyncData,
    /// Writing to the log.
    WriteLog,
}

/// What becomes of the operation.
pub(crate) enum Fate {
    /// It is carried out.
    Passes,
    /// It fails at once.
    Fails,
    /// It is in flight when it is asked for first, and has failed after that.
    FailsLater,
    /// It is in flight until the latch is released, and has failed then.
    FailsAfter(Arc<Latch>),
}

type Trap = Box<dyn FnOnce() -> Fate + Send>;
type Traps = Arc<Mutex<Vec<(Operation, Trap)>>>;

/// See the module's text.
pub(crate) struct FaultyDisk {
    inner: Arc<dyn Disk>,
    traps: Traps,
}

impl FaultyDisk {
    pub(crate) fn over(inner: Arc<dyn Disk>) -> Arc<Self> {
        let traps = Traps::default();
        Arc::new(Self { inner, traps })
    }

    /// Sets a trap for the next such operation.
    pub(crate) fn set(&self, operation: Operation, trap: impl FnOnce() -> Fate + Send + 'static) {
        self.traps.lock().push((operation, Box::new(trap)));
    }

    /// Whether every trap has sprung.
    pub(crate) fn has_sprung(&self) -> bool {
        self.traps.lock().is_empty()
    }
}

fn spring(traps: &Traps, operation: Operation) -> Fate {
    let trap = {
        let mut traps = traps.lock();
        let position = traps.iter().position(|(set_for, _)| *set_for == operation);
        position.map(|position| traps.remove(position).1)
    };
    trap.map_or(Fate::Passes, |trap| trap())
}

/// EIO, as a broken device says it.
fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn check(fate: Fate) -> io::Result<()> {
    match fate {
        Fate::Passes => Ok(()),
        Fate::Fails | Fate::FailsLater | Fate::FailsAfter(_) => Err(broken()),
    }
}

/// Holds an operation in flight.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    released: Mutex<bool>,
    changed: Condvar,
}

impl Latch {
    pub(crate) fn release(&self) {
        *self.released.lock() = true;
        self.changed.notify_all();
    }
}

#[derive(Debug)]
struct Held(Arc<Latch>);

impl PendingIo for Held {
    fn is_finished(&mut self) -> bool {
        *self.0.released.lock()
    }

    fn wait(self: Box<Self>) -> io::Result<()> {
        let mut released = self.0.released.lock();
        while !*released {
            self.0.changed.wait(&mut released);
        }
        Err(broken())
    }
}

#[derive(Debug)]
struct Late {
    was_asked: bool,
}

impl PendingIo for Late {
    fn is_finished(&mut self) -> bool {
        std::mem::replace(&mut self.was_asked, true)
    }

    fn wait(self: Box<Self>) -> io::Result<()> {
        Err(broken())
    }
}

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyDisk({:?})", self.inner)
    }
}

impl Disk for FaultyDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if mode == OpenMode::Create {
            check(spring(&self.traps, Operation::Create))?;
        }
        Ok(Arc::new(FaultyFile {
            inner: self.inner.open(name, mode)?,
            is_data: name.starts_with("data"),
            traps: Arc::clone(&self.traps),
        }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>, LockError> {
        self.inner.lock()
    }

    fn report(&self) -> BackendReport {
        self.inner.report()
    }
}

struct FaultyFile {
    inner: Arc<dyn File>,
    is_data: bool,
    traps: Traps,
}

impl FaultyFile {
    /// The fate of an operation that may be in flight for a while.
    fn start(&self, operation: Operation, go_on: impl FnOnce() -> Pending) -> Pending {
        match spring(&self.traps, operation) {
            Fate::Passes => go_on(),
            Fate::Fails => Pending::Ready(Err(broken())),
            Fate::FailsLater => Pending::InFlight(Box::new(Late { was_asked: false })),
            Fate::FailsAfter(latch) => Pending::InFlight(Box::new(Held(latch))),
        }
    }
}

impl fmt::Debug for FaultyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyFile({:?})", self.inner)
    }
}

impl File for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_at(bytes, offset)
    }

    fn start_write(&self, bytes: Arc<dyn StableBytes>, offset: u64, mode: WriteMode) -> Pending {
        let operation = match (self.is_data, mode) {
            (true, WriteMode::Plain) => Operation::WritePages,
            (true, WriteMode::Durable) => return self.inner.start_write(bytes, offset, mode),
            (false, _) => Operation::WriteLog,
        };
        self.start(operation, || self.inner.start_write(bytes, offset, mode))
    }

    fn start_sync(&self) -> Pending {
        if self.is_data {
            self.start(Operation::SyncData, || self.inner.start_sync())
        } else {
            self.inner.start_sync()
        }
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        if self.is_data {
            check(spring(&self.traps, Operation::GrowData))?;
        }
        self.inner.allocate(offset, len)
    }
}
