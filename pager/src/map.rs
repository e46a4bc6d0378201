//! The allocation map: one bit for each page, set while the current version
//! reaches it.
//!
//! In memory the bits lie flat. On disk they are a copy-on-write radix tree
//! that hangs off the root: bitmap pages at the bottom, index pages of
//! [`PageRef`]s above. Only pieces whose bits changed are written again.
//!
//! DESIGN speaks of extents on disk. Bits won: a random workload frees tens of
//! thousands of single pages between two checkpoints, which is as many inserts
//! into a tree of extents under the writer's lock, against as many bits in a
//! handful of pages; one 8 KiB page tells of half a gigabyte. In memory, where
//! runs are looked for, free space is kept as extents.

use std::collections::BTreeSet;

use cs_base::PageId;

use crate::format::{PAGE_HEADER, PageRef};

/// Bytes of one pointer in an index page: page number and version.
const ENTRY: usize = 16;

/// See the module's text.
#[derive(Debug, Clone)]
pub(crate) struct AllocationMap {
    words: Vec<u64>,
    /// How many bits are set.
    used: u64,
    words_per_piece: usize,
    fan_out: usize,
    /// Pieces whose bits differ from those on disk.
    changed: BTreeSet<usize>,
    /// `levels[0]` are the bitmap pages, the last level has one page: the top.
    levels: Vec<Vec<PageRef>>,
}

impl AllocationMap {
    pub(crate) fn new(page_size: u32) -> Self {
        let room = page_size as usize - PAGE_HEADER;
        Self {
            words: Vec::new(),
            used: 0,
            words_per_piece: room / 8,
            fan_out: room / ENTRY,
            changed: BTreeSet::new(),
            levels: Vec::new(),
        }
    }

    /// Pages told of by one bitmap page.
    pub(crate) fn pages_per_piece(&self) -> u64 {
        self.words_per_piece as u64 * 64
    }

    pub(crate) fn get(&self, page: PageId) -> bool {
        let word = self.words.get((page.0 / 64) as usize).copied().unwrap_or(0);
        word >> (page.0 % 64) & 1 == 1
    }

