//! Reading ahead, on a disk whose reads end when the test says so.

use std::io;
use std::sync::Arc;

use cs_base::{Incarnation, TreeId};
use cs_io::memory::MemoryDisk;
use cs_io::{
    Disk, File, OpenMode, PageBuf, Pending, PendingRead, PendingReadIo, StableBytes, WriteMode,
};

use super::super::*;
use crate::format::{DATA_FILE, PageIdentity};
use crate::{create, open};

const PAGE: u32 = 4096;

/// Reads that were started end when they are waited for.
#[derive(Debug)]
struct Slow(Arc<dyn File>);

#[derive(Debug)]
struct SlowRead(Arc<dyn File>, PageBuf, u64);

impl PendingReadIo for SlowRead {
    fn is_finished(&mut self) -> bool {
        false
    }

    fn wait(self: Box<Self>) -> io::Result<(PageBuf, usize)> {
        let Self(file, mut page, offset) = *self;
        let count = file.read_at(&mut page, offset)?;
        Ok((page, count))
    }
}

impl File for Slow {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn start_read(&self, page: PageBuf, offset: u64) -> PendingRead {
        PendingRead::InFlight(Box::new(SlowRead(Arc::clone(&self.0), page, offset)))
    }
    fn reads_overlap(&self) -> bool {
        true
    }
    fn map_read_only(&self, _: u64, _: u64) -> io::Result<Option<cs_io::MapChunk>> {
        Err(io::Error::other("no maps today"))
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }
    fn start_write(&self, bytes: Arc<dyn StableBytes>, offset: u64, mode: WriteMode) -> Pending {
        self.0.start_write(bytes, offset, mode)
    }
    fn start_sync(&self) -> Pending {
        self.0.start_sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.0.allocate(offset, len)
    }
}

/// Pages on disk, and a pager that has none of them in memory.
fn make(pages: u64, budget_pages: u64) -> (Arc<MemoryDisk>, Pager, Vec<PageRef>) {
    let disk = MemoryDisk::new();
    create(&*disk, FileId(1), PAGE, Incarnation(0)).unwrap();
    let options = PagerOptions {
        cache_bytes: budget_pages * u64::from(PAGE),
        read_path: ReadPath::Pool,
        verify: |_, _| Ok(()),
    };
    let mut opened = open(&*disk, options, OpenMode::ReadWrite).unwrap();
    let leaf = PageIdentity {
        kind: PageKind::Leaf,
        level: 0,
        tree: TreeId(16),
    };
    let refs = (0..pages)
        .map(|_| opened.shadow.allocate(&opened.pager, leaf))
        .collect();
    opened.shadow.seal(&opened.pager);
    opened.pager.write_back(usize::MAX, true).unwrap();
    assert_eq!(opened.pager.stats().dirty_bytes, 0);
    let file = disk.open(DATA_FILE, OpenMode::ReadWrite).unwrap();
    let pager = Pager::new(Arc::new(Slow(file)), FileId(1), PAGE, &options);
    (disk, pager, refs)
}

#[test]
fn a_page_read_ahead_is_not_read_again_and_counts_once() {
    let (_disk, pager, pages) = make(20, 1000);
    assert!(pager.reads_ahead());
    pager.prefetch(&pages[..10]);
    pager.prefetch(&pages[5..15]);
    let stats = pager.stats();
    assert_eq!(stats.pages_read_ahead, 15);
    assert_eq!(stats.resident_bytes, 15 * u64::from(PAGE));
    for &at in &pages {
        pager.get(&ReadGuard::enter(), at).unwrap();
    }
    let stats = pager.stats();
    assert_eq!(stats.pages_read, 20);
    // A little for each frame and each number of the table.
    let pages_only = 20 * u64::from(PAGE);
    assert!((pages_only..pages_only + 4096).contains(&stats.resident_bytes));
    assert_eq!(stats.arena_used_bytes, 20 * u64::from(PAGE));
    pager.prefetch(&pages);
    assert_eq!(pager.stats().pages_read_ahead, 15, "all are in memory");
}

#[test]
fn what_nobody_asks_for_makes_way_and_stays_within_its_share() {
    let (_disk, pager, pages) = make(200, 64);
    for chunk in pages.chunks(8) {
        pager.prefetch(chunk);
        assert!(pager.stats().resident_bytes <= 8 * u64::from(PAGE));
    }
    for &at in &pages {
        pager.get(&ReadGuard::enter(), at).unwrap();
        let stats = pager.stats();
        assert!(stats.resident_bytes <= stats.budget_bytes, "{stats:?}");
    }
}

/// The read began before the page was written: what it brought is not believed.
#[test]
fn what_turns_out_wrong_is_read_again_and_only_then_an_error() {
    let (disk, pager, pages) = make(4, 1000);
    let file = disk.open(DATA_FILE, OpenMode::ReadWrite).unwrap();
    let offset = pages[1].page.0 * u64::from(PAGE);
    let mut good = vec![0; PAGE as usize];
    file.read_at(&mut good, offset).unwrap();
    file.write_at(&[9; 100], offset + 500).unwrap();
    pager.prefetch(&pages);
    {
        // It ends now, with damage.
        let mut pending = pager.ahead.pending.lock();
        let (at, read) = pending.remove(1).unwrap();
        pending.insert(1, (at, PendingRead::Ready(read.wait())));
    }
    file.write_at(&good, offset).unwrap();
    pager.get(&ReadGuard::enter(), pages[1]).unwrap();
    let offset = pages[2].page.0 * u64::from(PAGE);
    file.write_at(&[9; 100], offset + 500).unwrap();
    let error = pager.get(&ReadGuard::enter(), pages[2]).unwrap_err();
    assert!(error.is_corruption(), "{error}");
}

#[test]
fn a_disk_whose_reads_do_not_overlap_reads_nothing_ahead() {
    let (disk, _, pages) = make(4, 1000);
    let options = PagerOptions {
        cache_bytes: 1 << 20,
        read_path: ReadPath::Pool,
        verify: |_, _| Ok(()),
    };
    let file = disk.open(DATA_FILE, OpenMode::ReadOnly).unwrap();
    let pager = Pager::new(file, FileId(1), PAGE, &options);
    assert!(!pager.reads_ahead());
    pager.prefetch(&pages);
    assert_eq!(pager.stats().pages_read_ahead, 0);
}

#[test]
fn numbers_that_no_file_reaches_are_passed_over() {
    let (_disk, pager, pages) = make(4, 1000);
    let beyond = PageRef {
        page: PageId(u64::MAX / 2),
        ..pages[0]
    };
    pager.prefetch(&[beyond, pages[0], pages[0]]);
    assert_eq!(pager.stats().pages_read_ahead, 1);
}

#[test]
fn a_map_that_the_system_refuses_falls_back_to_the_pool_and_says_why() {
    let (disk, _, pages) = make(4, 1000);
    let options = PagerOptions {
        cache_bytes: 1 << 20,
        read_path: ReadPath::Map,
        verify: |_, _| Ok(()),
    };
    let file = disk.open(DATA_FILE, OpenMode::ReadOnly).unwrap();
    let pager = Pager::new(Arc::new(Slow(file)), FileId(1), PAGE, &options);
    assert_eq!(pager.map_refused(), Some("no maps today"));
    assert_eq!(pager.read_path(), ReadPath::Pool);
    pager.get(&ReadGuard::enter(), pages[0]).unwrap();
}
