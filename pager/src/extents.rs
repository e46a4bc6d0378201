//! Runs of free pages, joined where they touch.
//!
//! ## Invariants
//! * No two extents touch or overlap: each page is in at most one.
//! * Both orders hold the same extents.

use std::collections::{BTreeMap, BTreeSet};

use cs_base::PageId;

/// Free pages, by place and by length.
#[derive(Debug, Default)]
pub(crate) struct Extents {
    by_start: BTreeMap<u64, u64>,
    by_len: BTreeSet<(u64, u64)>,
    pages: u64,
}

impl Extents {
    /// How many pages are free.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// Adds one page.
    ///
    /// # Panics
    /// If it is free already: a page that is free twice would be used twice.
    pub(crate) fn add(&mut self, page: PageId) {
        self.add_run(page, 1);
    }

    /// Adds `count` pages from `first`.
    ///
    /// # Panics
    /// As [`add`](Self::add).
    pub(crate) fn add_run(&mut self, first: PageId, count: u64) {
        let (mut start, mut len) = (first.0, count);
        if let Some((&left, &left_len)) = self.by_start.range(..=start).next_back() {
            assert!(left + left_len <= start, "page {first} is freed twice");
            if left + left_len == start {
                self.take_out(left, left_len);
                start = left;
                len += left_len;
            }
        }
        if let Some((&right, &right_len)) = self.by_start.range(first.0..).next() {
            assert!(first.0 + count <= right, "page {right} is freed twice");
            if first.0 + count == right {
                self.take_out(right, right_len);
                len += right_len;
            }
        }
        self.put_in(start, len);
        self.pages += count;
    }

    /// All of them: first page and length, by place.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.by_start.iter().map(|(&start, &len)| (start, len))
    }

    /// Takes the free page with the lowest number.
    pub(crate) fn take_first(&mut self) -> Option<PageId> {
        let (&start, &len) = self.by_start.iter().next()?;
        self.shorten(start, len, 1);
        Some(PageId(start))
    }

    /// Takes this page; says whether it was free.
    pub(crate) fn take(&mut self, page: PageId) -> bool {
        let before = self.by_start.range(..=page.0).next_back();
        let Some((start, len)) = before.map(|(&start, &len)| (start, len)) else {
            return false;
        };
        if start + len <= page.0 {
            return false;
        }
        self.take_out(start, len);
        if page.0 > start {
            self.put_in(start, page.0 - start);
        }
        if start + len > page.0 + 1 {
            self.put_in(page.0 + 1, start + len - page.0 - 1);
        }
        self.pages -= 1;
        true
    }

    /// Takes `count` adjacent pages from the shortest extent that has them.
    pub(crate) fn take_run(&mut self, count: u64) -> Option<PageId> {
        let &(len, start) = self.by_len.range((count, 0)..).next()?;
        self.shorten(start, len, count);
        Some(PageId(start))
    }

    /// The lowest free page.
    pub(crate) fn lowest(&self) -> Option<PageId> {
        self.by_start.keys().next().copied().map(PageId)
    }

    /// Takes `count` adjacent pages from the first extent that has them and
    /// begins below `limit`.
    pub(crate) fn take_low_run(&mut self, count: u64, limit: PageId) -> Option<PageId> {
        if !self.has_run(count) {
            return None;
        }
        let below = self.by_start.range(..limit.0);
        let found = below.map(|(&start, &len)| (start, len));
        let (start, len) = found.into_iter().find(|&(_, len)| len >= count)?;
        self.shorten(start, len, count);
        Some(PageId(start))
    }

    /// Takes the extent that ends just before `end`; returns its length.
    pub(crate) fn take_tail(&mut self, end: u64) -> u64 {
        match self.by_start.iter().next_back() {
            Some((&start, &len)) if start + len == end => {
                self.shorten(start, len, len);
                len
            }
            _ => 0,
        }
    }

    /// Whether [`take_run`](Self::take_run) would find some.
    pub(crate) fn has_run(&self, count: u64) -> bool {
        self.by_len.range((count, 0)..).next().is_some()
    }

    fn shorten(&mut self, start: u64, len: u64, by: u64) {
        self.take_out(start, len);
        if len > by {
            self.put_in(start + by, len - by);
        }
        self.pages -= by;
    }

    fn put_in(&mut self, start: u64, len: u64) {
        self.by_start.insert(start, len);
        self.by_len.insert((len, start));
    }

    fn take_out(&mut self, start: u64, len: u64) {
        self.by_start.remove(&start);
        self.by_len.remove(&(len, start));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn extents_agree_with_a_set_of_pages() {
        let mut extents = Extents::default();
        let mut model = BTreeSet::new();
        let mut random = 0x1234_5678_u64;
        for _ in 0..20_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let page = (random >> 33) % 300;
            match random >> 62 {
                0 | 1 if model.insert(page) => extents.add(PageId(page)),
                2 => {
                    let taken = extents.take_first().map(|page| page.0);
                    assert_eq!(taken, model.pop_first());
                }
                3 => {
                    let count = 1 + page % 4;
                    match extents.take_run(count) {
                        Some(first) => {
                            for taken in first.0..first.0 + count {
                                assert!(model.remove(&taken));
                            }
                        }
                        None => assert!(!(0..300).any(|start| {
                            (start..start + count).all(|page| model.contains(&page))
                        })),
                    }
                }
                // Free already: it is taken, and no other.
                _ => {
                    assert!(model.remove(&page) && extents.take(PageId(page)));
                    assert!(!extents.take(PageId(page)));
                }
            }
            assert_eq!(extents.pages(), model.len() as u64);
        }
    }

    #[test]
    fn low_runs_come_first_fit_and_the_tail_goes_as_a_whole() {
        let mut extents = Extents::default();
        extents.add_run(PageId(10), 2);
        extents.add_run(PageId(20), 5);
        extents.add_run(PageId(40), 3);
        assert_eq!(extents.lowest(), Some(PageId(10)));
        assert_eq!(extents.take_low_run(3, PageId(20)), None);
        assert_eq!(extents.take_low_run(3, PageId(21)), Some(PageId(20)));
        assert_eq!(extents.take_tail(44), 0);
        assert_eq!(extents.take_tail(43), 3);
        assert_eq!(extents.pages(), 4);
        assert!(!extents.has_run(3));
    }

    #[test]
    #[should_panic(expected = "freed twice")]
    fn freeing_a_page_twice_is_refused() {
        let mut extents = Extents::default();
        extents.add_run(PageId(10), 5);
        extents.add(PageId(12));
    }
}
