//! The store through its public face.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod backup;
mod basics;
mod bulk;
mod compaction;
mod compaction_crash;
mod compression;
mod crowd;
mod cursors;
mod damage;
mod disks;
mod faulty;
mod in_flight;
mod lifecycle;
mod model;
mod promises;
mod regressions;
mod replay;
mod transactions;
