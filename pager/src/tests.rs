//! The layers of the pager together, on a disk in memory.

use std::sync::Arc;

use cs_base::{FileId, Incarnation, PageId, TreeId, Version};
use cs_io::memory::MemoryDisk;
use cs_io::{Disk, OpenMode};

use crate::*;

pub(crate) const PAGE_SIZE: u32 = 4096;
const LEAF: PageIdentity = PageIdentity {
    kind: PageKind::Leaf,
    level: 0,
    tree: TreeId(16),
};

pub(crate) fn options(pages: u64) -> PagerOptions {
    PagerOptions {
        cache_bytes: pages * u64::from(PAGE_SIZE),
        read_path: ReadPath::Pool,
        verify: |_, _| Ok(()),
    }
}

fn make(pages: u64) -> (Arc<MemoryDisk>, Opened) {
    let disk = MemoryDisk::new();
    create(&*disk, FileId(1), PAGE_SIZE, Incarnation(0)).unwrap();
    let opened = reopen(&disk, pages);
    (disk, opened)
}

fn reopen(disk: &Arc<MemoryDisk>, pages: u64) -> Opened {
    open(&**disk, options(pages), OpenMode::ReadWrite).unwrap()
}

/// Seals, and begins a checkpoint of the version that is returned.
fn begin_checkpoint(opened: &mut Opened) -> (CheckpointRun, Version) {
    let Opened {
        pager,
        shadow,
        metas,
    } = opened;
    shadow.cover(pager).unwrap();
    shadow.write_map(pager).unwrap();
    let mut root = metas.newest().root;
    shadow.describe(&mut root);
    let version = shadow.seal(pager);
    pager.set_visible(version);
    let meta = Meta {
        root,
        ..*metas.newest()
    };
    (CheckpointRun::begin(pager, metas, meta), version)
}

/// Seals, and writes a checkpoint to its end.
pub(crate) fn checkpoint(opened: &mut Opened) {
    let (mut run, _) = begin_checkpoint(opened);
    let Opened {
        pager,
        shadow,
        metas,
    } = opened;
    while !run.step(pager, metas, true, &mut || true).unwrap() {}
    shadow.reclaim(pager);
}

fn fill(opened: &mut Opened, at: PageRef, byte: u8) {
    opened.shadow.page_mut(at)[PAGE_HEADER..].fill(byte);
}

#[test]
fn pages_come_back_after_a_checkpoint_and_reopening() {
    let (disk, mut opened) = make(64);
    let pages: Vec<_> = (0..100_u8)
        .map(|byte| {
            let at = opened.shadow.allocate(&opened.pager, LEAF);
            fill(&mut opened, at, byte);
            at
        })
        .collect();
    checkpoint(&mut opened);
    drop(opened);
    let opened = reopen(&disk, 64);
    let guard = ReadGuard::enter();
    for (byte, &at) in (0..).zip(&pages) {
        assert!(opened.shadow.is_used(at.page));
        let frame = opened.pager.get(&guard, at).unwrap();
        assert!(
            frame.bytes()[PAGE_HEADER..]
                .iter()
                .all(|&found| found == byte)
        );
    }
}

#[test]
fn a_freed_page_is_reused_only_when_neither_meta_reaches_it() {
    let (_disk, mut opened) = make(64);
    let old = opened.shadow.allocate(&opened.pager, LEAF);
    checkpoint(&mut opened);
    let new = opened.shadow.shadow(&opened.pager, old).unwrap();
    assert_ne!(new.page, old.page);
    for round in 0..2 {
        let pending = opened.shadow.space().pending;
        assert!(
            pending > 0,
            "round {round}: a meta still reaches page {}",
            old.page
        );
        checkpoint(&mut opened);
    }
    let taken: Vec<_> = (0..8)
        .map(|_| opened.shadow.allocate(&opened.pager, LEAF).page)
        .collect();
    assert!(
        taken.contains(&old.page),
        "both metas are newer now: {taken:?}"
    );
}

