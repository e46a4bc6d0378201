//! A disk that can be written to without changing the one beneath: for looking
//! at a database, recovery included, and leaving no trace.
//!
//! ## Invariants
//! * The base is asked to open files read-only, to read them and to list them;
//!   nothing else. Not even its lock is touched.
//! * Changes are kept in memory, in blocks of 4 KiB, and end with the disk.
//!   They are not bounded here: recovery writes what it replays, no more.
//! * A base that somebody else changes meanwhile shows a mixture of old and
//!   new; whoever looks at a live database must expect checksums to fail.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use cs_base::BLOCK_SIZE;
use parking_lot::{Mutex, RwLock};

use crate::names::{already_exists, check_name, not_found, range_end, read_only_error};
use crate::{
    BackendReport, Disk, File, LockError, LockGuard, OpenMode, Pending, StableBytes, WriteMode,
};

const BLOCK: u64 = BLOCK_SIZE as u64;

/// Files of a base disk, and changes on top of them.
///
/// ```
/// use cs_io::{Disk, OpenMode, memory::MemoryDisk, overlay::OverlayDisk};
/// let base = MemoryDisk::new();
/// base.open("data", OpenMode::Create)?.write_at(b"old", 0)?;
/// let overlay = OverlayDisk::new(base.clone());
/// overlay.open("data", OpenMode::ReadWrite)?.write_at(b"new", 0)?;
/// let mut bytes = [0; 3];
/// base.open("data", OpenMode::ReadOnly)?.read_at(&mut bytes, 0)?;
/// assert_eq!(&bytes, b"old");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct OverlayDisk {
    base: Arc<dyn Disk>,
    /// Names that were opened or changed; `None`: gone. All others are the base's.
    names: Mutex<BTreeMap<String, Option<Arc<Node>>>>,
}

impl OverlayDisk {
    /// Without any changes yet.
    #[must_use]
    pub fn new(base: Arc<dyn Disk>) -> Arc<Self> {
        Arc::new(Self {
            base,
            names: Mutex::default(),
        })
    }

    /// The file of that name; opened beneath if need be.
    fn node(
        &self,
        names: &mut BTreeMap<String, Option<Arc<Node>>>,
        name: &str,
    ) -> io::Result<Arc<Node>> {
        match names.get(name) {
            Some(Some(node)) => Ok(Arc::clone(node)),
            Some(None) => Err(not_found(name)),
            None => {
                let node = Arc::new(Node::over(self.base.open(name, OpenMode::ReadOnly)?)?);
                names.insert(name.to_owned(), Some(Arc::clone(&node)));
                Ok(node)
            }
        }
    }
}

