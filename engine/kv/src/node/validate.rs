//! Whether bytes from disk are a node.
//!
//! Invariant: nothing here indexes with a number from the page before it was
//! compared with the bounds; bytes that pass are safe for all other functions.

use super::layout::{Header, OverflowCell, Slot, head_of};
use super::limits::{
    CHILD_REF, MAX_PAGE_SIZE, NODE_HEADER, OVERFLOW_REF, PAGE_HEADER, SLOT, VALUE_OVERFLOW,
    VALUE_TAG, is_key_run, is_page_size, is_value_run, max_inline_key, max_inline_value,
};
use super::raw::{Kind, Raw};

/// Why bytes are not a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// No page has this size.
    #[error("page size: expected a power of two from 4096 to 65536, found {0}")]
    PageSize(usize),
    /// Reserved bytes are used.
    #[error("reserved bytes of the node header: expected 0, found {0:#x}")]
    Reserved(u32),
    /// Prefix, slots and cells do not fit behind each other.
    #[error(
        "node geometry: a prefix of {prefix_len} bytes and {slot_count} slots do not fit \
         before cells at {cells_start} of {page_size} bytes"
    )]
    Geometry {
        /// Bytes of the prefix.
        prefix_len: usize,
        /// Slots.
        slot_count: usize,
        /// Where the cells begin.
        cells_start: usize,
        /// Bytes of the page.
        page_size: usize,
    },
    /// A branch needs a child.
    #[error("branch: expected at least one child, found none")]
    NoChild,
    /// Slot 0 of a branch has a key.
    #[error("slot 0 of a branch: expected no key, found one")]
    FirstKey,
    /// A cell reaches out of the range of cells.
    #[error("cell of slot {slot} at {offset}: expected inside {cells_start}..{page_size}")]
    CellOutside {
        /// Its slot.
        slot: usize,
        /// Where it begins.
        offset: usize,
        /// Where cells may begin.
        cells_start: usize,
        /// Where they must end.
        page_size: usize,
    },
    /// A cell shares bytes with another.
    #[error("cell of slot {0} overlaps another cell")]
    Overlap(usize),
    /// An inline key is too long, or has a run and is too short.
    #[error(
        "key of slot {slot}: expected at most {limit} inline bytes (just so many before a run), found {found}"
    )]
    KeyLen {
        /// Its slot.
        slot: usize,
        /// Inline bytes, prefix included.
        found: usize,
        /// Most inline bytes.
        limit: usize,
    },
    /// The run of a key cannot be.
    #[error("key run of slot {slot}: {total_len} bytes in {pages} pages is not a long key")]
    KeyRun {
        /// Its slot.
        slot: usize,
        /// Bytes of the whole key.
        total_len: u64,
        /// Pages of the run.
        pages: u32,
    },
    /// The tag of a value is neither a legal length nor that of a run.
    #[error(
        "value tag of slot {slot}: expected at most {limit} or {VALUE_OVERFLOW:#x}, found {found:#x}"
    )]
    ValueTag {
        /// Its slot.
        slot: usize,
        /// The tag.
        found: u16,
        /// Most inline bytes.
        limit: usize,
    },
    /// The run of a value cannot be.
    #[error("value run of slot {slot}: {total_len} bytes in {pages} pages")]
    ValueRun {
        /// Its slot.
        slot: usize,
        /// Bytes of the whole value.
        total_len: u64,
        /// Pages of the run.
        pages: u32,
    },
    /// The head is not that of the key.
    #[error("head of slot {slot}: expected {expected:#010x}, found {found:#010x}")]
    Head {
        /// The slot.
        slot: usize,
        /// Head of the key in the cell.
        expected: u32,
        /// Head in the slot.
        found: u32,
    },
    /// A key is not above the one before it.
    #[error("key of slot {0}: expected above the one before it, found not")]
    Order(usize),
    /// Live and dead bytes do not fill the range of cells.
    #[error("dead bytes: expected {expected}, found {found}")]
    DeadBytes {
        /// Bytes that no cell uses.
        expected: usize,
        /// Bytes that the header names.
        found: usize,
    },
}

/// A [`Kind`] whose bodies can be checked.
pub(super) trait Check: Kind {
    /// Checks slot 0 as far as it is special.
    fn check_first(slots: &[Slot]) -> Result<(), NodeError>;
    /// The length of the body at the start of `body`, which reaches to the end
    /// of the page; `None` if it does not fit there.
    fn check_body(slot: usize, body: &[u8], page_size: usize) -> Result<Option<usize>, NodeError>;
}

impl Check for super::raw::LeafKind {
    fn check_first(_slots: &[Slot]) -> Result<(), NodeError> {
        Ok(())
    }

    fn check_body(slot: usize, body: &[u8], page_size: usize) -> Result<Option<usize>, NodeError> {
        let Some((tag, rest)) = body.split_first_chunk::<VALUE_TAG>() else {
            return Ok(None);
        };
        let tag = u16::from_le_bytes(*tag);
        let limit = max_inline_value(page_size);
        if tag == VALUE_OVERFLOW {
            if rest.len() < OVERFLOW_REF {
                return Ok(None);
            }
            let run = OverflowCell::read(rest);
            if !is_value_run(&run) {
                let (total_len, pages) = (run.total_len, run.pages);
                return Err(NodeError::ValueRun {
                    slot,
                    total_len,
                    pages,
                });
            }
            return Ok(Some(VALUE_TAG + OVERFLOW_REF));
        }
        let len = usize::from(tag);
        if len > limit {
            return Err(NodeError::ValueTag {
                slot,
                found: tag,
                limit,
            });
        }
        Ok((len <= rest.len()).then_some(VALUE_TAG + len))
    }
}

