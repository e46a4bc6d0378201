//! The program as its users meet it: results, exit codes, and what it leaves behind.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod backup;
mod collection_files;
mod damage;
mod data;
mod indexes;
mod live;
mod salvage;
mod snapshots;
mod space;
mod support;
mod untouched;
