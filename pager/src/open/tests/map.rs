//! The allocation map, as it is read.

use super::*;

/// A file whose map has one level; the newest meta and its slot.
fn one_level(disk: &dyn Disk) -> (Meta, usize) {
    let mut opened = made(disk);
    grown(&mut opened);
    let meta = grown(&mut opened);
    (meta, opened.metas.newest_slot())
}

#[test]
fn a_map_of_another_height_is_damage_of_its_top_page() {
    let disk = MemoryDisk::new();
    let (meta, slot) = one_level(&*disk);
    forge_meta(&*disk, slot, |meta| meta.root.allocation_levels = 3);
    let top = meta.root.allocation.page;
    let expected =
        format!("page {top} is damaged: levels of the allocation map, expected 1, found 3");
    assert_eq!(said(&*disk), expected);
    // And a height without a page.
    forge_meta(&*disk, slot, |meta| {
        meta.root.allocation_levels = 1;
        meta.root.allocation = PageRef::NONE;
    });
    let text = said(&*disk);
    assert!(
        text.ends_with("levels of the allocation map, expected 0, found 1"),
        "{text}"
    );
}

#[test]
fn a_map_that_points_out_of_the_file_or_into_the_future_is_damage() {
    let disk = MemoryDisk::new();
    let (meta, slot) = one_level(&*disk);
    let root = meta.root;
    let top = root.allocation;
    for wrong in [
        PageRef {
            page: PageId(root.page_count),
            ..top
        },
        PageRef {
            version: root.version.next(),
            ..top
        },
    ] {
        forge_meta(&*disk, slot, |meta| meta.root.allocation = wrong);
        let text = said(&*disk);
        assert!(
            text.contains("pointer of the allocation map, expected one below"),
            "{text}"
        );
        let found = format!("found page {} of version {}", wrong.page, wrong.version);
        assert!(text.ends_with(&found), "{text}");
    }
}

#[test]
fn a_page_of_the_map_that_is_of_another_kind_or_level_is_damage() {
    let disk = MemoryDisk::new();
    let (meta, _) = one_level(&*disk);
    let page = meta.root.allocation.page;
    for (kind, level) in [(PageKind::Leaf, 0), (PageKind::AllocationMap, 1)] {
        forge_page(&*disk, page, |bytes| {
            (bytes[4], bytes[5]) = (kind as u8, level);
        });
        let start = format!("page {page} is damaged: kind, expected AllocationMap");
        let text = said(&*disk);
        assert!(text.starts_with(&start), "{text}");
    }
}

#[test]
fn a_bit_beyond_the_last_page_is_damage() {
    let disk = MemoryDisk::new();
    let (meta, _) = one_level(&*disk);
    let page = meta.root.allocation.page;
    let bit = meta.root.page_count as usize;
    forge_page(&*disk, page, |bytes| {
        bytes[PAGE_HEADER + bit / 8] |= 1 << (bit % 8);
    });
    let text = said(&*disk);
    assert!(text.contains("pages in the map"), "{text}");
    assert!(text.ends_with("found a bit beyond it"), "{text}");
}

#[test]
fn what_only_the_older_meta_reaches_may_be_damaged_but_must_be_readable() {
    let disk = SimDisk::new(1, SimOptions::default());
    let mut opened = made(&*disk);
    grown(&mut opened);
    grown(&mut opened);
    let older = opened.metas.older().unwrap().root.allocation.page;
    drop(opened);
    // The newest map is read before that of the older meta.
    let newest = reopen(&*disk).unwrap();
    let operations = disk.operations();
    drop(newest);
    drop(reopen(&*disk).unwrap());
    let of_one_open = disk.operations() - operations;
    disk.plan_fault(Some(FaultPlan {
        at_operation: disk.operations() + of_one_open - 1,
        fault: Fault::ReadEio,
    }));
    let error = reopen(&*disk).map(drop).unwrap_err();
    assert!(matches!(error, PagerError::Io { .. }), "{error}");
    forge_page(&*disk, older, |bytes| bytes[8] ^= 1);
    let opened = reopen(&*disk).unwrap();
    assert_eq!(opened.metas.newest().sequence, 4);
}

/// Pages that a map of two levels tells of: more than one page has bits for.
const MANY: u64 = 40_000;

/// A file with a map of two levels, most of it a hole.
fn two_levels() -> (Arc<SimDisk>, Meta) {
    let disk = SimDisk::new(1, SimOptions::default());
    drop(made(&*disk));
    data(&*disk).set_len(MANY * u64::from(PAGE)).unwrap();
    for slot in [0, 1] {
        forge_meta(&*disk, slot, |meta| meta.root.page_count = MANY);
    }
    let mut opened = reopen(&*disk).unwrap();
    let meta = grown(&mut opened);
    (disk, meta)
}

#[test]
fn a_map_of_two_levels_comes_back() {
    let (disk, meta) = two_levels();
    assert_eq!(meta.root.allocation_levels, 2);
    let mut opened = reopen(&*disk).unwrap();
    let used = opened.shadow.used_pages();
    assert_eq!(used, 4, "a leaf, two pages of bits, one of pointers");
    let guard = ReadGuard::enter();
    for at in opened.shadow.map_pages().collect::<Vec<_>>() {
        assert!(opened.shadow.is_used(at.page));
        opened.pager.get(&guard, at).unwrap();
    }
    drop(guard);
    let again = grown(&mut opened);
    assert_eq!(again.root.allocation_levels, 2);
    drop(opened);
    assert_eq!(reopen(&*disk).unwrap().shadow.used_pages(), used + 1);
}

#[test]
fn each_page_of_a_map_of_two_levels_is_checked() {
    let (disk, meta) = two_levels();
    let top = meta.root.allocation.page;
    let start = format!("page {top} is damaged: kind, expected AllocationIndex");
    forge_page(&*disk, top, |bytes| bytes[4] = PageKind::Branch as u8);
    let text = said(&*disk);
    assert!(text.starts_with(&start), "{text}");
    forge_page(&*disk, top, |bytes| {
        bytes[4] = PageKind::AllocationIndex as u8;
        // The second pointer: 16 bytes each, the page first.
        bytes[PAGE_HEADER + 16..PAGE_HEADER + 24].copy_from_slice(&(MANY + 7).to_le_bytes());
    });
    let text = said(&*disk);
    let start = format!(
        "page {} is damaged: pointer of the allocation map",
        MANY + 7
    );
    assert!(text.starts_with(&start), "{text}");
    forge_page(&*disk, top, |bytes| {
        bytes[PAGE_HEADER + 16..PAGE_HEADER + 24].fill(0);
    });
    let text = said(&*disk);
    let start = "page 0 is damaged: pointer of the allocation map";
    assert!(text.starts_with(start), "{text}");
}
