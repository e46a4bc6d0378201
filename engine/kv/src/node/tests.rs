//! Tests of the node.

mod build;
mod corrupt;
mod overflow;
mod page;
mod split;
mod tree;

use cs_base::{PageId, Version};
use proptest::prelude::*;

use super::*;

const PAGE_SIZES: [usize; 3] = [4096, 8192, 65536];

fn any_page_size() -> impl Strategy<Value = usize> {
    prop::sample::select(PAGE_SIZES.to_vec())
}

/// Keys that share starts, are empty, end in zeros, and reach the inline limit of
/// the smallest page.
fn any_key() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::sample::select(vec![0x00_u8, 0x01, b'a', b'b', 0xfe, 0xff]);
    prop_oneof![
        4 => prop::collection::vec(bytes(), 0..6),
        4 => prop::collection::vec(bytes(), 0..5).prop_map(|end| [b"user/0000/", &end[..]].concat()),
        3 => any::<u16>().prop_map(|n| [&b"document"[..], &n.to_be_bytes()].concat()),
        2 => (0..1024_usize, bytes()).prop_map(|(len, fill)| vec![fill; len]),
        1 => (1000..=1024_usize, any::<u8>()).prop_map(|(len, last)| {
            let mut key = vec![b'k'; len];
            key[len - 1] = last;
            key
        }),
    ]
}

fn any_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..40),
        2 => (0..=max_inline_value(4096)).prop_map(|len| vec![b'v'; len]),
        1 => Just(vec![b'w'; max_inline_value(4096)]),
    ]
}

fn empty_leaf(page_size: usize) -> Vec<u8> {
    let mut bytes = vec![0x5a; page_size];
    let _leaf = LeafMut::init(&mut bytes);
    bytes
}

fn child(number: u64) -> ChildRef {
    ChildRef {
        page: PageId(number),
        version: Version(number + 1),
    }
}

fn run(number: u64, total_len: usize) -> OverflowRef {
    OverflowRef {
        total_len: total_len as u64,
        first: PageId(number),
        version: Version(7),
        pages: total_len.div_ceil(4000) as u32,
    }
}

/// All entries of a leaf without runs.
fn entries(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let leaf = Leaf::new(bytes);
    let mut key = Vec::new();
    (0..leaf.len())
        .map(|index| {
            leaf.key(index, &mut key);
            let ValueRef::Inline(value) = leaf.value(index) else {
                panic!("no value has a run")
            };
            (key.clone(), value.to_vec())
        })
        .collect()
}

/// Whether the pager's header still has what [`empty_leaf`] put there.
fn header_is_untouched(bytes: &[u8]) -> bool {
    bytes[..PAGE_HEADER].iter().all(|&byte| byte == 0x5a)
}
