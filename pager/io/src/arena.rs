//! Memory for pages: slots of one size, cut from large regions.
//!
//! One allocation for each page costs about as much again in slack and headers,
//! and no huge page ever backs it. Here a region is one anonymous mapping, a
//! slot is a piece of it, and what is given back is used again first, while it
//! is warm.
//!
//! ```text
//! region 64 KiB | region 64 KiB | 64 KiB | ... | region 2 MiB, huge pages | ...
//!  slot slot ...                                  slot slot slot ...
//! ```
//!
//! Regions are made on demand: the first has 64 KiB, each further one a quarter
//! of what there is already, at most 32 MiB, and never more than is left below
//! the limit. Slots are handed out from front to back, so that the part of a
//! region that nobody asked for is address space and no memory. At the limit a
//! slot is memory of its own, counted, and goes back to the system when it is
//! given back: the limit is passed for as long as need be, not for ever.
//!
//! ## Invariants
//! * A slot is in exactly one place: with its one [`PageBuf`], free, or not yet
//!   cut from the newest region.
//! * All bytes of a slot are initialised at all times: a region begins as
//!   zeroes. What a slot held before is not wiped; who takes one says what
//!   shall be in it.
//! * A region lives until the arena and all its slots are gone.
#![allow(unsafe_code, reason = "slots are pieces of one mapping")]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cs_base::{BLOCK_SIZE, round_up};
use parking_lot::Mutex;

mod region;

use crate::AlignedBuf;
use region::Region;

/// Bytes of the first region: what an empty database takes.
const FIRST_REGION: u64 = 64 * 1024;
/// Largest region: growing by it is rare enough, and a refusal costs little.
const MAX_REGION: u64 = 32 * 1024 * 1024;
/// A new region has this share of what there is.
const GROWTH: u64 = 4;

/// Memory for pages of one size; cheap to clone, all clones are one.
///
/// ```
/// let arena = cs_io::PageArena::new(8192, 1 << 20);
/// let page = arena.zeroed();
/// assert_eq!((page.len(), arena.stats().used_bytes), (8192, 8192));
/// drop(page);
/// assert_eq!(arena.stats().used_bytes, 0);
/// ```
#[derive(Clone)]
pub struct PageArena(Arc<Shared>);

struct Shared {
    slot_bytes: usize,
    limit: u64,
    state: Mutex<State>,
    /// Bytes of slots with owners: beside the lock, for those who only ask.
    used: AtomicU64,
}

#[derive(Default)]
struct State {
    free: Vec<Slot>,
    regions: Vec<Region>,
    /// Bytes of all regions.
    region_bytes: u64,
    /// Where the newest region is cut next, and how many slots are left in it.
    next: Option<Slot>,
    left: u64,
    peak: u64,
    exceeded: u64,
}

/// The start of a slot.
#[derive(Clone, Copy)]
struct Slot(NonNull<u8>);

// SAFETY: a slot is memory without an owner; whoever has it may be any thread.
unsafe impl Send for Slot {}

/// Figures of an arena, in bytes unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArenaStats {
    /// Taken from the system, by regions and beyond the limit.
    pub arena_bytes: u64,
    /// Part of it with an owner.
    pub used_bytes: u64,
    /// The most that ever had an owner at once.
    pub peak_bytes: u64,
    /// What `used_bytes` is to stay below.
    pub limit_bytes: u64,
    /// How often a slot was taken beyond the limit.
    pub exceeded: u64,
}

impl PageArena {
    /// An arena for slots of `slot_bytes`, rounded up to whole blocks, and
    /// `limit` bytes of them. Takes no memory yet.
    #[must_use]
    pub fn new(slot_bytes: usize, limit: u64) -> Self {
        let slot_bytes = round_up(slot_bytes.max(1) as u64, BLOCK_SIZE as u64) as usize;
        Self(Arc::new(Shared {
            slot_bytes,
            limit,
            state: Mutex::default(),
            used: AtomicU64::new(0),
        }))
    }

    /// A slot of zeroes.
    #[must_use]
    pub fn zeroed(&self) -> PageBuf {
        let mut page = self.take();
        page.fill(0);
        page
    }

    /// A slot with a copy of `bytes`; nothing is wiped before.
    ///
    /// # Panics
    /// If `bytes` are not exactly a slot.
    #[must_use]
    pub fn copy_of(&self, bytes: &[u8]) -> PageBuf {
        let mut page = self.take();
        page.copy_from_slice(bytes);
        page
    }

