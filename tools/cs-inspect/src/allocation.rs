//! The allocation map of a state, as it lies in the data file.
//!
//! Invariant: a map that was read is whole; where a page of it cannot be read,
//! there is none.

use cs_base::PageId;
use cs_pager::{PAGE_HEADER, PageHeader, PageKind, PageRef, RootRecord};

use crate::error::{InspectError, Result};
use crate::pages::{POINTER, PageFile, number, pointer};

/// Which pages a state reaches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allocation {
    words: Vec<u64>,
    /// Pages are told of below this number.
    page_count: u64,
}

impl Allocation {
    /// Reads the map of a state.
    ///
    /// # Errors
    /// [`InspectError::Suspect`]: a page of it is damaged, or the file too short.
    pub(crate) fn load(file: &PageFile, root: &RootRecord) -> Result<Self> {
        let mut map = Self {
            words: Vec::new(),
            page_count: root.page_count,
        };
        if root.page_count > file.pages() {
            return Err(InspectError::Suspect(format!(
                "the meta tells of {} pages, the file has {}",
                root.page_count,
                file.pages()
            )));
        }
        if root.allocation.is_none() {
            return Ok(map);
        }
        let room = file.page_size() as usize - PAGE_HEADER;
        let pages_per_piece = room as u64 / 8 * 64;
        let pieces = root.page_count.div_ceil(pages_per_piece).max(1) as usize;
        let mut level = vec![root.allocation];
        for height in (1..root.allocation_levels).rev() {
            let mut below = Vec::new();
            for at in level {
                let body = map_body(file, at, PageKind::AllocationIndex, height)?;
                below.extend((0..body.len() / POINTER).map(|position| pointer(&body, position)));
            }
            below.retain(|at| !at.is_none());
            level = below;
        }
        if level.len() != pieces {
            return Err(InspectError::Suspect(format!(
                "page {} is damaged: the allocation map has {} pages of bits, expected {pieces}",
                root.allocation.page,
                level.len()
            )));
        }
        for at in level {
            let body = map_body(file, at, PageKind::AllocationMap, 0)?;
            let words = body.chunks_exact(8).take(room / 8).map(number);
            map.words.extend(words);
        }
        Ok(map)
    }

    /// Whether the state reaches the page.
    pub(crate) fn is_used(&self, page: PageId) -> bool {
        let word = self.words.get((page.0 / 64) as usize);
        page.0 < self.page_count && word.is_some_and(|word| word >> (page.0 % 64) & 1 == 1)
    }
}

fn map_body(file: &PageFile, at: PageRef, kind: PageKind, level: u8) -> Result<Vec<u8>> {
    let mut bytes = file.read_at(at)?;
    let header = PageHeader::of(&bytes);
    if header.kind != kind as u8 || header.level != level {
        return Err(InspectError::Suspect(format!(
            "page {} is damaged: expected {kind:?} of level {level}, found kind {} of level {}",
            at.page, header.kind, header.level
        )));
    }
    Ok(bytes.split_off(PAGE_HEADER))
}
