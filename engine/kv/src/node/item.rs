//! Cells on their way into a page: taken from another page or newly made.
//!
//! Invariant: the inline key is `prefix ++ suffix`, and behind it stands
//! `tail ++ value`, where `tail` begins with the reference to the key's run if
//! there is one.

use zerocopy::IntoBytes;

use super::layout::{ChildCell, Header, OverflowCell, Slot, head_of};
use super::limits::{
    CHILD_REF, NODE_HEADER, OVERFLOW_REF, PAGE_HEADER, SLOT, VALUE_OVERFLOW, VALUE_TAG, is_key_run,
    is_value_run, max_inline_key, max_inline_value,
};
use super::raw::Kind;
use super::refs::{ChildRef, KeyRef, OverflowRef, ValueRef};

/// A cell, in pieces.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) prefix: &'a [u8],
    pub(super) suffix: &'a [u8],
    pub(super) has_overflow: bool,
    pub(super) tail: &'a [u8],
    pub(super) value: &'a [u8],
}

impl<'a> Item<'a> {
    /// A new cell; `tail` and `value` come from [`Tail`].
    ///
    /// # Panics
    /// If the key breaks the rule of [`KeyRef`].
    pub(super) fn new(key: &KeyRef<'a>, page_size: usize, tail: &'a Tail, value: &'a [u8]) -> Self {
        let limit = max_inline_key(page_size);
        assert!(
            key.inline.len() <= limit && (key.overflow.is_none() || key.inline.len() == limit),
            "a key has {} inline bytes, expected at most {limit}, or just that many before a run",
            key.inline.len(),
        );
        if let Some(run) = &key.overflow {
            assert!(
                is_key_run(run, page_size),
                "a long key has a run that cannot be: {run:?}"
            );
        }
        Self {
            prefix: &[],
            suffix: key.inline,
            has_overflow: key.overflow.is_some(),
            tail: tail.bytes(),
            value,
        }
    }

    /// Bytes of the inline key.
    #[inline]
    pub(super) fn inline_len(&self) -> usize {
        self.prefix.len() + self.suffix.len()
    }

    /// Bytes of the cell in a page whose prefix has `skip` bytes.
    #[inline]
    pub(super) fn cell_len(&self, skip: usize) -> usize {
        self.inline_len() - skip + self.tail.len() + self.value.len()
    }

    /// Bytes that the key takes beside the body.
    pub(super) fn key_len(&self) -> usize {
        self.inline_len() + if self.has_overflow { OVERFLOW_REF } else { 0 }
    }

    /// The run with the whole key.
    pub(super) fn key_overflow(&self) -> Option<OverflowRef> {
        self.has_overflow.then(|| OverflowCell::read(self.tail))
    }

    /// The same cell for slot 0 of a branch.
    pub(super) fn without_key(self) -> Self {
        let tail = if self.has_overflow {
            &self.tail[OVERFLOW_REF..]
        } else {
            self.tail
        };
        Self {
            prefix: &[],
            suffix: &[],
            has_overflow: false,
            tail,
            value: self.value,
        }
    }

    /// The inline key behind its first `skip` bytes, in two pieces.
    #[inline]
    fn behind(&self, skip: usize) -> (&'a [u8], &'a [u8]) {
        match skip.checked_sub(self.prefix.len()) {
            Some(rest) => (&[], &self.suffix[rest..]),
            None => (&self.prefix[skip..], self.suffix),
        }
    }

    /// The inline key in one piece.
    pub(super) fn inline_key(&self) -> Vec<u8> {
        [self.prefix, self.suffix].concat()
    }

    /// Bytes that the two inline keys have in common at their start.
    pub(super) fn common_prefix(&self, other: &Self) -> usize {
        let mut common = 0;
        loop {
            // The longest piece of each that is in one place.
            let piece = |item: &Self| match item.behind(common) {
                ([], rest) => rest,
                (first, _) => first,
            };
            let (left, right) = (piece(self), piece(other));
            let len = left.len().min(right.len());
            let same = common_prefix(left, right);
            common += same;
            if len == 0 || same < len {
                return common;
            }
        }
    }

