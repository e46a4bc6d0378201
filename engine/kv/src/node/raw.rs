//! A node read without knowing whether it is a leaf or a branch.
//!
//! Invariant: `slots` and `prefix` are the ranges that the header names; all
//! offsets in the slots were checked by `validate`.

use std::marker::PhantomData;

use zerocopy::FromBytes;

use super::item::Item;
use super::layout::{Header, OverflowCell, Slot, VALIDATED};
use super::limits::{CHILD_REF, NODE_HEADER, OVERFLOW_REF, PAGE_HEADER, VALUE_OVERFLOW, VALUE_TAG};
use super::refs::OverflowRef;

/// What differs between leaf and branch: what stands behind the key.
pub(super) trait Kind: Copy {
    /// The first slot that has a key.
    const FIRST_KEYED: usize;
    /// Fewest slots that either half of a split may have.
    const MIN_SPLIT: usize;
    /// Bytes of the body at the start of `bytes`.
    fn body_len(bytes: &[u8]) -> usize;
}

/// Leaf cells: a value.
#[derive(Clone, Copy)]
pub(super) struct LeafKind;

impl Kind for LeafKind {
    const FIRST_KEYED: usize = 0;
    const MIN_SPLIT: usize = 1;

    #[inline]
    fn body_len(bytes: &[u8]) -> usize {
        let tag = u16::from_le_bytes([bytes[0], bytes[1]]);
        if tag == VALUE_OVERFLOW {
            VALUE_TAG + OVERFLOW_REF
        } else {
            VALUE_TAG + usize::from(tag)
        }
    }
}

/// Branch cells: a child.
#[derive(Clone, Copy)]
pub(super) struct BranchKind;

impl Kind for BranchKind {
    const FIRST_KEYED: usize = 1;
    const MIN_SPLIT: usize = 2;

    #[inline]
    fn body_len(_bytes: &[u8]) -> usize {
        CHILD_REF
    }
}

/// A node, its header taken apart once.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a, K> {
    bytes: &'a [u8],
    pub(super) prefix: &'a [u8],
    pub(super) slots: &'a [Slot],
    kind: PhantomData<K>,
}

impl<'a, K: Kind> Raw<'a, K> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let header = Header::read(bytes);
        let (prefix, rest) = bytes[PAGE_HEADER + NODE_HEADER..].split_at(header.prefix_len());
        let (slots, _) =
            <[Slot]>::ref_from_prefix_with_elems(rest, header.slot_count()).expect(VALIDATED);
        Self {
            bytes,
            prefix,
            slots,
            kind: PhantomData,
        }
    }

    #[inline]
    pub(super) fn header(&self) -> &'a Header {
        Header::read(self.bytes)
    }

    #[inline]
    pub(super) fn page_size(&self) -> usize {
        self.bytes.len()
    }

    /// The inline key of slot `index` behind the prefix.
    #[inline]
    pub(super) fn suffix(&self, index: usize) -> &'a [u8] {
        let slot = &self.slots[index];
        &self.bytes[slot.offset()..][..slot.suffix_len()]
    }

    /// From the end of the suffix to the end of the page.
    #[inline]
    fn behind_suffix(&self, index: usize) -> &'a [u8] {
        let slot = &self.slots[index];
        &self.bytes[slot.offset() + slot.suffix_len()..]
    }

    /// The run of the key in slot `index`, if it has one.
    #[inline]
    pub(super) fn key_overflow(&self, index: usize) -> Option<OverflowRef> {
        self.slots[index]
            .has_overflow()
            .then(|| OverflowCell::read(self.behind_suffix(index)))
    }

    /// From the start of the body to the end of the page.
    #[inline]
    pub(super) fn body(&self, index: usize) -> &'a [u8] {
        let slot = &self.slots[index];
        &self.bytes[slot.offset() + slot.suffix_len() + slot.overflow_len()..]
    }

    /// Bytes of the whole cell.
    #[inline]
    pub(super) fn cell_len(&self, index: usize) -> usize {
        let slot = &self.slots[index];
        slot.suffix_len() + slot.overflow_len() + K::body_len(self.body(index))
    }

    /// The prefix as far as it counts for slot `index`.
    #[inline]
    pub(super) fn prefix_of(&self, index: usize) -> &'a [u8] {
        if index < K::FIRST_KEYED {
            &[]
        } else {
            self.prefix
        }
    }

    /// Slot `index` as an item.
    pub(super) fn item(&self, index: usize) -> Item<'a> {
        let slot = &self.slots[index];
        let tail_len = slot.overflow_len() + K::body_len(self.body(index));
        Item {
            prefix: self.prefix_of(index),
            suffix: self.suffix(index),
            has_overflow: slot.has_overflow(),
            tail: &self.behind_suffix(index)[..tail_len],
            value: &[],
        }
    }

    /// All slots as items.
    pub(super) fn items(&self) -> impl Iterator<Item = Item<'a>> {
        let node = *self;
        (0..node.slots.len()).map(move |index| node.item(index))
    }

    /// Bytes that prefix, slots and live cells take.
    pub(super) fn used_bytes(&self) -> usize {
        let header = self.header();
        let slots_end = header.slots_end() - PAGE_HEADER - NODE_HEADER;
        slots_end + (self.page_size() - header.cells_start()) - header.dead_bytes()
    }

    /// Puts prefix and suffix of slot `index` together in `into`.
    #[inline]
    pub(super) fn key(&self, index: usize, into: &mut Vec<u8>) {
        into.clear();
        into.extend_from_slice(self.prefix_of(index));
        into.extend_from_slice(self.suffix(index));
    }
}
