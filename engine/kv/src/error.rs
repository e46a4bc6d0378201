//! What can go wrong with keys and values.

use cs_base::{Index, PageId, TreeId};
use cs_pager::PagerError;
use cs_wal::LogError;

use crate::backup::BackupError;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Pages: damage, a full disk, or the system refused.
    #[error(transparent)]
    Pager(PagerError),
    /// The log: damage, a full disk, or the system refused.
    #[error(transparent)]
    Log(LogError),
    /// Somebody else has the directory; the text names whom.
    #[error("the database is in use: {0}")]
    Locked(String),
    /// The directory or its lock file could not be used.
    #[error("the directory cannot be used: {0}")]
    Directory(std::io::Error),
    /// An earlier write or sync failed; nothing more is accepted until reopened.
    #[error("the database refuses writes until it is reopened: {0}")]
    Poisoned(String),
    /// It was open for this commit whether it is durable: the database failed
    /// while the commit was waited for. After reopening it is there wholly or not at all.
    #[error("the outcome of the commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// The store was closed, or is read-only.
    #[error("{0}")]
    Refused(&'static str),
    /// Another transaction changed the same key first; try again.
    #[error("write conflict with the commit at index {lost_to}")]
    Conflict {
        /// The state that has what it lost to; a new snapshot sees it.
        lost_to: Index,
    },
    /// A prepared transaction has locked the key, or tree, until it is decided.
    #[error("in the way is the prepared transaction '{gid}', which waits for its decision")]
    Prepared {
        /// Its name.
        gid: String,
    },
    /// The name of a transaction to be prepared was given before.
    #[error("there is, or was lately, a prepared transaction '{gid}'")]
    NameTaken {
        /// The name.
        gid: String,
    },
    /// No transaction of that name waits for a decision.
    #[error("there is no prepared transaction '{gid}'")]
    NotPrepared {
        /// The name.
        gid: String,
    },
    /// The prepared transaction was decided before.
    #[error(
        "the prepared transaction '{gid}' was {} before",
        if *is_committed { "committed" } else { "rolled back" }
    )]
    AlreadyDecided {
        /// Its name.
        gid: String,
        /// How it was decided.
        is_committed: bool,
    },
    /// A resource would not prepare: all were rolled back.
    #[error("the resource '{resource}' would not prepare: {reason}")]
    ResourceRefused {
        /// Its name.
        resource: String,
        /// What it said.
        reason: String,
    },
    /// What an operation demanded of a key does not hold.
    #[error("operation {position} of the batch expected the key to be {expected}")]
    Expectation {
        /// Which operation of the batch, from 0.
        position: usize,
        /// "absent" or "present".
        expected: &'static str,
    },
    /// The snapshot kept old versions for longer than the limits allow, and was ended.
    #[error("the snapshot at index {index} was ended: it kept old versions for too long")]
    SnapshotEvicted {
        /// The last commit that it saw.
        index: Index,
    },
    /// A named snapshot is to be made under a name that is in use.
    #[error("there is a snapshot '{0}' already")]
    SnapshotExists(String),
    /// There is no snapshot of that name.
    #[error("there is no snapshot '{0}'")]
    NoSuchSnapshot(String),
    /// A feed of changes cannot go on from where it is.
    #[error("changes are lost: {0}")]
    ChangesLost(String),
    /// An [`Evaluate`](crate::Evaluate) declined, or panicked. Nothing has changed.
    #[error("the evaluation of operation {position} of the batch declined")]
    Declined {
        /// Which operation of the batch, from 0.
        position: usize,
    },
    /// This statement of the session was carried out before; these were its results.
    #[error("statement {number} of the session was already carried out")]
    AlreadyApplied {
        /// The highest number that the session has used.
        number: u64,
        /// What the commit stored then.
        results: Vec<u8>,
    },
    /// The tree does not exist (any more).
    #[error("there is no tree {0}")]
    UnknownTree(TreeId),
    /// Something is over its limit.
    #[error("{what} has {found} bytes, the limit is {limit}")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// How large it is.
        found: u64,
        /// How large it may be.
        limit: u64,
    },
    /// An entry of a bulk load has a key that was there before it.
    #[error("entry {position} of the bulk load has a key that is there already")]
    DuplicateEntry {
        /// Which entry of the input, from 0.
        position: u64,
    },
    /// The caller's progress function said to stop.
    #[error("the work was cancelled")]
    Cancelled,
    /// The temporary file for sorting could not be written or read.
    #[error("the temporary file for sorting: {0}")]
    Temporary(std::io::Error),
    /// A backup: damaged, or it could not be read or written.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// Options that contradict each other or the database.
    #[error("{0}")]
    InvalidOption(String),
    /// The inner order of the database is broken.
    #[error("the database is damaged: {0}")]
    Damaged(String),
}

impl From<PagerError> for Error {
    fn from(error: PagerError) -> Self {
        Self::Pager(error)
    }
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl Error {
    /// Whether the same transaction may succeed when it is tried again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Prepared { .. })
    }

    /// Whether the disk is full. Nothing has changed then.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::Pager(error) => matches!(error, PagerError::NoSpace { .. }),
            Self::Log(error) => matches!(error, LogError::NoSpace { .. }),
            Self::Temporary(error) | Self::Backup(BackupError::Destination(error)) => {
                cs_io::is_no_space(error)
            }
            _ => false,
        }
    }

    /// Whether bytes were found that nobody wrote.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::Pager(error) => error.is_corruption(),
            Self::Log(LogError::Unreachable { .. }) => true,
            Self::Log(error) => error.is_corruption(),
            Self::Damaged(_) => true,
            Self::Backup(error) => error.is_corruption(),
            _ => false,
        }
    }

    /// Whether the files are of a format or have features that this program
    /// does not know.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Self::Pager(PagerError::Unsupported(_))
                | Self::Log(LogError::Unsupported { .. })
                | Self::Backup(BackupError::Unsupported(_))
        )
    }

    /// The page concerned, if one is.
    #[must_use]
    pub fn page(&self) -> Option<PageId> {
        match self {
            Self::Pager(PagerError::Corrupt { page, .. } | PagerError::Overtaken { page, .. }) => {
                Some(*page)
            }
            _ => None,
        }
    }

    /// Whether a reader was overtaken by whoever writes this database.
    #[must_use]
    pub fn is_overtaken(&self) -> bool {
        matches!(self, Self::Pager(PagerError::Overtaken { .. }))
    }
}
