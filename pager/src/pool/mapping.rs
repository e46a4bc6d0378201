//! The data file as memory, in chunks.
//!
//! ## Invariants
//! * Nothing beyond the end of the file is mapped: the length is asked for
//!   before each mapping.
//! * A chunk begins at a multiple of [`CHUNK`]. When the file has grown a longer
//!   one takes its place; the shorter one lives on in the frames that show it.

use std::io;
use std::sync::Arc;

use cs_io::{File, MapChunk};
use parking_lot::RwLock;

/// Bytes of one chunk. The system allows 65,530 mappings: enough for 16 TiB;
/// and one is small against all address space.
pub(super) const CHUNK: u64 = 256 * 1024 * 1024;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Mapping {
    chunks: RwLock<Vec<Option<Arc<MapChunk>>>>,
}

impl Mapping {
    /// Maps the beginning of a file; `None` if its disk has no maps.
    pub(super) fn open(file: &dyn File) -> io::Result<Option<Self>> {
        let mapping = Self::default();
        let len = file.len()?.min(CHUNK);
        Ok(match file.map_read_only(0, len)? {
            Some(chunk) => {
                mapping.chunks.write().push(Some(Arc::new(chunk)));
                Some(mapping)
            }
            None => None,
        })
    }

    /// The chunk that has `len` bytes at `offset`; `None` if the file has not.
    pub(super) fn chunk(
        &self,
        file: &dyn File,
        offset: u64,
        len: usize,
    ) -> io::Result<Option<Arc<MapChunk>>> {
        let Some(end) = offset.checked_add(len as u64) else {
            return Ok(None);
        };
        let position = (offset / CHUNK) as usize;
        let find = |chunks: &[Option<Arc<MapChunk>>]| {
            let chunk = chunks.get(position).and_then(Option::as_ref)?;
            (chunk.end() >= end).then(|| Arc::clone(chunk))
        };
        if let Some(chunk) = find(&self.chunks.read()) {
            return Ok(Some(chunk));
        }
        let mut chunks = self.chunks.write();
        if let Some(chunk) = find(&chunks) {
            return Ok(Some(chunk));
        }
        let file_len = file.len()?;
        if end > file_len {
            return Ok(None);
        }
        let start = offset / CHUNK * CHUNK;
        let Some(chunk) = file.map_read_only(start, CHUNK.min(file_len - start))? else {
            return Ok(None);
        };
        let chunk = Arc::new(chunk);
        // Inside the file, so the list is as long as the file at most.
        if chunks.len() <= position {
            chunks.resize(position + 1, None);
        }
        chunks[position] = Some(Arc::clone(&chunk));
        Ok(Some(chunk).filter(|chunk| chunk.end() >= end))
    }

    /// Cuts the file. What is mapped beyond its new end is forgotten first: a
    /// pointer that leads there must find the end of the file, not the map.
    pub(super) fn cut(&self, len: u64, cut: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut chunks = self.chunks.write();
        for chunk in chunks.iter_mut() {
            if chunk.as_ref().is_some_and(|chunk| chunk.end() > len) {
                *chunk = None;
            }
        }
        cut()
    }

    /// Bytes that are mapped.
    pub(super) fn bytes(&self) -> u64 {
        let chunks = self.chunks.read();
        let bytes = chunks
            .iter()
            .flatten()
            .map(|chunk| chunk.end() - chunk.offset());
        bytes.sum()
    }

    /// Where the last mapped byte ends.
    pub(super) fn until(&self) -> u64 {
        let chunks = self.chunks.read();
        chunks
            .iter()
            .flatten()
            .map(|chunk| chunk.end())
            .max()
            .unwrap_or(0)
    }

    /// Unmaps the chunks that no frame shows.
    pub(super) fn drop_idle(&self) {
        for chunk in self.chunks.write().iter_mut() {
            if chunk
                .as_ref()
                .is_some_and(|chunk| Arc::strong_count(chunk) == 1)
            {
                *chunk = None;
            }
        }
    }
}
