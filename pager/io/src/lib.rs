//! The outside world, behind two small traits.
//!
//! * [`Disk`] and [`File`]: every byte that Collection Store reads or writes
//!   goes through them. [`UringDisk`](uring::UringDisk) submits through
//!   io_uring, [`SysDisk`](sys::SysDisk) uses positional system calls,
//!   [`open_best`](uring::open_best) takes the better one the system allows,
//!   [`MemoryDisk`](memory::MemoryDisk) keeps everything in memory,
//!   [`SimDisk`](sim::SimDisk) is the adversary of the test harnesses, and
//!   [`OverlayDisk`](overlay::OverlayDisk) reads a disk without ever changing it.
//! * [`Runtime`]: threads, time and randomness, real or from one seed.
//!
//! ## Invariants
//! * A durable write or a sync that returned without error is on the device.
//! * A failed one is never tried again in here: the caller decides what it means.
//! * Short writes, `EINTR` and `EAGAIN` never leave this crate.
//! * Memory handed to the kernel stays alive and in place until the kernel is
//!   done with it ([`StableBytes`]).
//!
//! What is *not* here: pages, records, retries of a failed sync, any format.

#[cfg(feature = "mutants")]
#[doc(hidden)]
pub mod allocations;
mod arena;
mod buffer;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod disk;
mod fork;
mod map;
pub mod memory;
mod names;
pub mod overlay;
#[cfg(any(test, feature = "mutants"))]
#[doc(hidden)]
pub mod refuse;
mod runtime;
mod signal;
pub mod sim;
pub mod sys;
pub mod uring;

pub use arena::{ArenaStats, PageArena, PageBuf};
pub use buffer::AlignedBuf;
pub use disk::{
    BackendReport, Disk, File, LockError, LockGuard, OpenMode, Pending, PendingIo, PendingRead,
    PendingReadIo, StableBytes, WriteMode, is_no_space,
};
pub use fork::ForkMark;
pub use map::MapChunk;
pub use names::check_name;
pub use runtime::{RealRuntime, Runtime, SimRuntime, Task};
pub use signal::{EventCount, Listener, Signal};
