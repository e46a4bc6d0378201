//! How often each thing was met: what was never met was not tested.

use cs_raft::Outcome;

macro_rules! hits {
    ($($name:ident: $what:literal,)*) => {
        /// Counts over a run, or over many.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(super) struct Hits {
            $(pub(super) $name: u64,)*
        }

        impl Hits {
            /// The sum of both.
            pub(super) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// All of them, with words for people.
            pub(super) fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$(($what, self.$name),)*]
            }
        }
    };
}

hits! {
    messages: "messages",
    leaders: "leaders elected",
    older_candidates: "votes asked with an older log",
    acknowledged: "requests acknowledged",
    superseded: "logs cut at a conflict",
    committed: "answered committed",
    not_leader: "answered not leader",
    superseded_answers: "answered superseded",
    unknown: "answered unknown",
    refused: "answered refused",
    transferred: "leadership transferred",
    memberships: "memberships appended",
    fetches: "old entries fetched",
    compactions: "compactions",
    snapshots_sent: "snapshots sent",
    snapshots_cut: "snapshots cut",
    installed: "snapshots installed",
    faults: "faults",
    partitions: "partitions",
    one_ways: "one-way partitions",
    bridges: "bridges",
    isolations: "isolated nodes",
    flaps: "flapping links",
    clogs: "clogged links",
    pauses: "pauses",
    crashes: "crashes",
    crashes_between_actions: "crashes between two actions",
    slow_disks: "slow disks",
    stalls: "stalls told",
    failed_writes: "failed writes",
    full_disks: "full disks",
    flipped_bits: "flipped bits",
    wiped_disks: "wiped disks",
    changes: "changes of membership asked",
    transfers: "transfers asked",
    bursts: "bursts of proposals",
    reads_at_once: "reads by a lease",
    degraded: "links broken for good",
    compacted_to_tip: "compactions to the tip",
}

impl Hits {
    /// A request has its answer.
    pub(super) fn count(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Committed { .. } => &mut self.committed,
            Outcome::Transferred { .. } => &mut self.transferred,
            Outcome::NotLeader { .. } => &mut self.not_leader,
            Outcome::Superseded => &mut self.superseded_answers,
            Outcome::Unknown => &mut self.unknown,
            Outcome::Refused(_) => &mut self.refused,
        } += 1;
    }
}
