//! The bytes of a node, each structure declared once.
//!
//! Invariant: all are little-endian and unaligned; the slots stand wherever
//! the prefix ends.

use std::mem::{offset_of, size_of};

use cs_base::{PageId, Version};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::limits::{CHILD_REF, KEY_OVERFLOW, NODE_HEADER, OVERFLOW_REF, PAGE_HEADER, SLOT};
use super::refs::{ChildRef, OverflowRef};

/// Said by the panic if someone reads a page that was never validated.
pub(super) const VALIDATED: &str = "the node was validated when its page was read";

/// The node header, at byte [`PAGE_HEADER`].
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) slot_count: U16,
    pub(super) prefix_len: U16,
    pub(super) cells_start: U32,
    pub(super) dead_bytes: U32,
    pub(super) reserved: U32,
}

impl Header {
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> &Self {
        let (header, _) = Self::ref_from_prefix(&bytes[PAGE_HEADER..]).expect(VALIDATED);
        header
    }

    #[inline]
    pub(super) fn write(bytes: &mut [u8]) -> &mut Self {
        let (header, _) = Self::mut_from_prefix(&mut bytes[PAGE_HEADER..]).expect(VALIDATED);
        header
    }

    #[inline]
    pub(super) fn slot_count(&self) -> usize {
        usize::from(self.slot_count.get())
    }

    #[inline]
    pub(super) fn prefix_len(&self) -> usize {
        usize::from(self.prefix_len.get())
    }

    #[inline]
    pub(super) fn cells_start(&self) -> usize {
        self.cells_start.get() as usize
    }

    #[inline]
    pub(super) fn dead_bytes(&self) -> usize {
        self.dead_bytes.get() as usize
    }

    /// Where the slots begin.
    #[inline]
    pub(super) fn slots_start(&self) -> usize {
        PAGE_HEADER + NODE_HEADER + self.prefix_len()
    }

    /// Where the slots end.
    #[inline]
    pub(super) fn slots_end(&self) -> usize {
        self.slots_start() + self.slot_count() * SLOT
    }
}

/// A slot.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Slot {
    /// First four bytes of the suffix, read big-endian and padded with zeros:
    /// integers then compare as bytes do, but for suffixes shorter than four.
    pub(super) head: U32,
    /// Where the cell begins, from the start of the page.
    pub(super) offset: U16,
    /// Bytes of the suffix, and [`KEY_OVERFLOW`].
    pub(super) suffix: U16,
}

impl Slot {
    #[inline]
    pub(super) fn new(head: u32, offset: usize, suffix_len: usize, has_overflow: bool) -> Self {
        let flag = if has_overflow { KEY_OVERFLOW } else { 0 };
        // Both fit: offsets are below MAX_PAGE_SIZE, suffixes below KEY_OVERFLOW.
        Self {
            head: U32::new(head),
            offset: U16::new(offset as u16),
            suffix: U16::new(suffix_len as u16 | flag),
        }
    }

    #[inline]
    pub(super) fn offset(&self) -> usize {
        usize::from(self.offset.get())
    }

    #[inline]
    pub(super) fn suffix_len(&self) -> usize {
        usize::from(self.suffix.get() & !KEY_OVERFLOW)
    }

    #[inline]
    pub(super) fn has_overflow(&self) -> bool {
        self.suffix.get() & KEY_OVERFLOW != 0
    }

    /// Bytes of the reference to the key's run: none, or [`OVERFLOW_REF`].
    #[inline]
    pub(super) fn overflow_len(&self) -> usize {
        if self.has_overflow() { OVERFLOW_REF } else { 0 }
    }
}

/// The head of a suffix.
#[inline]
pub(super) fn head_of(suffix: &[u8]) -> u32 {
    if let Some(first) = suffix.first_chunk() {
        return u32::from_be_bytes(*first);
    }
    let mut padded = [0; 4];
    padded[..suffix.len()].copy_from_slice(suffix);
    u32::from_be_bytes(padded)
}

/// An [`OverflowRef`] in a cell.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct OverflowCell {
    total_len: U64,
    first: U64,
    version: U64,
    pages: U32,
}

impl OverflowCell {
    pub(super) fn new(run: &OverflowRef) -> Self {
        Self {
            total_len: U64::new(run.total_len),
            first: U64::new(run.first.get()),
            version: U64::new(run.version.get()),
            pages: U32::new(run.pages),
        }
    }

    /// The reference at the start of `bytes`.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> OverflowRef {
        let (cell, _) = Self::ref_from_prefix(bytes).expect(VALIDATED);
        OverflowRef {
            total_len: cell.total_len.get(),
            first: PageId(cell.first.get()),
            version: Version(cell.version.get()),
            pages: cell.pages.get(),
        }
    }
}

/// A [`ChildRef`] in a cell.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct ChildCell {
    page: U64,
    version: U64,
}

impl ChildCell {
    pub(super) fn new(child: ChildRef) -> Self {
        Self {
            page: U64::new(child.page.get()),
            version: U64::new(child.version.get()),
        }
    }

    /// The reference at the start of `bytes`.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> ChildRef {
        let (cell, _) = Self::ref_from_prefix(bytes).expect(VALIDATED);
        ChildRef {
            page: PageId(cell.page.get()),
            version: Version(cell.version.get()),
        }
    }
}

const _: () = {
    assert!(size_of::<Header>() == NODE_HEADER);
    assert!(offset_of!(Header, slot_count) == 0);
    assert!(offset_of!(Header, prefix_len) == 2);
    assert!(offset_of!(Header, cells_start) == 4);
    assert!(offset_of!(Header, dead_bytes) == 8);
    assert!(offset_of!(Header, reserved) == 12);
    assert!(size_of::<Slot>() == SLOT);
    assert!(offset_of!(Slot, head) == 0);
    assert!(offset_of!(Slot, offset) == 4);
    assert!(offset_of!(Slot, suffix) == 6);
    assert!(size_of::<OverflowCell>() == OVERFLOW_REF);
    assert!(offset_of!(OverflowCell, total_len) == 0);
    assert!(offset_of!(OverflowCell, first) == 8);
    assert!(offset_of!(OverflowCell, version) == 16);
    assert!(offset_of!(OverflowCell, pages) == 24);
    assert!(size_of::<ChildCell>() == CHILD_REF);
    assert!(offset_of!(ChildCell, page) == 0);
    assert!(offset_of!(ChildCell, version) == 8);
};
