//! What is measured of an engine of keys and values.

use std::fmt;

use clap::ValueEnum;

/// A workload, in the order of `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Workload {
    /// Load the keys in random order, in sorted batches of 10,000, until all are durable
    BulkLoad,
    /// Size of the settled directory after the load, as a multiple of its keys and values
    SizeLoad,
    /// Get a value by key, from a snapshot that is held; 1, 2 and 8 threads
    Get,
    /// Get a value by key, from a snapshot of its own each time; 1 and 2 threads
    GetFresh,
    /// Read 10 pairs from a random key on
    #[value(name = "range-10")]
    Range10,
    /// Read all pairs, and check that they are the right ones
    Scan,
    /// Put one pair a commit, durable; 1, 4, 16 and 64 threads
    #[value(name = "put-1")]
    Put1,
    /// Put 100 pairs a commit, durable
    #[value(name = "put-100")]
    Put100,
    /// Put one pair a commit, not synced
    #[value(name = "put-1-nosync")]
    Put1Nosync,
    /// Put 100 pairs a commit, not synced
    #[value(name = "put-100-nosync")]
    Put100Nosync,
    /// Put one pair a call by 64 threads behind a queue: one thread commits, durable, what waits
    #[value(name = "queue-64")]
    Queue64,
    /// One durable writer beside one reader: the rates of both
    Mixed,
    /// Delete every second loaded pair, 10,000 a commit, durable
    DeleteHalf,
    /// Size of the settled directory after inserts, and then half of the load deleted
    SizeChurn,
    /// Memory of the process: the most that was resident, and what no file stands behind
    Memory,
    /// Open to the first get: after a clean close, and after a kill with 1,000 durable pairs logged
    Reopen,
    /// Open to the first get after a kill, with a tenth and three tenths of --keys in the log
    Recover,
    /// Durable puts by 8 threads at half their best rate: latency from the intended start
    OpenLoop,
    /// Durable puts by 64 threads until --keys are in; the second half counts, bytes written too
    Soak,
    /// get, put-1, range-10 and scan with one thread, for each size of --keys
    Growth,
    /// Loads, reads, writes and deletes with 8 MiB of cache and a limit on all memory; and what that took
    LargerThanMemory,
}

impl fmt::Display for Workload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl Workload {
    /// Those of `all`: all but the long ones.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let is_long = |workload: &Self| *workload >= Self::OpenLoop;
        let all = Self::value_variants().iter().copied();
        all.filter(move |workload| !is_long(workload))
    }

    /// Threads to measure with where the user does not say; empty where there
    /// is no choice.
    pub(super) fn default_threads(self) -> &'static [u64] {
        match self {
            Self::Get => &[1, 2, 8],
            Self::GetFresh => &[1, 2],
            Self::Put1 => &[1, 4, 16, 64],
            Self::Range10 | Self::Put100 | Self::Put1Nosync | Self::Put100Nosync => &[1],
            _ => &[],
        }
    }

    /// Keys to load where the user does not say.
    pub(super) fn default_keys(self) -> &'static [u64] {
        match self {
            Self::Soak => &[10_000_000],
            Self::Growth => &[100_000, 1_000_000, 10_000_000],
            // With values of 1 KiB half a GiB.
            Self::LargerThanMemory => &[500_000],
            _ => &[1_000_000],
        }
    }

    /// Seconds of a measurement where the user does not say.
    pub(super) fn default_seconds(self) -> f64 {
        if self == Self::OpenLoop { 60.0 } else { 1.5 }
    }

    /// Whether it only reads: then every read path is measured.
    pub(super) fn only_reads(self) -> bool {
        matches!(
            self,
            Self::Get | Self::GetFresh | Self::Range10 | Self::Scan
        )
    }

    /// The workloads that a step of this name measures, one after another.
    pub(super) fn parts(self) -> Vec<Self> {
        match self {
            Self::Growth => vec![Self::Get, Self::Range10, Self::Scan, Self::Put1],
            Self::LargerThanMemory => vec![
                Self::BulkLoad,
                Self::Get,
                Self::Range10,
                Self::Scan,
                Self::Put100,
                Self::Put1,
                Self::DeleteHalf,
                Self::Memory,
            ],
            _ => vec![self],
        }
    }
}
