//! The allocation map as pages of the open version.

use cs_base::{PageId, TreeId};

use super::Shadow;
use crate::Result;
use crate::format::{PAGE_HEADER, PageIdentity, PageKind, PageRef, RootRecord};
use crate::pool::Pager;

impl Shadow {
    /// Brings the map on disk up to the bits in memory, as part of the open version.
    ///
    /// Writing the map allocates and frees pages, which changes the map; the
    /// loop ends because a page of the map is shadowed once a version at most.
    ///
    /// # Errors
    /// None that a planned page could cause; see [`Pager::get`].
    pub fn write_map(&mut self, pager: &Pager) -> Result<()> {
        loop {
            let shape = self.map.shape(self.page_count);
            for gone in self.map.reshape(&shape) {
                self.free(pager, gone);
            }
            let touched = self.touched_map_pages();
            let mut settled = true;
            for &(level, position) in &touched {
                let at = self.map.at(level, position);
                if at.is_none() || at.version != self.version {
                    let new = self.allocate_map_page(pager, level);
                    self.map.set_at(level, position, new);
                    if !at.is_none() {
                        self.free(pager, at);
                    }
                    settled = false;
                }
            }
            if settled && self.map.shape(self.page_count) == shape {
                for (level, position) in touched {
                    let at = self.map.at(level, position);
                    let page = self.open.get_mut(&at.page);
                    let page = page.expect("each touched page of the map was shadowed above");
                    self.map
                        .write_body(level, position, &mut page[PAGE_HEADER..]);
                }
                self.map.forget_changes();
                return Ok(());
            }
        }
    }

    fn touched_map_pages(&self) -> Vec<(usize, usize)> {
        let mut touched = Vec::new();
        let mut below: Vec<usize> = self.map.changed();
        for level in 0..self.map.levels() {
            let mut here = below;
            here.extend(self.map.missing(level));
            here.sort_unstable();
            here.dedup();
            touched.extend(here.iter().map(|&position| (level, position)));
            below = here
                .iter()
                .map(|&position| self.map.parent(position))
                .collect();
        }
        touched
    }

    fn allocate_map_page(&mut self, pager: &Pager, level: usize) -> PageRef {
        let kind = if level == 0 {
            PageKind::AllocationMap
        } else {
            PageKind::AllocationIndex
        };
        self.allocate(
            pager,
            PageIdentity {
                kind,
                level: level as u8,
                tree: TreeId(0),
            },
        )
    }

    /// Puts the state of space into a root record, which names this version.
    pub fn describe(&mut self, root: &mut RootRecord) {
        self.named = self.version;
        root.version = self.version;
        root.page_count = self.page_count;
        root.allocation = self.map.top();
        root.allocation_levels = self.map.levels() as u8;
    }

    /// How many pages the open version reaches.
    #[must_use]
    pub fn used_pages(&self) -> u64 {
        self.map.used_pages()
    }

    /// How many pages the allocation map has: as many may be shadowed at once.
    #[must_use]
    pub fn map_size(&self) -> u64 {
        self.map.shape(self.page_count).iter().sum::<usize>() as u64
    }

    /// Pages that the allocation map itself takes.
    pub fn map_pages(&self) -> impl Iterator<Item = PageRef> + '_ {
        self.map.own_pages()
    }

    /// Whether the open version reaches this page.
    #[must_use]
    pub fn is_used(&self, page: PageId) -> bool {
        self.map.get(page)
    }
}
