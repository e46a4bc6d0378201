//! A disk that is memory: for databases that are never durable, and for tests.
//!
//! ## Invariants
//! * `used` is the sum of the lengths of all live files, open or named; it
//!   never passes the capacity.
//! * A removed file lives on in its open handles, as on a real disk.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::names::{
    already_exists, check_name, not_found, range_end, read_only_error, storage_full,
};
use crate::{
    BackendReport, Disk, File, LockError, LockGuard, OpenMode, Pending, StableBytes, WriteMode,
};

/// Files in memory. Every write is as durable as it will ever be.
#[derive(Debug)]
pub struct MemoryDisk {
    names: RwLock<BTreeMap<String, Arc<Node>>>,
    space: Arc<Space>,
    locked: Arc<AtomicBool>,
}

impl MemoryDisk {
    /// An empty disk without a limit.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::with_capacity(u64::MAX)
    }

    /// An empty disk whose files have at most `capacity` bytes together;
    /// beyond that, `StorageFull`.
    #[must_use]
    pub fn with_capacity(capacity: u64) -> Arc<Self> {
        Arc::new(Self {
            names: RwLock::default(),
            space: Arc::new(Space {
                capacity,
                used: AtomicU64::new(0),
            }),
            locked: Arc::default(),
        })
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        check_name(name)?;
        let node = if mode == OpenMode::Create {
            match self.names.write().entry(name.to_owned()) {
                Entry::Occupied(_) => return Err(already_exists(name)),
                Entry::Vacant(slot) => {
                    let space = Arc::clone(&self.space);
                    Arc::clone(slot.insert(Arc::new(Node {
                        bytes: RwLock::default(),
                        space,
                    })))
                }
            }
        } else {
            self.names
                .read()
                .get(name)
                .map(Arc::clone)
                .ok_or_else(|| not_found(name))?
        };
        let writable = mode != OpenMode::ReadOnly;
        Ok(Arc::new(MemoryFile {
            name: name.to_owned(),
            node,
            writable,
        }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        self.names
            .write()
            .remove(name)
            .map(drop)
            .ok_or_else(|| not_found(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let mut names = self.names.write();
        let node = names.remove(from).ok_or_else(|| not_found(from))?;
        names.insert(to.to_owned(), node);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names.read().keys().cloned().collect())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>, LockError> {
        ProcessLock::take(&self.locked)
    }

    fn report(&self) -> BackendReport {
        BackendReport {
            name: "memory",
            ..BackendReport::default()
        }
    }
}

/// A lock between the users of one disk object; there is nobody else to fear.
#[derive(Debug)]
pub(crate) struct ProcessLock(Arc<AtomicBool>);

impl ProcessLock {
    pub(crate) fn take(locked: &Arc<AtomicBool>) -> Result<Box<dyn LockGuard>, LockError> {
        if locked.swap(true, Ordering::AcqRel) {
            let pid = std::process::id();
            return Err(LockError::Held(format!("held by pid {pid}, this process")));
        }
        Ok(Box::new(Self(Arc::clone(locked))))
    }
}

impl Drop for ProcessLock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl LockGuard for ProcessLock {}

#[derive(Debug)]
struct Space {
    capacity: u64,
    used: AtomicU64,
}

impl Space {
    fn take(&self, name: &str, more: u64) -> io::Result<()> {
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                used.checked_add(more).filter(|&sum| sum <= self.capacity)
            })
            .map(drop)
            .map_err(|_| storage_full(name, more, self.capacity))
    }

    fn give_back(&self, less: u64) {
        self.used.fetch_sub(less, Ordering::AcqRel);
    }
}

#[derive(Debug)]
struct Node {
    bytes: RwLock<Vec<u8>>,
    space: Arc<Space>,
}

impl Node {
    /// Grows `bytes` with zeroes to at least `len`.
    fn grow(&self, name: &str, bytes: &mut Vec<u8>, len: u64) -> io::Result<()> {
        let have = bytes.len() as u64;
        if len > have {
            let more = len - have;
            self.space.take(name, more)?;
            let grown = usize::try_from(more)
                .ok()
                .filter(|&more| bytes.try_reserve(more).is_ok())
                .ok_or_else(|| storage_full(name, more, self.space.capacity));
            match grown {
                Ok(more) => bytes.resize(bytes.len() + more, 0),
                Err(error) => {
                    self.space.give_back(more);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.space.give_back(self.bytes.get_mut().len() as u64);
    }
}

#[derive(Debug)]
struct MemoryFile {
    name: String,
    node: Arc<Node>,
    writable: bool,
}

impl MemoryFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(read_only_error(&self.name))
        }
    }
}

impl File for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        range_end(&self.name, offset, buffer.len() as u64)?;
        let bytes = self.node.bytes.read();
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let count = buffer.len().min(bytes.len() - start);
        buffer[..count].copy_from_slice(&bytes[start..start + count]);
        Ok(count)
    }

    fn write_at(&self, new: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        let end = range_end(&self.name, offset, new.len() as u64)?;
        if new.is_empty() {
            return Ok(());
        }
        let mut bytes = self.node.bytes.write();
        self.node.grow(&self.name, &mut bytes, end)?;
        let start = offset as usize;
        bytes[start..start + new.len()].copy_from_slice(new);
        Ok(())
    }

    fn start_write(&self, bytes: Arc<dyn StableBytes>, offset: u64, _mode: WriteMode) -> Pending {
        Pending::Ready(self.write_at(bytes.stable_bytes(), offset))
    }

    fn start_sync(&self) -> Pending {
        Pending::Ready(Ok(()))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.node.bytes.read().len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        range_end(&self.name, 0, len)?;
        let mut bytes = self.node.bytes.write();
        let have = bytes.len() as u64;
        if len >= have {
            return self.node.grow(&self.name, &mut bytes, len);
        }
        bytes.truncate(len as usize);
        bytes.shrink_to_fit();
        self.node.space.give_back(have - len);
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let end = range_end(&self.name, offset, len)?;
        if len == 0 {
            return Ok(());
        }
        self.node
            .grow(&self.name, &mut self.node.bytes.write(), end)
    }
}

#[cfg(test)]
mod tests;