    /// Changes one bit.
    ///
    /// # Panics
    /// If it is so already: a page would be free or used twice.
    pub(crate) fn set(&mut self, page: PageId, used: bool) {
        assert_ne!(
            self.get(page),
            used,
            "page {page} is allocated or freed twice"
        );
        let word = (page.0 / 64) as usize;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] ^= 1 << (page.0 % 64);
        if used {
            self.used += 1;
        } else {
            self.used -= 1;
        }
        self.changed.insert(word / self.words_per_piece);
    }

    pub(crate) fn used_pages(&self) -> u64 {
        self.used
    }

    // ---- writing ----

    /// The pieces to be written, ascending.
    pub(crate) fn changed(&self) -> Vec<usize> {
        self.changed.iter().copied().collect()
    }

    pub(crate) fn forget_changes(&mut self) {
        self.changed.clear();
    }

    /// How many pages each level has when `page_count` pages are told of.
    pub(crate) fn shape(&self, page_count: u64) -> Vec<usize> {
        let mut count = page_count.div_ceil(self.pages_per_piece()).max(1) as usize;
        let mut shape = vec![count];
        while count > 1 {
            count = count.div_ceil(self.fan_out);
            shape.push(count);
        }
        shape
    }

    /// Gives the levels this shape; new places have no page yet. Returns the
    /// pages whose places are gone, where the file was cut.
    pub(crate) fn reshape(&mut self, shape: &[usize]) -> Vec<PageRef> {
        let mut gone = Vec::new();
        for (level, places) in self.levels.iter_mut().enumerate() {
            let count = shape.get(level).copied().unwrap_or_default();
            gone.extend(places.drain(count.min(places.len())..));
        }
        gone.retain(|at| !at.is_none());
        self.levels.resize(shape.len(), Vec::new());
        for (level, &count) in self.levels.iter_mut().zip(shape) {
            level.resize(count, PageRef::NONE);
        }
        let pieces = shape.first().copied().unwrap_or_default();
        self.changed.retain(|&piece| piece < pieces);
        gone
    }

    /// Has the pages of the map from `limit` on written anew, under other numbers.
    pub(crate) fn touch_from(&mut self, limit: PageId) -> usize {
        let mut span = 1;
        let mut touched = 0;
        for level in &self.levels {
            for (position, at) in level.iter().enumerate() {
                if at.page >= limit {
                    // Writing a piece writes everything above it.
                    self.changed.insert(position * span);
                    touched += 1;
                }
            }
            span *= self.fan_out;
        }
        touched
    }

    pub(crate) fn levels(&self) -> usize {
        self.levels.len()
    }

    pub(crate) fn at(&self, level: usize, position: usize) -> PageRef {
        self.levels[level][position]
    }

    pub(crate) fn set_at(&mut self, level: usize, position: usize, at: PageRef) {
        self.levels[level][position] = at;
    }

    /// The position in the level above that points to this one.
    pub(crate) fn parent(&self, position: usize) -> usize {
        position / self.fan_out
    }

    /// All page positions of a level that have no page yet.
    pub(crate) fn missing(&self, level: usize) -> Vec<usize> {
        let pages = self.levels[level].iter().enumerate();
        pages
            .filter(|(_, at)| at.is_none())
            .map(|(position, _)| position)
            .collect()
    }

    /// The pointer to the top page.
    pub(crate) fn top(&self) -> PageRef {
        self.levels.last().map_or(PageRef::NONE, |level| level[0])
    }

    /// Every page that the map itself takes.
    pub(crate) fn own_pages(&self) -> impl Iterator<Item = PageRef> + '_ {
        self.levels
            .iter()
            .flatten()
            .copied()
            .filter(|at| !at.is_none())
    }

    /// Fills in the body of a map page.
    pub(crate) fn write_body(&self, level: usize, position: usize, body: &mut [u8]) {
        body.fill(0);
        if level == 0 {
            let from = position * self.words_per_piece;
            let words = self.words.iter().skip(from).take(self.words_per_piece);
            for (bytes, word) in body.chunks_exact_mut(8).zip(words) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        } else {
            let from = position * self.fan_out;
            let below = self.levels[level - 1].iter().skip(from).take(self.fan_out);
            for (bytes, at) in body.chunks_exact_mut(ENTRY).zip(below) {
                bytes[..8].copy_from_slice(&at.page.0.to_le_bytes());
                bytes[8..].copy_from_slice(&at.version.0.to_le_bytes());
            }
        }
    }

    // ---- reading ----

    /// Takes in the body of a bitmap page.
    pub(crate) fn read_bits(&mut self, position: usize, body: &[u8]) {
        let from = position * self.words_per_piece;
        let words: Vec<u64> = body
            .chunks_exact(8)
            .take(self.words_per_piece)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
            .collect();
        let last = words
            .iter()
            .rposition(|&word| word != 0)
            .map_or(0, |last| last + 1);
        if self.words.len() < from + last {
            self.words.resize(from + last, 0);
        }
        let ones = |words: &[u64]| {
            words
                .iter()
                .map(|word| u64::from(word.count_ones()))
                .sum::<u64>()
        };
        self.used -= ones(&self.words[from..from + last]);
        self.used += ones(&words[..last]);
        self.words[from..from + last].copy_from_slice(&words[..last]);
    }

    /// The pointers in the body of an index page.
    pub(crate) fn read_index(&self, body: &[u8]) -> Vec<PageRef> {
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        body.chunks_exact(ENTRY)
            .take(self.fan_out)
            .map(|entry| PageRef {
                page: PageId(number(&entry[..8])),
                version: cs_base::Version(number(&entry[8..])),
            })
            .collect()
    }

    /// The free runs below `page_count`.
    pub(crate) fn free_runs(&self, first: PageId, page_count: u64) -> Vec<(PageId, u64)> {
        let mut runs: Vec<(PageId, u64)> = Vec::new();
        let mut page = first.0;
        while page < page_count {
            let word = self.words.get((page / 64) as usize).copied().unwrap_or(0);
            let rest = word >> (page % 64);
            let left_in_word = 64 - page % 64;
            let (free, len) = if rest & 1 == 1 {
                (false, u64::from((!rest).trailing_zeros()).min(left_in_word))
            } else {
                (true, u64::from(rest.trailing_zeros()).min(left_in_word))
            };
            let len = len.min(page_count - page);
            if free {
                match runs.last_mut() {
                    Some((start, count)) if start.0 + *count == page => *count += len,
                    _ => runs.push((PageId(page), len)),
                }
            }
            page += len;
        }
        runs
    }

    /// Pages used here that are not used in `other`.
    pub(crate) fn used_only_here(&self, other: &Self) -> Vec<PageId> {
        let mut pages = Vec::new();
        for (position, &word) in self.words.iter().enumerate() {
            let mut bits = word & !other.words.get(position).copied().unwrap_or(0);
            while bits != 0 {
                pages.push(PageId(
                    position as u64 * 64 + u64::from(bits.trailing_zeros()),
                ));
                bits &= bits - 1;
            }
        }
        pages
    }

    /// Sets the bits that `other` has too.
    pub(crate) fn unite(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            self.used += u64::from((theirs & !*mine).count_ones());
            *mine |= theirs;
        }
    }

    /// Whether a page beyond `page_count` is said to be used.
    pub(crate) fn reaches_beyond(&self, page_count: u64) -> bool {
        let last = self.words.iter().rposition(|&word| word != 0);
        last.is_some_and(|position| {
            let top = 63 - u64::from(self.words[position].leading_zeros());
            position as u64 * 64 + top >= page_count
        })
    }
}