impl Disk for OverlayDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        check_name(name)?;
        let mut names = self.names.lock();
        let node = match (self.node(&mut names, name), mode) {
            (Ok(_), OpenMode::Create) => return Err(already_exists(name)),
            (Err(error), OpenMode::Create) if error.kind() == io::ErrorKind::NotFound => {
                let node = Arc::new(Node::default());
                names.insert(name.to_owned(), Some(Arc::clone(&node)));
                node
            }
            (found, _) => found?,
        };
        let writable = mode != OpenMode::ReadOnly;
        Ok(Arc::new(OverlayFile {
            name: name.to_owned(),
            node,
            writable,
        }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        let mut names = self.names.lock();
        self.node(&mut names, name)?;
        names.insert(name.to_owned(), None);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let mut names = self.names.lock();
        let node = self.node(&mut names, from)?;
        names.insert(from.to_owned(), None);
        names.insert(to.to_owned(), Some(node));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = self.names.lock();
        let mut list = self.base.list()?;
        list.retain(|name| !names.contains_key(name));
        let own = names
            .iter()
            .filter(|(_, node)| node.is_some())
            .map(|(name, _)| name.clone());
        list.extend(own);
        list.sort_unstable();
        Ok(list)
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    /// Always granted: there is nobody to exclude from our own memory.
    fn lock(&self) -> Result<Box<dyn LockGuard>, LockError> {
        Ok(Box::new(NoLock))
    }

    fn report(&self) -> BackendReport {
        BackendReport {
            name: "overlay",
            ..BackendReport::default()
        }
    }
}

#[derive(Debug)]
struct NoLock;

impl LockGuard for NoLock {}

#[derive(Debug, Default)]
struct Node {
    base: Option<Arc<dyn File>>,
    layer: RwLock<Layer>,
}

#[derive(Debug, Default)]
struct Layer {
    len: u64,
    /// So many bytes of the base show through; cutting the file takes them for good.
    base_len: u64,
    blocks: BTreeMap<u64, Box<[u8; BLOCK_SIZE]>>,
}

impl Node {
    fn over(base: Arc<dyn File>) -> io::Result<Self> {
        let len = base.len()?;
        let layer = Layer {
            len,
            base_len: len,
            blocks: BTreeMap::new(),
        };
        Ok(Self {
            base: Some(base),
            layer: RwLock::new(layer),
        })
    }

    /// Fills `buffer` with what the base shows at `offset`, and zeroes.
    fn read_base(&self, layer: &Layer, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let shown = layer.base_len.saturating_sub(offset);
        let shown = usize::try_from(shown)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = match &self.base {
            Some(base) if shown > 0 => base.read_at(&mut buffer[..shown], offset)?,
            _ => 0,
        };
        buffer[count..].fill(0);
        Ok(())
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let layer = self.layer.read();
        let left = usize::try_from(layer.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        let buffer = &mut buffer[..count];
        if count == 0 {
            return Ok(0);
        }
        self.read_base(&layer, buffer, offset)?;
        let end = offset + count as u64;
        for (number, block) in layer.blocks.range(offset / BLOCK..end.div_ceil(BLOCK)) {
            let start = number * BLOCK;
            let (from, to) = (start.max(offset), (start + BLOCK).min(end));
            buffer[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&block[(from - start) as usize..(to - start) as usize]);
        }
        Ok(count)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut layer = self.layer.write();
        let end = offset + bytes.len() as u64;
        let mut at = offset;
        while at < end {
            let number = at / BLOCK;
            let start = number * BLOCK;
            let to = (start + BLOCK).min(end);
            if !layer.blocks.contains_key(&number) {
                let mut block = Box::new([0; BLOCK_SIZE]);
                self.read_base(&layer, &mut block[..], start)?;
                layer.blocks.insert(number, block);
            }
            if let Some(block) = layer.blocks.get_mut(&number) {
                block[(at - start) as usize..(to - start) as usize]
                    .copy_from_slice(&bytes[(at - offset) as usize..(to - offset) as usize]);
            }
            at = to;
        }
        if !bytes.is_empty() {
            layer.len = layer.len.max(end);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) {
        let mut layer = self.layer.write();
        layer.base_len = layer.base_len.min(len);
        if len < layer.len {
            layer.blocks.split_off(&len.div_ceil(BLOCK));
            if let Some(last) = layer.blocks.get_mut(&(len / BLOCK)) {
                last[(len % BLOCK) as usize..].fill(0);
            }
        }
        layer.len = len;
    }
}

#[derive(Debug)]
struct OverlayFile {
    name: String,
    node: Arc<Node>,
    writable: bool,
}

impl OverlayFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(read_only_error(&self.name))
        }
    }
}

impl File for OverlayFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        range_end(&self.name, offset, buffer.len() as u64)?;
        self.node.read(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        range_end(&self.name, offset, bytes.len() as u64)?;
        self.node.write(bytes, offset)
    }

    fn start_write(&self, bytes: Arc<dyn StableBytes>, offset: u64, _mode: WriteMode) -> Pending {
        Pending::Ready(self.write_at(bytes.stable_bytes(), offset))
    }

    fn start_sync(&self) -> Pending {
        Pending::Ready(Ok(()))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.node.layer.read().len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        range_end(&self.name, 0, len)?;
        self.node.set_len(len);
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let end = range_end(&self.name, offset, len)?;
        if len > 0 {
            let mut layer = self.node.layer.write();
            layer.len = layer.len.max(end);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
