//! Tests that cross crates: the harnesses behind `cs-torture`, as functions.
//!
//! | module | harness | what it breaks |
//! |---|---|---|
//! | [`crash`] | crash explorer | processes and machines, at any event of a simulated disk |
//! | [`fault`] | fault sweep | one I/O operation after the other |
//! | [`kill`] | kill loop | real processes on a real disk |
//! | [`power`] | power cuts | real file systems under real processes |
//! | [`fuzz`] | inputs | whatever reads bytes from outside |
//! | [`flip`] | damage | bytes of files at rest |
//! | [`isolation`] | isolation checker | the order of transactions from many threads |
//! | [`indexes`] | indexes | documents and indexes that are made, at any event, from many threads |
//! | [`filters`] | filters | the compiled form of filters, against the interpreter |
//! | [`prepare`] | two phases | prepared transactions, at any event of a simulated disk |
//! | [`raft`] | cluster simulator | networks, clocks, disks and members of whole clusters |
//!
//! Each proves itself by catching bugs planted on purpose
//! ([`cs_base::mutants`], [`cs_raft::mutants`]). README.md says what each promises and how to run it.

#![forbid(unsafe_code)]

pub mod crash;
pub mod fault;
pub mod filters;
pub mod flip;
pub mod fuzz;
pub mod indexes;
pub mod isolation;
pub mod kill;
pub mod linearizable;
mod model;
mod panics;
pub mod power;
pub mod prepare;
pub mod progress;
pub mod raft;
mod verdict;
mod watch;

pub use verdict::{Failure, Verdict};

/// How a run of a harness went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Cases that were as promised.
    pub passed: u64,
    /// Cases that were not.
    pub failed: u64,
}

impl Outcome {
    /// Counts one case.
    pub fn count(&mut self, is_good: bool) {
        *(if is_good {
            &mut self.passed
        } else {
            &mut self.failed
        }) += 1;
    }
}
