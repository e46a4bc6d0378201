//! The map: the same pages, without a copy.

use std::sync::Arc;

use cs_base::Version;
use cs_io::sys::{SysDisk, SysOptions};
use cs_io::{Disk, OpenMode};

use super::super::*;
use crate::format::{DATA_FILE, PAGE_HEADER, PageIdentity};
use crate::{Opened, create, open};
use cs_base::{Incarnation, TreeId};

const PAGE: u32 = 4096;
const LEAF: PageIdentity = PageIdentity {
    kind: PageKind::Leaf,
    level: 0,
    tree: TreeId(16),
};

fn options(read_path: ReadPath) -> PagerOptions {
    PagerOptions {
        cache_bytes: 64 * u64::from(PAGE),
        read_path,
        verify: |_, _| Ok(()),
    }
}

struct Fixture {
    disk: Arc<SysDisk>,
    opened: Opened,
    _scratch: tempfile::TempDir,
}

fn make() -> Fixture {
    let scratch = tempfile::tempdir().unwrap();
    let disk = SysDisk::open(scratch.path(), SysOptions::default()).unwrap();
    create(&*disk, FileId(1), PAGE, Incarnation(0)).unwrap();
    let opened = open(&*disk, options(ReadPath::Map), OpenMode::ReadWrite).unwrap();
    assert_eq!(opened.pager.read_path(), ReadPath::Map);
    Fixture {
        disk,
        opened,
        _scratch: scratch,
    }
}

fn checkpoint(opened: &mut Opened) {
    opened.shadow.reserve(&opened.pager, 64, 0, true).unwrap();
    crate::tests::checkpoint(opened);
}

fn page(opened: &mut Opened, byte: u8) -> PageRef {
    let Opened { pager, shadow, .. } = opened;
    shadow.reserve(pager, 1, 0, true).unwrap();
    let at = shadow.allocate(pager, LEAF);
    shadow.page_mut(at)[PAGE_HEADER..].fill(byte);
    at
}

fn body(frame: &Frame) -> u8 {
    let body = &frame.bytes()[PAGE_HEADER..];
    assert!(body.iter().all(|byte| *byte == body[0]));
    body[0]
}

#[test]
fn a_written_page_gives_its_memory_back_and_is_shown_by_the_map() {
    let mut fixture = make();
    let opened = &mut fixture.opened;
    let pages: Vec<PageRef> = (0..200).map(|byte| page(opened, byte)).collect();
    let dirty = opened.pager.stats();
    assert!(dirty.open_bytes >= 200 * u64::from(PAGE), "{dirty:?}");
    checkpoint(opened);
    let pager = &opened.pager;
    for (&at, byte) in pages.iter().zip(0..) {
        assert_eq!(body(&pager.pin(at).unwrap()), byte);
        assert!(pager.pin(at).unwrap().is_mapped());
    }
    let clean = pager.stats();
    assert!(clean.resident_bytes < 64 * 1024, "{clean:?}");
    assert!(clean.mapped_bytes >= 200 * u64::from(PAGE), "{clean:?}");
    assert!(pager.mapped_until() >= clean.mapped_bytes);
    // Opened again, each page is looked at once.
    let again = open(&*fixture.disk, options(ReadPath::Map), OpenMode::ReadWrite).unwrap();
    let before = again.pager.stats().pages_read;
    for _ in 0..3 {
        for &at in &pages {
            again.pager.get(&ReadGuard::enter(), at).unwrap();
        }
    }
    assert_eq!(again.pager.stats().pages_read - before, 200);
}

#[test]
fn whoever_holds_a_frame_keeps_its_bytes_and_its_number() {
    let mut fixture = make();
    let opened = &mut fixture.opened;
    let old = page(opened, 7);
    let held_dirty = {
        checkpoint(opened);
        opened.pager.pin(old).unwrap()
    };
    assert!(held_dirty.is_mapped());
    opened.shadow.free(&opened.pager, old);
    for round in 0..6 {
        let others: Vec<u64> = (0..8).map(|_| page(opened, 9).page.0).collect();
        assert!(!others.contains(&old.page.0), "round {round}: {others:?}");
        checkpoint(opened);
        assert_eq!(body(&held_dirty), 7);
    }
    drop(held_dirty);
    checkpoint(opened);
    let others: Vec<u64> = (0..32).map(|_| page(opened, 9).page.0).collect();
    assert!(others.contains(&old.page.0), "{others:?}");
}

#[test]
fn a_number_handed_out_again_is_verified_again() {
    let mut fixture = make();
    let opened = &mut fixture.opened;
    let old = page(opened, 1);
    for _ in 0..3 {
        checkpoint(opened);
    }
    opened.shadow.free(&opened.pager, old);
    let new = (0..10)
        .find_map(|_| {
            checkpoint(opened);
            (0..16)
                .map(|_| page(opened, 2))
                .find(|at| at.page == old.page)
        })
        .expect("the number comes again");
    checkpoint(opened);
    assert_eq!(body(&opened.pager.pin(new).unwrap()), 2);
    let error = opened.pager.get(&ReadGuard::enter(), old).unwrap_err();
    assert!(matches!(error, PagerError::Overtaken { .. }), "{error}");
}

