//! Bringing a page into memory: read into memory of our own, or shown by the
//! map; verified either way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cs_io::{MapChunk, PageBuf};

use super::Pager;
use super::mapping::Mapping;
use crate::format::{PageHeader, PageKind, PageRef, verify_page};
use crate::frames::{FRAME_WEIGHT, Frame, ReadGuard};
use crate::open::ReadPath;
use crate::{PagerError, Result};

impl Pager {
    /// How pages are read: what was asked for, or the pool if there is no map.
    #[must_use]
    pub fn read_path(&self) -> ReadPath {
        match self.mapping {
            Some(_) => ReadPath::Map,
            None => ReadPath::Pool,
        }
    }

    /// Why pages are read into the pool though the map was asked for.
    #[must_use]
    pub fn map_refused(&self) -> Option<&str> {
        self.map_refused.as_deref()
    }

    /// A clean frame of a page that is not in the table.
    pub(super) fn fetch(&self, guard: &ReadGuard, at: PageRef) -> Result<Arc<Frame>> {
        if let Some(mapping) = &self.mapping {
            self.make_room(guard, FRAME_WEIGHT);
            return self.fetch_mapped(mapping, at);
        }
        if let Some(bytes) = self.take_ahead(at)
            && self.verify_bytes(&bytes, at).is_ok()
        {
            return Ok(Frame::own(at, bytes, true));
        }
        let bytes = self.read_verified(self.take_page(guard), at)?;
        Ok(Frame::own(at, bytes, true))
    }

    fn fetch_mapped(&self, mapping: &Mapping, at: PageRef) -> Result<Arc<Frame>> {
        let (chunk, offset) = self.chunk_of(mapping, at)?;
        let frame = Frame::mapped(at, &chunk, offset, self.page_size);
        let frame = frame.ok_or_else(|| self.outside(at))?;
        self.verify_bytes(frame.bytes(), at)?;
        self.counters.read.fetch_add(1, Ordering::Relaxed);
        Ok(frame)
    }

    pub(super) fn chunk_of(&self, mapping: &Mapping, at: PageRef) -> Result<(Arc<MapChunk>, u64)> {
        let offset = self.offset_of(at)?;
        let chunk = mapping
            .chunk(&*self.file, offset, self.page_size)
            .map_err(PagerError::io(format!("mapping page {}", at.page)))?;
        Ok((chunk.ok_or_else(|| self.outside(at))?, offset))
    }

    fn offset_of(&self, at: PageRef) -> Result<u64> {
        let offset = at.page.0.checked_mul(self.page_size as u64);
        offset.ok_or_else(|| self.outside(at))
    }

    #[cold]
    fn outside(&self, at: PageRef) -> PagerError {
        let (expected, found) = ("one inside the file", at.page);
        PagerError::corrupt(at.page, "page number", expected, found)
    }

    /// Reads and verifies a page, past the table.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn read_page(&self, at: PageRef) -> Result<PageBuf> {
        let bytes = self.take_page(&ReadGuard::enter());
        self.read_verified(bytes, at)
    }

    fn read_verified(&self, mut bytes: PageBuf, at: PageRef) -> Result<PageBuf> {
        let offset = self.offset_of(at)?;
        let read = self
            .file
            .read_at(&mut bytes, offset)
            .map_err(PagerError::io(format!("reading page {}", at.page)))?;
        self.counters.read.fetch_add(1, Ordering::Relaxed);
        if read < self.page_size {
            return Err(PagerError::corrupt(
                at.page,
                "bytes in the file",
                self.page_size,
                read,
            ));
        }
        self.verify_bytes(&bytes, at)?;
        Ok(bytes)
    }

    /// Decides whether bytes are the page that `at` points to, and in order.
    fn verify_bytes(&self, bytes: &[u8], at: PageRef) -> Result<()> {
        verify_page(bytes, self.file_id, at)?;
        let kind = PageKind::from_u8(PageHeader::of(bytes).kind);
        let kind = kind.ok_or_else(|| PagerError::corrupt(at.page, "kind", "1 to 5", 0))?;
        (self.verify)(kind, bytes)
            .map_err(|wrong| PagerError::corrupt(at.page, "inner order", "a sound page", wrong))
    }

    // ---- the map and the end of the file ----

    /// Cuts the file behind its last page. Numbers beyond are free, so no frame
    /// shows anything that goes.
    pub(crate) fn cut_file(&self, len: u64) -> io::Result<()> {
        let cut = || self.file.set_len(len);
        match &self.mapping {
            Some(mapping) => mapping.cut(len, cut),
            None => cut(),
        }
    }

    /// Up to which byte of the file something is mapped; 0 without a map.
    ///
    /// To cut the file at the end of the last page that is in use is safe all
    /// the same, through this pager: a number becomes free only when no frame
    /// shows its page any more, and the map forgets what is cut.
    #[must_use]
    pub fn mapped_until(&self) -> u64 {
        self.mapping.as_ref().map_or(0, Mapping::until)
    }

    /// Unmaps what no frame shows, so that the file may be cut without a mapping
    /// that reaches beyond its end. Frames that have left the table go first.
    pub fn drop_idle_maps(&self) {
        if let Some(mapping) = &self.mapping {
            ReadGuard::enter().flush();
            mapping.drop_idle();
        }
    }
}
