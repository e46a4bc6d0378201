//! An append-only log of opaque records, with group commit.
//!
//! The log knows no pages, no documents and no Raft: a record is a payload
//! with a header that says its kind, term, index and time. What the log
//! promises: after any crash the records that were durable are there, in
//! order, and behind them nothing but records that were appended after them.
//!
//! | step | file |
//! |---|---|
//! | reserve space, append a record | `reserve.rs`, `append.rs`, into `gather.rs` |
//! | a group leaves, flies, ends | `group.rs`; who drives it: `lead.rs` |
//! | somebody waits for a position | `tickets.rs`; callbacks: `callback.rs` |
//! | read the log back and judge it | `inventory.rs`, `scan.rs`, `superseding.rs`, `recover.rs` |
//! | make durable what was read, cut the rest | `finish.rs` |
//! | make, begin, recycle segment files | `segment.rs`, `recycle.rs`, `pins.rs` |
//! | follow it while it grows | `tail.rs` |
//! | the bytes | `format.rs`, `FORMAT.md` |
//!
//! What is *not* here: what a payload means, when a checkpoint happens, whether
//! an answer waits for durability.
//!
//! ```
//! use std::sync::Arc;
//! use cs_base::{FileId, HybridTime, Index, Lsn, Term};
//! use cs_io::{Disk, RealRuntime, memory::MemoryDisk};
//! use cs_wal::{Log, LogError, LogOptions, LogOwner, RecordHead, RecordKind, StartPoint};
//!
//! /// An owner that keeps no versions and tells nobody.
//! struct Plain;
//! impl LogOwner for Plain {
//!     fn seal_and_cut(&self, cut: &mut dyn FnMut()) { cut() }
//!     fn durable_advanced(&self, _durable: Lsn) {}
//!     fn log_failed(&self, _error: &LogError) {}
//! }
//!
//! let disk: Arc<dyn Disk> = MemoryDisk::new();
//! let log = Log::create(disk.clone(), RealRuntime::new(), FileId(7), LogOptions::default())?;
//! let head = RecordHead {
//!     kind: RecordKind::Transaction, flags: 0, term: Term(1), index: Index(1), time: HybridTime(1),
//! };
//! let appended = log.append(log.reserve(5)?, head, &[b"hello"]);
//! log.wait_durable(&Plain, appended.end)?;
//! drop(log);
//!
//! let start = StartPoint::default();
//! let recovered = Log::recover(disk, RealRuntime::new(), FileId(7), LogOptions::default(), start)?;
//! recovered.for_each(|record| {
//!     assert_eq!(record.payload, b"hello");
//!     Ok::<_, LogError>(())
//! })?;
//! let log = recovered.finish()?;
//! assert_eq!(log.last_index(), Index(1));
//! # Ok::<_, LogError>(())
//! ```

#![forbid(unsafe_code)]

mod append;
mod callback;
mod error;
mod files;
mod finish;
mod format;
mod gather;
mod group;
mod inventory;
mod landings;
mod lead;
mod log;
mod names;
mod options;
mod pins;
mod reader;
mod recover;
mod recycle;
mod reserve;
mod scan;
mod segment;
mod stats;
mod superseding;
mod tail;
mod tickets;
mod window;

pub use append::AppendGuard;
pub use error::{LogError, Result};
pub use files::LogFiles;
pub use format::{
    FORMAT_VERSION, HardState, MAX_MEMBERSHIP_BYTES, MAX_RECORD_PAYLOAD, RECORD_HEADER_BYTES,
    RecordHead, RecordKind, SEGMENT_HEADER_BYTES,
};
pub use group::{Drive, LogOwner};
pub use log::{Appended, Log};
pub use options::{LogOptions, StartPoint};
pub use pins::PinInfo;
pub use reader::{HeaderReport, LogReader, RecordReport, SegmentReport, SegmentRole, Verdict};
pub use recover::{Records, Recovered, TornTail};
pub use recycle::Piece;
pub use reserve::Reservation;
pub use scan::RecordRef;
pub use segment::{SegmentInfo, SegmentState};
pub use stats::LogStats;
pub use tail::Tail;
pub use tickets::{WaitQueue, Waiter};
