//! Changes inside one page.
//!
//! Invariants:
//! 1. A change that finds room between slots and cells moves slots and writes
//!    one cell, without allocating; only a rewrite of the page allocates.
//! 2. A rewrite is measured before the first byte is changed.

use zerocopy::IntoBytes;

use super::Full;
use super::item::{Item, measure, write_node};
use super::layout::Header;
use super::limits::{SLOT, usable_bytes};
use super::raw::{Kind, Raw};

/// A change that a rewrite of the page makes on the way.
enum Change<'a> {
    Insert(usize, Item<'a>),
    /// The cell in this slot keeps its key and gets this tail and value.
    Replace(usize, &'a [u8], &'a [u8]),
}

/// Inserts `item` before slot `index`.
///
/// # Panics
/// If there is no such place.
pub(super) fn insert<K: Kind>(bytes: &mut [u8], index: usize, item: Item<'_>) -> Result<(), Full> {
    let node = Raw::<K>::new(bytes);
    assert!(
        (K::FIRST_KEYED..=node.slots.len()).contains(&index),
        "no key can be inserted at {index} of {} slots",
        node.slots.len()
    );
    debug_assert!(fits_order(&node, index, &item), "keys ascend");
    let header = *node.header();
    let prefix_len = node.prefix.len();
    // New items carry their whole key in the suffix.
    if !item.suffix.starts_with(node.prefix) {
        return rewrite::<K>(bytes, &Change::Insert(index, item));
    }
    let cell_len = item.cell_len(prefix_len);
    if header.slots_end() + SLOT + cell_len > header.cells_start() {
        return rewrite::<K>(bytes, &Change::Insert(index, item));
    }
    let cells_start = header.cells_start() - cell_len;
    let slot = item.write(bytes, cells_start, prefix_len);
    let slot_at = header.slots_start() + index * SLOT;
    bytes.copy_within(slot_at..header.slots_end(), slot_at + SLOT);
    bytes[slot_at..slot_at + SLOT].copy_from_slice(slot.as_bytes());
    let header = Header::write(bytes);
    header.slot_count += 1;
    header.cells_start.set(cells_start as u32);
    Ok(())
}

/// Whether `item` belongs before slot `index`, as far as inline parts say.
fn fits_order<K: Kind>(node: &Raw<'_, K>, index: usize, item: &Item<'_>) -> bool {
    let key = item.inline_key();
    let is_before = |left: &[u8], right: &[u8], right_has_run: bool| {
        left < right || (left == right && right_has_run)
    };
    let behind_last = index == K::FIRST_KEYED
        || is_before(&node.item(index - 1).inline_key(), &key, item.has_overflow);
    let before_next = index == node.slots.len() || {
        let next = node.item(index);
        is_before(&key, &next.inline_key(), next.has_overflow)
    };
    behind_last && before_next
}

/// Gives the cell in slot `index` another body: `tail` (which begins with the
/// reference to the key's run, if it has one) and `value`.
pub(super) fn replace<K: Kind>(
    bytes: &mut [u8],
    index: usize,
    tail: &[u8],
    value: &[u8],
) -> Result<(), Full> {
    let node = Raw::<K>::new(bytes);
    let header = *node.header();
    let mut slot = node.slots[index];
    let (suffix_len, old_len) = (slot.suffix_len(), node.cell_len(index));
    let new_len = suffix_len + tail.len() + value.len();

    let offset = if new_len <= old_len {
        slot.offset()
    } else if header.slots_end() + new_len <= header.cells_start() {
        header.cells_start() - new_len
    } else {
        return rewrite::<K>(bytes, &Change::Replace(index, tail, value));
    };
    let mut dead_bytes = header.dead_bytes() + old_len;
    if offset == slot.offset() {
        dead_bytes -= new_len;
    } else {
        bytes.copy_within(slot.offset()..slot.offset() + suffix_len, offset);
        slot.offset.set(offset as u16);
        let slot_at = header.slots_start() + index * SLOT;
        bytes[slot_at..slot_at + SLOT].copy_from_slice(slot.as_bytes());
        Header::write(bytes).cells_start.set(offset as u32);
    }
    let tail_at = offset + suffix_len;
    let value_at = tail_at + tail.len();
    bytes[tail_at..value_at].copy_from_slice(tail);
    bytes[value_at..value_at + value.len()].copy_from_slice(value);
    Header::write(bytes).dead_bytes.set(dead_bytes as u32);
    Ok(())
}

/// Removes slot `index` and its cell.
pub(super) fn remove<K: Kind>(bytes: &mut [u8], index: usize) {
    let node = Raw::<K>::new(bytes);
    let header = *node.header();
    let offset = node.slots[index].offset();
    let cell_len = node.cell_len(index);
    if header.slot_count() == 1 {
        // Nothing is left that the prefix could be for.
        return write_node::<K>(bytes, &[], 0);
    }
    let slot_at = header.slots_start() + index * SLOT;
    bytes.copy_within(slot_at + SLOT..header.slots_end(), slot_at);
    let written = Header::write(bytes);
    written.slot_count -= 1;
    if offset == header.cells_start() {
        written.cells_start += cell_len as u32;
    } else {
        written.dead_bytes += cell_len as u32;
    }
}

/// Writes the whole node anew, with the best prefix and no dead bytes.
#[cold]
fn rewrite<K: Kind>(bytes: &mut [u8], change: &Change<'_>) -> Result<(), Full> {
    let old = bytes.to_vec();
    let node = Raw::<K>::new(&old);
    let mut items = Vec::with_capacity(node.slots.len() + 1);
    items.extend(node.items());
    match *change {
        Change::Insert(index, item) => items.insert(index, item),
        Change::Replace(index, tail, value) => {
            items[index] = Item {
                tail,
                value,
                ..items[index]
            };
        }
    }
    let (prefix_len, used) = measure::<K>(&items);
    if used > usable_bytes(bytes.len()) {
        return Err(Full);
    }
    write_node::<K>(bytes, &items, prefix_len);
    Ok(())
}