#[test]
fn a_pinned_version_keeps_its_pages() {
    let (_disk, mut opened) = make(64);
    let at = opened.shadow.allocate(&opened.pager, LEAF);
    fill(&mut opened, at, 7);
    checkpoint(&mut opened);
    let pinned = at.version;
    opened.pager.pin_version(pinned);
    opened.shadow.free(&opened.pager, at);
    for _ in 0..4 {
        let page = opened.shadow.allocate(&opened.pager, LEAF);
        assert_ne!(page.page, at.page);
        checkpoint(&mut opened);
    }
    let guard = ReadGuard::enter();
    assert_eq!(
        opened.pager.get(&guard, at).unwrap().bytes()[PAGE_HEADER],
        7
    );
    drop(guard);
    opened.pager.unpin(pinned);
    checkpoint(&mut opened);
    let taken: Vec<_> = (0..16)
        .map(|_| opened.shadow.allocate(&opened.pager, LEAF).page)
        .collect();
    assert!(taken.contains(&at.page));
}

#[test]
fn the_pool_stays_within_its_budget() {
    let (_disk, mut opened) = make(32);
    let pages: Vec<_> = (0..500)
        .map(|_| opened.shadow.allocate(&opened.pager, LEAF))
        .collect();
    checkpoint(&mut opened);
    for round in 0..3 {
        for &at in &pages {
            opened.pager.get(&ReadGuard::enter(), at).unwrap();
        }
        let stats = opened.pager.stats();
        assert!(stats.pages_evicted > 0, "round {round}");
    }
    // Evicted frames go when the last epoch that saw them ends; other tests
    // share the epochs of this process, so that may take a while.
    let mut stats = opened.pager.stats();
    for _ in 0..1_000_000 {
        if stats.resident_bytes <= stats.budget_bytes {
            break;
        }
        ReadGuard::enter().flush();
        stats = opened.pager.stats();
    }
    assert!(stats.resident_bytes <= stats.budget_bytes, "{stats:?}");
}

#[test]
fn a_page_that_changed_on_disk_is_an_error_that_names_it() {
    let (disk, mut opened) = make(64);
    let at = opened.shadow.allocate(&opened.pager, LEAF);
    checkpoint(&mut opened);
    drop(opened);
    let file = disk.open(format::DATA_FILE, OpenMode::ReadWrite).unwrap();
    let offset = at.page.0 * u64::from(PAGE_SIZE) + 1000;
    file.write_at(&[1], offset).unwrap();
    let opened = reopen(&disk, 64);
    let error = opened.pager.get(&ReadGuard::enter(), at).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("page {} is damaged: checksum", at.page))
    );
    assert!(error.is_corruption());
}

#[test]
fn a_stale_image_of_a_page_is_found_by_its_version() {
    let (disk, mut opened) = make(64);
    let at = opened.shadow.allocate(&opened.pager, LEAF);
    checkpoint(&mut opened);
    drop(opened);
    let opened = reopen(&disk, 64);
    let later = PageRef {
        version: Version(at.version.0 + 5),
        ..at
    };
    let error = opened.pager.get(&ReadGuard::enter(), later).unwrap_err();
    assert!(error.to_string().contains("version, expected"), "{error}");
}

#[test]
fn the_newest_meta_may_be_lost() {
    let (disk, mut opened) = make(64);
    let first = opened.shadow.allocate(&opened.pager, LEAF);
    checkpoint(&mut opened);
    opened.shadow.allocate(&opened.pager, LEAF);
    checkpoint(&mut opened);
    let offset = format::META_OFFSETS[opened.metas.newest_slot()];
    drop(opened);
    let file = disk.open(format::DATA_FILE, OpenMode::ReadWrite).unwrap();
    file.write_at(&[0; 512], offset).unwrap();
    let opened = reopen(&disk, 64);
    assert!(opened.metas.older().is_none());
    assert_eq!(opened.metas.newest().root.version, first.version);
    opened.pager.get(&ReadGuard::enter(), first).unwrap();
    file.write_at(&[0; 8192], 0).unwrap();
    let error = open(&*disk, options(64), OpenMode::ReadWrite).unwrap_err();
    assert!(
        error.to_string().contains("neither meta is valid"),
        "{error}"
    );
}

#[test]
fn a_full_disk_refuses_space_and_changes_nothing() {
    let disk = MemoryDisk::with_capacity(256 * 1024);
    create(&*disk, FileId(1), PAGE_SIZE, Incarnation(0)).unwrap();
    let mut opened = reopen(&disk, 64);
    let before = opened.shadow.space();
    let refused = opened.shadow.reserve(&opened.pager, 1_000, 0, false);
    assert!(
        matches!(refused, Err(PagerError::NoSpace { pages: 1_000 })),
        "{refused:?}"
    );
    assert_eq!(opened.shadow.space(), before);
    opened.shadow.reserve(&opened.pager, 8, 0, true).unwrap();
}