impl Check for super::raw::BranchKind {
    fn check_first(slots: &[Slot]) -> Result<(), NodeError> {
        let first = slots.first().ok_or(NodeError::NoChild)?;
        if first.suffix.get() != 0 || first.head.get() != 0 {
            return Err(NodeError::FirstKey);
        }
        Ok(())
    }

    fn check_body(_slot: usize, body: &[u8], _size: usize) -> Result<Option<usize>, NodeError> {
        Ok((body.len() >= CHILD_REF).then_some(CHILD_REF))
    }
}

/// Checks everything that the other functions take for granted.
pub(super) fn validate<K: Check>(bytes: &[u8]) -> Result<(), NodeError> {
    let page_size = bytes.len();
    if !is_page_size(page_size) {
        return Err(NodeError::PageSize(page_size));
    }
    let header = Header::read(bytes);
    if header.reserved.get() != 0 {
        return Err(NodeError::Reserved(header.reserved.get()));
    }
    let cells_start = header.cells_start();
    let (prefix_len, slot_count) = (header.prefix_len(), header.slot_count());
    if prefix_len > max_inline_key(page_size)
        || header.slots_end() > cells_start
        || cells_start > page_size
    {
        return Err(NodeError::Geometry {
            prefix_len,
            slot_count,
            cells_start,
            page_size,
        });
    }
    debug_assert_eq!(
        header.slots_end(),
        PAGE_HEADER + NODE_HEADER + prefix_len + SLOT * slot_count
    );
    let node = Raw::<K>::new(bytes);
    K::check_first(node.slots)?;

    let mut claims = Claims {
        words: [0; MAX_PAGE_SIZE / 64],
    };
    let mut live = 0;
    let mut previous = None;
    for (index, slot) in node.slots.iter().enumerate() {
        let offset = slot.offset();
        let outside = NodeError::CellOutside {
            slot: index,
            offset,
            cells_start,
            page_size,
        };
        let cell = bytes
            .get(offset..)
            .filter(|_| offset >= cells_start)
            .ok_or(outside)?;
        let (suffix, rest) = cell.split_at_checked(slot.suffix_len()).ok_or(outside)?;
        let body = rest.get(slot.overflow_len()..).ok_or(outside)?;
        check_key(index, slot, node.prefix_of(index).len(), rest, page_size)?;
        let body_len = K::check_body(index, body, page_size)?.ok_or(outside)?;

        let cell_len = suffix.len() + slot.overflow_len() + body_len;
        if !claims.claim(offset, offset + cell_len) {
            return Err(NodeError::Overlap(index));
        }
        live += cell_len;

        let (expected, found) = (head_of(suffix), slot.head.get());
        if expected != found {
            return Err(NodeError::Head {
                slot: index,
                expected,
                found,
            });
        }
        if index >= K::FIRST_KEYED {
            // Behind equal inline parts only whole keys could say more; a key
            // without a run may be the first of such equals, never a later one.
            let ascends = previous.is_none_or(|previous| {
                previous < suffix || (previous == suffix && slot.has_overflow())
            });
            if !ascends {
                return Err(NodeError::Order(index));
            }
            previous = Some(suffix);
        }
    }
    // Cells lie inside the range and apart, so this cannot go below zero.
    let (expected, found) = (page_size - cells_start - live, header.dead_bytes());
    if expected != found {
        return Err(NodeError::DeadBytes { expected, found });
    }
    Ok(())
}

/// Checks the length of a key, and its run, which is at the start of `rest`.
fn check_key(
    index: usize,
    slot: &Slot,
    prefix_len: usize,
    rest: &[u8],
    page_size: usize,
) -> Result<(), NodeError> {
    let limit = max_inline_key(page_size);
    let found = prefix_len + slot.suffix_len();
    if found > limit || (slot.has_overflow() && found != limit) {
        return Err(NodeError::KeyLen {
            slot: index,
            found,
            limit,
        });
    }
    if slot.has_overflow() {
        let run = OverflowCell::read(rest);
        if !is_key_run(&run, page_size) {
            let (total_len, pages) = (run.total_len, run.pages);
            return Err(NodeError::KeyRun {
                slot: index,
                total_len,
                pages,
            });
        }
    }
    Ok(())
}

/// One bit for each byte of the page: whether a cell has it.
struct Claims {
    words: [u64; MAX_PAGE_SIZE / 64],
}

impl Claims {
    /// Takes `from..to`; `false` if part of it was taken before.
    fn claim(&mut self, from: usize, to: usize) -> bool {
        let mut at = from;
        let mut taken = 0;
        while at < to {
            let end = to.min((at / 64 + 1) * 64);
            let mask = (u64::MAX >> (64 - (end - at))) << (at % 64);
            let word = &mut self.words[at / 64];
            taken |= *word & mask;
            *word |= mask;
            at = end;
        }
        taken == 0
    }
}
