//! Databases that are wrong inside: sound pages that say what is not so. The
//! check finds each, under the code that its documentation gives it.

use std::sync::Arc;

use cs_base::{PageId, TreeId};
use cs_io::{Disk, OpenMode};
use cs_kv::node::{BranchMut, KeyRef};
use cs_kv::{CheckReport, CommitOptions, Store, system};
use cs_pager::format::{META_OFFSETS, seal_checksum};
use cs_pager::{PAGE_HEADER, PageHeader, PageKind};

use crate::basics::{new_tree, open, small_options};
use crate::disks::{AnyDisk, any_disk};

const PAGE: usize = 4096;
const ENTRIES: u64 = 2_000;

fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// A closed database with a tree of two levels, and the tree.
fn made() -> (Arc<AnyDisk>, TreeId) {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let tree = new_tree(&store);
    let mut txn = store.begin().unwrap();
    for number in 0..ENTRIES {
        txn.put(tree, key(number), vec![1; 50]).unwrap();
    }
    txn.put(tree, key(ENTRIES), vec![2; 9_000]).unwrap();
    let ticket = txn.commit(&CommitOptions::default()).unwrap();
    ticket.wait().unwrap();
    store.close().unwrap();
    (disk, tree)
}

/// The pages of the newest state; others keep what they held before.
fn live_pages(disk: &Arc<AnyDisk>) -> Vec<u64> {
    let store = open(disk, small_options());
    let pages = store.stats().space.page_count;
    let file = disk.open("data.cs", OpenMode::ReadOnly).unwrap();
    let meta = cs_pager::read_metas(&*file).unwrap();
    let newest = meta.iter().flatten().map(|meta| meta.root.version).max();
    let version = newest.unwrap();
    let page_version = |page: u64| {
        let mut bytes = vec![0; PAGE];
        file.read_at(&mut bytes, page * PAGE as u64).unwrap();
        PageHeader::of(&bytes).version.get()
    };
    let live = (2..pages).filter(|&page| page_version(page) <= version.0);
    live.collect()
}

/// Changes pages that `change` says yes to, with sound checksums; how many.
fn forge(disk: &Arc<AnyDisk>, mut change: impl FnMut(u64, &mut [u8]) -> bool) -> usize {
    let pages = live_pages(disk);
    let file = disk.open("data.cs", OpenMode::ReadWrite).unwrap();
    let mut changed = 0;
    for page in pages {
        let mut bytes = vec![0; PAGE];
        file.read_at(&mut bytes, page * PAGE as u64).unwrap();
        if change(page, &mut bytes) {
            seal_checksum(&mut bytes);
            file.write_at(&bytes, page * PAGE as u64).unwrap();
            changed += 1;
        }
    }
    file.sync().unwrap();
    changed
}

fn is(bytes: &[u8], kind: PageKind, tree: TreeId) -> bool {
    let header = PageHeader::of(bytes);
    header.kind == kind as u8 && header.tree.get() == tree.0
}

fn check(disk: &Arc<AnyDisk>) -> CheckReport {
    let store = open(disk, small_options());
    store.check().unwrap()
}

fn codes(report: &CheckReport) -> Vec<&'static str> {
    let mut codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

#[test]
fn a_sound_database_has_no_findings_and_the_check_tells_how_far_it_is() {
    let (disk, _) = made();
    let store = open(&disk, small_options());
    let mut told = Vec::new();
    let report = store.check_with_progress(&mut |done, of| told.push((done, of)));
    assert!(report.unwrap().is_sound());
    assert!(told.iter().all(|(done, of)| done <= of), "{told:?}");
}

#[test]
fn a_page_that_nobody_reaches_is_leaked_and_one_that_is_reached_is_not_free() {
    for set in [true, false] {
        let (disk, tree) = made();
        let mut leaf = None;
        forge(&disk, |page, bytes| {
            if is(bytes, PageKind::Leaf, tree) {
                leaf = Some(page);
            }
            false
        });
        let pages = open(&disk, small_options()).stats().space.page_count;
        let mut changed = None;
        forge(&disk, |_, bytes| {
            if PageHeader::of(bytes).kind != PageKind::AllocationMap as u8 {
                return false;
            }
            let bit = |page: u64| (PAGE_HEADER + page as usize / 8, 1 << (page % 8));
            let page = if set {
                // The first that is free.
                (2..pages).find(|&page| bytes[bit(page).0] & bit(page).1 == 0)
            } else {
                leaf.filter(|&page| bytes[bit(page).0] & bit(page).1 != 0)
            };
            let Some(page) = page else { return false };
            bytes[bit(page).0] ^= bit(page).1;
            changed = Some(PageId(page));
            true
        });
        let report = check(&disk);
        let code = if set { "leaked" } else { "reached-but-free" };
        let found = |finding: &&cs_kv::Finding| finding.code == code && finding.page == changed;
        assert!(
            changed.is_some() && report.findings.iter().any(|finding| found(&finding)),
            "{code} {changed:?}: {report:?}"
        );
    }
}