#[cfg(test)]
mod tests {
    use cs_base::Version;

    use super::*;

    #[test]
    fn bits_and_pointers_come_back_through_their_pages() {
        let mut map = AllocationMap::new(4096);
        let per_piece = map.pages_per_piece();
        let page_count = per_piece * 300;
        let used: Vec<u64> = (0..500).map(|step| step * (page_count / 500) + 3).collect();
        for &page in &used {
            map.set(PageId(page), true);
        }
        let shape = map.shape(page_count);
        assert_eq!(shape, vec![300, 2, 1], "252 pointers fit into a page");
        map.reshape(&shape);
        for level in 0..3 {
            for position in map.missing(level) {
                let page = PageId((level * 1000 + position + 10) as u64);
                map.set_at(
                    level,
                    position,
                    PageRef {
                        page,
                        version: Version(3),
                    },
                );
            }
        }
        let mut body = vec![0; 4096 - PAGE_HEADER];
        let mut copy = AllocationMap::new(4096);
        for position in 0..300 {
            map.write_body(0, position, &mut body);
            copy.read_bits(position, &body);
        }
        assert!(used.iter().all(|&page| copy.get(PageId(page))));
        assert_eq!(copy.used_pages(), used.len() as u64);
        map.write_body(1, 1, &mut body);
        assert_eq!(copy.read_index(&body)[..48], map.levels[0][252..]);
        assert!(!map.reaches_beyond(page_count));
        assert!(map.reaches_beyond(used[499]));
    }

    #[test]
    fn free_runs_are_the_gaps_between_used_pages() {
        let mut map = AllocationMap::new(4096);
        for page in [2, 3, 63, 64, 65, 200] {
            map.set(PageId(page), true);
        }
        let runs = map.free_runs(PageId(2), 300);
        let expected = [(4, 59), (66, 134), (201, 99)].map(|(start, len)| (PageId(start), len));
        assert_eq!(runs, expected);
    }

    #[test]
    #[should_panic(expected = "allocated or freed twice")]
    fn freeing_twice_is_refused() {
        let mut map = AllocationMap::new(4096);
        map.set(PageId(1), true);
        map.set(PageId(1), false);
        map.set(PageId(1), false);
    }
}