    /// A slot with whatever bytes it held before: for who overwrites them all.
    #[must_use]
    pub fn take(&self) -> PageBuf {
        let shared = &self.0;
        let bytes = shared.slot_bytes as u64;
        let mut state = shared.state.lock();
        let used = shared.used.load(Ordering::Relaxed) + bytes;
        // A slot that is free is resident: beyond the limit too it comes first,
        // or else slots lie idle beside memory that was taken on top of them.
        let slot = match state.free.pop() {
            None if used <= shared.limit => state.cut(shared.slot_bytes, shared.limit),
            free => free,
        };
        shared.used.store(used, Ordering::Relaxed);
        state.peak = state.peak.max(used);
        let memory = match slot {
            Some(slot) => Memory::Slot(slot),
            None => {
                state.exceeded += 1;
                drop(state);
                Memory::Own(AlignedBuf::zeroed(shared.slot_bytes))
            }
        };
        PageBuf {
            memory,
            arena: self.clone(),
        }
    }

    /// Whether the next slot would be beyond the limit.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.used_bytes() + self.0.slot_bytes as u64 > self.0.limit
    }

    /// Bytes of slots with owners.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Present figures.
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        let state = self.0.state.lock();
        let used = self.used_bytes();
        let slots = self.0.slot_bytes as u64;
        let idle = state.free.len() as u64 * slots + state.left * slots;
        let own = (used + idle).saturating_sub(state.region_bytes);
        ArenaStats {
            arena_bytes: state.region_bytes + own,
            used_bytes: used,
            peak_bytes: state.peak,
            limit_bytes: self.0.limit,
            exceeded: state.exceeded,
        }
    }

    fn give_back(&self, slot: Option<Slot>) {
        let shared = &self.0;
        let mut state = shared.state.lock();
        let used = shared.used.load(Ordering::Relaxed);
        shared
            .used
            .store(used - shared.slot_bytes as u64, Ordering::Relaxed);
        state.free.extend(slot);
    }
}

impl State {
    /// The next slot of the newest region, or of a new one. `None` if the limit
    /// or the system has no more.
    fn cut(&mut self, slot_bytes: usize, limit: u64) -> Option<Slot> {
        if self.left == 0 {
            let unit = slot_bytes as u64;
            let wanted = (self.region_bytes / GROWTH).clamp(FIRST_REGION, MAX_REGION);
            let room = limit.saturating_sub(self.region_bytes);
            let bytes = wanted.min(room) / unit * unit;
            if bytes == 0 {
                return None;
            }
            let region = Region::new(usize::try_from(bytes).ok()?)?;
            self.next = Some(Slot(region.start()));
            self.left = bytes / unit;
            self.region_bytes += bytes;
            self.regions.push(region);
        }
        let slot = self.next?;
        self.left -= 1;
        self.next = (self.left > 0).then(|| {
            // SAFETY: `left` more slots follow in the same region.
            Slot(unsafe { slot.0.add(slot_bytes) })
        });
        Some(slot)
    }
}

impl fmt::Debug for PageArena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageArena({:?})", self.stats())
    }
}

enum Memory {
    Slot(Slot),
    /// Beyond the limit.
    Own(AlignedBuf),
}

/// A page's memory; goes back to its arena when dropped. Its address is a
/// multiple of [`BLOCK_SIZE`], as direct I/O wants it.
pub struct PageBuf {
    memory: Memory,
    arena: PageArena,
}

impl PageBuf {
    /// Where the bytes begin; they stay there.
    pub(crate) fn start(&self) -> NonNull<u8> {
        match &self.memory {
            Memory::Slot(slot) => slot.0,
            Memory::Own(own) => own.start(),
        }
    }

    /// Another slot of the same arena; see [`PageArena::take`].
    pub(crate) fn sibling(&self) -> Self {
        self.arena.take()
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.arena.0.slot_bytes
    }
}

impl Deref for PageBuf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the slot is ours alone, as long as a slot, and initialised.
        unsafe { std::slice::from_raw_parts(self.start().as_ptr(), self.size()) }
    }
}

impl DerefMut for PageBuf {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start().as_ptr(), self.size()) }
    }
}

impl Drop for PageBuf {
    fn drop(&mut self) {
        self.arena.give_back(match self.memory {
            Memory::Slot(slot) => Some(slot),
            Memory::Own(_) => None,
        });
    }
}

// SAFETY: the buffer owns its bytes like a `Box<[u8]>`; the arena is behind a lock.
unsafe impl Send for PageBuf {}
// SAFETY: shared access only reads.
unsafe impl Sync for PageBuf {}

impl fmt::Debug for PageBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageBuf({} bytes)", self.size())
    }
}

#[cfg(test)]
mod tests;
