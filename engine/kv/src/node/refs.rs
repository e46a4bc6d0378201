//! What goes into a cell and comes out of it.

use cs_base::{PageId, Version};

use super::limits::max_inline_key;

/// A reference to an overflow run: a key or a value that does not fit into a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverflowRef {
    /// Bytes in the run; for a value that was packed, with [`PACKED`](Self::PACKED).
    pub total_len: u64,
    /// First page of the run.
    pub first: PageId,
    /// Version in which the run was born.
    pub version: Version,
    /// Pages of the run, at least one.
    pub pages: u32,
}

impl OverflowRef {
    /// The bit of `total_len` which says that the run holds a value as a codec
    /// block. Far above every length, so whoever does not know of it sees a run
    /// that is too long, and refuses it.
    pub const PACKED: u64 = 1 << 63;

    /// Whether the run holds a value as a codec block.
    #[must_use]
    pub const fn is_packed(&self) -> bool {
        self.total_len & Self::PACKED != 0
    }

    /// Bytes in the run.
    #[must_use]
    pub const fn run_bytes(&self) -> u64 {
        self.total_len & !Self::PACKED
    }
}

/// A reference to a child: a page number and the version that must be found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildRef {
    /// The page.
    pub page: PageId,
    /// The version in which it was born.
    pub version: Version,
}

/// A value as a leaf holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// The value itself, at most [`max_inline_value`](super::max_inline_value) bytes.
    Inline(&'a [u8]),
    /// Where it is.
    Overflow(OverflowRef),
}

/// A key as a cell holds it.
///
/// `overflow` is there exactly if the key is longer than
/// [`max_inline_key`]; `inline` then has exactly that many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRef<'a> {
    /// The key, or its first bytes.
    pub inline: &'a [u8],
    /// The run that holds the whole key.
    pub overflow: Option<OverflowRef>,
}

impl<'a> KeyRef<'a> {
    /// A key of at most [`max_inline_key`] bytes.
    #[inline]
    #[must_use]
    pub const fn inline(key: &'a [u8]) -> Self {
        Self {
            inline: key,
            overflow: None,
        }
    }

    /// A longer key, whose whole is in `run`.
    ///
    /// # Panics
    /// If `key` is not longer than [`max_inline_key`].
    #[must_use]
    pub fn overflowing(key: &'a [u8], page_size: usize, run: OverflowRef) -> Self {
        let inline_len = max_inline_key(page_size);
        assert!(
            key.len() > inline_len,
            "a key of {} bytes needs no overflow run",
            key.len()
        );
        Self {
            inline: &key[..inline_len],
            overflow: Some(run),
        }
    }
}

/// A [`KeyRef`] that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedKey {
    /// The key, or its first bytes.
    pub inline: Vec<u8>,
    /// The run that holds the whole key.
    pub overflow: Option<OverflowRef>,
}

impl OwnedKey {
    /// The same key, borrowed.
    #[must_use]
    pub fn as_key(&self) -> KeyRef<'_> {
        KeyRef {
            inline: &self.inline,
            overflow: self.overflow,
        }
    }
}