#[test]
fn damage_and_pages_beyond_the_file_are_errors() {
    let mut fixture = make();
    let at = page(&mut fixture.opened, 3);
    checkpoint(&mut fixture.opened);
    drop(fixture.opened);
    let file = fixture.disk.open(DATA_FILE, OpenMode::ReadWrite).unwrap();
    let offset = at.page.0 * u64::from(PAGE) + 2000;
    file.write_at(&[1], offset).unwrap();
    let opened = open(&*fixture.disk, options(ReadPath::Map), OpenMode::ReadWrite).unwrap();
    let error = opened.pager.get(&ReadGuard::enter(), at).unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
    for page in [1 << 20, u64::MAX / 8192, u64::MAX] {
        let at = PageRef {
            page: PageId(page),
            version: Version(1),
        };
        let error = opened.pager.get(&ReadGuard::enter(), at).unwrap_err();
        assert!(error.is_corruption(), "{error}");
    }
}

#[test]
fn chunks_that_nobody_shows_are_unmapped_on_request() {
    let mut fixture = make();
    let opened = &mut fixture.opened;
    let at = page(opened, 3);
    checkpoint(opened);
    let held = opened.pager.pin(at).unwrap();
    opened.pager.drop_idle_maps();
    assert!(opened.pager.mapped_until() > 0, "a frame shows it");
    drop(held);
    let guard = ReadGuard::enter();
    for page in 0..64 {
        opened.pager.table.remove(PageId(page), &guard);
    }
    drop(guard);
    // Frames go when the last epoch ends that saw them: other tests share it.
    for _ in 0..1_000_000 {
        if opened.pager.mapped_until() == 0 {
            break;
        }
        opened.pager.drop_idle_maps();
    }
    assert_eq!(opened.pager.mapped_until(), 0);
    assert_eq!(body(&opened.pager.pin(at).unwrap()), 3, "and mapped anew");
}

#[test]
fn a_disk_without_maps_falls_back_to_the_pool_and_says_so() {
    let disk = cs_io::memory::MemoryDisk::new();
    create(&*disk, FileId(1), PAGE, Incarnation(0)).unwrap();
    let opened = open(&*disk, options(ReadPath::Map), OpenMode::ReadWrite).unwrap();
    assert_eq!(opened.pager.stats().read_path, ReadPath::Pool);
    assert_eq!(opened.pager.map_refused(), Some("this disk has none"));
}

#[test]
fn who_reads_ahead_on_the_map_asks_the_system_for_what_is_in_the_file() {
    let mut fixture = make();
    let opened = &mut fixture.opened;
    let pages: Vec<PageRef> = (0..20).map(|byte| page(opened, byte)).collect();
    checkpoint(opened);
    let pager = &opened.pager;
    assert!(pager.reads_ahead());
    pager.prefetch(&pages);
    assert_eq!(pager.stats().pages_read_ahead, 20);
    let beyond = PageRef {
        page: PageId(1 << 30),
        ..pages[0]
    };
    pager.prefetch(&[beyond]);
    assert_eq!(pager.stats().pages_read_ahead, 20, "there is nothing there");
    assert_eq!(body(&pager.pin(pages[7]).unwrap()), 7);
}

#[test]
fn a_long_file_is_mapped_in_chunks_and_none_reaches_beyond_its_end() {
    let fixture = make();
    let file = fixture.disk.open(DATA_FILE, OpenMode::ReadWrite).unwrap();
    let mapping = Mapping::open(&*file).unwrap().unwrap();
    let until = mapping.until();
    assert_eq!(until, file.len().unwrap());
    let chunk = |offset, len| mapping.chunk(&*file, offset, len).unwrap();
    assert!(chunk(until, 4096).is_none(), "beyond the end");
    assert!(chunk(u64::MAX - 10, 4096).is_none());
    // Sparse: nothing of it takes space.
    let long = mapping::CHUNK + 8192;
    file.set_len(long).unwrap();
    let second = chunk(mapping::CHUNK + 4096, 4096).unwrap();
    assert_eq!((second.offset(), second.end()), (mapping::CHUNK, long));
    let first = chunk(until, 4096).unwrap();
    assert_eq!((first.offset(), first.end()), (0, mapping::CHUNK));
    assert!(Arc::ptr_eq(&second, &chunk(mapping::CHUNK, 8192).unwrap()));
    assert!(chunk(mapping::CHUNK + 8192, 1).is_none());
    assert!(
        chunk(mapping::CHUNK - 4096, 8192).is_none(),
        "no page lies across two chunks"
    );

    drop(second);
    let refused = mapping.cut(mapping::CHUNK, || Err(std::io::Error::other("not today")));
    assert_eq!(refused.unwrap_err().to_string(), "not today");
    assert_eq!(mapping.until(), mapping::CHUNK, "forgotten all the same");
    mapping
        .cut(mapping::CHUNK, || file.set_len(mapping::CHUNK))
        .unwrap();
    assert!(chunk(mapping::CHUNK, 4096).is_none());
    assert_eq!(mapping.bytes(), mapping::CHUNK);
}
