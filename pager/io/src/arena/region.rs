//! One region: an anonymous mapping, zero at first.

use std::ptr::NonNull;

/// Huge pages of the processor: a region of at least one begins on such a
/// boundary, or none would ever back it.
#[cfg(not(miri))]
const HUGE_PAGE: usize = 2 * 1024 * 1024;

/// Memory that stays where it is until dropped. The interpreter that looks for
/// undefined behaviour knows no advice on memory: there it is a plain buffer.
pub(super) struct Region {
    #[cfg(not(miri))]
    _map: memmap2::MmapMut,
    #[cfg(miri)]
    _map: crate::AlignedBuf,
    start: NonNull<u8>,
}

impl Region {
    /// `None` if the system has no more.
    #[cfg(not(miri))]
    pub(super) fn new(bytes: usize) -> Option<Self> {
        let is_huge = bytes >= HUGE_PAGE;
        let slack = if is_huge { HUGE_PAGE } else { 0 };
        let mut map = memmap2::MmapMut::map_anon(bytes.checked_add(slack)?).ok()?;
        let skipped = if is_huge {
            map.as_ptr().align_offset(HUGE_PAGE)
        } else {
            0
        };
        if is_huge {
            // A wish: small pages do as well, only slower.
            let _ = map.advise_range(memmap2::Advice::HugePage, skipped, bytes);
        }
        let start = NonNull::new(map.get_mut(skipped..)?.as_mut_ptr())?;
        Some(Self { _map: map, start })
    }

    #[cfg(miri)]
    pub(super) fn new(bytes: usize) -> Option<Self> {
        let map = crate::AlignedBuf::zeroed(bytes);
        let start = map.start();
        Some(Self { _map: map, start })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }
}

// SAFETY: a region is memory that belongs to the process; it only keeps it mapped.
unsafe impl Send for Region {}