#[test]
fn many_readers_see_one_frame_while_others_are_evicted() {
    let (_disk, mut opened) = make(16);
    let pages: Vec<_> = (0..200_u64)
        .map(|number| {
            let at = opened.shadow.allocate(&opened.pager, LEAF);
            opened.shadow.page_mut(at)[PAGE_HEADER..][..8].copy_from_slice(&number.to_le_bytes());
            at
        })
        .collect();
    checkpoint(&mut opened);
    let pager = &opened.pager;
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let pages = &pages;
            scope.spawn(move || {
                for step in 0..4_000_u64 {
                    let number = (step * (7 + thread)) % 200;
                    let guard = ReadGuard::enter();
                    let frame = pager.get(&guard, pages[number as usize]).unwrap();
                    assert_eq!(frame.bytes()[PAGE_HEADER..][..8], number.to_le_bytes());
                }
            });
        }
    });
}

#[test]
fn page_zero_and_pages_beyond_the_file_are_refused() {
    let (_disk, opened) = make(16);
    let at = |page| PageRef {
        page: PageId(page),
        version: Version(1),
    };
    for page in [0, 1, 1 << 20, u64::MAX / 2, u64::MAX] {
        let error = opened.pager.get(&ReadGuard::enter(), at(page)).unwrap_err();
        assert!(error.is_corruption(), "{error}");
    }
}

/// Symptom: the crash explorer (seed 3, state 189103) found an older meta whose
/// pages had been reused, so that damage of the newest one was fatal. Cause:
/// the process had crashed while its meta was in the page cache alone; open
/// took it for durable and freed what only the meta below it reached; then the
/// machine crashed and brought that one back. Cure: open syncs the data file.
#[test]
fn a_meta_that_open_has_read_survives_a_later_crash_of_the_machine() {
    use cs_io::sim::{CrashKind, Rng, SimDisk, SimOptions};

    let sequences = |disk: &SimDisk| {
        let file = disk.open(format::DATA_FILE, OpenMode::ReadOnly).unwrap();
        read_metas(&*file)
            .unwrap()
            .map(|meta| meta.map(|meta| meta.sequence))
    };
    let disk = SimDisk::new(1, SimOptions::default());
    create(&*disk, FileId(1), PAGE_SIZE, Incarnation(0)).unwrap();
    let file = disk.open(format::DATA_FILE, OpenMode::ReadWrite).unwrap();
    let [first, _] = read_metas(&*file).unwrap();
    let newer = Meta {
        sequence: 3,
        ..first.unwrap()
    };
    file.write_at(&newer.encode(), format::META_OFFSETS[0])
        .unwrap();
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let image = disk.crash(&mut rng, CrashKind::Process);
        let after = SimDisk::from_image(&image, seed, SimOptions::default());
        open(&*after, options(16), OpenMode::ReadWrite).unwrap();
        let image = after.crash(&mut rng, CrashKind::Machine);
        let later = SimDisk::from_image(&image, seed, SimOptions::default());
        assert_eq!(sequences(&later), [Ok(3), Ok(2)]);
    }
}

/// Symptom: on a full disk with plenty of free pages a write failed for lack of
/// space, and poisoned the database (`cs-torture fault`, a disk of 768 KiB).
/// Cause: runs were taken from extents or from beyond the end, never from pages
/// freed just now, and space was reserved as if they could be. Cure: a run of
/// one page is a page like any other, and before a longer one the free pages
/// at hand are joined to extents.
#[test]
fn runs_use_pages_that_were_freed_just_now() {
    let (_disk, mut opened) = make(64);
    let runs = |opened: &mut Opened, run: u32| {
        let needed = 2 * u64::from(run);
        let Opened { pager, shadow, .. } = opened;
        shadow.reserve(pager, needed, needed, false).unwrap();
        [(); 2].map(|()| shadow.allocate_run(pager, run, LEAF))
    };
    for run in [1, 3] {
        let kept = runs(&mut opened, run);
        let before = opened.shadow.space().page_count;
        for at in kept {
            opened.shadow.free_run(&opened.pager, at, run);
        }
        runs(&mut opened, run);
        assert_eq!(opened.shadow.space().page_count, before, "runs of {run}");
    }
}

