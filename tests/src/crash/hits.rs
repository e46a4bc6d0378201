//! What a run of the explorer met, so that nobody has to believe that a part
//! of the store was under it.

use std::fmt;
use std::ops::Range;

use cs_kv::CompressionStats;

/// Something that a run can meet; the names say what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "what is printed for each is its text")]
pub enum Part {
    Compactions,
    CompactionsStopped,
    PagesCompacted,
    FilesCut,
    FilesCutByThemselves,
    CompactionStates,
    Loads,
    LoadsAppended,
    LoadsAmongKeys,
    LoadsRefused,
    LoadsAtomic,
    LoadStates,
    BackupsRestored,
    BackupsResumed,
    ChunksKept,
    BackupsAfterCrash,
    BackupStates,
    LogRecordsLz4,
    LogRecordsGzip,
    LogBytesSaved,
    ValuesLz4,
    ValuesGzip,
    ValueBytesSaved,
    PackedStates,
    Named,
    NamedDropped,
    NamedAfterCrash,
    Prepared,
    PreparedCommitted,
    PreparedRolledBack,
    LocksTried,
    InDoubtAfterCrash,
    DecidedAfterCrash,
    FeedCommits,
    FeedsResumed,
    FeedsLost,
    FeedStates,
    Evaluated,
    EvaluationsDeclined,
    Savepoints,
    SnapshotsEvicted,
}

impl Part {
    /// Each with what is printed for it, in order.
    const ALL: [(Self, &'static str); 41] = [
        (Self::Compactions, "compactions finished"),
        (Self::CompactionsStopped, "compactions stopped"),
        (Self::PagesCompacted, "pages compacted"),
        (Self::FilesCut, "files cut by compact"),
        (Self::FilesCutByThemselves, "files cut by themselves"),
        (Self::CompactionStates, "states amid a compaction"),
        (Self::Loads, "bulk loads finished"),
        (Self::LoadsAppended, "loads behind the last key"),
        (Self::LoadsAmongKeys, "loads among keys"),
        (Self::LoadsRefused, "loads refused"),
        (Self::LoadsAtomic, "loads in one transaction"),
        (Self::LoadStates, "states amid a bulk load"),
        (Self::BackupsRestored, "backups restored"),
        (Self::BackupsResumed, "backups resumed"),
        (Self::ChunksKept, "chunks kept by resuming"),
        (Self::BackupsAfterCrash, "backups proven after a crash"),
        (Self::BackupStates, "states amid a backup"),
        (Self::LogRecordsLz4, "log records by lz4"),
        (Self::LogRecordsGzip, "log records by gzip"),
        (Self::LogBytesSaved, "log bytes saved"),
        (Self::ValuesLz4, "values by lz4"),
        (Self::ValuesGzip, "values by gzip"),
        (Self::ValueBytesSaved, "value bytes saved"),
        (Self::PackedStates, "states behind packed bytes"),
        (Self::Named, "named snapshots made"),
        (Self::NamedDropped, "named snapshots dropped"),
        (Self::NamedAfterCrash, "named read after a crash"),
        (Self::Prepared, "transactions prepared"),
        (Self::PreparedCommitted, "prepared, committed"),
        (Self::PreparedRolledBack, "prepared, rolled back"),
        (Self::LocksTried, "locks tried"),
        (Self::InDoubtAfterCrash, "in doubt after a crash"),
        (Self::DecidedAfterCrash, "decided before a crash"),
        (Self::FeedCommits, "commits shown by feeds"),
        (Self::FeedsResumed, "feeds taken up again"),
        (Self::FeedsLost, "feeds that came too late"),
        (Self::FeedStates, "states followed on"),
        (Self::Evaluated, "operations evaluated"),
        (Self::EvaluationsDeclined, "batches that declined"),
        (Self::Savepoints, "savepoints rolled back to"),
        (Self::SnapshotsEvicted, "snapshots ended by limits"),
    ];
}

/// How often each part was met; a state counts that was crashed amid it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hits([u64; Part::ALL.len()]);

impl Default for Hits {
    fn default() -> Self {
        Self([0; Part::ALL.len()])
    }
}

/// Long work beside the writers, and the events of its phase that it spans.
#[derive(Clone, Debug)]
pub(super) struct Span {
    /// What a state amid it counts as.
    pub(super) counts_as: Part,
    pub(super) events: Range<usize>,
}

impl Hits {
    /// Counts a part.
    pub fn count(&mut self, part: Part, times: u64) {
        self.0[part as usize] += times;
    }

    /// How often a part was met.
    #[must_use]
    pub fn of(&self, part: Part) -> u64 {
        self.0[part as usize]
    }

    /// What was never met.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let parts = Part::ALL.into_iter();
        parts
            .filter_map(|(part, text)| (self.of(part) == 0).then_some(text))
            .collect()
    }

    /// Adds what another run met.
    pub fn add(&mut self, other: &Self) {
        for (mine, other) in self.0.iter_mut().zip(other.0) {
            *mine += other;
        }
    }

    /// What one store packed, from its opening to now.
    pub(super) fn packed(&mut self, stats: &CompressionStats) {
        let CompressionStats { log, values, .. } = stats;
        let saved = |from: &cs_kv::BlockStats| from.bytes_in.saturating_sub(from.bytes_out);
        self.count(Part::LogRecordsLz4, log.lz4);
        self.count(Part::LogRecordsGzip, log.gzip);
        self.count(Part::LogBytesSaved, saved(log));
        self.count(Part::ValuesLz4, values.lz4);
        self.count(Part::ValuesGzip, values.gzip);
        self.count(Part::ValueBytesSaved, saved(values));
    }

    /// A state was crashed at this event of a phase.
    pub(super) fn state_at(&mut self, event: usize, spans: &[Span], packs: bool) {
        self.count(Part::PackedStates, u64::from(packs));
        for span in spans.iter().filter(|span| span.events.contains(&event)) {
            self.count(span.counts_as, 1);
        }
    }
}

impl fmt::Display for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (part, text)) in Part::ALL.into_iter().enumerate() {
            let end = if nth % 3 == 2 { "\n" } else { "" };
            write!(f, "  {text:<29}{:>11}{end}", self.of(part))?;
        }
        writeln!(f)
    }
}
