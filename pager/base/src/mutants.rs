//! Planted bugs, so that each test harness can prove that it finds them.
//!
//! Without the feature `mutants` (every build but that of the test crate)
//! [`planted`] is the constant `false` and the compiler removes the bug. With
//! it, a bug is switched on for the whole process by `plant`.

/// A bug that the torture harness must catch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Mutant {
    /// A commit is acknowledged before its group is synced.
    AcknowledgeBeforeSync = 1,
    /// The meta page is written before the data pages are synced.
    MetaBeforeData,
    /// Checksums are computed but not compared.
    IgnoreChecksum,
    /// A freed page is reused one checkpoint too early: the older meta still reaches it.
    ReuseOneCheckpointEarly,
    /// A freed page is reused while an early write of it is in flight.
    ReuseDuringWrite,
    /// The log is recycled before the meta page that makes it superfluous is durable.
    RecycleBeforeMeta,
    /// Recovery accepts a stale record of a recycled segment.
    AcceptStaleRecord,
    /// The durable LSN jumps over a group that is still in flight.
    SecondGroupWithoutFirst,
    /// A group starts in the block in which the one before it ended.
    GroupsShareBlock,
    /// A checkpoint names an LSN that is not yet durable.
    MetaNamesUnsyncedLsn,
    /// Open falls back to the older meta although the log no longer reaches back to it.
    FallbackOverRecycledLog,
    /// Recovery serves what it read without making it durable.
    RecoveryWithoutSync,
    /// One page of a checkpoint is never written.
    LoseCheckpointWrite,
    /// On a real disk a sync does nothing, and a durable write is a plain one.
    SkipSync,
    /// The data file is cut although a pinned version reaches pages beyond.
    CutBelowPinned,
    /// A backup lacks the second of its chunks.
    BackupSkipsChunk,
    /// Compaction cuts the data file as soon as its end is free, although the metas tell of more.
    CutBelowMeta,
    /// A bulk load says that it is durable before the log was flushed.
    LoadWithoutFlush,
    /// The hash sum of a tree takes a compressed value for its block.
    DigestOfBlock,
    /// A resumed backup keeps a chunk although its entries have changed since.
    ResumeKeepsStaleChunk,
    /// An answer that was read from the appended root leaves before that is visible.
    AnswerBeforeVisible,
    /// A refusal that was judged on the appended root leaves before that is visible.
    RefusalBeforeVisible,
    /// Readers see a commit, and its writer is told of it, before it is durable.
    VisibleBeforeDurable,
    /// A snapshot is the newest state that was sealed, not the newest visible one.
    StaleSnapshot,
    /// A commit does not ask whether what it changes was changed by others.
    SkipWriteCheck,
    /// A serializable commit does not ask whether what it read still holds.
    SkipReadCheck,
    /// A serializable transaction forgets the ranges that it read.
    ForgetRangesRead,
    /// What prepared transactions have locked is open to all.
    ForgetPreparedLocks,
    /// A resource is told of a decision before that is durable.
    TellBeforeDecision,
    /// Opening gives ids of trees again that a prepared transaction will make.
    ReusePreparedTreeIds,
    /// A feed of changes shows commits that are not durable.
    FeedBeforeDurable,
    /// A compiled filter compares an integer with a double as doubles, however large.
    CompareThroughDouble,
    /// A compiled filter looks at every field of a name, not only the first.
    LastFieldCounts,
    /// A key that a document does not make any more stays in an index.
    KeepIndexEntry,
    /// A unique key is put whether another document has it or not.
    TakenUniqueKey,
    /// A commit does not ask whether what it relies on is still so.
    IgnoreKept,
}

impl Mutant {
    /// Every planted bug, in order.
    pub const ALL: [Self; 36] = [
        Self::AcknowledgeBeforeSync,
        Self::MetaBeforeData,
        Self::IgnoreChecksum,
        Self::ReuseOneCheckpointEarly,
        Self::ReuseDuringWrite,
        Self::RecycleBeforeMeta,
        Self::AcceptStaleRecord,
        Self::SecondGroupWithoutFirst,
        Self::GroupsShareBlock,
        Self::MetaNamesUnsyncedLsn,
        Self::FallbackOverRecycledLog,
        Self::RecoveryWithoutSync,
        Self::LoseCheckpointWrite,
        Self::SkipSync,
        Self::CutBelowPinned,
        Self::BackupSkipsChunk,
        Self::CutBelowMeta,
        Self::LoadWithoutFlush,
        Self::DigestOfBlock,
        Self::ResumeKeepsStaleChunk,
        Self::AnswerBeforeVisible,
        Self::RefusalBeforeVisible,
        Self::VisibleBeforeDurable,
        Self::StaleSnapshot,
        Self::SkipWriteCheck,
        Self::SkipReadCheck,
        Self::ForgetRangesRead,
        Self::ForgetPreparedLocks,
        Self::TellBeforeDecision,
        Self::ReusePreparedTreeIds,
        Self::FeedBeforeDurable,
        Self::CompareThroughDouble,
        Self::LastFieldCounts,
        Self::KeepIndexEntry,
        Self::TakenUniqueKey,
        Self::IgnoreKept,
    ];
}

#[cfg(feature = "mutants")]
mod active {
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A test looks for this text in the released binaries: it must not be there.
    #[used]
    static MARK: [u8; 24] = *b"cs-planted-bugs-compiled";

    static PLANTED: AtomicU32 = AtomicU32::new(0);

    pub(super) fn planted(mutant: super::Mutant) -> bool {
        PLANTED.load(Ordering::Relaxed) == mutant as u32
    }

    pub(super) fn plant(mutant: Option<super::Mutant>) {
        PLANTED.store(mutant.map_or(0, |m| m as u32), Ordering::Relaxed);
    }
}

/// Whether `mutant` is switched on in this process.
#[inline(always)]
#[must_use]
pub fn planted(mutant: Mutant) -> bool {
    #[cfg(feature = "mutants")]
    {
        active::planted(mutant)
    }
    #[cfg(not(feature = "mutants"))]
    {
        let _ = mutant;
        false
    }
}

/// Switches one bug on, or all off.
#[cfg(feature = "mutants")]
pub fn plant(mutant: Option<Mutant>) {
    active::plant(mutant);
}
