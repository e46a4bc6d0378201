//! Metas and pages.

use cs_base::{FileId, PageId, TreeId, Version};
use cs_kv::node::{
    Branch, BranchMut, ChildRef, Full, KeyRef, Leaf, LeafMut, OverflowRef, PAGE_HEADER, ValueRef,
    max_inline_key, split_leaf,
};
use cs_pager::format::{
    Meta, PageHeader, PageIdentity, PageKind, PageRef, seal_checksum, verify_page, write_header,
};
use zerocopy::FromBytes;

use super::files;

const BLOCK: usize = cs_base::BLOCK_SIZE;
/// Where the checksum of a meta is.
pub(super) const META_SUM: std::ops::Range<usize> = 12..16;

/// Makes the checksum of a meta right.
pub(super) fn seal_meta(block: &mut [u8]) {
    block[META_SUM].fill(0);
    let sum = crc32c::crc32c(block);
    block[META_SUM].copy_from_slice(&sum.to_le_bytes());
}

pub(super) fn meta(input: &[u8]) {
    let mut block = [0; BLOCK];
    let len = input.len().min(BLOCK);
    block[..len].copy_from_slice(&input[..len]);
    // As it is, which is refused nearly always, and as if it were sound.
    let _ = Meta::decode(&block);
    seal_meta(&mut block);
    if let Ok(meta) = Meta::decode(&block) {
        assert_eq!(Meta::decode(&meta.encode()).ok(), Some(meta));
    }
}

pub(super) fn meta_seeds() -> Vec<Vec<u8>> {
    let (data, _) = files::sample();
    vec![data[..BLOCK].to_vec(), data[BLOCK..2 * BLOCK].to_vec()]
}

pub(super) fn page(input: &[u8]) {
    let Some((&shape, rest)) = input.split_first() else {
        return;
    };
    let page_size = 4096 << (shape % 5);
    let mut page = vec![0; page_size];
    let len = rest.len().min(page_size);
    page[..len].copy_from_slice(&rest[..len]);
    // At the place that it claims, with a checksum that is right.
    seal_checksum(&mut page);
    let Ok((header, _)) = PageHeader::ref_from_prefix(&page) else {
        panic!("a page is longer than its header");
    };
    let at = PageRef {
        page: PageId(header.page.get()),
        version: Version(header.version.get()),
    };
    let _ = verify_page(&page, FileId(header.file.get()), at);
    let key = &rest[..rest.len().min(40)];
    // Whatever its kind says: a pointer may lead anywhere.
    if Leaf::validate(&page).is_ok() {
        read_leaf(&Leaf::new(&page), page_size, key);
        change_leaf(&page, key);
    }
    if Branch::validate(&page).is_ok() {
        read_branch(&Branch::new(&page), page_size, key);
        change_branch(&page, key);
    }
}

/// Stands in for the run of a long key.
fn no_run(_: &OverflowRef) -> Result<Vec<u8>, ()> {
    Err(())
}

fn read_leaf(leaf: &Leaf<'_>, page_size: usize, other: &[u8]) {
    let mut key = Vec::new();
    for index in 0..leaf.len() {
        leaf.key(index, &mut key);
        let (prefix, suffix) = leaf.key_parts(index);
        assert_eq!(key, [prefix, suffix].concat());
        let _ = leaf.value(index);
        if leaf.key_overflow(index).is_none() {
            assert_eq!(leaf.search(&key), Ok(index));
        } else {
            // As long as the whole key must be: its run is asked for.
            let long = vec![0xFF; max_inline_key(page_size) + 1];
            let _ = leaf.search_with(&long, &mut no_run);
            key.resize(max_inline_key(page_size) + 1, 0);
            let _ = leaf.search_with(&key, &mut no_run);
            let _ = leaf.search_with(&key, &mut |_| Ok::<_, ()>(long.clone()));
        }
    }
    let _ = leaf.search(other);
    assert!(leaf.used_bytes() + leaf.free_bytes() <= page_size);
    let _ = (leaf.fill(), leaf.is_underfull());
}

fn change_leaf(page: &[u8], key: &[u8]) {
    let valid = |page: &[u8], what: &str| {
        if let Err(error) = Leaf::validate(page) {
            panic!("after {what}: {error}");
        }
    };
    let value = ValueRef::Inline(key);
    let new = KeyRef {
        inline: key,
        overflow: None,
    };
    if let Err(place) = Leaf::new(page).search(key) {
        let mut left = page.to_vec();
        if LeafMut::new(&mut left).insert(place, new, value).is_err() {
            assert!(left == page, "a refused insert left a trace");
            if !Leaf::new(page).is_empty() {
                let mut right = page.to_vec();
                split_leaf(&mut left, &mut right, place, new, value);
                valid(&right, "a split, right");
            }
        }
        valid(&left, "an insert");
    }
    let mut changed = page.to_vec();
    while !Leaf::new(&changed).is_empty() {
        let middle = Leaf::new(&changed).len() / 2;
        let replaced = LeafMut::new(&mut changed).replace_value(middle, value);
        assert!(matches!(replaced, Ok(()) | Err(Full)));
        valid(&changed, "a replace");
        LeafMut::new(&mut changed).remove(middle);
        valid(&changed, "a remove");
    }
}

