//! What can go wrong with a backup.

use std::io;

use cs_base::{FileId, TreeId};

/// An error of writing, reading or restoring a backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The first bytes are those of something else.
    #[error("not a backup: expected it to begin with {expected:02x?}, found {found:02x?}")]
    NotABackup {
        /// What a backup begins with.
        expected: [u8; 8],
        /// What is there.
        found: [u8; 8],
    },
    /// A version or a feature that this program does not know.
    #[error("the backup cannot be read by this program: {0}")]
    Unsupported(String),
    /// Bytes that nobody wrote.
    #[error("the backup is damaged: at byte {offset}: {what}")]
    Damaged {
        /// Where the block begins that is not what was written.
        offset: u64,
        /// What was expected and what was found.
        what: String,
    },
    /// It ends before its end block: it was never finished, or it was cut off.
    #[error("the backup is incomplete: it ends at byte {len} without its end block")]
    Incomplete {
        /// Bytes that there are.
        len: u64,
    },
    /// It was resumed, so that its order is not that of its bytes.
    #[error("a backup that was resumed is restored from a file, not from a stream")]
    NeedsFile,
    /// The bytes of the backup could not be read.
    #[error("reading the backup: {0}")]
    Source(io::Error),
    /// The bytes of the backup could not be written.
    #[error("writing the backup: {0}")]
    Destination(io::Error),
    /// There is a finished backup of that name.
    #[error("there is a file {0} already")]
    Exists(String),
    /// The unfinished file is one of another database.
    #[error("the unfinished backup {name} is of database {found}, not of {expected}")]
    OtherDatabase {
        /// Its name.
        name: String,
        /// The database to be backed up.
        expected: FileId,
        /// The one that it is of.
        found: FileId,
    },
    /// The directory to restore into has something in it.
    #[error("restoring needs a new directory: there is a file {0} in it")]
    NotEmpty(String),
    /// What was built is not what the backup says; nothing was installed.
    #[error("tree {tree} was restored wrongly: expected {expected}, found {found}")]
    Mismatch {
        /// Which.
        tree: TreeId,
        /// What the backup says.
        expected: String,
        /// What there is.
        found: String,
    },
}

impl BackupError {
    pub(crate) fn damaged(offset: u64, what: impl Into<String>) -> Self {
        let what = what.into();
        Self::Damaged { offset, what }
    }

    /// Whether it is not the backup that was written: damaged, cut off, or something else.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(
            self,
            Self::NotABackup { .. } | Self::Damaged { .. } | Self::Incomplete { .. }
        )
    }
}
