//! What is measured of transactions.

use std::fmt;

use clap::ValueEnum;

/// A workload, in the order of `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Transactions of 5 gets and 5 increments, keys of no other thread; 1, 4, 16, 64 threads
    TxnDisjoint,
    /// The same of keys drawn by Zipf (0.99), tried again until committed; and how many conflict
    TxnZipf,
    /// As txn-disjoint with documents, by find_by_id and replace_one in with_transaction
    TxnDocDisjoint,
    /// As txn-zipf with documents; with_transaction pauses between attempts
    TxnDocZipf,
    /// 64 threads increment one key, an auto-commit each; beside 64 that put keys of their own
    TxnHot,
    /// The same with documents: $inc of one field of one document, beside inserts
    TxnDocHot,
    /// Processor time of Serializable over Snapshot: 10 gets and 5 puts; a range of 100 and 5 puts
    TxnSerializable,
    /// Durable commits of one put beside 0, 100 and 10,000 live snapshots of distinct states
    TxnSnapshots,
    /// Memory of an idle snapshot: 10,000 of distinct states, and 100,000 of one state
    TxnSnapshotMemory,
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
            Self::TxnDisjoint | Self::TxnZipf | Self::TxnDocDisjoint | Self::TxnDocZipf => {
                &[1, 4, 16, 64]
            }
            Self::TxnHot | Self::TxnDocHot => &[64],
            Self::TxnSerializable | Self::TxnSnapshots => &[1],
            Self::TxnSnapshotMemory => &[],
        }
    }
}
