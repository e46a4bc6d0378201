//! Overflow runs, as they lie in a data file.
//!
//! Invariant: no length is believed before it fits the pages of the run, and
//! each page is of the version that the reference names.

use cs_base::codec::decode;
use cs_base::{PageId, TreeId};
use cs_kv::limits::{MAX_KEY, MAX_VALUE};
use cs_kv::node::OverflowRef;
use cs_pager::{PAGE_HEADER, PageHeader, PageKind, PageRef};

use crate::error::{InspectError, Result};
use crate::pages::PageFile;

/// Bytes of the digest at the start of a value's run.
pub(crate) const DIGEST: usize = 16;

/// The whole key in a run.
///
/// # Errors
/// [`InspectError::Suspect`] names the page that is not what it should be.
pub(crate) fn read_key(file: &PageFile, tree: TreeId, run: &OverflowRef) -> Result<Vec<u8>> {
    read(file, tree, run, MAX_KEY)
}

/// The whole value in a run.
///
/// # Errors
/// As [`read_key`].
pub(crate) fn read_value(file: &PageFile, tree: TreeId, run: &OverflowRef) -> Result<Vec<u8>> {
    let mut bytes = read(file, tree, run, MAX_VALUE + DIGEST)?;
    if bytes.len() < DIGEST {
        return Err(wrong(run, "at least the 16 bytes of a digest"));
    }
    if run.is_packed() {
        let value = decode(&bytes[DIGEST..], MAX_VALUE).map_err(|e| wrong(run, &e.to_string()))?;
        return Ok(value.into_owned());
    }
    bytes.drain(..DIGEST);
    Ok(bytes)
}

fn read(file: &PageFile, tree: TreeId, run: &OverflowRef, limit: usize) -> Result<Vec<u8>> {
    let room = file.page_size() as usize - PAGE_HEADER;
    let total = usize::try_from(run.run_bytes()).unwrap_or(usize::MAX);
    if total > limit || total.div_ceil(room).max(1) != run.pages as usize {
        return Err(wrong(run, &format!("at most {limit} bytes")));
    }
    let mut bytes = Vec::with_capacity(total);
    for offset in 0..u64::from(run.pages) {
        let at = PageRef {
            page: PageId(run.first.0.saturating_add(offset)),
            version: run.version,
        };
        let page = file.read_at(at)?;
        let header = PageHeader::of(&page);
        if header.kind != PageKind::Overflow as u8 || header.tree.get() != tree.0 {
            return Err(InspectError::Suspect(format!(
                "page {} is damaged: expected overflow of tree {tree}, found kind {} of tree {}",
                at.page,
                header.kind,
                header.tree.get()
            )));
        }
        let len = room.min(total - bytes.len());
        bytes.extend_from_slice(&page[PAGE_HEADER..PAGE_HEADER + len]);
    }
    Ok(bytes)
}

fn wrong(run: &OverflowRef, expected: &str) -> InspectError {
    InspectError::Suspect(format!(
        "page {} is damaged: an overflow run of {} bytes in {} pages, expected {expected}",
        run.first,
        run.run_bytes(),
        run.pages
    ))
}