#[test]
fn after_the_newest_meta_was_lost_a_checkpoint_makes_two_again() {
    let (disk, mut opened) = make(64);
    checkpoint(&mut opened);
    checkpoint(&mut opened);
    let offset = format::META_OFFSETS[opened.metas.newest_slot()];
    drop(opened);
    let file = disk.open(format::DATA_FILE, OpenMode::ReadWrite).unwrap();
    file.write_at(&[0; 512], offset).unwrap();
    let mut opened = reopen(&disk, 64);
    let kept = opened.metas.newest().sequence;
    opened.shadow.allocate(&opened.pager, LEAF);
    checkpoint(&mut opened);
    drop(opened);
    let opened = reopen(&disk, 64);
    let older = opened.metas.older().unwrap().sequence;
    assert_eq!((opened.metas.newest().sequence, older), (kept + 1, kept));
}

/// Whatever fails, nothing is built on it: neither by this run nor by another.
#[test]
fn a_checkpoint_that_failed_fails_for_good_and_leaves_the_metas_on_disk() {
    use cs_io::sim::{Fault, FaultPlan, SimDisk, SimOptions};

    let mut seen = Vec::new();
    // One operation after the other, until none is left to fail.
    for operation in 0.. {
        let disk = SimDisk::new(1, SimOptions::default());
        create(&*disk, FileId(1), PAGE_SIZE, Incarnation(0)).unwrap();
        let mut opened = open(&*disk, options(64), OpenMode::ReadWrite).unwrap();
        opened.shadow.allocate(&opened.pager, LEAF);
        let (mut run, _) = begin_checkpoint(&mut opened);
        let Opened { pager, metas, .. } = &mut opened;
        let mut step = |pager: &Pager, metas: &mut Metas| loop {
            match run.step(pager, metas, true, &mut || true) {
                Ok(true) => break Ok(()),
                Ok(false) => {}
                Err(error) => break Err(error),
            }
        };
        disk.plan_fault(Some(FaultPlan {
            at_operation: disk.operations() + operation,
            fault: Fault::Eio,
        }));
        match step(pager, metas) {
            Ok(()) => break,
            Err(PagerError::Io { doing, .. }) => seen.push(doing),
            Err(error) => panic!("{error}"),
        }
        for _ in 0..2 {
            let error = step(pager, metas).unwrap_err();
            assert!(matches!(error, PagerError::Failed), "{error}");
        }
        drop(opened);
        let opened = open(&*disk, options(64), OpenMode::ReadWrite).unwrap();
        assert_eq!(opened.metas.older().unwrap().sequence, 1);
    }
    let end = seen.split_off(seen.len() - 2);
    assert_eq!(end, ["syncing the data file", "writing the meta"]);
    assert!(!seen.is_empty(), "and before them the pages");
}

#[test]
fn a_checkpoint_that_is_done_stays_done() {
    let (_disk, mut opened) = make(64);
    let Opened { pager, metas, .. } = &mut opened;
    let meta = *metas.newest();
    let mut run = CheckpointRun::begin(pager, metas, meta);
    let mut is_durable = false;
    // The log is behind: no meta until it has caught up.
    for _ in 0..8 {
        assert!(!run.step(pager, metas, true, &mut || is_durable).unwrap());
    }
    is_durable = true;
    while !run.step(pager, metas, true, &mut || is_durable).unwrap() {}
    let sequence = metas.newest().sequence;
    assert_eq!(sequence, meta.sequence + 1);
    assert!(run.step(pager, metas, true, &mut || is_durable).unwrap());
    assert_eq!(metas.newest().sequence, sequence);
}

#[test]
fn a_gentle_checkpoint_writes_little_at_a_time_and_the_same_in_the_end() {
    let (disk, mut opened) = make(256);
    for byte in 0..100 {
        let at = opened.shadow.allocate(&opened.pager, LEAF);
        fill(&mut opened, at, byte);
    }
    let (mut run, version) = begin_checkpoint(&mut opened);
    let Opened { pager, metas, .. } = &mut opened;
    run.set_gentle(true);
    let (mut before, mut is_done) = (0, false);
    while !is_done {
        is_done = run.step(pager, metas, true, &mut || true).unwrap();
        let (written, _) = run.progress();
        assert!(written - before <= 16, "{before} to {written}");
        before = written;
    }
    assert!(before >= 100);
    drop(opened);
    assert_eq!(reopen(&disk, 256).metas.newest().root.version, version);
}
