//! Planted bugs, so that simulator and scenarios can prove that they find them.
//!
//! Without the feature `mutants` (every build but that of the test crate)
//! [`planted`] is the constant `false` and the compiler removes the bug. With
//! it, a bug is switched on for the whole process by `plant`.

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A bug that the tests must catch.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum Mutant {
            $($(#[$doc])* $name,)*
        }

        impl Mutant {
            /// Every planted bug, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

mutants! {
    /// A node votes again in a term in which it has voted.
    DoubleVote,
    /// A vote does not ask whose log is newer.
    VoteWithoutLogCheck,
    /// The answer to a vote leaves before term and vote are durable.
    VoteBeforeDurable,
    /// A poisoned node votes.
    VoteWhilePoisoned,
    /// A pre-vote is refused without the higher term.
    PreVoteRefusalWithoutTerm,
    /// A leader without quorum goes on, and keeps the loyalty of those whom it reaches.
    LoyalToLeaderWithoutQuorum,
    /// A leader that no quorum answers goes on, though others need not wait for it.
    NoCheckQuorum,
    /// A witness stands and leads.
    WitnessLeads,
    /// An entry of an older term is committed because a quorum has it.
    CommitOldTermByCount,
    /// An append is acknowledged before it is durable.
    AnswerBeforeDurable,
    /// A write that ended makes everything up to it durable, whatever is still open before it.
    DurableByHighestWrite,
    /// A write of entries that were superseded meanwhile counts for those in their place.
    SupersededWriteCounts,
    /// An append is taken although the entry before it is another one.
    AppendOverMismatch,
    /// A follower takes the commit index of a heartbeat although its log may differ.
    CommitFromHeartbeatUnmatched,
    /// An acknowledgement of an older session counts.
    StaleSessionCounts,
    /// What a peer had before it was started anew counts without being asked for.
    AckAfterRestartCounts,
    /// The median is taken of an unsorted list.
    UnsortedQuorum,
    /// In joint consensus one majority of all together is enough.
    JointAsUnion,
    /// Learners count.
    LearnerCounts,
    /// A read is confirmed before the leader committed in its term.
    ReadBeforeFirstCommit,
    /// A read joins a round that was sent before it came.
    TokenReuse,
    /// A read is served without asking a quorum.
    ReadWithoutQuorum,
    /// A follower serves a read before it has applied enough.
    ReadBeforeApplied,
    /// The lease goes on while leadership is being handed over.
    LeaseDuringTransfer,
    /// The lease begins when the answers come instead of when the question left.
    LeaseFromReceipt,
    /// Reads of a deposed leader are never answered.
    ReadsForgottenAtStepDown,
    /// A fully compacted leader waits for the next write instead of sending a snapshot.
    NoSnapshotAtCompactedTip,
    /// A peer whose snapshot got lost is never offered another.
    SnapshotNeverGivenUp,
    /// A snapshot keeps the entries after it although the log differs at it.
    SnapshotKeepsConflictingTail,
    /// A membership of the log that a snapshot covers stays in force.
    MembershipOfCoveredEntryStays,
    /// A membership counts only once it is committed.
    MembershipAtCommit,
    /// A change is taken before the leader committed in its term.
    ChangeBeforeFirstCommit,
    /// A change is taken while another is under way.
    TwoChanges,
    /// After a restart a membership that is not known to be committed is forgotten.
    UncommittedMembershipForgotten,
    /// A membership outlives the entry that was superseded.
    SupersededMembershipStays,
    /// A change goes from old to new without both agreeing.
    ChangeWithoutJoint,
    /// A leader that is being removed leaves as soon as its removal is appended.
    RemovedLeaderLeavesEarly,
    /// A voter that does not find itself in its own membership refuses to vote.
    VoterAsksOwnMembership,
    /// Leadership is handed to a node that lacks entries.
    TransferToLagging,
    /// A leader takes proposals while it hands over.
    ProposalDuringTransfer,
    /// Those who wait for superseded entries are told nothing.
    WaitersStrandedAtTruncation,
    /// Those who wait are told that it is committed by index, whatever is there.
    WaitersIgnoreTerm,
    /// A leader goes on with a stalled disk.
    DiskStallIgnored,
    /// A leader is ready as soon as it is elected.
    ReadyAtElection,
    /// Entries whose message got lost are not sent again until the next write.
    NoAppendAfterLoss,
}

#[cfg(feature = "mutants")]
mod active {
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A test looks for this text in the released binaries: it must not be there.
    #[used]
    static MARK: [u8; 24] = *b"cs-planted-bugs-compiled";

    static PLANTED: AtomicU32 = AtomicU32::new(0);

    pub(super) fn planted(mutant: super::Mutant) -> bool {
        PLANTED.load(Ordering::Relaxed) == mutant as u32 + 1
    }

    pub(super) fn plant(mutant: Option<super::Mutant>) {
        PLANTED.store(mutant.map_or(0, |m| m as u32 + 1), Ordering::Relaxed);
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

#[cfg(all(test, feature = "mutants"))]
pub(crate) mod tests;
