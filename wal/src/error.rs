//! What can go wrong, said once and small.

use std::io;
use std::sync::Arc;

use cs_base::Lsn;

/// The outcome of an operation on the log.
pub type Result<T> = std::result::Result<T, LogError>;

/// Why the log refused, failed or cannot be believed.
///
/// Cloneable, because one failed sync is the answer to everybody who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The disk is full; nothing was changed.
    #[error("no space for a log segment of {wanted} bytes: {detail}")]
    NoSpace {
        /// Size of the segment that was to be made.
        wanted: u64,
        /// What the system said.
        detail: String,
    },
    /// A record is longer than [`MAX_RECORD_PAYLOAD`](crate::MAX_RECORD_PAYLOAD).
    #[error("record payload of {found} bytes, at most {limit} allowed")]
    RecordTooLarge {
        /// Length asked for.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// Membership bytes are longer than
    /// [`MAX_MEMBERSHIP_BYTES`](crate::MAX_MEMBERSHIP_BYTES).
    #[error("membership of {found} bytes, at most {limit} allowed")]
    MembershipTooLarge {
        /// Length asked for.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A read, listing or opening failed.
    #[error("{what}: {source}")]
    Io {
        /// Which operation on which file.
        what: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Bytes below the durable end of the log are not what was written.
    #[error("log is corrupt at lsn {lsn}: expected {expected}, found {found}")]
    Corrupt {
        /// Where the record should begin.
        lsn: Lsn,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A segment's header or length is not what was written.
    #[error("segment {name} is corrupt: expected {expected}, found {found}")]
    CorruptSegment {
        /// File name.
        name: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A file or record of a format this version does not know.
    #[error("{what} has {found}, this version knows {known}")]
    Unsupported {
        /// Which file or record.
        what: String,
        /// What it carries.
        found: String,
        /// What is supported.
        known: String,
    },
    /// The log does not reach back to where the checkpoint ends.
    #[error("log does not reach back to lsn {wanted}: {}", first_present(*.first))]
    Unreachable {
        /// Where reading should start.
        wanted: Lsn,
        /// First position present, if there is any segment.
        first: Option<Lsn>,
    },
    /// A new log was asked for where there is one with records.
    #[error("segment {name} already holds records")]
    AlreadyExists {
        /// File name.
        name: String,
    },
    /// A write or sync failed: the log takes nothing more until it is opened anew.
    #[error("the log failed, outcome unknown: {reason}; reopen the database")]
    Poisoned {
        /// The first failure.
        reason: Arc<str>,
    },
    /// The log is idle, and what was waited for is still not so.
    #[error("the log is idle and what is waited for did not happen")]
    Stalled,
    /// A callback waited for a log. It may run on the very thread that would
    /// have to write.
    #[error("a callback must not wait for the log; hand the work to another thread")]
    WaitInCallback,
}

fn first_present(first: Option<Lsn>) -> String {
    first.map_or_else(
        || "no segment present".to_owned(),
        |lsn| format!("first lsn present is {lsn}"),
    )
}

impl LogError {
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source: Arc::new(source),
        }
    }

    /// Whether bytes on disk are not what was written.
    #[must_use]
    pub const fn is_corruption(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::CorruptSegment { .. })
    }
}

/// Adds which operation on which file to an [`io::Error`].
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| LogError::io(what(), source))
    }
}
