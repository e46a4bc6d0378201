//! The disk that the tests run on: `CS_TEST_DISK` chooses, memory unless told.
//!
//! | value | disk |
//! |---|---|
//! | `memory` | files in memory |
//! | `file` | a directory, through the page cache |
//! | `direct` | a directory, past the page cache where the system allows it |
//! | `map` | a directory, pages read through the map |
//! | `sim` | the simulated disk, which does what it is told and nothing worse |
//!
//! Tests that need a particular disk make it themselves.

use std::io;
use std::sync::Arc;

use cs_io::memory::MemoryDisk;
use cs_io::sim::{SimDisk, SimOptions};
use cs_io::sys::DirectIo;
use cs_io::uring::{IoChoice, open_best};
use cs_io::{BackendReport, Disk, File, LockError, LockGuard, OpenMode};
use cs_kv::ReadPath;

pub(crate) fn choice() -> String {
    std::env::var("CS_TEST_DISK").unwrap_or_else(|_| "memory".to_owned())
}

/// How the tests read pages.
pub(crate) fn read_path() -> ReadPath {
    match choice().as_str() {
        "map" => ReadPath::Map,
        _ => ReadPath::Pool,
    }
}

/// A new, empty disk of the kind that was asked for.
pub(crate) fn any_disk() -> Arc<AnyDisk> {
    let in_directory = |direct| {
        let scratch = tempfile::tempdir().unwrap();
        let disk = open_best(scratch.path(), true, IoChoice::Auto, direct).unwrap();
        (disk, Some(scratch))
    };
    let sim = (choice() == "sim").then(|| SimDisk::new(1, SimOptions::default()));
    let (inner, scratch): (Arc<dyn Disk>, _) = match choice().as_str() {
        "memory" => (MemoryDisk::new(), None),
        "sim" => (sim.clone().unwrap(), None),
        "file" => in_directory(DirectIo::Off),
        "direct" | "map" => in_directory(DirectIo::Auto),
        other => panic!("CS_TEST_DISK: expected memory, file, direct, map or sim, found {other:?}"),
    };
    Arc::new(AnyDisk {
        inner,
        sim,
        _scratch: scratch,
    })
}

/// A disk, and the directory that goes with it.
#[derive(Debug)]
pub(crate) struct AnyDisk {
    inner: Arc<dyn Disk>,
    sim: Option<Arc<SimDisk>>,
    _scratch: Option<tempfile::TempDir>,
}

impl Disk for AnyDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.inner.open(name, mode)
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

    /// What a store left in flight has ended before another one begins: no
    /// kernel lets a write land after its process is gone and the next one has
    /// the lock.
    fn lock(&self) -> Result<Box<dyn LockGuard>, LockError> {
        if let Some(sim) = &self.sim {
            while sim.end_some() {}
        }
        self.inner.lock()
    }

    fn report(&self) -> BackendReport {
        self.inner.report()
    }
}