    /// Writes the cell to the start of `into`, without the first `skip` bytes
    /// of its key, and returns the slot for it.
    #[inline]
    pub(super) fn write(&self, into: &mut [u8], offset: usize, skip: usize) -> Slot {
        let (first, second) = self.behind(skip);
        let suffix_len = first.len() + second.len();
        let mut at = offset;
        for piece in [first, second, self.tail, self.value] {
            into[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        let head = head_of(&into[offset..offset + suffix_len]);
        Slot::new(head, offset, suffix_len, self.has_overflow)
    }
}

/// Bytes that the two have in common at their start.
pub(super) fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    left.iter()
        .zip(right)
        .take_while(|(left, right)| left == right)
        .count()
}

/// The fixed part of a new cell, made on the stack.
pub(super) struct Tail {
    bytes: [u8; OVERFLOW_REF + VALUE_TAG + OVERFLOW_REF],
    len: usize,
}

impl Tail {
    fn new(key_overflow: Option<&OverflowRef>) -> Self {
        let mut tail = Self {
            bytes: [0; OVERFLOW_REF + VALUE_TAG + OVERFLOW_REF],
            len: 0,
        };
        if let Some(run) = key_overflow {
            tail.push(OverflowCell::new(run).as_bytes());
        }
        tail
    }

    /// For a leaf, with the part of the value that follows it.
    ///
    /// # Panics
    /// If an inline value is longer than [`max_inline_value`], or a run is empty.
    pub(super) fn leaf<'v>(
        key_overflow: Option<&OverflowRef>,
        value: &ValueRef<'v>,
        page_size: usize,
    ) -> (Self, &'v [u8]) {
        let mut tail = Self::new(key_overflow);
        match *value {
            ValueRef::Inline(bytes) => {
                let limit = max_inline_value(page_size);
                assert!(
                    bytes.len() <= limit,
                    "an inline value has {} bytes, expected at most {limit}",
                    bytes.len()
                );
                tail.push(&(bytes.len() as u16).to_le_bytes());
                (tail, bytes)
            }
            ValueRef::Overflow(run) => {
                assert!(
                    is_value_run(&run),
                    "a value has a run that cannot be: {run:?}"
                );
                tail.push(&VALUE_OVERFLOW.to_le_bytes());
                tail.push(OverflowCell::new(&run).as_bytes());
                (tail, &[])
            }
        }
    }

    /// For a branch.
    pub(super) fn branch(key_overflow: Option<&OverflowRef>, child: ChildRef) -> Self {
        const { assert!(CHILD_REF <= VALUE_TAG + OVERFLOW_REF) };
        let mut tail = Self::new(key_overflow);
        tail.push(ChildCell::new(child).as_bytes());
        tail
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The longest prefix of all keys among `items`, and the bytes that prefix,
/// slots and cells then take.
///
/// Keys are sorted, so what first and last share all share. A lone key stays
/// whole: as a prefix it would have to be undone at the next insert.
pub(super) fn measure<K: Kind>(items: &[Item<'_>]) -> (usize, usize) {
    let whole: usize = items.iter().map(|item| SLOT + item.cell_len(0)).sum();
    match items.get(K::FIRST_KEYED..) {
        Some([first, rest @ .., last]) => {
            let prefix_len = first.common_prefix(last);
            (prefix_len, whole - prefix_len * (rest.len() + 1))
        }
        _ => (0, whole),
    }
}

/// Writes a whole node: `items` in order, with a prefix of `prefix_len` bytes
/// as [`measure`] found it. The free space between is zeroed, so that equal
/// contents written so are equal bytes.
pub(super) fn write_node<K: Kind>(bytes: &mut [u8], items: &[Item<'_>], prefix_len: usize) {
    let slots_start = PAGE_HEADER + NODE_HEADER + prefix_len;
    if prefix_len > 0 {
        let prefix = items[K::FIRST_KEYED].inline_key();
        bytes[PAGE_HEADER + NODE_HEADER..slots_start].copy_from_slice(&prefix[..prefix_len]);
    }
    let mut slot_at = slots_start;
    let mut cells_start = bytes.len();
    for (index, item) in items.iter().enumerate() {
        let skip = if index < K::FIRST_KEYED {
            0
        } else {
            prefix_len
        };
        cells_start -= item.cell_len(skip);
        let slot = item.write(bytes, cells_start, skip);
        bytes[slot_at..slot_at + SLOT].copy_from_slice(slot.as_bytes());
        slot_at += SLOT;
    }
    bytes[slot_at..cells_start].fill(0);
    // All fit: a page has fewer than 2^16 slots, prefixes are inline keys.
    *Header::write(bytes) = Header {
        slot_count: (items.len() as u16).into(),
        prefix_len: (prefix_len as u16).into(),
        cells_start: (cells_start as u32).into(),
        dead_bytes: 0.into(),
        reserved: 0.into(),
    };
}