fn read_branch(branch: &Branch<'_>, page_size: usize, other: &[u8]) {
    let mut key = Vec::new();
    for index in 0..branch.len() {
        branch.key(index, &mut key);
        let _ = (branch.child(index), branch.key_parts(index));
        if branch.key_overflow(index).is_none() {
            assert_eq!(branch.find_child(&key), index);
        } else {
            key.resize(max_inline_key(page_size) + 1, 0);
            let _ = branch.find_child_with(&key, &mut no_run);
            let _ = branch.find_child_with(&key, &mut |_| Ok::<_, ()>(vec![0xFF; 9]));
        }
    }
    assert!(branch.find_child(other) < branch.len());
    assert!(branch.used_bytes() + branch.free_bytes() <= page_size);
    let _ = (branch.fill(), branch.is_underfull());
}

fn change_branch(page: &[u8], key: &[u8]) {
    let mut changed = page.to_vec();
    let child = Branch::new(page).child(0);
    let mut branch = BranchMut::new(&mut changed);
    while branch.as_branch().len() > 1 {
        let middle = branch.as_branch().len() / 2;
        branch.set_child(middle, child);
        branch.remove(middle.max(1));
    }
    // Alone, child 0 takes any key behind it.
    let inline = &key[..key.len().min(30)];
    let new = KeyRef {
        inline,
        overflow: None,
    };
    if !inline.is_empty() {
        assert_eq!(branch.insert(1, new, child), Ok(()));
    }
    if let Err(error) = Branch::validate(&changed) {
        panic!("a changed branch: {error}");
    }
}

pub(super) fn page_seeds() -> Vec<Vec<u8>> {
    let run = OverflowRef {
        first: PageId(9),
        version: Version(3),
        pages: 3,
        total_len: 9_000,
    };
    let build = |shape: u8, kind: PageKind, fill: &dyn Fn(&mut [u8])| {
        let mut page = vec![0; 4096 << shape];
        let at = PageRef {
            page: PageId(5),
            version: Version(7),
        };
        let identity = PageIdentity {
            kind,
            level: u8::from(kind == PageKind::Branch),
            tree: TreeId(16),
        };
        write_header(&mut page, FileId(1), at, identity);
        fill(&mut page);
        debug_assert_eq!(PageHeader::of(&page).page.get(), 5, "{PAGE_HEADER}");
        let mut seed = vec![shape];
        seed.extend_from_slice(&page);
        seed
    };
    let key = |number: usize| format!("key/{number:04}").into_bytes();
    let leaf = |count: usize, len: usize| {
        move |page: &mut [u8]| {
            let mut leaf = LeafMut::init(page);
            for number in 0..count {
                let key = key(number);
                let inline = KeyRef {
                    inline: &key,
                    overflow: None,
                };
                let bytes = vec![number as u8; len];
                let value = match number % 7 {
                    6 => ValueRef::Overflow(run),
                    _ => ValueRef::Inline(&bytes),
                };
                if leaf.insert(number, inline, value).is_err() {
                    break;
                }
            }
        }
    };
    let long_keys = |page: &mut [u8]| {
        let most = max_inline_key(page.len());
        let mut leaf = LeafMut::init(page);
        let key = vec![b'k'; most];
        let overflowing = KeyRef {
            inline: &key,
            overflow: Some(run),
        };
        let _ = leaf.insert(0, overflowing, ValueRef::Inline(b"value"));
    };
    let branch = |page: &mut [u8]| {
        let child = |number: u64| ChildRef {
            page: PageId(number),
            version: Version(3),
        };
        let mut branch = BranchMut::init(page, child(2));
        for number in 1..40 {
            let key = key(number);
            let inline = KeyRef {
                inline: &key,
                overflow: None,
            };
            let _ = branch.insert(number, inline, child(number as u64 + 2));
        }
    };
    vec![
        build(0, PageKind::Leaf, &leaf(0, 0)),
        build(0, PageKind::Leaf, &leaf(30, 20)),
        build(0, PageKind::Leaf, &leaf(200, 40)),
        build(1, PageKind::Leaf, &leaf(9, 900)),
        build(0, PageKind::Leaf, &long_keys),
        build(0, PageKind::Branch, &branch),
    ]
}
