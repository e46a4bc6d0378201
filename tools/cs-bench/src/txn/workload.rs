//! What is measured of transactions.

use std::fmt;

use clap::ValueEnum;

/// A workload, in the order of `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Transactions of 5 gets and 5 increments, keys of no other thread; 1, 4, 16, 64 threads
    #[value(name = "txn-disjoint")]
    Disjoint,
    /// The same of keys drawn by Zipf (0.99), tried again until committed; and how many conflict
    #[value(name = "txn-zipf")]
    Zipf,
    /// As txn-disjoint with documents, by find_by_id and replace_one in with_transaction
    #[value(name = "txn-doc-disjoint")]
    DocDisjoint,
    /// As txn-zipf with documents; with_transaction pauses between attempts
    #[value(name = "txn-doc-zipf")]
    DocZipf,
    /// 64 threads increment one key, an auto-commit each; beside 64 that put keys of their own
    #[value(name = "txn-hot")]
    Hot,
    /// The same with documents: $inc of one field of one document, beside inserts
    #[value(name = "txn-doc-hot")]
    DocHot,
    /// Processor time of Serializable over Snapshot: 10 gets and 5 puts; a range of 100 and 5 puts
    #[value(name = "txn-serializable")]
    Serializable,
    /// Durable commits of one put beside 0, 100 and 10,000 live snapshots of distinct states
    #[value(name = "txn-snapshots")]
    Snapshots,
    /// Memory of an idle snapshot: 10,000 of distinct states, and 100,000 of one state
    #[value(name = "txn-snapshot-memory")]
    SnapshotMemory,
}

impl fmt::Display for Workload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl Workload {
    /// Threads to measure with where the user does not say; empty where there is
    /// no choice.
    pub(super) fn default_threads(self) -> &'static [u64] {
        match self {
            Self::Disjoint | Self::Zipf | Self::DocDisjoint | Self::DocZipf => &[1, 4, 16, 64],
            Self::Hot | Self::DocHot => &[64],
            Self::Serializable | Self::Snapshots => &[1],
            Self::SnapshotMemory => &[],
        }
    }
}
