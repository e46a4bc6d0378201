//! How large what an expression computes may grow.

use crate::error::{Error, ErrorKind, Result};
use crate::values::{MAX_DEPTH, MAX_DOCUMENT_LEN};

/// What one array that is computed may take in memory; MongoDB has the same
/// limit for `$range`.
pub(super) const MAX_VALUE_BYTES: usize = 100 * 1024 * 1024;

/// Steps of a dotted path; MongoDB's limit of nesting.
pub(super) const MAX_PATH_STEPS: usize = 200;

#[cold]
pub(super) fn too_deep() -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("a computed value has more than {MAX_DEPTH} levels"),
    )
    .with_code(15)
}

/// Refuses a document under construction that is too large already.
#[inline]
pub(super) fn document_len(len: usize) -> Result<()> {
    if len <= MAX_DOCUMENT_LEN {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!("a computed value has more than {MAX_DOCUMENT_LEN} bytes"),
    ))
}

/// Refuses an array under construction that takes too much memory.
#[inline]
pub(super) fn memory(bytes: usize) -> Result<()> {
    if bytes <= MAX_VALUE_BYTES {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::MemoryExceeded,
        format!("a computed array would hold more than {MAX_VALUE_BYTES} bytes"),
    ))
}

/// Refuses an array under construction that has too many elements.
#[inline]
pub(super) fn elements(count: usize) -> Result<()> {
    memory(count.saturating_mul(size_of::<super::Value<'_>>()))
}
