//! A page of a data file of which neither meta is valid: nobody says how large
//! pages are, whose they are, and which are in use.
//!
//! Invariant: nothing is guessed. Pages 0 and 1 show the metas, which lie at
//! fixed places; any other page needs its size from the command line.

use cs_base::{FileId, PageId};
use cs_pager::PageHeader;
use cs_pager::format::{META_BYTES, META_OFFSETS, first_page};

use crate::cli::PageArgs;
use crate::error::{InspectError, Result};
use crate::pages::judge;
use crate::place::{Metas, Place};

use super::{Page, What, metas_within};

/// Looks at the page of the command line.
pub(super) fn look(place: &Place, metas: &Metas, arguments: &PageArgs) -> Result<Page> {
    let number = arguments.page;
    let (offset, size) = extent(metas, arguments)?;
    let file = cs_pager::open_file(&*place.disk()).map_err(InspectError::suspect)?;
    let len = file.len().map_err(InspectError::suspect)?;
    if offset >= len {
        return Err(InspectError::Usage(format!(
            "page {number} is beyond the data file, which has {len} bytes"
        )));
    }
    // Less than `size` in a file that was cut off.
    let mut bytes = vec![0; size.min(len - offset) as usize];
    let read = file
        .read_at(&mut bytes, offset)
        .map_err(InspectError::suspect)?;
    bytes.truncate(read);
    let is_meta = arguments
        .page_size
        .is_none_or(|size| number < first_page(size).0);
    let what = if is_meta {
        metas_within(metas, number, offset, size)
    } else if read as u64 == size {
        // It says itself whose it is: no meta does.
        let file = FileId(PageHeader::of(&bytes).file.get());
        What::Page(judge(&bytes, file, PageId(number)))
    } else {
        return Err(InspectError::Suspect(format!(
            "page {number} is cut off: expected {size} bytes, found {read}"
        )));
    };
    Ok(Page {
        number,
        offset,
        page_size: size,
        bytes,
        used: is_meta.then_some(true),
        what,
        hex: arguments.hex,
        is_bare: true,
    })
}

/// Where the page begins, and how many bytes are shown.
fn extent(metas: &Metas, arguments: &PageArgs) -> Result<(u64, u64)> {
    let number = arguments.page;
    match (arguments.page_size, number) {
        (Some(size), _) => {
            let size = u64::from(size);
            let offset = number.checked_mul(size).ok_or_else(|| {
                InspectError::Usage(format!("page {number} is beyond any data file"))
            })?;
            Ok((offset, size))
        }
        (None, 0) => Ok((0, META_BYTES)),
        // What page 1 is with the smallest pages.
        (None, 1) => Ok((META_OFFSETS[1], META_BYTES - META_OFFSETS[1])),
        (None, _) => {
            let why: Vec<String> = metas.findings().into_iter().map(|one| one.text).collect();
            Err(InspectError::Suspect(format!(
                "neither meta is valid, so the page size is not known: give --page-size ({})",
                why.join("; ")
            )))
        }
    }
}
