//! Sizes and limits. FORMAT.md, section "Node", has the same numbers.
//!
//! Invariant: two cells of the largest size, with their slots, fit into one
//! page (asserted at the end; the proof that splits succeed leans on it).

use super::refs::OverflowRef;

/// Bytes at the start of every page that belong to the pager.
pub const PAGE_HEADER: usize = 64;
/// Bytes of the node header, behind the pager's.
pub const NODE_HEADER: usize = 16;
/// Bytes of a slot.
pub const SLOT: usize = 8;
/// Bytes of a reference to an overflow run, in a cell.
pub const OVERFLOW_REF: usize = 28;
/// Bytes of a reference to a child, in a cell.
pub const CHILD_REF: usize = 16;
/// Bytes of the tag that opens a value: its inline length, or [`VALUE_OVERFLOW`].
pub const VALUE_TAG: usize = 2;

/// Flag in a slot's `suffix_len`: the cell refers to a run with the whole key.
/// The length has 15 bits, enough for a quarter of the largest page.
pub const KEY_OVERFLOW: u16 = 0x8000;
/// Value tag that says: a reference to an overflow run follows.
pub const VALUE_OVERFLOW: u16 = 0x8000;

/// Smallest page, in bytes: a block of the disk.
pub const MIN_PAGE_SIZE: usize = 4096;
/// Largest page, in bytes. The offset of a cell is below it and so has 16 bits.
pub const MAX_PAGE_SIZE: usize = 65536;

/// Longest key, in bytes: 64 KiB, four inline parts of the largest page, so
/// that one short read brings the whole of any key.
pub const MAX_KEY: usize = 65536;

/// Longest key that is wholly inside a page, in bytes; longer ones keep this
/// many bytes there and the whole in an overflow run.
#[inline]
#[must_use]
pub const fn max_inline_key(page_size: usize) -> usize {
    page_size / 4
}

/// Longest value inside a page, in bytes; longer ones are overflow runs. Less
/// than a quarter page by the overhead of two cells, so that two fit.
#[inline]
#[must_use]
pub const fn max_inline_value(page_size: usize) -> usize {
    page_size / 4 - 80
}

/// Bytes of a page that prefix, slots and cells may take.
#[inline]
#[must_use]
pub const fn usable_bytes(page_size: usize) -> usize {
    page_size - PAGE_HEADER - NODE_HEADER
}

/// Whether pages of `page_size` bytes exist.
pub(super) const fn is_page_size(page_size: usize) -> bool {
    page_size.is_power_of_two() && page_size >= MIN_PAGE_SIZE && page_size <= MAX_PAGE_SIZE
}

/// Whether `run` can hold the whole of a key that is too long for a page.
pub(super) const fn is_key_run(run: &OverflowRef, page_size: usize) -> bool {
    run.pages > 0
        && run.total_len > max_inline_key(page_size) as u64
        && run.total_len <= MAX_KEY as u64
}

/// Whether `run` can hold a value.
pub(super) const fn is_value_run(run: &OverflowRef) -> bool {
    run.pages > 0 && run.total_len > 0
}

const _: () = {
    let mut page_size = MIN_PAGE_SIZE;
    while page_size <= MAX_PAGE_SIZE {
        let key = SLOT + max_inline_key(page_size) + OVERFLOW_REF;
        assert!(2 * (key + VALUE_TAG + max_inline_value(page_size)) <= usable_bytes(page_size));
        assert!(3 * (key + CHILD_REF) <= usable_bytes(page_size));
        assert!(max_inline_value(page_size) >= OVERFLOW_REF);
        assert!(max_inline_key(page_size) < KEY_OVERFLOW as usize);
        assert!(max_inline_value(page_size) < VALUE_OVERFLOW as usize);
        page_size *= 2;
    }
};