#[test]
fn a_tree_that_tells_of_other_entries_than_it_has_is_found() {
    let (disk, tree) = made();
    let count = (ENTRIES + 1).to_le_bytes();
    let changed = forge(&disk, |_, bytes| {
        let is_directory = is(bytes, PageKind::Leaf, system::DIRECTORY);
        let at = bytes.windows(8).rposition(|window| window == count);
        let Some(at) = at.filter(|_| is_directory) else {
            return false;
        };
        bytes[at] ^= 1;
        true
    });
    assert!(changed > 0);
    let report = check(&disk);
    assert_eq!(codes(&report), ["wrong-stats"], "{report:?}");
    let finding = &report.findings[0];
    assert_eq!(finding.tree, Some(tree));
    assert!(
        finding
            .text
            .contains(&format!("found TreeStats {{ count: {}", ENTRIES + 1))
    );
}

#[test]
fn a_root_that_cannot_be_read_is_found_in_the_directory() {
    let (disk, tree) = made();
    let count = (ENTRIES + 1).to_le_bytes();
    let changed = forge(&disk, |_, bytes| {
        let is_directory = is(bytes, PageKind::Leaf, system::DIRECTORY);
        let at = bytes.windows(8).rposition(|window| window == count);
        let Some(at) = at.filter(|_| is_directory) else {
            return false;
        };
        // Behind count, bytes and hash: the height, and what is reserved.
        bytes[at + 40] = 1;
        true
    });
    assert!(changed > 0);
    let store = open(&disk, small_options());
    let error = store.snapshot().unwrap().get(tree, b"a").unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!("root of tree {tree}: reserved bytes are not zero")),
        "{text}"
    );
    assert!(error.is_corruption());
    let report = store.check().unwrap();
    assert!(codes(&report).contains(&"unreadable"), "{report:?}");
}

#[test]
fn a_page_reached_twice_is_found_and_so_are_its_keys_out_of_order() {
    let (disk, tree) = made();
    let changed = forge(&disk, |_, bytes| {
        if !is(bytes, PageKind::Branch, tree) {
            return false;
        }
        let mut branch = BranchMut::new(bytes);
        let (mut key, child) = (Vec::new(), branch.as_branch().child(1));
        branch.as_branch().key(2, &mut key);
        branch.remove(2);
        branch.insert(2, KeyRef::inline(&key), child).unwrap();
        true
    });
    assert!(changed > 0);
    let report = check(&disk);
    let codes = codes(&report);
    for code in ["reached-twice", "out-of-order", "wrong-stats", "leaked"] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    let texts = report.findings.iter().map(|finding| &finding.text);
    let follows = texts.filter(|text| text.contains("does not follow the one before it"));
    assert!(follows.count() > 0, "{report:?}");
}

#[test]
fn a_damaged_page_is_found_once_and_the_check_goes_on_with_its_neighbours() {
    let (disk, tree) = made();
    let mut leaves = Vec::new();
    forge(&disk, |page, bytes| {
        if is(bytes, PageKind::Leaf, tree) {
            leaves.push(page);
        }
        false
    });
    assert!(leaves.len() > 10);
    let file = disk.open("data.cs", OpenMode::ReadWrite).unwrap();
    let bad = leaves[5];
    file.write_at(b"!!", bad * PAGE as u64 + 300).unwrap();
    let report = check(&disk);
    assert_eq!(codes(&report), ["unreadable"], "{report:?}");
    let of_page = |finding: &&cs_kv::Finding| finding.page == Some(PageId(bad));
    assert_eq!(report.findings.iter().filter(of_page).count(), 1);
    assert!(report.pages > leaves.len() as u64 / 2, "it went on");
}

#[test]
fn a_run_that_is_another_trees_or_no_run_is_corruption() {
    // The kind, and the tree, in the header of a page. One that is checked as a
    // node would fail for that already.
    for (at, value) in [(4, PageKind::AllocationMap as u8), (32, 99)] {
        let (disk, tree) = made();
        let changed = forge(&disk, |_, bytes| {
            let is_run = is(bytes, PageKind::Overflow, tree);
            if is_run {
                bytes[at] = value;
            }
            is_run
        });
        assert!(changed > 0);
        let store = open(&disk, small_options());
        let error = store
            .snapshot()
            .unwrap()
            .get(tree, &key(ENTRIES))
            .unwrap_err();
        assert!(error.is_corruption(), "{error}");
        let text = error.to_string();
        let expected = format!("expected an overflow page of tree {tree}");
        assert!(text.contains(&expected), "{text}");
        assert!(codes(&store.check().unwrap()).contains(&"unreadable"));
        // All else is what it was.
        let first = store.snapshot().unwrap().get(tree, &key(0)).unwrap();
        assert_eq!(first, Some(vec![1; 50]));
    }
}

#[test]
fn a_directory_of_a_cluster_is_read_but_not_written_to() {
    let (disk, tree) = made();
    let file = disk.open("data.cs", OpenMode::ReadWrite).unwrap();
    for (slot, meta) in cs_pager::read_metas(&*file)
        .unwrap()
        .into_iter()
        .enumerate()
    {
        let mut meta = meta.unwrap();
        (meta.membership.cluster, meta.membership.node) = (7, 3);
        file.write_at(&meta.encode(), META_OFFSETS[slot]).unwrap();
    }
    let runtime = cs_io::RealRuntime::new();
    let shared = Arc::clone(&disk) as Arc<dyn Disk>;
    let error = Store::open(shared.clone(), runtime.clone(), small_options()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the directory belongs to node 3 of cluster 7; only its server may write to it"
    );
    let mut options = small_options();
    options.read_only = true;
    let store = Store::open(shared, runtime, options).unwrap();
    assert!(
        store
            .snapshot()
            .unwrap()
            .get(tree, &key(1))
            .unwrap()
            .is_some()
    );
}
