//! Pages as they lie in a data file, damaged or not.

use std::sync::Arc;

use cs_base::{FileId, PageId, Version};
use cs_io::{Disk, File};
use cs_kv::node::{Branch, Leaf};
use cs_pager::format::verify_page;
use cs_pager::{Membership, Meta, PAGE_HEADER, PageHeader, PageKind, PageRef, RootRecord};

use crate::error::{InspectError, Result};
use crate::place::Metas;

/// Bytes of a pointer in a page of the allocation index.
pub(crate) const POINTER: usize = 16;

/// A data file whose page size is known.
#[derive(Debug)]
pub(crate) struct PageFile {
    file: Arc<dyn File>,
    /// The newest valid meta.
    pub(crate) meta: Meta,
    /// Both.
    pub(crate) metas: Metas,
    /// Bytes of the file.
    pub(crate) bytes: u64,
}

impl PageFile {
    /// Opens the data file on `disk`.
    pub(crate) fn open(disk: &dyn Disk) -> Result<Self> {
        let metas = Metas::read(disk)?;
        let meta = *metas.newest()?;
        let file = cs_pager::open_file(disk).map_err(InspectError::suspect)?;
        let bytes = file.len().map_err(InspectError::suspect)?;
        Ok(Self {
            file,
            meta,
            metas,
            bytes,
        })
    }

    /// A data file of which no meta is valid, taken to be this database's.
    pub(crate) fn assume(disk: &dyn Disk, id: FileId, page_size: u32) -> Result<Self> {
        let metas = Metas::read(disk)?;
        let file = cs_pager::open_file(disk).map_err(InspectError::suspect)?;
        let bytes = file.len().map_err(InspectError::suspect)?;
        let meta = Meta {
            file: id,
            page_size,
            sequence: 0,
            membership: Membership::default(),
            root: RootRecord::empty(),
        };
        Ok(Self {
            file,
            meta,
            metas,
            bytes,
        })
    }

    /// Bytes a page.
    pub(crate) fn page_size(&self) -> u64 {
        u64::from(self.meta.page_size)
    }

    /// Whole pages in the file.
    pub(crate) fn pages(&self) -> u64 {
        self.bytes / self.page_size()
    }

    /// All bytes of a page, whatever they are.
    pub(crate) fn read(&self, page: PageId) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.meta.page_size as usize];
        let offset = page.0.checked_mul(self.page_size());
        let read = match offset {
            Some(offset) if page.0 < self.pages() => self
                .file
                .read_at(&mut bytes, offset)
                .map_err(InspectError::suspect)?,
            _ => 0,
        };
        if read == bytes.len() {
            return Ok(bytes);
        }
        let pages = self.pages();
        Err(InspectError::Suspect(format!(
            "page {page} is beyond the file, which has {pages} pages"
        )))
    }

    /// All bytes of up to `count` pages from `first`; fewer at the end of the file.
    pub(crate) fn read_many(&self, first: PageId, count: u64) -> Result<Vec<u8>> {
        let count = count.min(self.pages().saturating_sub(first.0));
        let mut bytes = vec![0; (count * self.page_size()) as usize];
        let read = self
            .file
            .read_at(&mut bytes, first.0 * self.page_size())
            .map_err(InspectError::suspect)?;
        bytes.truncate(read - read % self.page_size() as usize);
        Ok(bytes)
    }

    /// The page that a pointer leads to, verified.
    pub(crate) fn read_at(&self, at: PageRef) -> Result<Vec<u8>> {
        let bytes = self.read(at.page)?;
        verify_page(&bytes, self.meta.file, at).map_err(InspectError::suspect)?;
        verify_node(&bytes)
            .map_err(|why| InspectError::Suspect(format!("page {} is damaged: {why}", at.page)))?;
        Ok(bytes)
    }

    /// Whether the state of the newest meta uses the page.
    pub(crate) fn is_used(&self, page: PageId) -> Result<bool> {
        let root = &self.meta.root;
        if root.allocation.is_none() || page.0 >= root.page_count {
            return Ok(false);
        }
        let room = self.meta.page_size as usize - PAGE_HEADER;
        let pages_per_piece = room as u64 / 8 * 64;
        let fan_out = (room / POINTER) as u64;
        let piece = page.0 / pages_per_piece;
        let mut at = root.allocation;
        for level in (1..u32::from(root.allocation_levels)).rev() {
            let body = self.map_body(at, PageKind::AllocationIndex)?;
            let position = piece / fan_out.pow(level - 1) % fan_out;
            at = pointer(&body, position as usize);
        }
        let body = self.map_body(at, PageKind::AllocationMap)?;
        let bit = page.0 % pages_per_piece;
        Ok(body[(bit / 8) as usize] >> (bit % 8) & 1 == 1)
    }

    fn map_body(&self, at: PageRef, kind: PageKind) -> Result<Vec<u8>> {
        let mut bytes = self.read_at(at)?;
        let found = PageHeader::of(&bytes).kind;
        if found != kind as u8 {
            let text = format!(
                "page {} is damaged: expected {kind:?}, found kind {found}",
                at.page
            );
            return Err(InspectError::Suspect(text));
        }
        Ok(bytes.split_off(PAGE_HEADER))
    }
}

/// Pointer number `position` in the body of a page of the allocation index.
pub(crate) fn pointer(body: &[u8], position: usize) -> PageRef {
    let at = position * POINTER;
    PageRef {
        page: PageId(number(&body[at..])),
        version: Version(number(&body[at + 8..])),
    }
}

/// The number that the first eight bytes make.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(raw)
}

/// Whether a node is one in all its parts; other kinds have none.
fn verify_node(bytes: &[u8]) -> Result<(), String> {
    match PageKind::from_u8(PageHeader::of(bytes).kind) {
        Some(PageKind::Leaf) => Leaf::validate(bytes).map_err(|error| error.to_string()),
        Some(PageKind::Branch) => Branch::validate(bytes).map_err(|error| error.to_string()),
        _ => Ok(()),
    }
}

/// What a page in a file turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A sound page.
    Sound(PageKind),
    /// All zeroes: it was never written.
    Blank,
    /// Anything else, and why.
    Damaged(String),
}

/// Judges the bytes at `page` by what they say of themselves.
pub(crate) fn judge(bytes: &[u8], file: FileId, page: PageId) -> Verdict {
    if bytes.iter().all(|&byte| byte == 0) {
        return Verdict::Blank;
    }
    let header = PageHeader::of(bytes);
    let at = PageRef {
        page,
        version: Version(header.version.get()),
    };
    if let Err(error) = verify_page(bytes, file, at) {
        return Verdict::Damaged(error.to_string());
    }
    match (PageKind::from_u8(header.kind), verify_node(bytes)) {
        (_, Err(why)) => Verdict::Damaged(format!("page {page} is damaged: {why}")),
        (Some(kind), Ok(())) => Verdict::Sound(kind),
        (None, Ok(())) => Verdict::Damaged(format!("page {page} is damaged: unknown kind")),
    }
}
