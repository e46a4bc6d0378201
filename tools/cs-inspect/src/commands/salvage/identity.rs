//! Whose data file it is, and how large its pages are, where no meta says so.
//!
//! Invariant: nothing is believed that not at least one sound page says.

use std::collections::BTreeMap;
use std::sync::Arc;

use cs_base::{FileId, PageId};
use cs_pager::format::first_page;
use cs_pager::{DEFAULT_PAGE_SIZE, PageHeader};
use cs_wal::LogReader;

use crate::error::{InspectError, Result};
use crate::pages::{PageFile, Verdict, judge};
use crate::place::Place;

/// Page sizes, the usual one first.
const SIZES: [u32; 5] = [DEFAULT_PAGE_SIZE, 4096, 16384, 32768, 65536];
/// Pages looked at for each size.
const SAMPLE: u64 = 512;

/// The data file by what its metas say or, where neither is valid, by what most
/// of its pages say.
pub(super) fn open(place: &Place, wanted: Option<u32>) -> Result<PageFile> {
    let disk = place.disk();
    if let Ok(meta) = place.metas()?.newest() {
        if let Some(size) = wanted.filter(|&size| size != meta.page_size) {
            return Err(InspectError::Usage(format!(
                "--page-size: found {size}, but the metas say {}",
                meta.page_size
            )));
        }
        return PageFile::open(&*disk);
    }
    let sizes = wanted.map_or(SIZES.to_vec(), |size| vec![size]);
    let mut votes: BTreeMap<(u64, u32), u64> = BTreeMap::new();
    for size in sizes {
        let file = PageFile::assume(&*disk, FileId(0), size)?;
        let step = (file.pages() / SAMPLE).max(1);
        let first = first_page(size).0;
        for page in (first..file.pages()).step_by(step as usize) {
            let bytes = file.read(PageId(page))?;
            let id = FileId(PageHeader::of(&bytes).file.get());
            if matches!(judge(&bytes, id, PageId(page)), Verdict::Sound(_)) {
                *votes.entry((id.0, size)).or_default() += 1;
            }
        }
    }
    let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
    if let Some(((id, size), _)) = most {
        return PageFile::assume(&*disk, FileId(id), size);
    }
    // No page at all: what there is, the log has.
    let log = LogReader::discover(Arc::clone(&disk)).map_err(|error| {
        InspectError::Suspect(format!(
            "nothing to salvage: neither meta is valid, no page is sound, and the log: {error}"
        ))
    })?;
    PageFile::assume(&*disk, log.file_id(), wanted.unwrap_or(DEFAULT_PAGE_SIZE))
}
